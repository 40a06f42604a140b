"""JSON schemas with less in them: keywords that constrained decoding does not know are met by leaving out, or asking for, what it knows.

Nothing becomes valid that was not; what is still open is settled by a look at the finished answer (checking.py).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from helpers.house_model.checking import Schema, SchemaError, invalid
from helpers.house_model.patterns import has_lookaround

FARTHEST = 10**15  # numbers beyond cannot all be told apart as floats, which is how llguidance keeps them
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
COMPOSED = {"allOf", "anyOf", "oneOf", "$ref", "if", "dependentSchemas"}
OBJECTS = {"minProperties", "maxProperties", "propertyNames", "dependentRequired", "dependentSchemas", "unevaluatedProperties", "not"}
PIECE = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]?|\(\?<?[=!]|[()]", re.DOTALL)  # of a pattern: an escape, a class, a bracket


def narrowed(schema: Schema, when: bool = True) -> Schema:
    """The schema without what its own keywords might forbid. `when` tells which way an `if` goes. Raises SchemaError."""
    out = dict(schema)
    if "if" in schema:
        parts = [schema["if"], schema.get("then", True)] if when else [schema.get("else", True)]
        # Moved, never copied: of schemas inside one another, copies of copies would fill the memory.
        out = {name: value for name, value in out.items() if name not in ("if", "then", "else")}
        out["allOf"] = [*(schema.get("allOf") or ()), *parts]
    _types(out)
    if OBJECTS & schema.keys():
        _properties(out)
    if {"uniqueItems", "contains", "unevaluatedItems"} & schema.keys():
        _items(out)
    _numbers(out)
    if has_lookaround(schema.get("pattern")):
        out["pattern"] = without_lookaround(schema["pattern"])
        if "format" in schema:
            del out["pattern"]  # a text of that format is the better guess
    return out


def _types(out: Schema) -> None:
    """`not` of types and of values."""
    forbidden = out.get("not")
    if not isinstance(forbidden, dict):
        return
    if "type" in forbidden and len(forbidden) == 1:
        out["type"] = [kind for kind in _list(out.get("type", TYPES)) if kind not in _list(forbidden["type"])]
    values = forbidden.get("enum", [forbidden["const"]] if "const" in forbidden else [])
    if isinstance(out.get("enum"), list) and isinstance(values, list):
        out["enum"] = [value for value in out["enum"] if value not in values]


def _list(kinds: Any) -> list[Any]:
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _properties(out: Schema) -> None:
    """Ask for as many properties as there must be, and leave out those that others or their number forbid."""
    names, required = dict(out.get("properties") or {}), _with_followers(out)
    least, most = out.get("minProperties"), out.get("maxProperties")
    names |= {name: False for keyword in ("dependentRequired", "dependentSchemas") for name in out.get(keyword) or () if name not in required}
    more = [schema for name, schema in (out.pop("dependentSchemas", None) or {}).items() if name in required]
    if more:
        out["allOf"] = [*(out.get("allOf") or ()), *more]
    if "propertyNames" in out:
        names |= dict.fromkeys(invalid(names, out["propertyNames"]), False)
    free = [name for name, value in names.items() if value is not False and name not in required]
    asked = free[: max(0, least - len(required))] if isinstance(least, int) else []
    required |= dict.fromkeys(asked)
    if isinstance(most, int):
        names |= dict.fromkeys(free[len(asked) :][max(0, most - len(required)) :], False)
    forbidden = out.get("not")
    if isinstance(forbidden, dict) and isinstance(forbidden.get("required"), list):
        names |= {name: False for name in [name for name in forbidden["required"] if name not in required][:1]}
    if names:
        out["properties"] = names
    if required:
        out["required"] = list(required)
    enough = required.keys() <= names.keys() and (names or not least)
    if enough and not COMPOSED & out.keys() and "patternProperties" not in out:
        out["additionalProperties"] = False


def _with_followers(out: Schema) -> dict[str, None]:
    """The names that are required, and those that they bring with them."""
    rules = out.get("dependentRequired") or {}
    waiting = list(out.get("required") or ())
    found = dict.fromkeys(waiting)
    for name in waiting:
        new = [other for other in rules.get(name, ()) if other not in found]
        found |= dict.fromkeys(new)
        waiting += new
    return found


def _items(out: Schema) -> None:
    """What an array has to contain comes first; where no two may be equal, there are as few as may be."""
    least = out.get("minItems") or 0
    if "contains" in out and out.get("minContains", 1) and "prefixItems" not in out:
        name, count = ("prefixItems", 1) if "items" in out else ("items", out.get("minContains", 1))
        out[name] = [out["contains"]] if name == "prefixItems" else out["contains"]
        least = out["minItems"] = max(least, count)
    if out.pop("contains", None) is not None or out.get("uniqueItems"):
        least = max(least, 1)
    elif "items" not in out:  # unevaluatedItems
        least = len(out.get("prefixItems") or ())
    out["maxItems"] = min(out.get("maxItems", least), least)


def _numbers(out: Schema) -> None:
    """Bounds as far as numbers can be told apart, and values that can be written. Raises SchemaError where none is left."""
    for name, sign in (("minimum", 1), ("exclusiveMinimum", 1), ("maximum", -1), ("exclusiveMaximum", -1)):
        bound = out.get(name)
        if isinstance(bound, int | float) and not isinstance(bound, bool) and abs(bound) > FARTHEST:
            if bound * sign > 0:
                raise SchemaError(f"{name} {bound} leaves only numbers beyond {FARTHEST:,}, which the house model cannot write exactly")
            out[name] = -FARTHEST * sign
    step = out.get("multipleOf")
    if isinstance(step, int | float) and not isinstance(step, bool) and step >= 1 and step == int(step):
        # Whole numbers alone: to find those among numbers with a fraction takes llguidance seconds.
        out["type"] = list(dict.fromkeys("integer" if kind == "number" else kind for kind in _list(out.get("type", TYPES))))
    if isinstance(out.get("enum"), list) and out["enum"]:
        out["enum"] = [value for value in out["enum"] if _is_writable(value)]
        if not out["enum"]:
            raise SchemaError("enum has only numbers that the house model cannot write exactly")
    if "const" in out and not _is_writable(out["const"]):
        raise SchemaError(f"const has a number that the house model cannot write exactly: {str(out['const'])[:60]}")


def _is_writable(value: Any) -> bool:
    """Whether a value survives being kept in floats: 12345678901234567890 does not."""
    if isinstance(value, list | dict):
        return all(map(_is_writable, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int) or Decimal(repr(float(value))) == value


def without_lookaround(pattern: str) -> str:
    """The pattern without its lookaheads and lookbehinds, which only forbid."""
    out, kept, depth = "", 0, 0  # `depth` of brackets inside a lookaround; 0 outside
    for piece in PIECE.finditer(pattern):
        if not depth and piece[0].startswith("(?"):
            out, depth = out + pattern[kept : piece.start()], 1
        elif depth and piece[0][0] in "()":
            depth += 1 if piece[0][0] == "(" else -1
            kept = piece.end()
    return out if depth else out + pattern[kept:]
