"""JSON schemas with less in them: keywords that constrained decoding does not know are met by leaving out, or asking for, what it knows.

Nothing becomes valid that was not; what is still open is settled by a look at the finished answer (checking.py).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from helpers.house_model.checking import Schema, SchemaError, has_lookaround, is_valid

FARTHEST = 10**15  # numbers beyond cannot all be told apart as floats, which is how llguidance keeps them
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
COMPOSED = {"allOf", "anyOf", "oneOf", "$ref", "if", "dependentSchemas"}
OBJECTS = {"minProperties", "maxProperties", "propertyNames", "dependentRequired", "dependentSchemas", "unevaluatedProperties", "not"}
PIECE = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\(\?<?[=!]|[()]", re.DOTALL)  # of a pattern: an escape, a class, a bracket


def narrowed(schema: Schema, when: bool = True) -> Schema:
    """The schema without what its own keywords might forbid. `when` tells which way an `if` goes. Raises SchemaError."""
    out = dict(schema)
    if "if" in schema:
        parts = [schema["if"], schema.get("then", True)] if when else [schema.get("else", True)]
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
    names = dict(out.get("properties") or {})
    required = list(dict.fromkeys(out.get("required") or ()))
    least, most = out.get("minProperties"), out.get("maxProperties")
    for name in _followers(out, required):
        names[name] = False
    if "propertyNames" in out:
        names |= {name: False for name in names if not is_valid(name, out["propertyNames"])}
    free = [name for name, value in names.items() if value is not False and name not in required]
    if isinstance(least, int):
        required += free[: max(0, least - len(required))]
    if isinstance(most, int):
        names |= {name: False for name in [name for name in free if name not in required][max(0, most - len(required)) :]}
    forbidden = out.get("not")
    if isinstance(forbidden, dict) and isinstance(forbidden.get("required"), list):
        names |= {name: False for name in [name for name in forbidden["required"] if name not in required][:1]}
    if names:
        out["properties"] = names
    if required:
        out["required"] = required
    if not COMPOSED & out.keys() and "patternProperties" not in out and (names or not (required or least)):
        out["additionalProperties"] = False


def _followers(out: Schema, required: list[str]) -> list[str]:
    """Names that bring others with them: those asked for get them (in `required`), the rest is returned, to be left out."""
    rules = [(name, more) for keyword in ("dependentRequired", "dependentSchemas") for name, more in (out.get(keyword) or {}).items()]
    for _ in rules:  # one may bring the next
        required += [other for name, more in rules if name in required and isinstance(more, list) for other in more if other not in required]
    out["allOf"] = [*(out.get("allOf") or ()), *(more for name, more in rules if name in required and not isinstance(more, list))]
    if not out["allOf"]:
        del out["allOf"]
    return [name for name, _ in rules if name not in required]


def _items(out: Schema) -> None:
    """What an array has to contain comes first; where no two may be equal, there are as few as may be."""
    if "contains" in out and "prefixItems" not in out:
        count = out.get("minContains", 1)
        each = {"allOf": [out["contains"], out["items"]]} if "items" in out else out["contains"]
        out |= {"prefixItems": [each] * count, "minItems": max(count, out.get("minItems") or 0)} if count else {}
    least = max(out.get("minItems") or 0, len(out.get("prefixItems") or ()) if "contains" in out else 0)
    if out.get("uniqueItems"):
        out["maxItems"] = min(out.get("maxItems", least or 1), max(least, 1))
    elif "contains" in out or (out.get("unevaluatedItems") is False and "items" not in out):
        out["maxItems"] = min(out.get("maxItems", least), least) if "contains" in out else min(out.get("maxItems", least), len(out.get("prefixItems") or ()))


def _numbers(out: Schema) -> None:
    """Bounds as far as numbers can be told apart, and values that can be written. Raises SchemaError where none is left."""
    for name, sign in (("minimum", 1), ("exclusiveMinimum", 1), ("maximum", -1), ("exclusiveMaximum", -1)):
        bound = out.get(name)
        if isinstance(bound, int | float) and not isinstance(bound, bool) and abs(bound) > FARTHEST:
            if bound * sign > 0:
                raise SchemaError(f"{name} {bound} leaves only numbers beyond {FARTHEST:,}, which the house model cannot write exactly")
            out[name] = -FARTHEST * sign
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
