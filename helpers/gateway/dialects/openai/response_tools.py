"""Functions and structured answers in OpenAI's Responses, whose fields are flatter than those of chat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from helpers.gateway.dialects.openai.chat import NAME
from helpers.gateway.dialects.openai.errors import refused
from helpers.gateway.dialects.schema import BOOLEAN, OBJECT, STRING, Schema, checker, list_of, nullable, one_of, shape
from helpers.gateway.exchange import Function, Message, Refusal
from helpers.models import Model

TOOL_NAME = {**NAME, "maxLength": 128}
TOOL = shape("type", type=STRING, parameters=nullable(OBJECT), strict=nullable(BOOLEAN))
TOOL_CHOICE = {
    "type": ["string", "object", "null"],
    "title": "one of an object or 'none', 'auto', or 'required'",
    "properties": {"type": STRING, "name": STRING, "mode": STRING, "tools": list_of(shape(name=STRING))},
}
FORMAT = shape("type", type=one_of("text", "json_object", "json_schema"), name=NAME, schema=OBJECT, strict=nullable(BOOLEAN))
TEXT = shape(format=nullable(FORMAT), verbosity=nullable(one_of("low", "medium", "high")))
LOGPROBS = "message.output_text.logprobs"
INCLUDE = list_of(
    one_of(
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "message.input_image.image_url",
        "computer_call_output.output.image_url",
        "code_interpreter_call.outputs",
        "reasoning.encrypted_content",
        LOGPROBS,
    ),
    title="an array of one of 'fil...lts', 'web...lts', 'web...ces', 'mes...url', 'com...url', 'cod...uts', 'rea...ent', or 'mes...obs'",
)


def functions(body: dict[str, Any]) -> tuple[Function, ...]:
    """The tools that are functions. Raises Refusal for one without a name."""
    found = []
    for index, tool in enumerate(body.get("tools") or []):
        if tool["type"] == "function":
            check_name(tool, f"tools[{index}]")
            found.append(Function(tool["name"], tool.get("parameters") or {}))
    return tuple(found)


_check_name = checker(shape("name", name=TOOL_NAME))


def check_name(named: dict[str, Any], path: str) -> None:
    """Raise a Refusal for a function, or a call of one, whose name is missing or no name."""
    try:
        _check_name(named)
    except Refusal as refusal:
        refusal.param = f"{path}.{refusal.param}"
        raise


def effort(body: dict[str, Any], model: Model) -> str:
    """How much this model is to think. Raises Refusal for what it does not take, and for sampling while it thinks."""
    asked = (body.get("reasoning") or {}).get("effort")
    if asked is not None and model.thinks == "never":
        raise Refusal("unsupported", param="reasoning.effort")
    if asked is not None and asked not in model.efforts:
        raise Refusal("unsupported", param="reasoning.effort", value=asked, allowed=list(model.efforts), model=model.id)
    found = asked or model.default_effort
    for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty") if found != "none" else ():
        # A temperature of 1 passes; the others do not, whatever their value.
        if body.get(name) is not None and (name, body[name]) != ("temperature", 1):
            raise Refusal("unsupported", param=name, code=None)
    return found


def must_call(body: dict[str, Any]) -> tuple[str, ...]:
    """The functions of which one has to be called: all for `required`, one that is named, else none. Raises Refusal."""
    choice, names = body.get("tool_choice"), tuple(function.name for function in functions(body))
    if choice in (None, "auto", "none"):
        return ()
    if not body.get("tools"):
        raise Refusal("bad_value", "Tool choice 'required' must be specified with 'tools' parameter.", param="tool_choice")
    if choice == "required":
        return names
    if isinstance(choice, str):
        raise Refusal("bad_value", param="tool_choice", rule="enum", bound=["none", "auto", "required"], value=choice)
    if choice.get("type") == "allowed_tools":
        named = {tool.get("name") for tool in choice.get("tools") or [] if isinstance(tool, dict)}
        return tuple(name for name in names if name in named) if choice.get("mode") == "required" else ()
    if choice.get("type") != "function":
        return ()  # one of the tools that OpenAI runs
    if "name" not in choice:
        raise Refusal("missing", param="tool_choice.name")
    if choice["name"] not in names:
        raise Refusal("bad_value", "Tool choice 'function' not found in 'tools' parameter.", param="tool_choice")
    return (choice["name"],)


def schema(body: dict[str, Any]) -> Schema | None:
    """The JSON schema that text.format asks for; any object for JSON mode. Raises Refusal."""
    asked = (body.get("text") or {}).get("format") or {}
    if asked.get("type") == "json_object":
        return {"type": "object"}
    if asked.get("type") != "json_schema":
        return None
    for name in ("name", "schema"):
        if name not in asked:
            raise Refusal("missing", param=f"text.format.{name}")
    return asked["schema"] or {"type": "object"}


def check_json_word(body: dict[str, Any], messages: Sequence[Message]) -> None:
    """JSON mode wants the word in a message; it may stand in any case, and instructions do not count."""
    if ((body.get("text") or {}).get("format") or {}).get("type") != "json_object":
        return
    if not any("json" in message.text.lower() for message in messages):
        text = "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'."
        raise refused(text, "input")


def top_logprobs(body: dict[str, Any], effort: str) -> int | None:
    """How many likely tokens to name beside each token; None where no logprobs are included. A model has none while it thinks."""
    is_wanted = LOGPROBS in (body.get("include") or [])
    if effort != "none" and (is_wanted or body.get("top_logprobs")):
        raise refused("logprobs are not supported with reasoning models.", "include" if is_wanted else "top_logprobs", "unsupported_parameter")
    return (body.get("top_logprobs") or 0) if is_wanted else None


def echoed(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool as the response repeats it: functions are strict unless the request says otherwise; output_schema is there since July 2026."""
    if tool["type"] != "function":
        return tool
    strict = tool.get("strict") is not False
    given = {name: tool.get(name) for name in ("description", "output_schema", "parameters")}
    return {**tool, **given, "strict": strict}


