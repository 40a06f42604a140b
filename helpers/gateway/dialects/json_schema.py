"""What is wrong with a JSON schema by the rules of JSON schema itself, in the words of Python's jsonschema, which OpenAI shows."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from helpers.house_model.patterns import has_lookaround

TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains")
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")  # of schemas
NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")  # schemas by name
ONE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems")
LONGEST_PATTERN = 10_000  # letters; a longer one is taken unread
Path = tuple[str | int, ...]


def parts(schema: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every schema inside a schema with its path, the outermost first; what is no schema is left out."""
    waiting = [(path, schema)]
    while waiting:
        place, one = waiting.pop()
        if not isinstance(one, dict):
            continue
        yield place, one
        inside = [((*place, name), one[name]) for name in ONE if name in one]
        inside += [((*place, name, key), item) for name in NAMED if isinstance(one.get(name), dict) for key, item in one[name].items()]
        inside += [((*place, name, index), item) for name in LISTS if isinstance(one.get(name), list) for index, item in enumerate(one[name])]
        waiting += reversed(inside)


def fault(schema: dict[str, Any], patterns: bool = True) -> str | None:
    """What is wrong, as `5 is not of type 'array'`; None for a schema. `patterns` says whether they have to be ones of Python."""
    skipped = () if patterns else ("pattern",)
    named = ((name, value) for _, one in parts(schema) for name, value in one.items() if name not in skipped)
    return next((found for name, value in named if (found := _fault(name, value))), None)


def lookaround(schema: Any) -> Path | None:
    """Where a pattern has a lookahead or a lookbehind; None where none has."""
    for path, one in parts(schema):
        if has_lookaround(one.get("pattern")):
            return (*path, "pattern")
        names = one.get("patternProperties")
        found = next((name for name in names if has_lookaround(name)), None) if isinstance(names, dict) else None
        if found is not None:
            return (*path, "patternProperties", found)
    return None


def _fault(name: str, value: Any) -> str | None:
    check = CHECKS.get(name)
    return check(value) if check else None


def _is_a(kind: str, holds: Callable[[Any], bool]) -> Callable[[Any], str | None]:
    return lambda value: None if holds(value) else f"{value!r} is not of type {kind}"


def _type(value: Any) -> str | None:
    kinds = [value] if isinstance(value, str) else value if isinstance(value, list) else [None]
    return None if kinds and all(kind in TYPES for kind in kinds) else f"{value!r} is not valid under any of the given schemas"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count(value: Any) -> str | None:
    if not _number(value) or value != int(value):
        return f"{value!r} is not of type 'integer'"
    return None if value >= 0 else f"{value} is less than the minimum of 0"


def _schemas(value: Any) -> str | None:
    if not isinstance(value, list):
        return f"{value!r} is not of type 'array'"
    return None if value else "[] should be non-empty"


def _names(value: Any) -> str | None:
    wrong = next((item for item in value if not isinstance(item, str)), None) if isinstance(value, list) else None
    return f"{wrong!r} is not of type 'string'" if wrong is not None else None if isinstance(value, list) else f"{value!r} is not of type 'array'"


def _pattern(value: Any) -> str | None:
    if not isinstance(value, str):
        return f"{value!r} is not of type 'string'"
    try:
        with warnings.catch_warnings(action="ignore"):  # what a set may mean some day
            re.compile(value if len(value) <= LONGEST_PATTERN else "")
    except (re.error, OverflowError, RecursionError):
        return f"{value!r} is not a 'regex'"
    return None


_object, _schema = _is_a("'object'", lambda value: isinstance(value, dict)), _is_a("'object', 'boolean'", lambda value: isinstance(value, dict | bool))
CHECKS: dict[str, Callable[[Any], str | None]] = {
    "type": _type,
    "required": _names,
    "enum": _is_a("'array'", lambda value: isinstance(value, list)),
    "pattern": _pattern,
    "uniqueItems": _is_a("'boolean'", lambda value: isinstance(value, bool)),
    **dict.fromkeys(COUNTS, _count),
    **dict.fromkeys(BOUNDS, _is_a("'number'", _number)),
    **dict.fromkeys(LISTS, _schemas),
    **dict.fromkeys(NAMED, _object),
    **dict.fromkeys(ONE, _schema),
}
