"""JSON that fits a schema, whatever the model would rather say: at every step, the tokens that may come next.

llguidance does the work, as it does inside vLLM. Here a schema is made finite, since a small model does not know when to stop.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLTokenizer

from helpers.house_model.engine import Array, ConstraintError

Schema = dict[str, Any]

LONGEST_STRING = 60  # characters, where a schema sets no bound of its own
MOST_ITEMS = 4
LARGEST_NUMBER = 1_000_000  # likewise
PATIENCE = 160  # tokens after which whatever can be closed is closed
LAYOUT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}  # as json.dumps writes it
# Keywords that cannot be followed, such as uniqueItems, are passed over: ordinary tools have them, and providers take them.
LENIENT = {"lenient": True, "coerce_one_of": True}
CLOSERS = ("}", "]", '"')  # outside a string; inside, only the quotation mark closes
MOST_NESTED = 30  # levels of a schema


class SchemaError(ConstraintError):
    """A schema that cannot be followed, and why."""


class JsonConstraint:
    """A constraint on one answer: JSON that fits a schema. Raises SchemaError for a schema that cannot be followed."""

    def __init__(self, schema: Schema, tokenizer: Path) -> None:
        self._tokenizer = _tokenizer(tokenizer)
        try:
            grammar = LLMatcher.grammar_from_json_schema(json.dumps(bounded(schema)), overrides=LAYOUT | LENIENT)
        except (ValueError, TypeError) as error:  # TypeError: a bound or a type that is no number or name
            raise SchemaError(str(error)) from None
        self._matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        self._closers = [self._tokenizer.tokenize_str(text)[0] for text in CLOSERS]
        self._written, self._in_string, self._escaped = 0, False, False
        self._raise_error()

    def allowed(self) -> Array:
        """True for each token that may come next. Raises SchemaError where the schema turns out to be too large to follow."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        mask = np.unpackbits(bits, bitorder="little")[: self._tokenizer.vocab_size].astype(bool)
        self._raise_error()
        if self._written >= PATIENCE:
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
            if self._escaped:
                self._escaped = False
            elif byte == ord('"'):
                self._in_string = not self._in_string
            else:
                self._escaped = self._in_string and byte == ord("\\")

    def _raise_error(self) -> None:
        if self._matcher.is_error():
            raise SchemaError(self._matcher.get_error().partition("\n")[0])


@cache
def _tokenizer(file: Path) -> LLTokenizer:
    end = next(token["id"] for token in json.loads(file.read_text(encoding="utf-8"))["added_tokens"] if token["content"] == "<|im_end|>")
    return LLTokenizer(str(file), eos_token=end)


def bounded(schema: Any, level: int = 0) -> Any:
    """The same schema with an end to every string and array, and without properties that it does not name."""
    if level > MOST_NESTED:
        raise SchemaError(f"the schema is nested more than {MOST_NESTED} levels deep")
    if isinstance(schema, list):
        return [bounded(item, level + 1) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {name: _bounded_value(name, value, level + 1) for name, value in schema.items()}
    kind = schema.get("type")
    kinds = [kind] if isinstance(kind, str) else kind if isinstance(kind, list) else []
    if "string" in kinds and not {"enum", "const", "pattern", "format", "maxLength"} & schema.keys():
        out["maxLength"] = max(LONGEST_STRING, schema.get("minLength") or 0)
    if {"integer", "number"} & set(kinds) and not {"enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"} & schema.keys():
        out |= {"minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER}
    if "array" in kinds and "maxItems" not in schema:
        out["maxItems"] = max(MOST_ITEMS, schema.get("minItems") or 0)
    if "object" in kinds and isinstance(schema.get("properties"), dict) and schema["properties"]:
        out.setdefault("additionalProperties", False)
    return out


def _bounded_value(name: str, value: Any, level: int) -> Any:
    """What stands under a keyword: schemas by name, values that are no schemas, or schemas."""
    if name in ("properties", "$defs", "definitions", "patternProperties") and isinstance(value, dict):
        return {key: bounded(item, level) for key, item in value.items()}
    return value if name in ("enum", "const", "default", "examples", "required") else bounded(value, level)
