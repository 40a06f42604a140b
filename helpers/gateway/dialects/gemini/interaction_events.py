"""The events of an interaction that is streamed: each step with what it grows by."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from helpers.gateway.answer import Answer
from helpers.gateway.dialects.gemini.interaction_steps import steps
from helpers.gateway.wire import compact

Json = dict[str, Any]
DONE = b"event: done\ndata: [DONE]\n\n"


def frame(event: Json) -> bytes:
    return b"event: " + event["event_type"].encode() + b"\ndata: " + compact(event) + b"\n\n"


def event(kind: str, **fields: Any) -> Json:
    return {**fields, "event_type": kind}


def opening(head: Json) -> Iterator[Json]:
    """What a stream begins with: the interaction as it was made."""
    brief = {name: head[name] for name in ("id", "object", "model")}
    yield event("interaction.created", interaction={**brief, "status": "in_progress"})
    yield event("interaction.status_update", interaction_id=head["id"], status="in_progress")


def closing(whole: Json) -> Json:
    """What a stream ends with: the interaction without its steps."""
    return event("interaction.completed", interaction={name: value for name, value in whole.items() if name != "steps"})


async def output(answer: Answer, name: str) -> AsyncIterator[Json]:
    """The steps of an answer as they are written. name: that of the interaction."""
    *first, last = steps(answer, name) or [None]
    for place, step in enumerate(first):
        for one in _at_once(place, step):
            yield one
    if last is None:
        async for _ in answer.stream():  # a limit left nothing of it, which takes its time all the same
            pass
        return
    async for one in _last(len(first), last, answer):
        yield one


def again(whole: Json) -> Iterator[Json]:
    """All events of an interaction that is over: each step comes at once."""
    yield from opening(whole)
    for place, step in enumerate(whole.get("steps", ())):
        yield from _said(place, step) if step["type"] in ("model_output", "function_call") else _at_once(place, step)
    yield closing(whole)


async def _last(place: int, step: Json, answer: Answer) -> AsyncIterator[Json]:
    """The step that the answer is: text as it comes, or the arguments of a call."""
    yield _start(place, step)
    async for piece in answer.stream():
        if piece.text:
            yield _grown(place, step, piece.text)
    for one in _end(place, step):
        yield one


def _said(place: int, step: Json) -> Iterator[Json]:
    yield _start(place, step)
    text = compact(step["arguments"]).decode() if step["type"] == "function_call" else "".join(content["text"] for content in step["content"])
    if text:
        yield _grown(place, step, text)
    yield from _end(place, step)


def _start(place: int, step: Json) -> Json:
    return event("step.start", index=place, step={**step, "arguments": {}} if step["type"] == "function_call" else {"type": step["type"]})


def _grown(place: int, step: Json, text: str) -> Json:
    grown = {"type": "arguments_delta", "arguments": text} if step["type"] == "function_call" else {"type": "text", "text": text}
    return event("step.delta", index=place, delta=grown)


def _end(place: int, step: Json) -> Iterator[Json]:
    notes = [note for content in step.get("content", ()) for note in content.get("annotations", ())]
    if notes:
        yield event("step.delta", index=place, delta={"type": "text_annotation_delta", "annotations": notes})
    yield event("step.stop", index=place)


def _at_once(place: int, step: Json) -> list[Json]:
    """The events of a step that comes at once: a thought, or what a tool of Google's did."""
    kind = step["type"]
    grown = {name: value for name, value in step.items() if name not in ("id", "call_id", "type")}
    delta = {"type": "thought_signature" if kind == "thought" else kind, **grown}
    start = {name: value for name, value in step.items() if name in ("type", "id", "call_id")} if kind == "thought" else step
    return [event("step.start", index=place, step=start), event("step.delta", index=place, delta=delta), event("step.stop", index=place)]
