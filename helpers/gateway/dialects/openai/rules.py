"""What chat refuses although every field fits: settings that exclude each other, and what a model does not take.

The words are OpenAI's, from public logs and issues of 2024 to 2026; where a model words it in its own way, so does this.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from helpers.gateway.dialects.openai import modalities, turns
from helpers.gateway.dialects.openai.errors import refused
from helpers.gateway.exchange import Refusal
from helpers.models import Model

# Parameters that shape the choice of the next token: refused while a model is thinking.
SAMPLING = {"temperature": 1, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0}
MOST_LOGPROBS = 20
LONGEST_KEY = 64


def check(body: dict[str, Any], model: Model) -> None:
    """Raise a Refusal for a body whose fields were checked one by one."""
    if model.responses_only:
        raise Refusal("wrong_kind", param="model", model=model.id, wanted="responses")
    check_model(body, model)
    check_metadata(body)
    check_retention(body, model)
    _check_combinations(body, model)
    _check_tools(body, model)
    modalities.check(body, model)
    turns.check(body["messages"], model)


def check_model(body: dict[str, Any], model: Model) -> None:
    """Refuse what this model does not take. Raises Refusal("unsupported")."""
    effort = body.get("reasoning_effort")
    if model.thinks == "never":
        if effort is not None:
            raise Refusal("unsupported", param="reasoning_effort", model=model.id)
        return
    if effort is not None and effort not in model.efforts:
        raise Refusal("unsupported", param="reasoning_effort", value=effort, allowed=list(model.efforts))
    if body.get("max_tokens") is not None:
        raise Refusal("unsupported", param="max_tokens", instead="max_completion_tokens")
    for name in ("prediction", "logit_bias"):  # whether it thinks or not: measured in public in August 2026
        if body.get(name) is not None:
            raise Refusal("unsupported", param=name)
    if body.get("stop") and "stop" not in model.accepts:
        raise Refusal("unsupported", param="stop")
    if not _is_thinking(body, model):
        return
    for name, default in SAMPLING.items():
        if body.get(name) not in (None, default):
            raise Refusal("unsupported", param=name, value=body[name], default=default)
    for name in ("logprobs", "top_logprobs"):
        if body.get(name):
            raise Refusal("unsupported", param=name)


def _is_thinking(body: dict[str, Any], model: Model) -> bool:
    return (body.get("reasoning_effort") or model.default_effort) != "none"


def check_metadata(body: dict[str, Any]) -> None:
    """The names in metadata have an end. The message shortens one, the param does not."""
    for key in body.get("metadata") or {}:
        if len(key) > LONGEST_KEY:
            text = f"Expected a string with maximum length {LONGEST_KEY}, but got a string with length {len(key)} instead."
            text = f"Invalid property name in 'metadata': '{key[:3]}...{key[-3:]}' is too long. {text}"
            raise refused(text, f"metadata.{key}", "property_name_above_max_length")


def check_retention(body: dict[str, Any], model: Model, code: str | None = None) -> None:
    """prompt_cache_retention: models whose cache is charged keep prompts for 24 hours only."""
    kept = body.get("prompt_cache_retention")
    if kept not in (None, "in_memory", "24h"):
        raise refused("Invalid prompt_cache_retention argument", "prompt_cache_retention")
    if kept == "in_memory" and model.cache and model.cache.charges_writes:
        raise refused("This model is compatible only with 24h extended prompt caching", "prompt_cache_retention", code)


def _check_combinations(body: dict[str, Any], model: Model) -> None:
    """Settings that are refused together, or one without another, and limits beyond the model's."""
    given = {name for name, value in body.items() if value is not None}
    for wants, needed in (("tool_choice", "tools"), ("parallel_tool_calls", "tools"), ("function_call", "functions")):
        if wants in given and needed not in given:
            raise refused(f"Invalid value for '{wants}': '{wants}' is only allowed when '{needed}' are specified.", wants)
    if {"max_tokens", "max_completion_tokens"} <= given:
        text = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        raise refused(text, "max_tokens", "invalid_parameter_combination")
    for name in ("max_completion_tokens", "max_tokens"):
        if (body.get(name) or 0) > model.max_output:
            # Whatever its name in the request, it has this one in the refusal.
            most = f"This model supports at most {model.max_output} completion tokens, whereas you provided {body[name]}."
            raise refused(f"max_tokens is too large: {body[name]}. {most}", "max_tokens", "invalid_value")
    if (body.get("top_logprobs") or 0) > MOST_LOGPROBS:
        raise refused(f"Invalid value for 'top_logprobs': must be less than or equal to {MOST_LOGPROBS}.", "top_logprobs")
    if body.get("top_logprobs") and not body.get("logprobs"):
        raise refused("The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", "top_logprobs")
    if "stream_options" in given and not body.get("stream"):
        raise refused("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    form = body.get("response_format") or {}
    if form.get("type") == "json_object" and not any("json" in text.lower() for text in _texts(body["messages"])):
        text = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        raise refused(text, "messages")


def _texts(messages: list[dict[str, Any]]) -> Iterator[str]:
    for message in messages:
        content = message.get("content") or ""
        yield from [content] if isinstance(content, str) else (part.get("text", "") for part in content)


def _check_tools(body: dict[str, Any], model: Model) -> None:
    """That each tool is what its type says, and that this model calls functions in chat at all."""
    for index, tool in enumerate(body.get("tools") or []):
        if tool["type"] not in tool:
            raise Refusal("missing", param=f"tools[{index}].{tool['type']}")
    _check_choice(body.get("tool_choice"))
    if_unasked = "unasked_tools" in model.accepts  # then it may think while it calls, as long as the request does not say how much
    if "tools" in model.accepts or not _is_thinking(body, model) or (if_unasked and body.get("reasoning_effort") is None):
        return
    if any(t["type"] == "function" for t in body.get("tools") or []):
        advice = "Please use /v1/responses instead." if if_unasked else "To use function tools, use /v1/responses or set reasoning_effort to 'none'."
        raise refused(f"Function tools with reasoning_effort are not supported for {model.id} in /v1/chat/completions. {advice}", "reasoning_effort")


def _check_choice(choice: Any) -> None:
    """tool_choice is a word or names a tool. Whatever its type, an object without a tool of that type lacks a function."""
    if isinstance(choice, str) and choice not in ("none", "auto", "required"):
        raise Refusal("bad_value", param="tool_choice", rule="enum", value=choice, bound=["none", "auto", "required"])
    if isinstance(choice, dict):
        kind = choice.get("type") if choice.get("type") in ("custom", "allowed_tools") else "function"
        if kind not in choice and not (kind == "allowed_tools" and "tools" in choice):
            raise Refusal("missing", param=f"tool_choice.{kind}")
