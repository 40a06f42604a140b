"""The fields of a request for a response, and what each of them takes."""

from __future__ import annotations

from typing import Any

from helpers.gateway.dialects.openai import chat
from helpers.gateway.dialects.openai import response_input as given
from helpers.gateway.dialects.openai import response_tools as tools
from helpers.gateway.dialects.openai.errors import refused
from helpers.gateway.dialects.schema import (
    ANY,
    BOOLEAN,
    STRING,
    between,
    checker,
    list_of,
    nullable,
    one_of,
    shape,
)

MOVED = {"messages": "input", "response_format": "text.format", "reasoning_effort": "reasoning.effort"}  # of chat, with a name of their own here
REFERENCE = "https://platform.openai.com/docs/api-reference/responses/create"
REASONING = shape(
    closed=True,
    effort=nullable(one_of(*chat.EFFORTS)),
    mode=nullable(STRING),
    context=nullable(one_of("auto", "current_turn", "all_turns")),
    summary=nullable(one_of("concise", "detailed", "auto")),
)
CACHE_OPTIONS = shape(closed=True, mode=one_of("implicit", "explicit"), ttl=STRING, comparison_response_id=nullable(STRING), prewarm=BOOLEAN)
# In the order in which OpenAI looks at them, where several are wrong (public measurements of August 2026).
FIELDS = {
    "model": STRING,
    "input": {"type": ["string", "array"], "items": given.ITEM, "minItems": 1, "title": "one of a string or array of input items"},
    "conversation": ANY,
    "previous_response_id": nullable(STRING),
    "prompt": nullable(shape("id", id=STRING)),
    "moderation": chat.FIELDS["moderation"],
    "include": nullable(tools.INCLUDE),
    "tools": {**nullable(list_of(tools.TOOL)), "title": "an array of tools"},
    "tool_choice": tools.TOOL_CHOICE,
    "metadata": nullable(chat.METADATA),
    "text": nullable(tools.TEXT),
    "temperature": nullable(between("number", 0, 2)),
    "top_p": nullable(between("number", 0, 1)),
    "presence_penalty": nullable(between("number", -2, 2)),
    "frequency_penalty": nullable(between("number", -2, 2)),
    "parallel_tool_calls": nullable(BOOLEAN),
    "stream": nullable(BOOLEAN),
    "stream_options": nullable(shape(closed=True, include_obfuscation=nullable(BOOLEAN))),
    "background": nullable(BOOLEAN),
    "background_options": nullable(shape(completion_window=nullable(STRING), continuation_id=nullable(STRING))),
    "max_output_tokens": nullable(between("integer", 16)),
    "max_tool_calls": nullable(between("integer", 1, 2**63 - 1)),
    "reasoning": nullable(REASONING),
    "user": chat.FIELDS["user"],
    "safety_identifier": chat.FIELDS["safety_identifier"],
    "prompt_cache_options": nullable(CACHE_OPTIONS),
    "prompt_cache_key": chat.FIELDS["prompt_cache_key"],
    "prompt_cache_retention": nullable(one_of("in_memory", "24h")),
    "truncation": nullable(one_of("auto", "disabled")),
    "instructions": nullable(STRING),
    "store": nullable(BOOLEAN),
    "service_tier": chat.FIELDS["service_tier"],
    "top_logprobs": nullable(between("integer", 0, 20)),
    "context_management": nullable(list_of(shape("type", closed=True, type=STRING, compact_threshold=nullable(between("integer", 1000))), minItems=1)),
    "access_programs": ANY,
    "image": ANY,
}
_check_names = checker(shape("model input", closed=True, **dict.fromkeys(FIELDS, ANY)))
_check_names_beside_a_prompt = checker(shape(closed=True, **dict.fromkeys(FIELDS, ANY)))
_check_fields = checker(shape(**FIELDS))


def check(body: dict[str, Any], *, has_prompt: bool = False) -> None:
    """Raise a Refusal for a body that does not fit: unknown names come before all else. A stored prompt may stand for what has to be named otherwise."""
    name = next((name for name in body if name in MOVED), None)
    if name is not None:
        text = f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to '{MOVED[name]}'. Try again with the new parameter."
        raise refused(f"{text} See the API documentation for more information: {REFERENCE}.", None, "unsupported_parameter")
    (_check_names_beside_a_prompt if has_prompt else _check_names)(body)
    _check_fields(body)
