"""JSON that fits a schema, whatever the model would rather say: at every step, the tokens that may come next.

llguidance does the work, as it does inside vLLM. Here a schema is made finite, since a small model does not know when to stop.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from copy import copy
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLTokenizer

from helpers.house_model.cache import Array
from helpers.house_model.checking import Schema, SchemaError
from helpers.house_model.circles import circles
from helpers.house_model.narrowing import narrowed
from helpers.house_model.patterns import without_classes

LONGEST_STRING = 60  # characters, where a schema sets no bound of its own
AROUND = 20  # characters on either side of what matches a pattern without ends
MOST_ITEMS = 4
LARGEST_NUMBER = 1_000_000  # likewise
PATIENCE = 160  # tokens after which whatever can be closed is closed
LAYOUT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}  # as json.dumps writes it
# Keywords that cannot be followed, such as uniqueItems, are passed over here: narrowing.py and checking.py see to them.
LENIENT = {"lenient": True, "coerce_one_of": True}
CLOSERS = ("}", "]", ",", '"')  # outside a string; inside, only the quotation mark closes
MOST_DIGITS = 8  # in a row, where a shorter number will do
MOST_NESTED = 30  # levels of a schema
MOST_UNROLLED = 3  # how often a definition may stand inside itself
COPY = ".level-"  # in the name of a copy
# Of texts with a format, those that end: what may follow a number's digits, or a name in an address, the model might never choose.
DATE = r"[1-9]\d{3}-((0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
TIME = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ"
FORMATS = {
    "date": DATE,
    "time": TIME,
    "date-time": f"{DATE}T{TIME}",
    "duration": r"P(\d{1,3}D|(\d{1,3}D)?T\d{1,3}[HMS])",
    "email": r"[A-Za-z0-9]{1,16}([._-][A-Za-z0-9]{1,16})?@([A-Za-z0-9]{1,16}\.){1,2}[a-z]{2,6}",
    "uri": r"https?://([A-Za-z0-9]{1,16}\.){1,3}[a-z]{2,6}(/[A-Za-z0-9._-]{1,16}){0,3}",
}
VALUES = ("enum", "const", "default", "examples", "required")  # keywords with values that are no schemas
DEFINITIONS = ("$defs", "definitions")


class JsonConstraint:
    """A constraint on one answer: JSON that fits a schema. Raises SchemaError for a schema that cannot be followed."""

    def __init__(self, schema: Schema, tokenizer: Path) -> None:
        self._tokenizer = _tokenizer(tokenizer)
        try:
            self._matcher = _matcher(unrolled(schema), self._tokenizer)
        except RecursionError:
            raise SchemaError("the schema is nested too deeply") from None
        except SchemaError:
            raise
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError):  # in Python's words these say nothing about the schema
            raise SchemaError("it is no JSON schema: a keyword has a value that it cannot have, such as a type that is no name") from None
        self._closers = [self._tokenizer.eos_token, *(self._tokenizer.tokenize_str(text)[0] for text in CLOSERS)]
        self._written, self._digits, self._in_string, self._escaped = 0, 0, False, False
        self._raise_error()

    def allowed(self) -> Array:
        """True for each token that may come next. Raises SchemaError where the schema turns out to be too large to follow."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        mask = np.unpackbits(bits, bitorder="little")[: self._tokenizer.vocab_size].astype(bool)
        self._raise_error()
        if self._written >= PATIENCE or self._digits >= MOST_DIGITS:
            closers = self._closers[-1:] if self._in_string else self._closers
            closer = next((token for token in closers if mask[token]), None)
            if closer is not None:
                return np.arange(len(mask)) == closer
        return mask

    def accept(self, token: int) -> None:
        """Take note of the token that was chosen."""
        self._written += 1
        self._matcher.consume_token(token)
        for byte in self._tokenizer.decode_bytes([token]):
            self._digits = self._digits + 1 if byte in b"0123456789" and not self._in_string else 0
            if self._escaped:
                self._escaped = False
            elif byte == ord('"'):
                self._in_string = not self._in_string
            else:
                self._escaped = self._in_string and byte == ord("\\")

    def copy(self) -> JsonConstraint:
        """One like it, as far as it has got."""
        other = copy(self)
        other._matcher = self._matcher.deep_copy()
        return other

    def _raise_error(self) -> None:
        if self._matcher.is_error():
            raise SchemaError(self._matcher.get_error().partition("\n")[0])


@cache
def _tokenizer(file: Path) -> LLTokenizer:
    end = next(token["id"] for token in json.loads(file.read_text(encoding="utf-8"))["added_tokens"] if token["content"] == "<|im_end|>")
    return LLTokenizer(str(file), eos_token=end)


def _matcher(schema: Any, tokenizer: LLTokenizer) -> LLMatcher:
    """What follows a schema: without properties that it does not name, unless its parts only fit together with them.

    An `if` is followed by its `then`, unless only its `else` is possible.
    """
    ways = (True, False) if '"if"' in json.dumps(schema) else (True,)
    for closed, when in product((True, False), ways):
        grammar = LLMatcher.grammar_from_json_schema(json.dumps(bounded(schema, closed, when)), overrides=LAYOUT | LENIENT)
        matcher = LLMatcher(tokenizer, grammar, log_level=0)
        if not matcher.is_error():
            break
    return matcher


