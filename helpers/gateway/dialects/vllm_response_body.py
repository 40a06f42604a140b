"""The body of a response as vLLM 0.32.0 writes it, its items and its events, as captured of a real one on 2026-11-28.

The order of fields is that of its models; in events that of the alphabet, as in the SDK whose types it writes them with.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from helpers.gateway.answer import Answer, TokenScore
from helpers.gateway.dialects import adapters
from helpers.gateway.dialects import vllm_response_fields as fields
from helpers.gateway.dialects.openai import chat
from helpers.gateway.dialects.openai import response_events as events
from helpers.gateway.dialects.vllm_answer import USUAL_TEMPERATURE
from helpers.gateway.exchange import Usage
from helpers.gateway.wire import hex_id

Json = dict[str, Any]


def new_ids() -> dict[str, str]:
    """Ids of a response, of its one item, and of a call."""
    return {**{prefix: hex_id(f"{prefix}_", 16) for prefix in ("resp", "msg", "fc")}, "call": hex_id("chatcmpl-tool-", 16)}


# ---- the whole ---------------------------------------------------------------
def opened(answer: Answer, ids: dict[str, str]) -> Json:
    """A response that has not answered yet."""
    asked, question = answer.question.echo, answer.question
    given = {name: value for name, value in asked.items() if value is not None}
    room = question.model.context - answer.usage.input_tokens
    return {
        "id": given.get("request_id", ids["resp"]),
        "created_at": int(time.time()),
        "incomplete_details": None,
        "instructions": given.get("instructions"),
        "metadata": given.get("metadata"),
        "model": given.get("model") or adapters.BASE,
        "object": "response",
        "output": [],
        "parallel_tool_calls": given.get("parallel_tool_calls", True),
        "temperature": float(given.get("temperature", USUAL_TEMPERATURE)),
        "tool_choice": _choice(given),
        "tools": [_tool(tool) for tool in given.get("tools", ())],
        "top_p": float(given.get("top_p", 1)),
        "background": False,
        "max_output_tokens": room if question.limit is None else min(question.limit, room),
        "max_tool_calls": given.get("max_tool_calls"),
        "previous_response_id": None,
        "prompt": None,
        "reasoning": _named(given.get("reasoning"), "context", "effort", "generate_summary", "mode", "summary"),
        "service_tier": given.get("service_tier", "auto"),
        "status": "in_progress",
        "text": None if question.must_call else _text(given.get("text")),  # a call that is forced takes its place
        "top_logprobs": question.top_logprobs,
        "truncation": given.get("truncation", "disabled"),
        "usage": None,
        "user": given.get("user"),
        "presence_penalty": float(given.get("presence_penalty", 0)),
        "frequency_penalty": float(given.get("frequency_penalty", 0)),
        **dict.fromkeys(("kv_transfer_params", "ec_transfer_params", "input_messages", "output_messages")),
    }


def close(response: Json, answer: Answer, output: list[Json]) -> None:
    """Fill in the output, the status and the usage."""
    cut = {"length": "max_output_tokens", "refusal": "content_filter"}.get(answer.choices[0].finish)
    response["incomplete_details"] = {"reason": cut} if cut else None
    response["output"], response["status"], response["usage"] = output, "incomplete" if cut else "completed", _usage(answer.usage)


def _choice(given: Json) -> Any:
    """The choice of a tool as it is repeated: none where there are no tools."""
    choice = given.get("tool_choice", "auto")
    if isinstance(choice, dict):
        return dict(sorted(choice.items()))
    return choice if given.get("tools") else "none"


def _tool(tool: Json) -> Json:
    """A tool as it is repeated, with all fields of its kind."""
    needed, more = fields.TOOLS.get(tool["type"], ((), ()))
    return _named(tool, *(fields.FUNCTION if tool["type"] == "function" else (*needed, *more)))


def _text(text: Json | None) -> Json | None:
    if text is None:
        return None
    form = text.get("format")
    shown = _named(form, "name", "schema", "type", "description", "strict") if form and form["type"] == "json_schema" else form
    return {"format": shown, "verbosity": text.get("verbosity")}


def _named(given: Json | None, *names: str) -> Json | None:
    """An object with these fields first, null where they were not given."""
    return None if given is None else {**dict.fromkeys(names), **given}


def _usage(usage: Usage) -> Json:
    """The usage. Only models that call tools of the server's own have turns."""
    read = {"cached_tokens": usage.cache_read_tokens, "cache_write_tokens": usage.cache_write_tokens}
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {**read, "input_tokens_per_turn": [], "cached_tokens_per_turn": []},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0, "tool_output_tokens": 0, "output_tokens_per_turn": [], "tool_output_tokens_per_turn": []},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


