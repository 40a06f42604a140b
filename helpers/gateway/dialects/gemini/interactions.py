"""Gemini's Interactions API: one stored interaction after another, plain and as typed events.

The forms are those of google-genai 3.6.1's types. An interaction is read as the generateContent request that says the same.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from helpers.gateway.answer import Answer
from helpers.gateway.bounded import Bounded, weight
from helpers.gateway.dialects.gemini import contents as bodies
from helpers.gateway.dialects.gemini import files, turns
from helpers.gateway.dialects.gemini import interaction_events as events
from helpers.gateway.dialects.gemini import interaction_input as given
from helpers.gateway.dialects.gemini.interaction_jobs import MOST, Job
from helpers.gateway.dialects.gemini.interaction_steps import content_of, steps, usage_body
from helpers.gateway.exchange import Question, Refusal, Usage
from helpers.gateway.wire import Begun, Call, Dialect, Response, Route, pretty, route
from helpers.models import Model

MOST_STORED = 200_000_000  # bytes of stored interactions, each with all that was said before it; the oldest go first
Json = dict[str, Any]
Ask = Callable[[Json, Model, Call], Question]


@dataclass(frozen=True)
class Stored:
    """What is kept of an interaction: its body, what was put in, all that was said, as turns of generateContent, and its events."""

    body: Json
    input: list[Json]
    contents: list[Json]
    held: int  # bytes of what was put in and said, measured where it was read: that takes time in proportion to it
    frames: tuple[bytes, ...] = ()  # of one that ran in the background


class GeminiInteractions:
    """The routes under interactions. They are stored unless the client says no, so that previous_interaction_id can go on from one."""

    def __init__(self, dialect: Dialect, ask: Ask) -> None:
        self._dialect, self._ask = dialect, ask
        self._stored: Bounded[str, Stored] = Bounded(MOST_STORED, lambda _, kept: kept.held + weight((kept.body, kept.frames)))
        self._writing: dict[str, Job] = {}

    def forget(self) -> None:
        """Forget all interactions, and end those that are being written."""
        for job in list(self._writing.values()):
            job.cancel()
        self._writing.clear()
        self._stored.clear()

    def routes(self, version: str) -> list[Route]:
        all_, one = version + "/interactions", version + "/interactions/(?P<id>[^/:]+)"
        return [
            route("POST", all_, "interactions", read=self.read, write=self.write, stream=self.stream, begin=self.begin, weigh=self._weigh),
            route("GET", one, "interaction", handle=self.get),
            route("POST", one + "/cancel", "interaction cancel", handle=self.cancel),
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
        put_in, contents = given.steps_of(body["input"]), asked["contents"]
        echo = {**question.echo, "sse": True, "body": body, "put_in": put_in, "contents": contents, "held": weight((put_in, contents)), "created": created}
        if body.get("background"):
            self._check_background(body)
        return replace(question, stream=bool(body.get("stream")), background=bool(body.get("background")), echo=echo)

    def _check_background(self, body: Json) -> None:
        if body.get("store") is False:
            raise Refusal("bad_value", "`store` set to false is incompatible with `background` set to true.", param="background")
        if sum(job.background for job in list(self._writing.values())) >= MOST:
            raise Refusal("overloaded")

    def _before(self, body: Json) -> Stored | None:
        name = body.get("previous_interaction_id")
        if name in self._writing:
            raise Refusal("not_ready", f"Interaction {name!r} is still in progress.", param="previous_interaction_id")
        return self._named(name) if name is not None else None

    def _named(self, name: str) -> Stored:
        stored = self._stored.get(name)
        if stored is None:
            raise Refusal("not_found", f"Requested entity was not found: interaction {name!r}.")
        return stored

    def _weigh(self, call: Call) -> int:
        """The bytes of the conversation that a call goes on with, and of the files that it names."""
        before = call.json.get("previous_interaction_id")
        return files.weight(call, call.body) + (self._stored.size(before) if isinstance(before, str) else 0)

    # ---- writing ---------------------------------------------------------
    def write(self, question: Question, answer: Answer) -> bytes:
        return pretty(self._finished(self._head(question), answer))

    async def stream(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        """Its creation, each step with what it grows by, and its end, without the steps. Where the connection breaks it is written on."""
        job = self._begin(question, answer, lambda: None)
        async for frame in job.stream():
            yield frame

    def begin(self, question: Question, answer: Answer, settle: Callable[[], None]) -> Begun:
        """One in the background."""
        return self._begin(question, answer, settle)

    def _begin(self, question: Question, answer: Answer, settle: Callable[[], None]) -> Job:
        head = self._head(question)
        job = self._writing[head["id"]] = Job(head, answer, background=question.background)

        def ended() -> None:
            settle()
            if self._writing.pop(head["id"], None) is job and job.background:
                self._keep(job.whole, question, job.frames.all())

        job.begin(lambda: self._finished(head, answer), ended)
        return job

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
        if not question.background:  # one in the background is kept with its events
            self._keep(whole, question)
        return whole

    def _keep(self, whole: Json, question: Question, frames: tuple[bytes, ...] = ()) -> None:
        asked = question.echo
        if asked["body"].get("store") is not False:
            said = [*asked["contents"], *content_of(whole.get("steps", []))]
            self._stored[whole["id"]] = Stored(whole, asked["put_in"], said, asked["held"], frames)

    # ---- what is stored --------------------------------------------------
    async def get(self, call: Call) -> Response:
        """What is kept, as it is now or as events; of one that is being streamed, when it is whole."""
        name, streamed = call.groups["id"], _is_true(call, "stream")
        job = self._writing.get(name)
        if job is not None and not job.background:
            await job.over()
            job = None
        if "last_event_id" in call.query and not streamed:
            raise Refusal("bad_value", "`last_event_id` can only be used if `stream` is true.", param="last_event_id")
        if streamed:
            return self._streamed(job, None if job else self._named(name), call)
        if job is not None:
            return self._dialect.ok(job.whole)
        stored = self._named(name)
        return self._dialect.ok({**stored.body, **({"input": stored.input} if _is_true(call, "include_input") else {})})

    def _streamed(self, job: Job | None, stored: Stored | None, call: Call) -> Response:
        """The events of an interaction, after the one that a call names."""
        frames = job.frames if job else stored.frames or [*map(events.frame, events.again(stored.body)), events.DONE]
        after = call.query.get("last_event_id", "0")
        if not after.isdecimal() or len(after) > 9 or int(after) > len(frames):
            raise Refusal("bad_value", f"There is no event {after[:40]!r} in this interaction.", param="last_event_id")
        stream = job.stream(int(after)) if job else _each(frames[int(after) :])
        return Response(200, [("Content-Type", self._dialect.stream_type)], stream=stream)

    async def cancel(self, call: Call) -> Response:
        """End one that runs in the background. One that was cancelled stays so; any other is over, or has a client that waits for it."""
        job = self._writing.get(call.groups["id"])
        if job is not None and job.background:
            job.cancel()
            await job.over()
            await asyncio.sleep(0)  # what follows its end comes first
        found = job.whole if job is not None else self._named(call.groups["id"]).body
        if found["status"] != "cancelled":
            raise Refusal("not_ready", "Only interactions that run in the background, and are still running, can be cancelled.")
        return self._dialect.ok(found)

    async def delete(self, call: Call) -> Response:
        job = self._writing.pop(call.groups["id"], None)
        if job is not None:
            job.cancel()
            return self._dialect.ok({})
        self._named(call.groups["id"])
        del self._stored[call.groups["id"]]
        return self._dialect.ok({})


def _is_true(call: Call, name: str) -> bool:
    return call.query.get(name, "").lower() == "true"


async def _each(frames: Sequence[bytes]) -> AsyncIterator[bytes]:
    for frame in frames:
        yield frame


def _status(answer: Answer) -> str:
    choice = answer.choices[0]
    if choice.function and choice.finish != "length":
        return "requires_action"
    return {"length": "incomplete", "refusal": "failed"}.get(choice.finish, "completed")


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
