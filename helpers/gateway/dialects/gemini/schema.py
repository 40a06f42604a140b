"""Gemini's own form of a schema, of OpenAPI's kin, as plain JSON schema. What it does not have is refused as Google refuses it."""

from __future__ import annotations

from typing import Any

from helpers.gateway.dialects.gemini.fields import camel
from helpers.gateway.dialects.schema import Schema
from helpers.gateway.exchange import Refusal

TYPES = {name: name.lower() for name in ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")}
COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
BOUNDS = ("minimum", "maximum")
NAMES = ("enum", "required", "propertyOrdering")  # lists of strings
# All that Google's message knows. $ref, additionalProperties, const and the rest of JSON schema its parser refuses.
KNOWN = {"type", "format", "title", "description", "nullable", "default", "example", "pattern", "items", "properties", "anyOf", *COUNTS, *BOUNDS, *NAMES}
KEPT = ("enum", "required", "pattern", *COUNTS, *BOUNDS)  # mean the same in JSON schema
FORMATS = ("date-time", "date", "time")


def plain(given: Any, path: str, *, may_be_empty: bool = False) -> Schema:
    """A schema in Gemini's form as plain JSON schema. Raises Refusal, first for what the parser refuses, then for what the model does.

    may_be_empty: whether an object at the top needs no properties, as the parameters of a function need none.
    """
    return _plain(_parsed(given, path), path, may_be_empty=may_be_empty)


def _parsed(given: Any, path: str) -> dict[str, Any]:
    """The schema with its fields' names in camelCase, and its numbers as numbers: JSON may carry them as strings."""
    if not isinstance(given, dict):
        raise Refusal("wrong_type", param=path, expected="object", value=given)
    out = {name if name in KNOWN else camel(name): value for name, value in given.items() if value is not None}
    for name in out:
        out[name] = _parsed_field(name, out[name], f"{path}.{name}")
    return out


def _parsed_field(name: str, value: Any, path: str) -> Any:
    if name not in KNOWN:
        raise Refusal("unknown_field", param=path)
    if name == "type" and (not isinstance(value, str) or value.upper() not in (*TYPES, "TYPE_UNSPECIFIED")):
        raise Refusal("wrong_type", param=path, expected="type", value=value)
    if name == "items":
        return _parsed(value, path)
    if name == "anyOf":
        return [_parsed(item, f"{path}[{index}]") for index, item in enumerate(_checked(value, list, "array", path))]
    if name == "properties":
        pairs = enumerate(_checked(value, dict, "object", path).items())
        return {key: _parsed(item, f"{path}[{index}].value") for index, (key, item) in pairs}
    if name in NAMES:
        return [_checked(item, str, "string", f"{path}[{index}]") for index, item in enumerate(_checked(value, list, "array", path))]
    if name in COUNTS:
        return _number(int(value) if isinstance(value, str) and value.isdecimal() else value, int, "integer", path)
    if name in BOUNDS:
        return _number(value, int | float, "number", path)
    return _checked(value, str, "string", path) if name in ("pattern", "format") else value


def _checked(value: Any, kind: Any, expected: str, path: str) -> Any:
    if not isinstance(value, kind):
        raise Refusal("wrong_type", param=path, expected=expected, value=value)
    return value


def _number(value: Any, kind: Any, expected: str, path: str) -> Any:
    """True and False are numbers in Python, and in JSON they are not."""
    return _checked(None if isinstance(value, bool) else value, kind, expected, path)


def _plain(schema: dict[str, Any], path: str, *, may_be_empty: bool = False) -> Schema:
    kind = TYPES.get(schema.get("type", "").upper())
    if may_be_empty and kind == "object":
        schema = {"properties": {}, **schema}
    _check_rules(schema, kind, path, may_be_empty=may_be_empty)
    out = {name: schema[name] for name in KEPT if name in schema}
    if kind:
        out["type"] = kind
    if kind == "string" and schema.get("format") in FORMATS:
        out["format"] = schema["format"]
    if "items" in schema:
        out["items"] = _plain(schema["items"], f"{path}.items")
    if "properties" in schema:
        out["properties"] = {name: _plain(schema["properties"][name], f"{path}.properties[{name}]") for name in _ordered(schema)}
    if "anyOf" in schema:
        out["anyOf"] = [_plain(item, f"{path}.anyOf[{index}]") for index, item in enumerate(schema["anyOf"])]
    return _or_null(out) if schema.get("nullable") is True else out


def _check_rules(schema: dict[str, Any], kind: str | None, path: str, *, may_be_empty: bool) -> None:
    """Refuse what Google's models refuse in a schema that its parser takes."""
    properties = schema.get("properties", {})
    unknown = [index for index, name in enumerate(schema.get("required", ())) if name not in properties]
    if kind == "array" and "items" not in schema:
        raise Refusal("bad_value", param=f"{path}.items", rule="missing field.")
    if kind == "object" and not properties and not may_be_empty:
        raise Refusal("bad_value", param=f"{path}.properties", rule="should be non-empty for OBJECT type")
    if "enum" in schema and kind != "string":
        raise Refusal("bad_value", param=f"{path}.enum", rule="only allowed for STRING type")
    if unknown:
        raise Refusal("bad_value", param=f"{path}.required[{unknown[0]}]", rule="property is not defined")


def _ordered(schema: dict[str, Any]) -> list[str]:
    """The names of the properties, in the order that the answer is to have them."""
    names = schema["properties"]
    first = [name for name in schema.get("propertyOrdering", ()) if name in names]
    return list(dict.fromkeys([*first, *names]))


def _or_null(schema: Schema) -> Schema:
    out = dict(schema)
    if "type" in out:
        out["type"] = [out["type"], "null"]
    if "enum" in out:
        out["enum"] = [*out["enum"], None]
    if "anyOf" in out:
        out["anyOf"] = [*out["anyOf"], {"type": "null"}]
    return out
