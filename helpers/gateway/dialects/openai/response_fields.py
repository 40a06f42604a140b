"""The fields of a request for a response, and what each of them takes."""

from __future__ import annotations

from typing import Any

from helpers.gateway.dialects.openai import chat
from helpers.gateway.dialects.openai import response_input as given
from helpers.gateway.dialects.openai import response_tools as tools
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

FIELDS = {
    "model": STRING,
    "input": {"type": ["string", "array"], "items": given.ITEM, "minItems": 1},
    "instructions": nullable(STRING),
    "max_output_tokens": nullable(between("integer", 16)),
    "max_tool_calls": nullable(between("integer", 1, 2**63 - 1)),
    "previous_response_id": nullable(STRING),
    "reasoning": nullable(shape(effort=nullable(one_of(*chat.EFFORTS)), mode=nullable(STRING), context=nullable(STRING), summary=nullable(STRING))),
    "stream": nullable(BOOLEAN),
    "stream_options": nullable(shape(closed=True, include_obfuscation=nullable(BOOLEAN))),
    "temperature": nullable(between("number", 0, 2)),
    "top_p": nullable(between("number", 0, 1)),
    "tools": nullable(list_of(tools.TOOL)),
    "tool_choice": tools.TOOL_CHOICE,
    "parallel_tool_calls": nullable(BOOLEAN),
    "top_logprobs": nullable(between("integer", 0, 20)),
    "store": nullable(BOOLEAN),
    "metadata": nullable(chat.METADATA),
    "include": nullable(tools.INCLUDE),
    "text": nullable(tools.TEXT),
    **{name: chat.FIELDS[name] for name in ("prompt_cache_key", "safety_identifier", "service_tier", "user")},
    "truncation": nullable(one_of("auto", "disabled")),
    "background": nullable(BOOLEAN),
    "background_options": nullable(shape(completion_window=nullable(STRING), continuation_id=nullable(STRING))),
    "context_management": nullable(list_of(shape("type", closed=True, type=STRING, compact_threshold=nullable(between("integer", 1000))), minItems=1)),
    **dict.fromkeys("access_programs conversation image moderation prompt prompt_cache_options prompt_cache_retention".split(), ANY),
}
_check_names = checker(shape("model input", closed=True, **dict.fromkeys(FIELDS, ANY)))
_check_fields = checker(shape(**FIELDS))


def check(body: dict[str, Any]) -> None:
    """Raise a Refusal for a body that does not fit: unknown names come before all else."""
    _check_names(body)
    _check_fields(body)
