"""What vLLM 0.32.0 writes into every kind of answer: its version and its usage."""

from __future__ import annotations

from typing import Any

from helpers.gateway.answer import Answer

VERSION = "0.32.0"
USUAL_TEMPERATURE = 0.5  # of the house model, in its generation_config.json, where a request names none
FINGERPRINT = f"vllm-{VERSION}-123ff4e6"


def usage(answer: Answer) -> dict[str, Any]:
    """The counts, in vLLM's order."""
    used = answer.usage
    return {"prompt_tokens": used.input_tokens, "total_tokens": used.input_tokens + used.output_tokens, "completion_tokens": used.output_tokens}


def prompt_details(answer: Answer) -> dict[str, Any] | None:
    """What came from the prefix cache and went into it, as vLLM says with --enable-prompt-tokens-details; None for a recorded model."""
    if answer.question.model.tier != "house":
        return None
    return {"cached_tokens": answer.usage.cache_read_tokens, "created_cache_tokens": answer.usage.cache_write_tokens}


def plain_usage(answer: Answer) -> dict[str, Any]:
    """The usage of an answer that is not streamed."""
    details = prompt_details(answer)
    details = details and {**details, "multimodal_tokens": None}
    return {**usage(answer), "prompt_tokens_details": details, "completion_tokens_details": None}


def last_usage(answer: Answer) -> dict[str, Any]:
    """The usage at the end of a stream."""
    details = prompt_details(answer)
    return usage(answer) | ({"prompt_tokens_details": details} if details else {})
