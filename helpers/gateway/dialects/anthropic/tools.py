"""Anthropic's tools and structured outputs: which function has to be called, which schema an answer has to fit, and the call."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

from helpers.gateway.dialects import json_schema
from helpers.gateway.dialects.anthropic.blocks import CACHE_CONTROL
from helpers.gateway.dialects.schema import BOOLEAN, OBJECT, STRING, checker, nullable, one_of, shape
from helpers.gateway.exchange import Function, Question, Refusal
from helpers.gateway.wire import random_id
from helpers.models import Model

TOOL_NAME = {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,128}$"}
TOOL = shape("name", name=STRING, type=nullable(STRING), input_schema=OBJECT, cache_control=CACHE_CONTROL)
check_name = checker(TOOL_NAME)
TOOL_CHOICE = shape("type", type=STRING, name=STRING, disable_parallel_tool_use=nullable(BOOLEAN))
FORMAT = shape("type schema", type=one_of("json_schema"), schema=OBJECT)
CHOICES = ("auto", "any", "tool", "none")
# What structured outputs cannot keep to, by the type of value. Tools that are not strict may use all of it.
UNSUPPORTED = {
    "array": ("contains", "maxContains", "maxItems", "minContains", "prefixItems", "uniqueItems"),
    "integer": ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"),
    "number": ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"),
    "object": ("maxProperties", "minProperties", "patternProperties", "propertyNames"),
    "string": ("maxLength", "minLength"),
}
# Bedrock was recorded in 2026 to take the length of a text, and tried by pydantic-ai on 2026-05-19: against AWS's own page.
ON_BEDROCK = {kind: names for kind, names in UNSUPPORTED.items() if kind != "string"}
NO_SCHEMA = (
    "JSON schema is invalid. It must match JSON Schema draft 2020-12 (https://json-schema.org/draft/2020-12). "
    "Learn more about tool use at https://docs.claude.com/en/docs/tool-use."
)
FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
VALUES = ("const", "default", "enum", "examples")  # hold values, not schemas


# ---- reading ---------------------------------------------------------------
def check_tools(body: dict[str, Any]) -> None:
    """Refuse a tool of the client's own without a schema, a name that two tools have, and calls or results without any tool."""
    tools = body.get("tools") or []
    if not tools and any(block["type"] in ("tool_use", "tool_result") for block in _blocks(body)):
        raise Refusal("bad_value", "Requests which include `tool_use` or `tool_result` blocks must define tools.", param="tools")
    for index, tool in enumerate(tools):
        if _is_function(tool):
            check_name(tool["name"], f"tools.{index}.custom.name")
            path = f"tools.{index}.custom.input_schema"
            if "input_schema" not in tool:
                raise Refusal("missing", param=path)
            if "type" not in tool["input_schema"]:
                raise Refusal("missing", param=f"{path}.type")
            if tool["input_schema"]["type"] != "object":
                raise Refusal("bad_value", param=f"{path}.type", rule="enum", bound=["object"])
            _check_input_schema(tool["input_schema"], path)
    if len({tool["name"] for tool in tools}) < len(tools):
        raise Refusal("bad_value", "tools: Tool names must be unique.", param="tools")


