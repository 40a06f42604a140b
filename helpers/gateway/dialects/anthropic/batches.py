"""Anthropic's message batches: requests in the body, no file; results as lines when all have ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from helpers.gateway.batches import DAY, Batch, Item
from helpers.gateway.clock import moment
from helpers.gateway.dialects.anthropic import messages as bodies
from helpers.gateway.dialects.anthropic import paging
from helpers.gateway.dialects.schema import OBJECT, checker, list_of, shape
from helpers.gateway.exchange import Question, Refusal, ready
from helpers.gateway.wire import Call, Dialect, Read, Response, Route, compact, random_id, route
from helpers.gateway.worker import whole_size

MOST_REQUESTS = 100_000
ONE = {"custom_id": {"type": "string", "maxLength": 64, "pattern": "^[a-zA-Z0-9_-]{1,64}$"}, "params": OBJECT}
check = checker(shape("requests", closed=True, requests=list_of(shape("custom_id params", closed=True, **ONE), minItems=1, maxItems=MOST_REQUESTS)))


class AnthropicBatches:
    """The routes under /v1/messages/batches."""

    def __init__(self, dialect: Dialect, version: Callable[[Call], str], read: Read, weigh: Callable[[Call], int]) -> None:
        """`version` reads the API version of a call, or refuses it; `read` the question of a line, `weigh` the bytes of what it names."""
        self._dialect, self._version, self._read, self._weigh = dialect, version, read, weigh

    def routes(self) -> list[Route]:
        one = "/v1/messages/batches/(?P<id>[^/]+)"
        return [
            route("POST", "/v1/messages/batches", "batches", handle=self.create),
            route("GET", "/v1/messages/batches", "batches", handle=self.list),
            route("GET", one, "batch", handle=self.get),
            route("DELETE", one, "batch", handle=self.delete),
            route("POST", one + "/cancel", "batch cancel", handle=self.cancel),
            route("GET", one + "/results", "batch results", handle=self.results),
        ]

    def create(self, call: Call) -> Response:
        self._version(call)
        check(call.json)
        requests = call.json["requests"]
        if len({r["custom_id"] for r in requests}) < len(requests):
            raise Refusal("bad_value", "requests: custom_id must be unique within a batch", param="requests")
        items = [Item(r["custom_id"], r["params"]) for r in requests]

        async def run(item: Item) -> None:
            await self._run(call, item)

        slow = call.services.faults.strike_batch("anthropic")
        batch = call.services.batches.create(random_id("msgbatch_01", 22), "anthropic", items, run, slow=slow)
        return self._dialect.ok(self._body(call, batch, "validating"))

    def questions(self, call: Call) -> list[tuple[Question, dict[str, Any]]]:
        """The questions of a batch that is to be made, each with its body. Raises Refusal."""
        self._version(call)
        check(call.json)
        return [(self._question(call, request["params"]), request["params"]) for request in call.json["requests"]]

    def _question(self, call: Call, params: dict[str, Any]) -> Question:
        """The question of a request. Of one that this gateway refuses, which a provider might not, a short one with its model and limit."""
        try:
            return ready(self._read(call.with_json(params)))
        except Refusal:
            kept = {name: params[name] for name in ("model", "max_tokens") if name in params}
            return ready(self._read(call.with_json({**kept, "messages": [{"role": "user", "content": "-"}]})))

    async def list(self, call: Call) -> Response:
        self._version(call)
        kept = call.services.batches.of("anthropic")
        part, has_more = paging.window([batch.id for batch in kept], call.query, "batch")
        return self._dialect.ok(paging.page([await self._settled(call, batch) for batch in kept[part]], has_more))

    async def get(self, call: Call) -> Response:
        batch = self._find(call)
        body = await self._settled(call, batch)
        running = body["processing_status"] == "in_progress"
        return self._dialect.ok(body, *([("retry-after", "10")] if running else []))

    async def cancel(self, call: Call) -> Response:
        batch = self._find(call)
        if not batch.cancel(call.services.clock.now()):
            raise Refusal("bad_value", f"Batch {batch.id} cannot be canceled: it has ended.", param="id")
        return self._dialect.ok(self._body(call, batch, "cancelling"))

    async def delete(self, call: Call) -> Response:
        batch = self._find(call)
        if _status(await _settle(call, batch)) != "ended":
            raise Refusal("bad_value", f"Batch {batch.id} has to end, or be canceled, before it can be deleted.", param="id")
        call.services.batches.remove(batch)
        return self._dialect.ok({"id": batch.id, "type": "message_batch_deleted"})

    async def results(self, call: Call) -> Response:
        batch = self._find(call)
        state = await _settle(call, batch)
        if _status(state) != "ended":
            raise Refusal("not_found", f"Message Batch {batch.id} has no available results.")
        headers = [("Content-Type", "application/x-jsonl"), ("request-id", random_id("req_01", 22)), *self._dialect.account]
        return Response(200, headers, await call.services.work(call.services.batches.size(batch), _results, batch))

    def _find(self, call: Call) -> Batch:
        self._version(call)
        batch = call.services.batches.get("anthropic", call.groups["id"])
        if batch is None:
            raise Refusal("not_found", f"Message Batch {call.groups['id']} not found.")
        return batch

    async def _settled(self, call: Call, batch: Batch) -> dict[str, Any]:
        """A batch as it is now."""
        state = await _settle(call, batch)
        return await call.services.work(call.services.batches.size(batch), self._body, call, batch, state)

    async def _run(self, call: Call, item: Item) -> None:
        line = call.with_json(item.request)

        def question() -> Question:
            return ready(replace(self._read(line), batch=True, stream=False))

        try:
            size = whole_size(item.size, lambda: self._weigh(line))
            answer = await call.services.answer(await call.services.work(size, question))
            item.ok, item.result = True, {"type": "succeeded", "message": bodies.message_body(answer, bodies.message_id())}
        except Refusal as refusal:
            error = json.loads(self._dialect.error(refusal, call).body)
            item.ok, item.result = False, {"type": "errored", "error": error}

    def _body(self, call: Call, batch: Batch, state: str) -> dict[str, Any]:
        status = _status(state)
        ended = status == "ended"
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": _counts(batch, ended),
            "ended_at": _time(batch.ended) if ended else None,
            "created_at": _time(batch.created),
            "expires_at": _time(batch.created + DAY),
            "archived_at": None,
            "cancel_initiated_at": _time(batch.cancelled) if batch.cancelled else None,
            "results_url": f"{call.base_url}/v1/messages/batches/{batch.id}/results" if ended else None,
        }


def _results(batch: Batch) -> bytes:
    """The results as lines."""
    undone = {"type": _undone(batch)}
    rows = ({"custom_id": item.custom_id, "result": item.result or undone} for item in batch.order)
    return b"".join(compact(row) + b"\n" for row in rows)


def _counts(batch: Batch, ended: bool) -> dict[str, int]:
    """All in processing until the whole batch ends; only then are they told apart."""
    counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
    for item in batch.items:
        name = {True: "succeeded", False: "errored", None: _undone(batch)}[item.ok] if ended else "processing"
        counts[name] += 1
    return counts


def _undone(batch: Batch) -> str:
    """What became of the requests that were not answered."""
    return "expired" if batch.cancelled is None else "canceled"


def _status(state: str) -> str:
    return {"ended": "ended", "expired": "ended", "cancelled": "ended", "cancelling": "canceling"}.get(state, "in_progress")


async def _settle(call: Call, batch: Batch) -> str:
    return await batch.settle(call.services.clock.now())


def _time(seconds: float) -> str:
    """Microseconds and +00:00, unlike the times in Anthropic's headers."""
    return moment(seconds).isoformat(timespec="microseconds")
