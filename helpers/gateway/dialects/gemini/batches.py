"""Gemini's batches: requests in the body or in a file, an operation that is polled, results in it or in a file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from helpers.gateway.batches import DAY, Batch, File, Item
from helpers.gateway.dialects.gemini import contents as bodies
from helpers.gateway.dialects.gemini import files
from helpers.gateway.dialects.gemini.errors import batch_error
from helpers.gateway.dialects.gemini.fields import GENERATE, normalised
from helpers.gateway.dialects.gemini.owners import owner
from helpers.gateway.dialects.gemini.pages import page
from helpers.gateway.dialects.gemini.times import timestamp
from helpers.gateway.dialects.schema import ANY, OBJECT, STRING, checker, list_of, shape
from helpers.gateway.exchange import Question, Refusal, ready
from helpers.gateway.wire import Call, Dialect, Read, Response, Route, compact, parse_json, random_id, route
from helpers.gateway.worker import whole_size
from helpers.models import Model

WINDOW = 2 * DAY  # seconds: a job expires that "was running or pending for more than 48 hours" (Batch API guide, as of 2026-11)
ONE = shape("request", closed=True, request=GENERATE, metadata=OBJECT)
INPUT = shape(closed=True, requests=shape("requests", closed=True, requests=list_of(ONE)), fileName=STRING)
MORE = {name: ANY for name in ("priority", "webhookConfig")}
BATCH = shape("inputConfig", closed=True, displayName=STRING, inputConfig=INPUT, model=STRING, name=STRING, **MORE)
CREATE = shape("batch", closed=True, batch=BATCH)
check = checker(CREATE)
LINE = shape("request", closed=True, key=STRING, request=GENERATE)
check_line = checker(LINE)
GOOGLE = "type.googleapis.com/google.ai.generativelanguage.v1main."
STATES = {
    "validating": "PENDING",
    "running": "RUNNING",
    "finalizing": "RUNNING",
    "cancelling": "RUNNING",
    "cancelled": "CANCELLED",
    "ended": "SUCCEEDED",
    "expired": "EXPIRED",
}


class GeminiBatches:
    """The routes of batchGenerateContent and batches/."""

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

    async def create(self, call: Call) -> Response:
        model = self._named_model(call)
        body = await call.services.work(len(call.body), _checked, call)
        given = body["batch"]["inputConfig"]
        file = files.named(call, "files/" + given["fileName"].removeprefix("files/")) if "fileName" in given else None
        items = await call.services.work(len(file.content), _lines, file) if file else _requests(given)

        async def run(item: Item) -> None:
            await (self._run_line if file else self._run)(call, item)

        id = random_id("", 36, "abcdefghijklmnopqrstuvwxyz0123456789")
        details = {"model": model.id, "name": body["batch"].get("displayName", ""), "file": f"files/batch-{id}" if file else None, "owner": owner(call)}
        slow = call.services.faults.strike_batch("gemini")
        batch = call.services.batches.create(f"batches/{id}", "gemini", items, run, window=WINDOW, slow=slow, **details)
        return self._dialect.ok(_body(batch, "validating"))

    def questions(self, call: Call) -> list[tuple[Question, dict[str, Any]]]:
        """The questions of a batch that is to be made, each with its body; none where they stand in a file. Raises Refusal."""
        given = _checked(call)["batch"]["inputConfig"]
        bodies = [] if "fileName" in given else [item.request["request"] for item in _requests(given)]
        return [(ready(self._read(call.with_json(body))), body) for body in bodies]

    async def list(self, call: Call) -> Response:
        shown, more = page(call, call.services.batches.of("gemini"), lambda batch: batch.id, 100, 1000)
        return self._dialect.ok({"operations": [await _settled(call, batch) for batch in shown], **more} if shown else {})

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
        await self._answer(call, item, lambda: item.request["request"], metadata)

    async def _run_line(self, call: Call, item: Item) -> None:
        """A line of a file. One that is no request is an error of its own."""
        named: dict[str, Any] = {}

        def request() -> dict[str, Any]:
            line = _parsed(item.request)
            if isinstance(line.get("key"), str):
                named["key"] = line["key"]
            check_line(line)
            return line["request"]

        await self._answer(call, item, request, named)

    async def _answer(self, call: Call, item: Item, request: Callable[[], dict[str, Any]], named: dict[str, Any]) -> None:
        """Answer one request; its result bears what it was named by."""

        def question() -> Question:
            return ready(replace(self._read(call.with_json(request())), batch=True))

        try:
            size = whole_size(item.size, lambda: files.weight(call, compact(request())))
            answer = await call.services.answer(await call.services.work(size, question))
            item.ok, item.result = True, {"response": bodies.response_body(answer), **named}
        except Refusal as refusal:
            item.ok, item.result = False, {"error": batch_error(refusal, call), **named}


def _checked(call: Call) -> dict[str, Any]:
    body = normalised(call.json, CREATE)
    check(body)
    return body


def _requests(config: dict[str, Any]) -> list[Item]:
    """The requests that stand in the body. Raises Refusal where there are none."""
    requests = config.get("requests", {}).get("requests")
    if not requests:
        raise Refusal("missing", param="batch.inputConfig.requests")
    return [Item(str(number), request) for number, request in enumerate(requests)]


def _lines(file: File) -> list[Item]:
    """The lines of a file, as text, which takes a tenth of the memory. Raises Refusal where there are none."""
    lines = [line for line in file.content.decode("utf-8", "replace").split("\n") if line.strip()]
    if not lines:
        raise Refusal("bad_value", f"The file {file.id} has no requests.", param="batch.inputConfig.fileName")
    return [Item(str(number), line) for number, line in enumerate(lines)]


def _parsed(text: str) -> dict[str, Any]:
    """A line as its fields are named. Raises Refusal for one that is no JSON object."""
    try:
        line = parse_json(text)
    except ValueError as error:
        raise Refusal("bad_json", str(error)) from None
    if not isinstance(line, dict):
        raise Refusal("bad_json", "the line is not a JSON object")
    return normalised(line, LINE)


async def _settled(call: Call, batch: Batch) -> dict[str, Any]:
    """A batch as it is now, with its file when it has succeeded."""
    state = await batch.settle(call.services.clock.now())
    if state == "ended" and batch.details["file"]:
        if "ending" not in batch.details:
            batch.details["ending"] = asyncio.create_task(_write_file(call, batch))
        await asyncio.shield(batch.details["ending"])  # a client that goes away does not end it
    return await call.services.work(call.services.batches.size(batch), _body, batch, state)


async def _write_file(call: Call, batch: Batch) -> None:
    """The results as a file of lines, in the order of the requests; once, and off the event loop."""

    name, now = batch.details["file"], call.services.clock.now()

    def written() -> File:
        return files.generated(name, b"".join(compact(item.result) + b"\n" for item in batch.items), now, batch.details["owner"])

    call.services.batches.files[name] = await call.services.work(call.services.batches.size(batch), written)


def _body(batch: Batch, state: str) -> dict[str, Any]:
    name = STATES[state]
    ended = name in ("SUCCEEDED", "CANCELLED", "EXPIRED")
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
    if name == "EXPIRED":
        body["error"] = {"code": 4, "message": "The operation expired."}
    if name == "SUCCEEDED":
        # The results, or the name of their file, stand twice: Google's SDK reads those in the metadata.
        inline = {"inlinedResponses": {"inlinedResponses": [item.result for item in batch.items]}}
        metadata["output"] = {"responsesFile": batch.details["file"]} if batch.details["file"] else inline
        body["response"] = {"@type": GOOGLE + "GenerateContentBatchOutput", **metadata["output"]}
    return body


def _stats(batch: Batch, ended: bool) -> dict[str, str]:
    """Counts as strings, as JSON carries 64-bit numbers; zeros are left out."""
    counts = {
        "requestCount": len(batch.items),
        "pendingRequestCount": 0 if ended else len(batch.items) - batch.answered,
        "successfulRequestCount": sum(item.ok is True for item in batch.items),
        "failedRequestCount": sum(item.ok is False for item in batch.items),
    }
    return {name: str(count) for name, count in counts.items() if count}
