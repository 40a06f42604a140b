"""Gemini's Interactions API: one stored interaction after another, plain and as typed events.

The forms are those of google-genai 3.6.1's types. An interaction is read as the generateContent request that says the same.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

from helpers.gateway.answer import Answer, Piece
from helpers.gateway.bounded import Bounded, weight
from helpers.gateway.dialects.gemini import contents as bodies
from helpers.gateway.dialects.gemini import interaction_input as given
from helpers.gateway.dialects.gemini import turns
from helpers.gateway.dialects.gemini.interaction_steps import content_of, steps, usage_body
from helpers.gateway.exchange import Question, Refusal, Usage
from helpers.gateway.wire import Call, Dialect, Response, Route, compact, pretty, route
from helpers.models import Model

MOST_STORED = 200_000_000  # bytes of stored interactions, each with all that was said before it; the oldest go first
DONE = b"event: done\ndata: [DONE]\n\n"
Json = dict[str, Any]
Ask = Callable[[Json, Model, Call], Question]
Pieces = asyncio.Queue[Piece | None]  # of an answer that is being written; None where it ends


@dataclass(frozen=True)
class Stored:
    """What is kept of an interaction: its body, what was put in, and all that was said, as turns of generateContent."""

    body: Json
    input: list[Json]
    contents: list[Json]


class GeminiInteractions:
    """The routes under interactions. They are stored unless the client says no, so that previous_interaction_id can go on from one."""

    def __init__(self, dialect: Dialect, ask: Ask) -> None:
        self._dialect, self._ask = dialect, ask
        self._stored: Bounded[str, Stored] = Bounded(MOST_STORED, lambda _, kept: weight((kept.body, kept.input, kept.contents)))
        self._writing: dict[str, asyncio.Task[Json]] = {}  # what is being streamed

    def forget(self) -> None:
        """Forget all interactions."""
        self._stored.clear()
        for writing in self._writing.values():
            writing.cancel()

    def routes(self, version: str) -> list[Route]:
        one = version + "/interactions/(?P<id>[^/:]+)"
        return [
            route("POST", version + "/interactions", "interactions", read=self.read, write=self.write, stream=self.stream, weigh=self._weigh),
            route("GET", one, "interaction", handle=self.get),
            route("DELETE", one, "interaction", handle=self.delete),
        ]

    # ---- reading ---------------------------------------------------------
    def read(self, call: Call) -> Question:
        body = given.checked(call.json)
        model = self._dialect.model(body["model"].removeprefix("models/"), call)
        before = self._before(body)
        said = given.turns(body["input"])
        asked = {**given.as_generate_content(body), "contents": [*(before.contents if before else []), *said]}
        asked = bodies.checked(asked)
        turns.check_end(asked["contents"], model)
        question = self._dialect.check_length(self._ask(asked, model, call))
        created = call.services.clock.now()
        echo = {**question.echo, "sse": True, "body": body, "contents": asked["contents"], "created": created}
        return replace(question, stream=bool(body.get("stream")), echo=echo)

    def _before(self, body: Json) -> Stored | None:
        name = body.get("previous_interaction_id")
        return self._named(name) if name is not None else None

    def _named(self, name: str) -> Stored:
        stored = self._stored.get(name)
        if stored is None:
            raise Refusal("not_found", f"Requested entity was not found: interaction {name!r}.")
        return stored

    def _weigh(self, call: Call) -> int:
        """The bytes of the conversation that a call goes on with."""
        before = call.json.get("previous_interaction_id")
        return self._stored.size(before) if isinstance(before, str) else 0

    # ---- writing ---------------------------------------------------------
    def write(self, question: Question, answer: Answer) -> bytes:
        return pretty(self._finished(self._head(question), answer))

    async def stream(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        """Its creation, each step with what it grows by, and its end, without the steps."""
        head, pieces = self._head(question), asyncio.Queue()
        writing = self._writing[head["id"]] = asyncio.create_task(self._write(head, answer, pieces))
        brief = {name: head[name] for name in ("id", "object", "model")}
        yield _event("interaction.created", interaction={**brief, "status": "in_progress"})
        yield _event("interaction.status_update", interaction_id=head["id"], status="in_progress")
        async for event in self._steps(answer, pieces, head["id"]):
            yield event
        whole = await asyncio.shield(writing)
        yield _event("interaction.completed", interaction={name: value for name, value in whole.items() if name != "steps"})
        yield DONE

    async def _write(self, head: Json, answer: Answer, pieces: Pieces) -> Json:
        """Write all of an answer and keep it. That does not end with the connection: who lost it finds the whole under its name."""
        try:
            async for piece in answer.stream():
                pieces.put_nowait(piece)
            return self._finished(head, answer)
        finally:
            pieces.put_nowait(None)
            self._writing.pop(head["id"], None)

    async def _steps(self, answer: Answer, pieces: Pieces, name: str) -> AsyncIterator[bytes]:
        *first, last = steps(answer, name) or [None]
        for place, step in enumerate(first):
            for event in _whole(place, step):
                yield event
        if last is None:
            return
        async for event in self._last(len(first), last, pieces):
            yield event

    async def _last(self, place: int, step: Json, pieces: Pieces) -> AsyncIterator[bytes]:
        """The step that the answer is: text as it comes, or the arguments of a call."""
        is_call = step["type"] == "function_call"
        start = {**step, "arguments": {}} if is_call else {"type": step["type"]}
        yield _event("step.start", index=place, step=start)
        while (piece := await pieces.get()) is not None:
            if piece.text:
                grown = {"type": "arguments_delta", "arguments": piece.text} if is_call else {"type": "text", "text": piece.text}
                yield _event("step.delta", index=place, delta=grown)
        notes = [note for content in step.get("content", ()) for note in content.get("annotations", ())]
        if notes:
            yield _event("step.delta", index=place, delta={"type": "text_annotation_delta", "annotations": notes})
        yield _event("step.stop", index=place)

    def _head(self, question: Question) -> Json:
        body = question.echo["body"]
        at = given.time_of(question.echo["created"])
        before = body.get("previous_interaction_id")
        return {
            "id": "v1_" + base64.urlsafe_b64encode(secrets.token_bytes(42)).decode(),
            "object": "interaction",
            "model": question.model.id,
            "created": at,
            "updated": at,
            **({"previous_interaction_id": before} if before else {}),
        }

    def _finished(self, head: Json, answer: Answer) -> Json:
        """The whole interaction, which is kept now."""
        question, made = answer.question, steps(answer, head["id"])
        whole = {**head, "status": _status(answer), "steps": made, "usage": usage_body(answer), "service_tier": "standard"}
        if question.harm:
            whole["errors"] = [{"code": "safety", "message": f"blocked: {question.harm.category}"}]
        body = question.echo["body"]
        if body.get("store") is not False:
            said = [*question.echo["contents"], *content_of(made)]
            self._stored[head["id"]] = Stored(whole, given.steps_of(body["input"]), said)
        return whole

    # ---- what is stored --------------------------------------------------
    async def get(self, call: Call) -> Response:
        """What is kept; of one that is being streamed, when it is whole."""
        if (writing := self._writing.get(call.groups["id"])) is not None:
            await asyncio.wait([writing])
        stored = self._named(call.groups["id"])
        wants_input = call.query.get("include_input", "").lower() == "true"
        return self._dialect.ok({**stored.body, **({"input": stored.input} if wants_input else {})})

    def delete(self, call: Call) -> Response:
        self._named(call.groups["id"])
        del self._stored[call.groups["id"]]
        return self._dialect.ok({})


def _status(answer: Answer) -> str:
    choice = answer.choices[0]
    if choice.function and choice.finish != "length":
        return "requires_action"
    return {"length": "incomplete", "refusal": "failed"}.get(choice.finish, "completed")


def _whole(place: int, step: Json) -> list[bytes]:
    """The events of a step that comes at once: a thought, or what a tool of Google's did."""
    kind = step["type"]
    grown = {name: value for name, value in step.items() if name not in ("id", "call_id", "type")}
    delta = {"type": "thought_signature" if kind == "thought" else kind, **grown}
    start = {name: value for name, value in step.items() if name in ("type", "id", "call_id")} if kind == "thought" else step
    return [_event("step.start", index=place, step=start), _event("step.delta", index=place, delta=delta), _event("step.stop", index=place)]


def _event(kind: str, **fields: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + compact({**fields, "event_type": kind}) + b"\n\n"


def parse_usage(payloads: list[Any]) -> Usage | None:
    """The usage that an interaction states, plain or in the last event of its stream."""
    found = next((whole["usage"] for p in reversed(payloads) if (whole := p.get("interaction", p)).get("usage")), None)
    if found is None:
        return None
    thought = found.get("total_thought_tokens", 0)
    return Usage(
        input_tokens=found.get("total_input_tokens", 0) + found.get("total_tool_use_tokens", 0),
        cache_read_tokens=found.get("total_cached_tokens", 0),
        output_tokens=found.get("total_output_tokens", 0) + thought,
        thinking_tokens=thought,
        tool_tokens=found.get("total_tool_use_tokens", 0),
        searches=sum(one.get("count", 0) for one in found.get("grounding_tool_count", ())),
    )
