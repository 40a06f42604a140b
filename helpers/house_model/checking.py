"""Whether a finished answer fits its JSON schema: for the keywords that constrained decoding alone does not follow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import regex
from jsonschema import Draft202012Validator, ValidationError, validators
from referencing import Registry

from helpers.house_model.patterns import has_lookaround
from helpers.house_model.sampling import ConstraintError

Schema = dict[str, Any]

# Keywords that llguidance passes over, follows in part only, or takes for another: oneOf for anyOf. Nor does it know lookaround.
LOOSE = {
    "not", "if", "then", "else", "oneOf", "multipleOf", "uniqueItems", "contains", "minContains", "maxContains", "additionalItems",
    "unevaluatedItems", "unevaluatedProperties", "minProperties", "maxProperties", "propertyNames", "dependencies",
    "dependentRequired", "dependentSchemas", "$dynamicRef", "$recursiveRef",
}  # fmt: skip
NOT_SCHEMAS = {"enum", "const", "default", "examples", "required"}
NAMED = {"properties", "patternProperties", "$defs", "definitions"}
LARGEST_SAFE = 10**9  # bounds beyond, with a fraction beside them, come near the end of a float's digits
MOST_STEPS = 10_000  # of a check; a schema can be made whose check takes longer than the universe is old
PATIENCE = 0.1  # seconds for one pattern


class SchemaError(ConstraintError):
    """A schema that cannot be followed, and why."""


def is_exact(schema: Any) -> bool:
    """Whether constrained decoding alone makes an answer valid."""
    if isinstance(schema, list):
        return all(map(is_exact, schema))
    if not isinstance(schema, dict):
        return not isinstance(schema, int | float) or abs(schema) <= LARGEST_SAFE
    if LOOSE & schema.keys() or has_lookaround(schema.get("pattern")):
        return False
    return all(
        is_exact(list(value.values())) if name in NAMED and isinstance(value, dict) else is_exact(value)
        for name, value in schema.items()
        if name not in NOT_SCHEMAS
    )


def is_valid(value: Any, schema: Any) -> bool:
    """Whether a value fits a schema. False also where that takes too long to say, or the schema is none."""
    return not invalid([value], schema)


def invalid(values: Iterable[Any], schema: Any) -> list[Any]:
    """Those of the values that do not fit a schema, or for which it takes too long to say."""
    if not isinstance(schema, dict):
        return list(values) if schema is False else []
    if any(map(_is_slow, _name_patterns(schema))):
        return list(values)
    check = _checker(schema)

    def fails(value: Any) -> bool:
        try:
            return not check(value)
        except Exception:  # what jsonschema raises for schemas that are none has no common class
            return True

    return [value for value in values if fails(value)]


def fits(text: str, schema: Schema) -> bool:
    """Whether a text is JSON that fits a schema."""
    try:
        return is_valid(json.loads(text), schema)
    except (ValueError, RecursionError):
        return False


def _checker(schema: Schema) -> Callable[[Any], bool]:
    kind, steps = validators.validator_for(schema, default=Draft202012Validator), [0]

    def counted(check: Any) -> Any:
        def stepped(*arguments: Any) -> Iterator[ValidationError]:
            steps[0] += 1
            if steps[0] > MOST_STEPS:
                raise TimeoutError
            yield from check(*arguments) or ()

        return stepped

    checks = {name: counted(_pattern if name == "pattern" else check) for name, check in kind.VALIDATORS.items()}
    # A registry of its own: the usual one would fetch what a reference names.
    return validators.extend(kind, checks)(schema, registry=Registry()).is_valid


def _pattern(validator: Any, pattern: str, instance: Any, schema: Schema) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not regex.search(pattern, instance, timeout=PATIENCE):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _name_patterns(schema: Any) -> Iterator[str]:
    """The patterns of names, which jsonschema itself matches, without an end to its patience."""
    if isinstance(schema, list):
        for item in schema:
            yield from _name_patterns(item)
    elif isinstance(schema, dict):
        names = schema.get("patternProperties")
        yield from names if isinstance(names, dict) else ()
        yield from _name_patterns(list(schema.values()))


def _is_slow(pattern: str) -> bool:
    """Whether a pattern may take more than linear time: repetitions of repetitions, or many of them."""
    return bool(re.search(r"\)[*+{]", pattern)) or len(re.findall(r"[*+]|\{\d+,\}", pattern)) > 2