def echoed_text(body: dict[str, Any]) -> dict[str, Any]:
    """text as the response repeats it."""
    asked = body.get("text") or {}
    form = asked.get("format") or {"type": "text"}
    if form["type"] == "json_schema":
        form = {"description": None, "strict": False, **form}
    return {"format": form, "verbosity": asked.get("verbosity") or "medium"}


def call_item(id: str, call_id: str, name: str, arguments: str, status: str) -> dict[str, Any]:
    return {"id": id, "type": "function_call", "status": status, "arguments": arguments, "call_id": call_id, "name": name}


def check_calls(items: list[dict[str, Any]], waiting: frozenset[str]) -> None:
    """Refuse a call without its output and an output without its call. `waiting` are calls of the response before."""
    calls = dict.fromkeys([*waiting, *(item["call_id"] for item in items if item.get("type") == "function_call")])  # in their order
    answered = dict.fromkeys(item["call_id"] for item in items if item.get("type") == "function_call_output")
    for id in answered:
        if id not in calls:
            raise refused(f"No tool call found for function call output with call_id {id}.", "input")
    for id in calls:
        if id not in answered:
            raise refused(f"No tool output found for function call {id}.", "input")


def check_thoughts(items: list[dict[str, Any]]) -> None:
    """Refuse a thought of a stored answer that is not followed by the item of that answer, which has an id too, or is a call: that has one of its own.

    Vercel's AI SDK names the thought and repeats the call without the id of its item (ai 7.0.173, 2026-11-28).
    """
    for item, after in zip(items, [*items[1:], {}], strict=True):
        follows = after.get("id") or after.get("type") in ("function_call", "custom_tool_call")
        if item.get("type") == "reasoning" and item.get("id") and not follows:
            raise refused(f"Item '{item['id']}' of type 'reasoning' was provided without its required following item.", "input")