def unrolled(schema: Any) -> Any:
    """The same schema with an end to definitions that hold themselves, such as a list's next element or a tree's children.

    Each level of such a definition is a copy of its own, and the last one leaves out what may be left out. Every other
    definition stays as it is, and so does a schema that refers to its own root.
    """
    endless = _endless(schema) if isinstance(schema, dict) else {}
    if not endless:
        return schema
    own_id = {"$id": schema["$id"]} if "$id" in schema else {}
    out = _relinked({name: value for name, value in schema.items() if name != "$id"}, 0, endless) | own_id
    for link, definition in endless.items():
        place, name = link.removeprefix("#/").split("/")
        out[place] |= {f"{_plain(name)}{COPY}{level}": _relinked(definition, level + 1, endless) for level in range(MOST_UNROLLED)}
    return out


def _endless(schema: Schema) -> dict[str, Any]:
    """The definitions from which references lead back to themselves, by the reference to each."""
    places = {place: schema[place] for place in DEFINITIONS if isinstance(schema.get(place), dict)}
    found = {f"#/{place}/{_escaped(name)}": value for place, named in places.items() for name, value in named.items()}
    again = circles({link: _links(value) & found.keys() for link, value in found.items()})
    return {link: value for link, value in found.items() if link in again}


def _links(schema: Any) -> set[str]:
    """All references in a part of a schema."""
    links, left = set(), [schema]
    while left:
        part = left.pop()
        left += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        if isinstance(part, dict) and isinstance(part.get("$ref"), str):
            links.add(part["$ref"])
    return links


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _plain(name: str) -> str:
    return name.replace("~1", "/").replace("~0", "~")


def _relinked(schema: Any, level: int, endless: Collection[str]) -> Any:
    """A part of a schema whose references to endless definitions lead to the copies of this level."""
    if isinstance(schema, list):
        return [_relinked(item, level, endless) for item in schema]
    if not isinstance(schema, dict) or "$id" in schema:  # under an $id of its own, references mean something else
        return schema
    last = level == MOST_UNROLLED
    schema = _without(schema, endless) if last else schema
    out = _inside(schema, partial(_relinked, level=level, endless=endless))
    link = schema.get("$ref")
    if isinstance(link, str) and link in endless:
        out["$ref"] = f"{link}{COPY}{level - last}"
    return out


def _without(schema: Schema, endless: Collection[str]) -> Schema:
    """The schema without what refers to endless definitions, as far as it may be left out: nothing else becomes valid."""
    out = dict(schema)
    if isinstance(schema.get("properties"), dict):
        required = schema.get("required") or ()
        out["properties"] = {
            name: False if name not in required and _refers(value, endless) else value for name, value in schema["properties"].items()
        }
    for name in ("anyOf", "oneOf"):
        if isinstance(schema.get(name), list):
            out[name] = [value for value in schema[name] if not _refers(value, endless)] or schema[name]
    if _refers(schema.get("items"), endless) and not schema.get("minItems") and "allOf" not in schema:
        out["maxItems"] = len(schema.get("prefixItems") or ())
    return out


def _refers(schema: Any, links: Collection[str]) -> bool:
    """Whether any reference in a part of a schema is one of these."""
    if isinstance(schema, dict):
        link = schema.get("$ref")
        return (isinstance(link, str) and link in links) or any(_refers(value, links) for value in schema.values())
    return isinstance(schema, list) and any(_refers(value, links) for value in schema)


def bounded(schema: Any, closed: bool = True, when: bool = True, level: int = 0) -> Any:
    """The same schema with an end to every string, number and array, and if `closed`, without properties that it does not name.

    `when` tells which way an `if` goes.
    """
    if level > MOST_NESTED:
        raise SchemaError(f"the schema is nested more than {MOST_NESTED} levels deep")
    if isinstance(schema, list):
        return [bounded(item, closed, when, level + 1) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = narrowed(schema, when)
    out = _inside(schema, partial(bounded, closed=closed, when=when, level=level + 1))
    kind = schema.get("type")
    kinds = [kind] if isinstance(kind, str) else kind if isinstance(kind, list) else []
    if "string" in kinds:
        out |= _text_bounds(schema)
    if {"integer", "number"} & set(kinds) and not {"enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"} & schema.keys():
        out |= {"minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER}
    if "array" in kinds and "maxItems" not in schema:
        out["maxItems"] = max(MOST_ITEMS, schema.get("minItems") or 0)
    if closed and "object" in kinds and isinstance(schema.get("properties"), dict) and schema["properties"]:
        out.setdefault("additionalProperties", False)
    return out


def _text_bounds(schema: Schema) -> Schema:
    """What ends a text where its schema does not."""
    if {"enum", "const"} & schema.keys():
        return {}
    if "pattern" in schema:
        return {"pattern": _ending(schema["pattern"])} if isinstance(schema["pattern"], str) and not schema.get("minLength") else {}
    if "format" in schema:
        return {"pattern": f"^({FORMATS[schema['format']]})$"} if schema["format"] in FORMATS else {}
    return {} if "maxLength" in schema else {"maxLength": max(LONGEST_STRING, schema.get("minLength") or 0)}


def _ending(pattern: str) -> str:
    """The pattern with an end to what may stand around a match, which the model might never come to."""
    bare = without_classes(pattern)
    if "^" in bare:
        return pattern
    return f"^.{{0,{AROUND}}}({pattern})" + ("" if "$" in bare else f".{{0,{AROUND}}}$")


def _inside(schema: Schema, change: Callable[[Any], Any]) -> Schema:
    """The schema with what stands under its keywords changed: schemas by name, values that are no schemas, or schemas."""

    def changed(name: str, value: Any) -> Any:
        if name in (*DEFINITIONS, "properties", "patternProperties") and isinstance(value, dict):
            return {key: change(item) for key, item in value.items()}
        return value if name in VALUES else change(value)

    return {name: changed(name, value) for name, value in schema.items()}