def _blocks(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [block for said in body.get("messages", ()) if isinstance(said["content"], list) for block in said["content"]]


def _check_input_schema(given: dict[str, Any], path: str) -> None:
    if {"oneOf", "allOf", "anyOf"} & given.keys():
        raise Refusal("bad_value", f"{path}: input_schema does not support oneOf, allOf, or anyOf at the top level", param=path)
    if json_schema.fault(given, patterns=False):
        raise Refusal("bad_value", f"{path}: {NO_SCHEMA}", param=path)


def texts(body: dict[str, Any]) -> tuple[str, ...]:
    """The tools as the model reads them: without the marks of the cache."""
    shown = ({name: value for name, value in tool.items() if name != "cache_control"} for tool in body.get("tools") or [])
    return tuple(json.dumps(tool, sort_keys=True) for tool in shown)


def functions(body: dict[str, Any]) -> tuple[Function, ...]:
    """The tools that the client describes and runs; those of Anthropic's making have a type of their own, and no schema."""
    return tuple(Function(tool["name"], tool["input_schema"]) for tool in body.get("tools") or [] if _is_function(tool))


def _is_function(tool: dict[str, Any]) -> bool:
    return tool.get("type") in (None, "custom")


def must_call(body: dict[str, Any], model: Model) -> tuple[str, ...]:
    """The functions of which one has to be called: all for `any`, one for `tool`, else none. Raises Refusal."""
    choice = body.get("tool_choice")
    if choice is None:
        return ()
    kind = choice["type"]
    if kind not in CHOICES:
        tags = ", ".join(map(repr, CHOICES))
        text = f"tool_choice: Input tag '{kind}' found using 'type' does not match any of the expected tags: {tags}"
        raise Refusal("bad_value", text, param="tool_choice")
    if not body.get("tools"):
        raise Refusal("bad_value", f"tool_choice.{kind} may only be specified while providing tools", param="tool_choice")
    if kind in ("auto", "none"):
        return ()
    _check_forced(body, model)
    names = tuple(function.name for function in functions(body))
    if kind == "any":
        return names
    if "name" not in choice:
        raise Refusal("missing", param="tool_choice.tool.name")
    if choice["name"] not in [tool["name"] for tool in body["tools"]]:
        raise Refusal("bad_value", f"Tool '{choice['name']}' not found in provided tools", param="tool_choice")
    return tuple(name for name in names if name == choice["name"])


def _check_forced(body: dict[str, Any], model: Model) -> None:
    """A forced call leaves no room for thinking: models that always think refuse it, others do with a budget."""
    if model.thinks == "always":
        raise Refusal("unsupported", 'tool_choice: type "tool" and "any" are not supported for this model.', param="tool_choice")
    if (body.get("thinking") or {}).get("type") == "enabled":
        raise Refusal("unsupported", "Thinking may not be enabled when tool_choice forces tool use.", param="tool_choice")


def schema(body: dict[str, Any], provider: str) -> dict[str, Any] | None:
    """The JSON schema of output_config.format. Raises Refusal for one that structured outputs do not support."""
    asked = (body.get("output_config") or {}).get("format")
    if asked is None:
        return None
    _check_schema(asked["schema"], ON_BEDROCK if provider == "bedrock" else UNSUPPORTED)
    return asked["schema"]


def _check_schema(value: Any, unsupported: dict[str, tuple[str, ...]]) -> None:
    for item in value if isinstance(value, list) else ():
        _check_schema(item, unsupported)
    if not isinstance(value, dict):
        return
    kinds = value.get("type")
    for kind in [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []:
        _check_keywords(value, kind, unsupported)
    for name, item in value.items():
        if name not in VALUES:
            _check_schema(item, unsupported)


def _check_keywords(value: dict[str, Any], kind: Any, unsupported: dict[str, tuple[str, ...]]) -> None:
    found = [name for name in unsupported.get(kind, ()) if name in value] if isinstance(kind, str) else []
    what = None
    if kind == "object" and value.get("additionalProperties") is not False:
        what = "'additionalProperties' must be explicitly set to false"
    elif kind == "array" and value.get("minItems", 0) not in (0, 1):
        what = "'minItems' values other than 0 or 1 are not supported"
    elif kind == "string" and isinstance(value.get("format"), str) and value["format"] not in FORMATS:
        what = f"format '{value['format']}' is not supported"
    elif found:
        what = f"property '{found[0]}' is not supported" if len(found) == 1 else f"properties {', '.join(found)} are not supported"
    if what:
        raise Refusal("bad_value", f"output_config.format.schema: For '{kind}' type, {what}", param="output_config.format.schema")


# ---- writing ---------------------------------------------------------------
def tool_use(question: Question, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """A tool_use block."""
    if question.provider == "bedrock":
        return {"type": "tool_use", "id": random_id("toolu_bdrk_01", 22), "name": name, "input": given}
    return {"type": "tool_use", "id": random_id("toolu_01", 22), "name": name, "input": given, "caller": {"type": "direct"}}


def arguments(text: str) -> dict[str, Any]:
    """The arguments of a call. Of those that were cut short, what had come whole; nothing where they are no JSON."""
    try:
        return from_json(text, allow_partial=True)
    except ValueError:
        return {}
