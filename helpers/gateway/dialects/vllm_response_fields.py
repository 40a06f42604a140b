"""The fields of a request for a response, and what vLLM 0.32.0 takes for each: its request model, read in its source."""

from __future__ import annotations

from typing import Any

from helpers.gateway.dialects import vllm
from helpers.gateway.dialects import vllm_response_input as given
from helpers.gateway.dialects.schema import ANY, BOOLEAN, INTEGER, OBJECT, STRING, between, checker, list_of, nullable, one_of, shape
from helpers.gateway.exchange import Refusal

Json = dict[str, Any]
LOGPROBS = "message.output_text.logprobs"
INCLUDE = (
    *("code_interpreter_call.outputs", "computer_call_output.output.image_url", "file_search_call.results", "message.input_image.image_url"),
    *(LOGPROBS, "reasoning.encrypted_content"),
)
PREVIEWS = ("web_search_preview", "web_search_preview_2025_03_11")
FUNCTION = ("name", "parameters", "strict", "type", "allowed_callers", "async", "defer_loading", "description", "output_schema")
# The other tools of the SDK whose types vLLM reads them with (openai 3.54): the fields of each, those that it must have first.
TOOLS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "file_search": (("type", "vector_store_ids"), ("filters", "max_num_results", "ranking_options")),
    "computer": (("type",), ()),
    "computer_use_preview": (("display_height", "display_width", "environment", "type"), ()),
    **dict.fromkeys(("web_search", "web_search_2025_08_26"), (("type",), ("external_web_access", "filters", "search_context_size", "user_location"))),
    "mcp": (
        ("server_label", "type"),
        ("allowed_callers", "allowed_tools", "authorization", "connector_id", "defer_loading", "headers", "require_approval")
        + ("server_description", "server_url", "tunnel_id"),
    ),
    "code_interpreter": (("container", "type"), ("allowed_callers",)),
    "local_shell": (("type",), ()),
    "shell": (("type",), ("allowed_callers", "environment")),
    "custom": (("name", "type"), ("allowed_callers", "async", "defer_loading", "description", "format")),
    "namespace": (("description", "name", "tools", "type"), ()),
    **dict.fromkeys(PREVIEWS, (("type",), ("search_content_types", "search_context_size", "user_location"))),
    "apply_patch": (("type",), ("allowed_callers",)),
    "programmatic_tool_calling": (("type",), ()),
    "tool_search": (("type",), ("description", "execution", "parameters")),
    "image_generation": (
        ("type",),
        ("action", "background", "complexity", "frame_count", "frame_duration_ms", "input_fidelity", "input_image_mask", "model", "moderation")
        + ("output_compression", "output_format", "partial_images", "quality", "size", "svg"),
    ),
}
# Choices of a tool that is no function, and what each must have: nothing of them forces a call.
CHOICES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("file_search", *PREVIEWS, "computer", "computer_use_preview", "computer_use"), ()),
    **dict.fromkeys(("image_generation", "code_interpreter", "apply_patch", "shell", "programmatic_tool_calling"), ()),
    "allowed_tools": ("mode", "tools"),
    "mcp": ("server_label",),
}
CALLABLE = ("function", "custom", "namespace")
NOT_FOUND = "Tool choice 'function' not found in 'tools' parameter."
AS_IN_CHAT = (
    *("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"),
    *("seed", "stop", "stream", "logit_bias"),
)
EFFORTS = one_of("none", "minimal", "low", "medium", "high", "xhigh", "max")
PENALTY = nullable(between("number", -2, 2))


def _model(schema: Json) -> Json:
    """An object that pydantic reads into a class."""
    return nullable({**schema, "title": vllm.CLASS})


_check_fields = checker(
    shape(
        "input",
        background=nullable(BOOLEAN),
        include=nullable(list_of(one_of(*INCLUDE))),
        input=ANY,
        instructions=nullable(STRING),
        max_output_tokens=nullable(INTEGER),
        max_tool_calls=nullable(INTEGER),
        metadata=nullable({**OBJECT, "additionalProperties": STRING}),
        model=nullable(STRING),
        logit_bias=nullable(OBJECT),
        parallel_tool_calls=nullable(BOOLEAN),
        previous_response_id=nullable(STRING),
        reasoning=_model(shape(effort=nullable(EFFORTS), generate_summary=nullable(STRING), summary=nullable(STRING))),
        service_tier=one_of("auto", "default", "flex", "scale", "priority"),
        store=nullable(BOOLEAN),
        stream=nullable(BOOLEAN),
        text=_model(shape(verbosity=nullable(one_of("low", "medium", "high")))),
        tools=list_of(ANY),
        truncation=one_of("auto", "disabled"),
        user=nullable(STRING),
        presence_penalty=PENALTY,
        frequency_penalty=PENALTY,
        prompt_cache_key=nullable(STRING),
        request_id=STRING,
        stop={"type": ["string", "array", "null"], "items": STRING},
        **dict.fromkeys(("temperature", "top_p", "min_p", "repetition_penalty"), nullable(vllm.FIELDS["temperature"])),
        **dict.fromkeys(("top_logprobs", "top_k", "seed"), nullable(INTEGER)),
    )
)
_check_function = checker(shape("name type", name=STRING, parameters=nullable(OBJECT), strict=nullable(BOOLEAN), type=one_of("function")))
_check_schema = checker(shape("name schema", name=STRING, schema=OBJECT, strict=nullable(BOOLEAN), description=nullable(STRING)))


