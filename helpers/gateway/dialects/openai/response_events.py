"""The events in which a response is streamed, from its creation to its end."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

from helpers.gateway.answer import Answer
from helpers.gateway.dialects.openai import chat
from helpers.gateway.dialects.openai import response_body as bodies
from helpers.gateway.dialects.openai import response_tools as tools
from helpers.gateway.events import Sent
from helpers.gateway.wire import compact

Json = dict[str, Any]
NUMBER = re.compile(rb'"sequence_number": ?(\d+)')  # in a text it has its quotes escaped
DATA = re.compile(rb"^data: ?(.*)$", re.MULTILINE)


def frame(event: Json, number: int) -> bytes:
    """An event as it is sent."""
    return b"event: " + event["type"].encode() + b"\ndata: " + compact({**event, "sequence_number": number}) + b"\n\n"


def failure(error: Json, gone: Sent) -> bytes:
    """The end of a stream that fails: an error, and the response that it fails. As recorded in November 2025 (vercel/ai, openai-error.1)."""
    numbers = NUMBER.findall(gone.last)
    number = int(numbers[-1]) + 1 if numbers else 0
    frames = frame({"type": "error", "error": error}, number)
    begun = _begun(gone.first)
    if begun:
        response = {**begun, "status": "failed", "error": {"code": error["code"] or "server_error", "message": error["message"]}}
        frames += frame({"type": "response.failed", "response": response}, number + 1)
    return frames


def _begun(piece: bytes) -> Json | None:
    """The response in the first event of a stream, of ours or of a real server's; None where it cannot be read."""
    found = DATA.search(piece)
    try:
        event = json.loads(found[1]) if found else None
        return event["response"] if isinstance(event["response"], dict) else None
    except (ValueError, KeyError, TypeError):
        return None


async def output(answer: Answer, ids: dict[str, str]) -> AsyncIterator[Json]:
    """The events of the items, thoughts first."""
    place = 0
    if bodies.reasons(answer):
        yield {"type": "response.output_item.added", "output_index": place, "item": bodies.reasoning(ids)}
        await answer.thought()
        done = bodies.reasoning(ids, answer.usage.thinking_tokens)
        yield {"type": "response.output_item.done", "output_index": place, "item": done}
        place += 1
    if answer.is_silent:
        await answer.finished()
        return
    events = _call if answer.choices[0].function else _text
    async for event in events(answer, ids, place):
        yield event


async def _text(answer: Answer, ids: dict[str, str], place: int) -> AsyncIterator[Json]:
    """The events of a message."""
    choice = answer.choices[0]
    here = {"item_id": ids["msg"], "output_index": place, "content_index": 0}
    opened = {**bodies.message(ids, bodies.text(""), answer.question.model), "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": place, "item": opened}
    yield {"type": "response.content_part.added", **here, "part": bodies.text("")}
    async for piece in answer.stream():
        if piece.text or piece.scores:
            delta = {"delta": piece.text, "logprobs": bodies.logprobs(piece.scores), **chat.obfuscation(answer.question)}
            yield {"type": "response.output_text.delta", **here, **delta}
    yield {"type": "response.output_text.done", **here, "text": choice.text, "logprobs": bodies.logprobs(choice.scores)}
    yield {"type": "response.content_part.done", **here, "part": bodies.text(choice.text, choice.scores)}
    yield {"type": "response.output_item.done", "output_index": place, "item": bodies.item(answer, ids)}


async def _call(answer: Answer, ids: dict[str, str], place: int) -> AsyncIterator[Json]:
    """The events of a function call, whose arguments come in pieces of JSON."""
    choice = answer.choices[0]
    here = {"item_id": ids["fc"], "output_index": place}
    opened = tools.call_item(ids["fc"], ids["call"], choice.function, "", "in_progress")
    yield {"type": "response.output_item.added", "output_index": place, "item": opened}
    async for piece in answer.stream():
        if piece.text:
            delta = {"delta": piece.text, **chat.obfuscation(answer.question)}
            yield {"type": "response.function_call_arguments.delta", **here, **delta}
    yield {"type": "response.function_call_arguments.done", **here, "arguments": choice.text}
    yield {"type": "response.output_item.done", "output_index": place, "item": bodies.item(answer, ids)}
