"""What OpenAI refuses in the schemas of functions and answers, in its words: strict ones have to keep to a part of JSON schema.

The words are those of errors that users were shown from 2024 to 2026; the rules beside them OpenAI's guide to structured outputs.
"""

from __future__ import annotations

import re
from typing import Any

from helpers.gateway.dialects import json_schema
from helpers.gateway.dialects.openai.errors import refused
from helpers.models import Model

# Not in the part of JSON schema that strict ones have.
NOT_PERMITTED = (
    "allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "unevaluatedProperties", "propertyNames",
    "minProperties", "maxProperties", "unevaluatedItems", "contains", "minContains", "maxContains", "uniqueItems",
)  # fmt: skip
FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")
AT_THE_TOP = ("oneOf", "anyOf", "allOf", "enum", "not")


def check_chat(body: dict[str, Any], model: Model) -> None:
    """Refuse the schemas of a request to chat completions. Raises Refusal."""
    for index, tool in enumerate(body.get("tools") or []):
        if tool["type"] == "function" and "function" in tool:
            _check_function(tool["function"], f"tools[{index}].function.parameters", model)
    asked = (body.get("response_format") or {}).get("json_schema") or {}
    _check_format(asked, "response_format", None, model)


def check_responses(body: dict[str, Any], model: Model) -> None:
    """Refuse the schemas of a request to Responses. Raises Refusal."""
    for index, tool in enumerate(body.get("tools") or []):
        if tool["type"] == "function":
            _check_function(tool, f"tools[{index}].parameters", model)
    _check_format((body.get("text") or {}).get("format") or {}, "text.format.schema", "invalid_json_schema", model)


def _check_function(function: dict[str, Any], param: str, model: Model) -> None:
    parameters = function.get("parameters")
    if not parameters:
        return
    wrong = json_schema.fault(parameters) or _top(parameters) or _bare_array(parameters)
    wrong = wrong or (_strict(parameters) if function.get("strict") is True else None)
    if wrong:
        raise refused(f"Invalid schema for function '{function.get('name')}': {wrong}", param, "invalid_function_parameters")
    _check_lookaround(parameters, "tools", model)


def _check_format(asked: dict[str, Any], param: str, code: str | None, model: Model) -> None:
    schema = asked.get("schema")
    if not schema:
        return
    wrong = json_schema.fault(schema) or (_not_an_object(schema) or _strict(schema) if asked.get("strict") is True else None)
    if wrong:
        raise refused(f"Invalid schema for response_format '{asked.get('name')}': {wrong}", param, code)
    _check_lookaround(schema, param, model)


def _check_lookaround(schema: Any, param: str, model: Model) -> None:
    """Models before GPT-5 took lookaround."""
    found = json_schema.lookaround(schema) if model.thinks != "never" else None
    if found:
        text = f"Invalid JSON schema: regex lookaround is not supported. Found at {_json_path(found)}."
        raise refused(text, param, "invalid_json_schema")


def _top(parameters: dict[str, Any]) -> str | None:
    if parameters.get("type") == "object" and any(name in parameters for name in AT_THE_TOP):
        return "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
    return _not_an_object(parameters)


def _not_an_object(schema: dict[str, Any]) -> str | None:
    if schema.get("type") == "object" or ("$ref" in schema and "type" not in schema):
        return None
    return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'."


def _bare_array(schema: dict[str, Any]) -> str | None:
    path = next((path for path, one in json_schema.parts(schema) if one.get("type") == "array" and not {"items", "prefixItems"} & one.keys()), None)
    return None if path is None else f"In context={path}, array schema missing items."


def _strict(schema: dict[str, Any]) -> str | None:
    for path, one in json_schema.parts(schema):
        wrong = _strict_fault(one)
        if wrong:
            return f"In context={path}, {wrong}"
    return _bare_array(schema)


def _strict_fault(one: dict[str, Any]) -> str | None:
    found = next((name for name in NOT_PERMITTED if name in one), None)
    if found:
        return f"'{found}' is not permitted."
    if not {"type", "anyOf", "$ref", "enum", "const"} & one.keys():
        return "schema must have a 'type' key."
    kinds = one.get("type")
    if kinds == "object" or (isinstance(kinds, list) and "object" in kinds):
        if one.get("additionalProperties") is not False:
            return "'additionalProperties' is required to be supplied and to be false."
        missing = next((name for name in one.get("properties") or {} if name not in (one.get("required") or ())), None)
        if missing is not None:
            return f"'required' is required to be supplied and to be an array including every key in properties. Missing '{missing}'."
    if isinstance(one.get("format"), str) and one["format"] not in FORMATS:
        return f"'{one['format']}' is not a valid format."
    return None


def _json_path(path: json_schema.Path) -> str:
    """A path as OpenAI writes it: $.properties.email.pattern, $['$defs'].Name.anyOf[1]."""
    out = "$"
    for step in path:
        plain = isinstance(step, str) and re.fullmatch(r"[A-Za-z_]\w*", step)
        out += f".{step}" if plain else f"[{step}]" if isinstance(step, int) else f"['{step}']"
    return out
