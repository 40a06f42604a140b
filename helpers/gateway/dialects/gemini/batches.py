"""Gemini's batches: inline requests, an operation that is polled, inline results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from helpers.gateway.batches import Batch, Item
from helpers.gateway.dialects.gemini import contents as bodies
from helpers.gateway.dialects.gemini.caches import timestamp
from helpers.gateway.dialects.gemini.errors import batch_error
from helpers.gateway.dialects.gemini.fields import GENERATE, normalised
from helpers.gateway.dialects.schema import ANY, OBJECT, STRING, checker, list_of, shape
from helpers.gateway.exchange import Question, Refusal, ready
from helpers.gateway.wire import Call, Dialect, Read, Response, Route, random_id, route
from helpers.models import Model

ONE = shape("request", closed=True, request=GENERATE, metadata=OBJECT)
INPUT = shape(closed=True, requests=shape("requests", closed=True, requests=list_of(ONE)), fileName=STRING)
MORE = {name: ANY for name in ("priority", "webhookConfig")}
BATCH = shape("inputConfig", closed=True, displayName=STRING, inputConfig=INPUT, model=STRING, name=STRING, **MORE)
CREATE = shape("batch", closed=True, batch=BATCH)
check = checker(CREATE)
GOOGLE = "type.googleapis.com/google.ai.generativelanguage.v1main."
STATES = {
    "validating": "PENDING",
    "running": "RUNNING",
    "finalizing": "RUNNING",
    "cancelling": "RUNNING",
    "cancelled": "CANCELLED",
    "ended": "SUCCEEDED",
}


class GeminiBatches:
    """The routes of batchGenerateContent and batches/. Requests in a file are not offered."""

    def __init__(self, dialect: Dialect, named_model: Callable[[Call], Model], read: Read) -> None:
        """`named_model` finds the model in a call's path; `read` reads the question of an inline request."""
        self._dialect, self._named_model, self._read = dialect, named_model, read

    def routes(self, version: str) -> list[Route]:
        one = version + "/batches/(?P<id>[^/:]+)"
        return [
            route("POST", version + "/models/(?P<model>[^/:]+):batchGenerateContent", "batches", handle=self.create),
            route("GET", version + "/batches", "batches", handle=self.list),
            route("GET", one, "batch", handle=self.get),
            route("POST", one + ":cancel", "batch cancel", handle=self.cancel),
            route("DELETE", one, "batch", handle=self.delete),
        ]

    def create(self, call: Call) -> Response:
        model = self._named_model(call)
        body = normalised(call.json, CREATE)
        check(body)
        requests = _requests(body["batch"]["inputConfig"])
        items = [Item(str(number), request) for number, request in enumerate(requests)]

        async def run(item: Item) -> None:
            await self._run(call, item)

        id = random_id("", 36, "abcdefghijklmnopqrstuvwxyz0123456789")
        details = {"model": model.id, "name": body["batch"].get("displayName", "")}
        batch = call.services.batches.create(f"batches/{id}", "gemini", items, run, **details)
        return self._dialect.ok(_body(batch, "validating"))

    async def list(self, call: Call) -> Response:
        rows = [await _settled(call, b) for b in call.services.batches.of("gemini")]
        return self._dialect.ok({"operations": rows} if rows else {})

    async def get(self, call: Call) -> Response:
        batch = self._find(call)
        return await call.services.work(2 * call.services.batches.size(batch), self._dialect.ok, await _settled(call, batch))

    async def cancel(self, call: Call) -> Response:
        # Best effort, as the reference has it: a batch that has ended stays as it is.
        self._find(call).cancel(call.services.clock.now())
        return self._dialect.ok({})

    async def delete(self, call: Call) -> Response:
        call.services.batches.remove(self._find(call))
        return self._dialect.ok({})

    def _find(self, call: Call) -> Batch:
        batch = call.services.batches.get("gemini", "batches/" + call.groups["id"])
        if batch is None:
            raise Refusal("not_found", "Requested entity was not found.")
        return batch

    async def _run(self, call: Call, item: Item) -> None:
        metadata = {"metadata": item.request["metadata"]} if "metadata" in item.request else {}

        def question() -> Question:
            return ready(replace(self._read(call.with_json(item.request["request"])), batch=True))

        try:
            answer = await call.services.answer(await call.services.work(item.size, question))
            item.ok, item.result = True, {"response": bodies.response_body(answer), **metadata}
        except Refusal as refusal:
            item.ok, item.result = False, {"error": batch_error(refusal, call), **metadata}


def _requests(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The requests that stand in the body. Raises Refusal for a file: this gateway keeps none."""
    if "fileName" in config:
        name = config["fileName"].removeprefix("files/")
        raise Refusal("forbidden", f"You do not have permission to access the File {name} or it may not exist.")
    requests = config.get("requests", {}).get("requests")
    if not requests:
        raise Refusal("missing", param="batch.inputConfig.requests")
    return requests


async def _settled(call: Call, batch: Batch) -> dict[str, Any]:
    """A batch as it is now."""
    state = await batch.settle(call.services.clock.now())
    return await call.services.work(call.services.batches.size(batch), _body, batch, state)


def _body(batch: Batch, state: str) -> dict[str, Any]:
    name = STATES[state]
    ended = name in ("SUCCEEDED", "CANCELLED")
    metadata = {
        "@type": GOOGLE + "GenerateContentBatch",
        "model": f"models/{batch.details['model']}",
        "displayName": batch.details["name"],
        "createTime": timestamp(batch.created),
        "updateTime": timestamp(batch.ended if ended else batch.created),
        "batchStats": _stats(batch, ended),
        "state": f"BATCH_STATE_{name}",
        "name": batch.id,
    }
    body: dict[str, Any] = {"name": batch.id, "metadata": metadata}
    if ended:
        metadata["endTime"] = timestamp(batch.ended)
        body["done"] = True
    if name == "CANCELLED":
        body["error"] = {"code": 1, "message": "The operation was cancelled."}
    if name == "SUCCEEDED":
        # The results stand twice: Google's SDK reads those in the metadata.
        metadata["output"] = {"inlinedResponses": {"inlinedResponses": [item.result for item in batch.items]}}
        body["response"] = {"@type": GOOGLE + "GenerateContentBatchOutput", **metadata["output"]}
    return body


def _stats(batch: Batch, ended: bool) -> dict[str, str]:
    """Counts as strings, as JSON carries 64-bit numbers; zeros are left out."""
    counts = {
        "requestCount": len(batch.items),
        "pendingRequestCount": 0 if ended else len(batch.items),
        "successfulRequestCount": sum(item.ok is True for item in batch.items),
        "failedRequestCount": sum(item.ok is False for item in batch.items),
    }
    return {name: str(count) for name, count in counts.items() if count}
