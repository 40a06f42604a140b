"""Request bodies against JSON schemas. What does not fit becomes a Refusal that names the field and the rule."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import fastjsonschema

from helpers.gateway.exchange import Refusal

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
ARRAY: Schema = {"type": "array"}
ANY: Schema = {}


def one_of(*values: str) -> Schema:
    return {"enum": list(values)}


def between(kind: str, low: float | None = None, high: float | None = None) -> Schema:
    """A number with an inclusive range; None leaves a side open."""
    bounds = {"minimum": low, "maximum": high}
    return {"type": kind, **{name: bound for name, bound in bounds.items() if bound is not None}}


def list_of(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def shape(required: str = "", *, closed: bool = False, **properties: Schema) -> Schema:
    """An object. `required` names fields separated by spaces; `closed` refuses fields that are not named."""
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required.split()
    if closed:
        schema["additionalProperties"] = False
    return schema


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    kind = schema.get("type")
    if kind is None:
        return schema
    return {**schema, "type": [*([kind] if isinstance(kind, str) else kind), "null"]}


def checker(schema: Schema) -> Callable[..., None]:
    """A function that raises a Refusal (missing, wrong_type, bad_value, unknown_field) for a body that does not fit.

    It takes the body and, where that is a part of a larger one, the path of this part.
    """

    @cache
    def compiled() -> Callable[[Any], Any]:
        # Draft 4 is the last in which 2.0 is no integer; a count that is a float breaks what counts with it.
        return fastjsonschema.compile({"$schema": "http://json-schema.org/draft-04/schema#", **schema}, use_default=False)

    def check(body: Any, at: str = "") -> None:
        try:
            compiled()(body)
        except fastjsonschema.JsonSchemaValueException as error:
            raise _refusal(error, at) from None

    return check


def _refusal(error: fastjsonschema.JsonSchemaValueException, at: str) -> Refusal:
    inside = re.sub(r"^data\.?", "", error.name or "")
    path = at + inside if inside.startswith("[") or not at else f"{at}.{inside}".rstrip(".")
    rule, definition, value = error.rule, error.rule_definition, error.value
    if rule == "required":
        name = next(field for field in definition if field not in value)
        return Refusal("missing", param=f"{path}.{name}".lstrip("."))
    if rule == "additionalProperties":
        name = next(field for field in value if field not in error.definition["properties"])
        return Refusal("unknown_field", param=f"{path}.{name}".lstrip("."))
    if rule in ("type", "anyOf", "oneOf"):
        expected = definition if isinstance(definition, str) else next((d for d in definition if isinstance(d, str)), "object")
        return Refusal("wrong_type", param=path, expected=expected, value=value, schema=error.definition)
    return Refusal("bad_value", param=path, rule=rule, bound=definition, value=value, schema=error.definition)


def json_type(value: Any) -> str:
    """What JSON calls the type of a value, as error messages name it."""
    names = {bool: "boolean", int: "integer", float: "decimal", str: "string", list: "array", dict: "object", type(None): "null"}
    return names.get(type(value), "value")