def check(body: Json) -> None:
    """Raise a Refusal for a body that vLLM refuses before it looks at the model: its validators come before the types."""
    _check_named(body)
    if body.get("prompt") is not None:
        raise vllm.invalid("prompt template is not supported", "prompt")
    if body.get("background") and not body.get("store", True):
        raise vllm.invalid("background can only be used when `store` is true", "background")
    _check_fields(body)
    given.check(body["input"])
    _check_format((body.get("text") or {}).get("format"))
    _check_choice(body.get("tool_choice", "auto"))
    for index, tool in enumerate(body.get("tools") or ()):
        _check_tool(tool, f"tools[{index}].FunctionTool")


def _check_named(body: Json) -> None:
    """A choice of tools where there are none, or not this one."""
    choice, tools = body.get("tool_choice"), body.get("tools")
    named = isinstance(choice, dict) and choice.get("type") in ("function", "custom")
    if not tools and choice == "required":
        raise vllm.invalid("Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice")
    if named and isinstance(tools or [], list):
        names = [tool.get("name") for tool in tools or [] if isinstance(tool, dict)]
        if not choice.get("name") or choice["name"] not in names:
            raise vllm.invalid(NOT_FOUND, "tool_choice")


def _check_choice(choice: Any) -> None:
    if choice in ("none", "auto", "required"):
        return
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind in ("function", "custom") and isinstance(choice["name"], str):
        return
    if not isinstance(kind, str) or kind not in CHOICES or any(name not in choice for name in CHOICES[kind]):
        raise Refusal("bad_value", param="tool_choice", rule="enum", bound=["none", "auto", "required"], value=choice)


def _check_format(form: Any) -> None:
    """The form of the answer. Of all that pydantic says of a wrong one the first error is that it is no text."""
    if form is None:
        return
    at = "text.format.ResponseFormatText"
    if not isinstance(form, dict):
        raise Refusal("wrong_type", param=at, expected="object", schema={"title": vllm.CLASS})
    if "type" not in form:
        raise Refusal("missing", param=f"{at}.type")
    if form["type"] in ("text", "json_object"):
        return
    try:
        if form["type"] == "json_schema":
            return _check_schema(form)
    except Refusal:
        pass
    raise Refusal("bad_value", param=f"{at}.type", rule="enum", bound=["text"], value=form["type"])


def _check_tool(tool: Any, at: str) -> None:
    """A tool of any kind. Of all that pydantic says of a wrong one the first error is why it is no function."""
    if not isinstance(tool, dict):
        raise Refusal("wrong_type", param=at, expected="object", schema={"title": vllm.CLASS})
    kind = tool.get("type")
    if not isinstance(kind, str) or kind not in TOOLS or any(name not in tool for name in TOOLS[kind][0]):
        _check_function(tool, at)


# ---- what they ask for -------------------------------------------------------
def as_chat(body: Json) -> Json:
    """The fields of a chat that ask for the same, but for its messages, of a body that was checked."""
    functions = [tool for tool in body.get("tools") or () if tool["type"] == "function"]
    form = (body.get("text") or {}).get("format") or {}
    tools = [{"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}} for tool in functions]
    return {
        **{name: body[name] for name in AS_IN_CHAT if name in body},
        "max_completion_tokens": body.get("max_output_tokens"),
        "logprobs": LOGPROBS in (body.get("include") or ()),
        **({"top_logprobs": body.get("top_logprobs") or 0} if LOGPROBS in (body.get("include") or ()) else {}),
        "response_format": {"type": form["type"], "json_schema": form} if form else None,
        "tools": tools,
        "tool_choice": _chat_choice(body.get("tool_choice", "auto"), body.get("tools") or []),
    }


def _chat_choice(choice: str | Json, tools: list[Json]) -> str | Json:
    """The choice of a tool as chat has it. Raises Refusal where a call is forced, and there is nothing that can be called."""
    if choice == "required" and not any(tool["type"] in CALLABLE for tool in tools):
        text = "tool_choice requires a function call, but tools contains no function tool the model can call."
        raise vllm.invalid(text, "tool_choice")
    if isinstance(choice, str):
        return choice
    is_function = choice["type"] == "function" and any(tool["type"] == "function" and tool["name"] == choice["name"] for tool in tools)
    return {"type": "function", "function": {"name": choice["name"]}} if is_function else "auto"


def forces_other(body: Json) -> bool:
    """Whether a body that was checked forces the call of a tool that is no function: a custom one, or one in a namespace."""
    choice, tools = body.get("tool_choice"), body.get("tools") or ()
    if isinstance(choice, dict) and choice["type"] in ("function", "custom"):
        return all(tool["type"] != "function" for tool in tools if tool.get("name") == choice["name"])
    return choice == "required" and all(tool["type"] != "function" for tool in tools)
