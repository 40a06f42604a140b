"""A request's way: the bytes find their dialect, its question finds a source, and the answer goes back.

socket -> dialect reads -> faults and quotas -> source -> prompt cache and usage -> dialect writes -> socket.
The meter sees each request once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import lru_cache, partial
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from helpers import network, other_models
from helpers.gateway import control, events, evidence
from helpers.gateway.answer import Answer, compose
from helpers.gateway.batches import Batches
from helpers.gateway.clock import Clock, http_date
from helpers.gateway.detours import straight
from helpers.gateway.dialects.table import DIALECTS
from helpers.gateway.exchange import Draft, Provenance, Question, Refusal, Usage, ready
from helpers.gateway.faults import FILTERS, IN_ANSWER, Fault, Faults
from helpers.gateway.harm import ORDERED
from helpers.gateway.keys import Keys
from helpers.gateway.meter import Entry, Evidence, Meter
from helpers.gateway.prompt_cache import PromptCache
from helpers.gateway.quotas import Level, Quotas
from helpers.gateway.request import Request
from helpers.gateway.sources.embedder import MODEL as EMBEDDING_MODEL
from helpers.gateway.sources.embedder import Embedder
from helpers.gateway.sources.house import MODEL as HOUSE_MODEL
from helpers.gateway.sources.house import House
from helpers.gateway.sources.recordings import Captured, Recordings
from helpers.gateway.sources.scripts import Scripts
from helpers.gateway.threads import in_thread
from helpers.gateway.wire import Call, Cut, Dialect, Headers, Response, Route, model_headers
from helpers.gateway.worker import LARGE, Worker, whole_size

if TYPE_CHECKING:
    from helpers.gateway.sources.upstream import Upstream  # offline nothing goes to a provider, and what does takes a while to load

TOKEN = 4  # bytes of text, about
OURS = (HOUSE_MODEL, EMBEDDING_MODEL)  # by their own names they are on this machine in every mode, and answer in strict mode too
MOST_PATHS = 100  # of which it is remembered whose they are; none is longer than a head
LONGEST_NOTE = 300  # characters, in the log
PLAIN, JSON = [("Content-Type", "text/plain; charset=utf-8")], [("Content-Type", "application/json")]
SLOW = 5.0  # seconds
STALL = 900.0  # seconds; longer than any SDK's time-out
log = logging.getLogger("helpers.gateway")
T = TypeVar("T")


class Handler:
    """Answers requests, and keeps what answers depend on. Everything here runs in the gateway's own thread, but for large work."""

    def __init__(self, *, strict: bool, pace: float, recordings: Path, upstream: Upstream | None) -> None:
        self.strict, self.pace, self.upstream = strict, pace, upstream
        self.mode = upstream.mode if upstream else "offline"
        self.clock = Clock()
        self.faults = Faults(self.clock)
        self.keys = Keys()
        self.quotas = Quotas(self.clock)
        self.prompt_cache = PromptCache(self.clock)
        self.batches = Batches(self.clock, speed=lambda: max(self.pace, 0.02))
        self.recordings = Recordings(recordings)
        self.scripts = Scripts(self.mode)
        self.meter = Meter()
        self._broken = evidence.Broken()
        self.port = 0
        self._worker = Worker()
        self.work = self._worker.do  # for the dialects too
        self.house = House(self.work)
        self.embedder = Embedder()
        self._dialects: list[tuple[Dialect, list[Route]]] = [(d, d.routes()) for d in (make() for make in DIALECTS)]
        self._find = lru_cache(MOST_PATHS)(self._route)

    @property
    def base_url(self) -> str:
        """Where the gateway listens, without a mount."""
        return f"http://127.0.0.1:{self.port}"

    def forget(self) -> None:
        """Forget what requests and orders left, as a gateway that was just started."""
        for part in (self.meter, self._broken, self.faults, self.keys, self.prompt_cache, self.batches, self.scripts):
            part.clear()
        for dialect, _ in self._dialects:
            dialect.forget()
        self.quotas.reset()
        self.recordings.rewind()
        self.house.forget()
        self.embedder.forget()
        self.clock.reset()

    def abandon(self) -> None:
        """End what goes on without a client that waits for it."""
        for dialect, _ in self._dialects:
            dialect.forget()

    def close(self) -> None:
        """Begin nothing more."""
        self.batches.clear()
        self.house.close()
        self.embedder.close()
        self._worker.close()

    # ---- one request -----------------------------------------------------
    def receive(self, request: Request) -> None:
        """Begin to answer a request that has come whole."""
        task = asyncio.get_running_loop().create_task(self._serve(request))
        # A client that goes away ends its own request, and nobody else's.
        request.when_closed(task.cancel)
        if len(request.body) > LARGE:
            task.add_done_callback(self._worker.tidy)

    async def _serve(self, request: Request) -> None:
        began = time.monotonic()
        if "://" in request.path:  # a proxy is asked like this
            kind, body = network.refusal("", network.OFFLINE)
            return await request.answer(403, [("Content-Type", kind)], body)
        if not request.is_from_this_machine:
            return await request.answer(403, PLAIN, b"This gateway answers programs on this machine only.\n")
        body = await self.work(len(request.body), bytes, request.body)
        if request.path.startswith("/course/"):
            size = 500 * len(self.meter.entries) if request.method == "GET" else 0  # the log of all of them takes a while
            status, body = await self.work(size, control.handle, self, request.method, request.path, body)
            return await request.answer(status, JSON, body)
        found = self._find(request.method, request.path)
        if found is None:
            mounts = ", ".join(d.mount for d, _ in self._dialects)
            kind, body = network.refusal(request.path, f"The course's gateway has nothing under {request.path}; it serves {mounts}.")
            return await request.answer(404, [("Content-Type", kind)], body)
        dialect, path, route, groups = found
        call = Call(request.method, path, request.query, request.headers, body, dialect.mount, self, groups)
        entry = self.meter.open(dialect.provider, "", self.mode, self.clock.now())
        entry.evidence.line = request.line
        await self.work(len(body), evidence.of_call, call, entry.evidence)
        try:
            await self._respond(request, dialect, route, call, entry)
        except (ConnectionError, asyncio.CancelledError):
            entry.note, entry.evidence.was_left = entry.note or "the client went away", True
        except Cut as cut:
            entry.note = str(cut)
            request.close()
        except Exception:
            # The answer had begun, so that no other can be given: an end is better than silence.
            log.exception("the gateway failed while it answered %s %s", call.method, call.path)
            request.close()
        finally:
            entry.evidence.over = time.monotonic()
            entry.seconds = entry.evidence.over - began
            if not entry.evidence.refusal:
                entry.evidence.ended = self.clock.now()

    def _route(self, method: str, path: str) -> tuple[Dialect, str, Route | None, dict[str, str]] | None:
        """Whose path it is, what it is below the mount, its route there, and what that names in it. None where nobody has it."""
        full = straight(path)
        for dialect, routes in self._dialects:
            if full.startswith(dialect.mount + "/"):
                path = full.removeprefix(dialect.mount)
                for route in routes:
                    found = route.pattern.match(path) if route.method == method else None
                    if found:
                        return dialect, path, route, found.groupdict()
                return dialect, path, None, {}
        return None

    async def _respond(self, request: Request, dialect: Dialect, route: Route | None, call: Call, entry: Entry) -> None:
        fault = None
        try:
            if route is None:
                raise Refusal("no_route", path=call.path, method=call.method)
            entry.operation = route.operation
            self.keys.check(dialect.key(call))
            if route.handle is None:
                question = await self._read(route, call, entry)
                fault = self.faults.strike(dialect.provider, stream=question.stream, filtered=question.vectors is None)
                entry.fault = fault.kind if fault else ""
                if fault:
                    question = await self._before(fault, question)
                try:
                    response = await self._ask(dialect, route, call, question, entry)
                except Refusal:
                    self._spare(fault, entry)
                    raise
            elif self.upstream and dialect.has_upstream and not route.is_local:
                response = await _knowing_models(partial(self.upstream.pass_on, dialect, call, entry))
            else:
                response = await _knowing_models(partial(self._handle, route, call))
                if response.provenance:
                    entry.source = response.provenance
                    response.headers += _course_headers(response.provenance)
        except Cut as cut:  # the network failed on the way to the provider
            entry.note = str(cut)
            return request.reset()
        except Refusal as refusal:
            if refusal.kind in ("over_budget", "no_upstream"):  # what no provider would say
                entry.note = str(refusal)
            response = await self.work(len(call.body), dialect.error, refusal, call)
            entry.evidence.refusal = evidence.kind(refusal)
        except _Reset:
            entry.evidence.was_broken = True
            return request.reset()
        except Exception:
            log.exception("the gateway failed on %s %s", call.method, call.path)
            response = dialect.error(Refusal("server_error"), call)
            response.headers.append(("x-course-error", "internal"))
        entry.status = response.status
        evidence.of_response(response, entry.evidence, self.clock)
        try:
            await self._send(request, response, entry, dialect, fault)
        except (ConnectionError, asyncio.CancelledError):
            if response.when_left:
                response.when_left()
            raise
        finally:
            if response.when_sent:
                response.when_sent()

    async def _read(self, route: Route, call: Call, entry: Entry) -> Question:
        question = await _knowing_models(partial(self.work, _size(route, call), self._question, route, call, entry.evidence))
        entry.model, entry.facts = question.model.id, question.model.source
        return question

    def _question(self, route: Route, call: Call, found: Evidence) -> Question:
        """What a call asks a model, ready to be answered."""
        question = ready(route.read(call))
        question.operation = route.operation
        found.goes_on = self._broken.taken_for_whole(question)
        return question

    async def _handle(self, route: Route, call: Call) -> Response:
        answered = await self.work(_size(route, call), route.handle, call)
        return await answered if isawaitable(answered) else answered

    async def _before(self, fault: Fault, question: Question) -> Question:
        """What a fault does before any answer is made, or to the question."""
        refusal = fault.refusal()
        if refusal is not None:
            refusal.facts.setdefault("model", question.model.id)
            raise refusal
        if fault.kind == "overloaded_in_stream" and not question.stream:
            raise Refusal("overloaded", model=question.model.id)
        if fault.kind == "stalled" and not question.stream:
            await asyncio.sleep(STALL)
        if fault.kind == "connection_reset":
            raise _Reset
        return question.with_harm(ORDERED) if fault.kind in FILTERS else question

    def _spare(self, fault: Fault | None, entry: Entry) -> None:
        """A question that is refused has no answer for a fault to strike: the next one has."""
        if fault and fault.kind in IN_ANSWER:
            self.faults.restore(fault)
            entry.fault = ""

    # ---- the question ----------------------------------------------------
    async def _ask(self, dialect: Dialect, route: Route, call: Call, question: Question, entry: Entry) -> Response:
        if self.upstream and not self._is_ours(dialect, question) and question.harm is not ORDERED:
            if not dialect.has_upstream:
                raise Refusal("no_upstream", f"{dialect.mount} answers on this machine alone: in {self.mode} mode it has the house model by its own name, and no other.")
            return await self.upstream.forward(dialect, call, question, entry)
        dialect.admit(call, question)
        levels = self.quotas.take(question)
        try:
            source = _stopped(question) or await self._recorded(question) or await self._unrecorded(question)
            if isinstance(source, Captured):
                return self._replay(source, dialect, entry)
            answer = await self._compose(question, source)
        except BaseException:  # a client that goes away too
            self.quotas.settle(question, Usage())
            raise
        # The usage grows while the answer is written: the log knows it before the client has the last of it.
        entry.source, entry.usage, entry.tier = answer.provenance, answer.usage, question.tier
        if answer.usage.cache_read_tokens:
            self.quotas.spare(question, answer.usage.cache_read_tokens)
        settle = partial(self._settle, question, answer, entry)
        if question.background and route.begin:
            begun = route.begin(question, answer, settle)
            head = self._head(dialect, call, question, answer, levels)
            if question.stream:
                return Response(200, head, stream=begun.stream(), said=lambda: answer.choices[0].text)
            return Response(200, head, await self.work(len(call.body), begun.body))
        if question.stream:
            head = self._head(dialect, call, question, answer, levels)
            left = answer.stop if dialect.stops_when_left else None
            return Response(200, head, stream=route.stream(question, answer), when_sent=settle, when_left=left, said=lambda: answer.choices[0].text)
        try:
            await answer.finished()
            head = self._head(dialect, call, question, answer, levels)
            size = max(len(call.body), TOKEN * question.prompt_tokens)  # some answers repeat parts of the request
            size = size if answer.vectors is None else max(size, answer.vectors.nbytes)
            return Response(200, head, await self.work(size, route.write, question, answer), when_sent=settle)
        except BaseException:
            settle()
            raise

    def _settle(self, question: Question, answer: Answer, entry: Entry) -> None:
        """Count what was answered. The limits that an answer states are those before it was settled."""
        entry.usage = answer.usage
        self.quotas.settle(question, answer.usage)

    def _head(self, dialect: Dialect, call: Call, question: Question, answer: Answer, levels: dict[str, Level]) -> Headers:
        content_type = ("Content-Type", dialect.content_type(question))
        return [content_type, *dialect.headers(call, question, answer, levels), *_course_headers(answer.provenance), *model_headers(question.model)]

    def _is_ours(self, dialect: Dialect, question: Question) -> bool:
        """Our models by name are on this machine in every mode, unless a server of the learner's own takes their place."""
        return question.model.id in OURS and not (dialect.has_upstream and self.upstream and self.upstream.knows("compatible"))

    async def _recorded(self, question: Question) -> Draft | Captured | None:
        """What the program has set for it, or what is recorded. The many variations are read when they are first needed, beside the event loop."""
        if self.scripts and (told := await self.work(TOKEN * question.prompt_tokens, self.scripts.take, question)):
            return told
        found = self.recordings.exact(question)
        if found is None and self.recordings.may_vary(question):
            await in_thread(None, self.recordings.variations)
            found = self.recordings.nearly(question)
        return found

    async def _unrecorded(self, question: Question) -> None:
        """Our models answer what is not recorded. Raises Refusal in strict mode."""
        if self.strict and question.model.id not in OURS:
            nearest = await self.work(TOKEN * question.prompt_tokens, self.recordings.nearest, question)
            raise Refusal("no_recording", nearest=nearest.prompt[:80] if nearest else None, model=question.model.id)

    async def _compose(self, question: Question, draft: Draft | None) -> Answer:
        if question.vectors:
            return await self.embedder.answer(question, self.pace)
        is_free = draft is not None and draft.is_free
        cached = Usage() if is_free else await self.work(TOKEN * question.prompt_tokens, self.prompt_cache.account, question)
        if draft is None:
            return await self.house.answer(question, cached)
        return compose(question, draft, cached, 0 if question.batch else self.pace)

    async def answer(self, question: Question) -> Answer:
        """Answer a question that came inside a batch, at once and outside the quotas."""
        source = _stopped(question) or await self._recorded(question) or await self._unrecorded(question)
        if isinstance(source, Captured):
            raise Refusal("no_recording", model=question.model.id, nearest=None)
        answer = await self._compose(question, source)
        await answer.finished()
        self.meter.add_item(question.provider, question.model.id, answer.provenance, answer.usage, self.mode, self.clock.now())
        return answer

    def _replay(self, captured: Captured, dialect: Dialect, entry: Entry) -> Response:
        """The recorded bytes at the recorded times."""
        body = b"".join(chunk for _, chunk in captured.chunks)
        content_type = next((v for k, v in captured.headers if k.lower() == "content-type"), "application/json")
        entry.source, entry.usage = captured.provenance, dialect.stated_usage(body, content_type)
        began = time.monotonic()

        async def stream():
            for at, chunk in captured.chunks:
                await asyncio.sleep(max(0.0, began + at * self.pace - time.monotonic()))
                yield chunk

        headers = [*captured.headers, *_course_headers(captured.provenance)]
        return Response(captured.status, headers, stream=stream())

    # ---- sending ---------------------------------------------------------
    async def _send(self, request: Request, response: Response, entry: Entry, dialect: Dialect, fault: Fault | None) -> None:
        if fault and fault.kind == "slow":
            await asyncio.sleep(fault.seconds or SLOW)  # the answer is made: a client that does not wait for it is billed all the same
        headers = self._dated(response.headers)
        if response.stream is None:
            if fault and fault.kind == "stream_cut" and response.status == 200:
                entry.evidence.was_broken = True
                return await request.answer_half(response.status, headers, response.body)
            return await request.answer(response.status, headers, response.body)
        await request.start(response.status, headers)
        gone = events.Sent()
        try:
            if fault and fault.kind in IN_ANSWER:
                await self._send_until(fault, request, response, entry, gone)
            else:
                await self._send_whole(request, response.stream, gone, entry.evidence)
        except Refusal as refusal:  # an answer that cannot go on
            entry.note = entry.note if fault else str(refusal)[:LONGEST_NOTE]
            content_type = next((value for name, value in response.headers if name.lower() == "content-type"), dialect.stream_type)
            size = len(gone.first) + len(gone.last)  # which the end of some streams repeats
            await request.write(await self.work(size, dialect.stream_end, refusal, content_type, entry.operation, gone))
            await request.finish()

    def _dated(self, headers: Headers) -> Headers:
        """With the moment of the answer, as all servers of HTTP say it: of the clock by which limits fill up again, unless a provider said its own."""
        return headers if any(name == "date" for name, _ in headers) else [*headers, ("Date", http_date(int(self.clock.now())))]

    async def _send_whole(self, request: Request, chunks: AsyncIterator[bytes], gone: events.Sent, found: Evidence) -> None:
        sent_at = 0.0
        try:
            async with aclosing(chunks) as stream:
                async for chunk in stream:
                    await request.write(chunk)
                    gone.note(chunk)
                    sent_at = time.monotonic()
        except (ConnectionError, asyncio.CancelledError):
            evidence.of_leaving(time.monotonic() - sent_at if sent_at else None, found)
            raise
        await request.finish()

    async def _send_until(self, fault: Fault, request: Request, response: Response, entry: Entry, gone: events.Sent) -> None:
        """Send as many events as a fault lets through, and then do what it does: raise a Refusal where it ends the stream with an error."""
        sent, entry.evidence.was_broken = 0, True
        if response.said:
            self._broken.add(entry.number, response.said())
        async with aclosing(response.stream) as chunks, aclosing(events.whole(chunks, response.headers)) as whole:
            async for event in events.until(whole, fault.chunk):
                await request.write(event)
                gone.note(event)
                sent += 1
            if sent < fault.chunk:
                entry.note = f"the stream is short: it struck before its last event, after {sent}"
            if fault.kind == "overloaded_in_stream":
                raise Refusal("overloaded")
            if fault.kind == "stream_ended":  # properly, as a proxy may do: no error on the connection, and no end of the answer
                return await request.finish()
            if fault.kind == "stalled":
                await asyncio.sleep(STALL)
            request.close()


async def _knowing_models(action: Callable[[], Awaitable[T]]) -> T:
    """What an action returns. Where it names a model that the course does not have, other tables are read beside the event loop, and it begins anew.

    An action looks for its model before it changes anything.
    """
    try:
        return await action()
    except other_models.NotRead:
        await in_thread(None, other_models.read)
        return await action()


def _size(route: Route, call: Call) -> int:
    """The bytes of a call, with those of what it names."""
    return whole_size(len(call.body), partial(route.weigh, call)) if route.weigh else len(call.body)


class _Reset(Exception):
    """The connection is to be reset."""


def _stopped(question: Question) -> Draft | None:
    """The answer to what a filter of the provider's stops: none, and why. What a filter outside of the model stops of an answer is written first."""
    if question.harm is None or (question.harm.in_answer and question.filter_outside):
        return None
    played = Provenance("scripted", detail="a filter that the course plays")
    return Draft(("",), played, refusal="general_harms", is_free=question.filter_outside)


def _course_headers(provenance: Provenance) -> list[tuple[str, str]]:
    """Headers that say where an answer came from; no provider sends these."""
    source = ("x-course-source", provenance.kind)
    return [source, ("x-course-recording", provenance.recording)] if provenance.recording else [source]