# ---- its item ----------------------------------------------------------------
def output(answer: Answer, ids: dict[str, str]) -> list[Json]:
    """The item of an answer that was written whole: none without a text. A call that the limit cut is a text to vLLM's parser."""
    choice = answer.choices[0]
    if choice.function and choice.finish == "call":
        return [_call(ids, choice.function, choice.text)]
    return [_message(ids, [_part(choice.text, choice.scores)])] if choice.text else []


def _message(ids: dict[str, str], content: list[Json], status: str = "completed") -> Json:
    return {"id": ids["msg"], "content": content, "role": "assistant", "status": status, "type": "message", "phase": None}


def _part(text: str, scores: Sequence[TokenScore] = ()) -> Json:
    return {"annotations": [], "text": text, "type": "output_text", "logprobs": _logprobs(scores) or None}


def _call(ids: dict[str, str], name: str, arguments: str, status: str = "completed") -> Json:
    head = {"arguments": arguments, "call_id": ids["call"], "name": name, "type": "function_call", "id": ids["fc"]}
    return {**head, "async": None, "caller": None, "namespace": None, "status": status}


def _logprobs(scores: Sequence[TokenScore]) -> list[Json]:
    """The token that ends the turn too."""
    content = (chat.logprobs(scores) or {}).get("content", [])
    return [{**_scored(one), "top_logprobs": [_scored(other) for other in one["top_logprobs"]]} for one in content]


def _scored(one: Json) -> Json:
    return {name: one[name] for name in ("token", "bytes", "logprob")}


# ---- its events --------------------------------------------------------------
async def stream(answer: Answer) -> AsyncIterator[bytes]:
    """The events of a response as they are sent."""
    number = 0
    async for event in _events(answer):
        yield _frame(event, number)
        number += 1


def _frame(event: Json, number: int) -> bytes:
    """The fields by the alphabet; the name of a function came later, and stands last."""
    ordered = sorted({**event, "sequence_number": number}.items(), key=lambda field: (field[0] == "name", field[0]))
    return events.frame(dict(ordered), number)


async def _events(answer: Answer) -> AsyncIterator[Json]:
    """Every response ends as completed, whatever its status."""
    ids, written = new_ids(), []
    response = opened(answer, ids)
    yield {"type": "response.created", "response": response}
    yield {"type": "response.in_progress", "response": response}
    async for event in (_call_events if answer.choices[0].function else _text_events)(answer, ids):
        if event["type"] == "response.output_item.done":
            written.append(event["item"])
        yield event
    close(response, answer, written)
    yield {"type": "response.completed", "response": response}


async def _text_events(answer: Answer, ids: dict[str, str]) -> AsyncIterator[Json]:
    """The events of a message, which begins with its first text. What has none, such as the token that ends the turn, is not shown."""
    here = {"item_id": ids["msg"], "output_index": 0, "content_index": 0}
    texts: list[str] = []
    scores: list[TokenScore] = []
    async for piece in answer.stream():
        if not piece.text:
            continue
        if not texts:
            for event in events.text_opened(here, _message(ids, [], "in_progress"), {**_part(""), "logprobs": []}):
                yield event
        texts.append(piece.text)
        scores += piece.scores
        yield {"type": "response.output_text.delta", **here, "delta": piece.text, "logprobs": [_short(one) for one in _logprobs(piece.scores)]}
    if texts:
        text, part = "".join(texts), _part("".join(texts), scores)
        for event in events.text_closed(here, {"text": text, "logprobs": []}, part, _message(ids, [part])):
            yield event


def _short(scored: Json) -> Json:
    """A log-probability as it stands in a delta, without bytes."""
    top = [{"token": one["token"], "logprob": one["logprob"]} for one in scored["top_logprobs"]]
    return {"token": scored["token"], "logprob": scored["logprob"], "top_logprobs": top}


async def _call_events(answer: Answer, ids: dict[str, str]) -> AsyncIterator[Json]:
    """The events of a call, also of one that the limit cuts."""
    name, texts, here = answer.choices[0].function, [], {"item_id": ids["fc"], "output_index": 0}
    async for piece in answer.stream():
        if not piece.text:
            continue
        if not texts:
            yield events.item_event("added", here, _call(ids, name, "", "in_progress"))
        texts.append(piece.text)
        yield {"type": "response.function_call_arguments.delta", **here, "delta": piece.text}
    if texts:
        arguments = "".join(texts)
        for event in events.call_closed(here, {"arguments": arguments, "name": name}, _call(ids, name, arguments)):
            yield event
