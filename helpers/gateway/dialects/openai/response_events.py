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
    """The end of a stream that fails: an error, and the response that it fails. As recorded in November 2025 (vercel/ai, openai-error.1).

    A response in the background is written on: of that one the stream alone has failed.
    """
    numbers = NUMBER.findall(gone.last)
    number = int(numbers[-1]) + 1 if numbers else 0
    frames = frame({"type": "error", "error": error}, number)
    begun = _begun(gone.first)
    if begun and not begun.get("background"):
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
    for event in text_opened(here, opened, bodies.text("")):
        yield event
    async for piece in answer.stream():
        if piece.text or piece.scores:
            delta = {"delta": piece.text, "logprobs": bodies.logprobs(piece.scores), **chat.obfuscation(answer.question)}
            yield {"type": "response.output_text.delta", **here, **delta}
    said = {"text": choice.text, "logprobs": bodies.logprobs(choice.scores)}
    for event in text_closed(here, said, bodies.text(choice.text, choice.scores), bodies.item(answer, ids)):
        yield event


async def _call(answer: Answer, ids: dict[str, str], place: int) -> AsyncIterator[Json]:
    """The events of a function call, whose arguments come in pieces of JSON."""
    choice = answer.choices[0]
    here = {"item_id": ids["fc"], "output_index": place}
    opened = tools.call_item(ids["fc"], ids["call"], choice.function, "", "in_progress")
    yield item_event("added", here, opened)
    async for piece in answer.stream():
        if piece.text:
            delta = {"delta": piece.text, **chat.obfuscation(answer.question)}
            yield {"type": "response.function_call_arguments.delta", **here, **delta}
    for event in call_closed(here, {"arguments": choice.text}, bodies.item(answer, ids)):
        yield event


# ---- the sequence of events, which other servers have too ----------------------
def item_event(what: str, here: Json, item: Json) -> Json:
    """That an item was added, or is done. `here` is its place."""
    return {"type": f"response.output_item.{what}", "output_index": here["output_index"], "item": item}


def text_opened(here: Json, item: Json, part: Json) -> tuple[Json, ...]:
    """The events before the text of a message."""
    return item_event("added", here, item), {"type": "response.content_part.added", **here, "part": part}


def text_closed(here: Json, said: Json, part: Json, item: Json) -> tuple[Json, ...]:
    """The events after the text of a message; `said` is what the first of them repeats."""
    done = {"type": "response.output_text.done", **here, **said}
    return done, {"type": "response.content_part.done", **here, "part": part}, item_event("done", here, item)


def call_closed(here: Json, said: Json, item: Json) -> tuple[Json, ...]:
    """The events after the arguments of a call."""
    return {"type": "response.function_call_arguments.done", **here, **said}, item_event("done", here, item)
