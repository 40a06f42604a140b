"""The body of a response: what it repeats of the request, its items, and its usage."""

from __future__ import annotations

import base64
import os
import re
import secrets
import time
from collections.abc import Sequence
from typing import Any

from helpers.gateway.answer import Answer, TokenScore
from helpers.gateway.dialects.openai import chat
from helpers.gateway.dialects.openai import response_tools as tools
from helpers.gateway.exchange import Question, Usage
from helpers.gateway.wire import hex_id, random_id
from helpers.models import Model

Json = dict[str, Any]
THOUGHTS = "reasoning.encrypted_content"
# Letters of an encrypted thought: of an empty one, and more for each token, as in recordings of June to August 2026.
EMPTY_THOUGHT, LETTERS_A_TOKEN = 844, 5.6


def new_ids() -> dict[str, str]:
    """Ids of a response and its items: 48 hex digits after the prefix, the first 16 of them shared; and that of a call."""
    shared = secrets.token_hex(8)
    prefixes = ("resp", "msg", "rs", "fc", "cmp")
    return {**{prefix: hex_id(f"{prefix}_{shared}", 32) for prefix in prefixes}, "call": random_id("call_", 24)}


# ---- the whole ---------------------------------------------------------------
def opened(answer: Answer, ids: dict[str, str]) -> Json:
    """A response that has not answered yet. The fields are those of recordings of August 2026 and of openai 3.57's types."""
    asked = {name: value for name, value in answer.question.echo.items() if value is not None}
    return {
        "id": ids["resp"],
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": answer.question.background,
        "completed_at": None,
        **({"conversation": {"id": conversation_id(asked["conversation"])}} if "conversation" in asked else {}),
        "error": None,
        "frequency_penalty": asked.get("frequency_penalty") or 0.0,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "max_tool_calls": asked.get("max_tool_calls"),
        "model": answer.question.model.served_as,
        "moderation": None,
        "output": [],
        "parallel_tool_calls": asked.get("parallel_tool_calls") is not False,
        "presence_penalty": asked.get("presence_penalty") or 0.0,
        "previous_response_id": asked.get("previous_response_id"),
        "prompt_cache_key": asked.get("prompt_cache_key"),
        "prompt_cache_retention": asked.get("prompt_cache_retention"),
        "reasoning": _reasoning_echo(asked.get("reasoning") or {}, answer.question),
        "safety_identifier": asked.get("safety_identifier"),
        "service_tier": answer.question.tier or "default",
        "store": asked.get("store") is not False,
        "temperature": asked.get("temperature", 1.0),
        "text": tools.echoed_text(asked),
        "tool_choice": asked.get("tool_choice") or "auto",
        "tools": [tools.echoed(tool) for tool in asked.get("tools") or []],
        "top_logprobs": asked.get("top_logprobs") or 0,
        "top_p": asked.get("top_p", 1.0),
        "truncation": asked.get("truncation", "disabled"),
        "usage": None,
        "user": asked.get("user"),
        "metadata": asked.get("metadata") or {},
    }


def close(response: Json, answer: Answer, ids: dict[str, str]) -> None:
    """Fill in the output, the status and the usage."""
    cut = {"length": "max_output_tokens", "refusal": "content_filter"}.get(answer.choices[0].finish)
    response["status"] = "incomplete" if cut else "completed"
    response["completed_at"] = None if cut else int(time.time())
    response["incomplete_details"] = {"reason": cut} if cut else None
    response["service_tier"] = answer.question.tier or "default"
    response["output"] = [reasoning(ids, answer.usage.thinking_tokens)] if reasons(answer) else []
    if not answer.is_silent:
        response["output"].append(item(answer, ids))
    response["usage"] = usage_body(answer.usage)


def conversation_id(given: Any) -> str:
    """The id of a conversation, which is given as such or in an object."""
    return given.get("id") if isinstance(given, dict) else given


def _reasoning_echo(asked: Json, question: Question) -> Json:
    """Which of earlier thoughts a model is shown (`context`) depends on the model: all of them since GPT-5.6, which charges for cache writes too."""
    if question.model.thinks == "never":
        return {"context": None, "effort": None, "summary": None}
    context = asked.get("context") or ("all_turns" if _charges_writes(question.model) else "current_turn")
    return {"context": context, "effort": question.effort, "mode": asked.get("mode") or "standard", "summary": asked.get("summary")}


def _charges_writes(model: Model) -> bool:
    return model.cache is not None and model.cache.charges_writes


# ---- its items ---------------------------------------------------------------
def reasons(answer: Answer) -> bool:
    """Whether a reasoning item stands first: where thinking was counted, and before every answer of a model that is to think."""
    return answer.usage.thinking_tokens > 0 or (answer.question.effort != "none" and not answer.is_silent)


def reasoning(ids: dict[str, str], tokens: int | None = None) -> Json:
    """A reasoning item with its thoughts, which only their maker can read; without a number of tokens, as it is when it begins."""
    if tokens is not None:
        ids.setdefault("thoughts", encrypted(tokens))
    return {"id": ids["rs"], "type": "reasoning", "content": [], "encrypted_content": ids.get("thoughts") or encrypted(0), "summary": []}


def encrypted(tokens: int) -> str:
    """What looks like a Fernet token, and is random: the course's models have no thoughts to hide."""
    size = round((EMPTY_THOUGHT + LETTERS_A_TOKEN * tokens) * 3 / 4 / 3) * 3
    return base64.urlsafe_b64encode(b"\x80\0\0\0\0" + int(time.time()).to_bytes(4, "big") + os.urandom(size - 9)).decode()


def without_thoughts(item: Json) -> Json:
    """A reasoning item as it is shown to who has not asked for its thoughts; any other item as it is."""
    return {name: value for name, value in item.items() if name not in ("content", "encrypted_content")} if item["type"] == "reasoning" else item


def fetched(response: Json) -> Json:
    """The response as it is fetched later: thoughts come along where they were asked for alone."""
    return {**response, "output": [without_thoughts(one) for one in response["output"]]}


def item(answer: Answer, ids: dict[str, str]) -> Json:
    """The item that an answer ends with: a function call or a message."""
    choice = answer.choices[0]
    status = "incomplete" if choice.finish == "length" else "completed"
    if choice.function:
        return tools.call_item(ids["fc"], ids["call"], choice.function, choice.text, status)
    return message(ids, text(choice.text, choice.scores), answer.question.model, status)


def message(ids: dict[str, str], content: Json, model: Model, status: str = "completed") -> Json:
    phase = {"phase": "final_answer"} if _has_phases(model) else {}
    return {"id": ids["msg"], "type": "message", "status": status, "content": [content], **phase, "role": "assistant"}


def _has_phases(model: Model) -> bool:
    """From GPT-5.4 on, as recorded in 2026 of ten models; models of another name have none."""
    found = re.match(r"gpt-(\d+)(?:\.(\d+))?\b", model.id)
    return bool(found) and (int(found[1]), int(found[2] or 0)) >= (5, 4)


def text(said: str, scores: Sequence[TokenScore] = ()) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": logprobs(scores), "text": said}


def logprobs(scores: Sequence[TokenScore]) -> list[Json]:
    return (chat.logprobs(scores) or {}).get("content", [])


def usage_body(usage: Usage) -> Json:
    """The usage. What was written to the cache is stated for every model since July 2026, 0 where it is not charged."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cache_write_tokens": usage.cache_write_tokens, "cached_tokens": usage.cache_read_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.thinking_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
