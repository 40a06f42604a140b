"""OpenAI's batches: a JSONL file in, a job that is polled, an output file and an error file out."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from helpers.gateway.batches import DAY, Batch, File, Item
from helpers.gateway.dialects.openai import batch_lines, files
from helpers.gateway.dialects.schema import STRING, checker, nullable, one_of, shape
from helpers.gateway.exchange import Question, Refusal, ready
from helpers.gateway.wire import Call, Dialect, Read, Response, Route, Write, hex_id, parse_json, random_id, route

ENDPOINTS = (
    "/v1/responses", "/v1/chat/completions", "/v1/embeddings", "/v1/completions", "/v1/moderations",
    "/v1/images/generations", "/v1/images/edits", "/v1/videos",
)  # fmt: skip
LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
SHORT = {"/v1/chat/completions": {"messages": [{"role": "user", "content": "-"}]}, "/v1/responses": {"input": "-"}, "/v1/embeddings": {"input": "-"}}
OVER = ("completed", "expired", "cancelled")  # there are files then
# Why a request was not answered. The codes and the first sentence are OpenAI's (its batch guide, its API reference).
UNDONE = {
    code: {"code": code, "message": message}
    for code, message in (
        ("batch_expired", "This request could not be executed before the completion window expired."),
        ("batch_cancelled", "This request was not executed before the batch was cancelled."),
    )
}
METADATA = {"type": "object", "additionalProperties": STRING, "maxProperties": 16}
check = checker(
    shape(
        "input_file_id endpoint completion_window",
        closed=True,
        input_file_id=STRING,
        endpoint=one_of(*ENDPOINTS),
        completion_window=one_of("24h"),
        metadata=nullable(METADATA),
        output_expires_after=nullable(files.EXPIRES_AFTER),
    )
)


class OpenAIBatches:
    """The routes under /v1/batches."""

    def __init__(self, dialect: Dialect, answerers: dict[str, tuple[Read, Write]]) -> None:
        """`answerers` holds, by endpoint, how a line of a batch is read and its answer written."""
        self._dialect = dialect
        self._answerers = answerers

    def routes(self) -> list[Route]:
        return [
            route("POST", "/v1/batches", "batches", handle=self.create),
            route("GET", "/v1/batches", "batches", handle=self.list),
            route("GET", "/v1/batches/(?P<id>[^/]+)", "batch", handle=self.get),
            route("POST", "/v1/batches/(?P<id>[^/]+)/cancel", "batch cancel", handle=self.cancel),
        ]

    async def create(self, call: Call) -> Response:
        check(call.json)
        body = call.json
        if body["endpoint"] not in self._answerers:
            raise Refusal("bad_value", f"This gateway runs batches of {' and '.join(self._answerers)}.", param="endpoint")
        lines = await self._read(call, body)

        async def run(item: Item) -> None:
            await self._run(call, body["endpoint"], item)

        details = {"body": body, "problems": lines.problems, "model": lines.model}
        items = [] if lines.problems else lines.items
        provider, slow = self._dialect.provider, None if lines.problems else call.services.faults.strike_batch(self._dialect.provider)
        batch = call.services.batches.create(hex_id("batch_", 32), provider, items, run, slow=slow, **details)
        batch.failed = bool(lines.problems)
        return self._dialect.ok(_body(batch, "validating"))

    async def list(self, call: Call) -> Response:
        rows = [await self._settled(call, batch) for batch in call.services.batches.of(self._dialect.provider)]
        ends = {"first_id": rows[0]["id"], "last_id": rows[-1]["id"]} if rows else {"first_id": None, "last_id": None}
        return self._dialect.ok({"object": "list", "data": rows, **ends, "has_more": False})

    async def get(self, call: Call) -> Response:
        return self._dialect.ok(await self._settled(call, self._find(call)))

    async def cancel(self, call: Call) -> Response:
        """Cancelling twice is allowed; what has ended otherwise is not cancelled any more."""
        batch, now = self._find(call), call.services.clock.now()
        if batch.cancelled is None and not batch.cancel(now):
            raise Refusal("conflict", f"Cannot cancel a batch with status '{_status(batch.state(now))}'.")
        return self._dialect.ok(_body(batch, _status(batch.state(now))))

    def _find(self, call: Call) -> Batch:
        batch = call.services.batches.get(self._dialect.provider, call.groups["id"])
        if batch is None:
            raise Refusal("not_found", f"No batch found with id '{call.groups['id']}'.")
        return batch

    async def _read(self, call: Call, body: dict[str, Any]) -> batch_lines.Lines:
        """The lines of the input file, off the event loop. Without that file too the batch is made, and fails."""
        file, today = files.find(call, body["input_file_id"]), call.services.clock.today()
        if file is None:
            text = f"Cannot find file {body['input_file_id']}, or organization the-course does not have access to it."
            return batch_lines.Lines(problems=[batch_lines.problem("invalid_request", text, "file_id")])

        def knows(name: str) -> bool:
            model = self._dialect.find(name)
            return model is not None and not model.is_retired(today)

        return await call.services.work(len(file.content), batch_lines.read, file.content, body["endpoint"], knows)

    def questions(self, call: Call) -> list[tuple[Question, dict[str, Any]]]:
        """The questions of a batch that is to be made, each with its body; none where its file is not here, or has a mistake."""
        check(call.json)
        file, endpoint = files.find(call, call.json["input_file_id"]), call.json["endpoint"]
        if file is None or endpoint not in self._answerers:
            return []
        lines = batch_lines.read(file.content, endpoint, lambda name: self._dialect.find(name) is not None)
        if lines.problems or any(_names_twice(item.request) for item in lines.items):
            return []
        found = [parse_json(item.request)["body"] for item in lines.items]
        return [(self._question(call, endpoint, body), body) for body in found]

    def _question(self, call: Call, endpoint: str, body: dict[str, Any]) -> Question:
        """The question of a body. Of one that this gateway refuses, which a provider might not, a short one with its model and limit."""
        read, _ = self._answerers[endpoint]
        try:
            return ready(read(call.with_json(body)))
        except Refusal:
            kept = {name: body[name] for name in ("model", *LIMITS) if name in body}
            return ready(read(call.with_json({**kept, **SHORT[endpoint]})))

    async def _run(self, call: Call, endpoint: str, item: Item) -> None:
        """Answer one line, with the body and the status that the endpoint itself would have given."""
        read, write = self._answerers[endpoint]

        def read_line() -> Question:
            question = replace(read(call.with_json(parse_json(item.request)["body"])), batch=True, stream=False, background=False)
            self._dialect.admit(call, question)
            return ready(question)

        try:
            question = await call.services.work(item.size, read_line)
            answer = await call.services.answer(question)
            status, body, item.ok = 200, json.loads(write(question, answer)), True
        except Refusal as refusal:
            response = self._dialect.error(refusal, call)
            status, body, item.ok = response.status, json.loads(response.body), False
        item.result = {"status_code": status, "request_id": hex_id("req_", 32), "body": body}

    async def _settled(self, call: Call, batch: Batch) -> dict[str, Any]:
        """A batch as it is now, with its files when it is over."""
        status = _status(await batch.settle(call.services.clock.now()))
        if status in OVER:
            if "ending" not in batch.details:
                batch.details["ending"] = asyncio.create_task(_write_outputs(call, batch))
            await asyncio.shield(batch.details["ending"])  # a client that goes away does not end it
        return await call.services.work(call.services.batches.size(batch), _body, batch, status)


def _names_twice(line: str) -> bool:
    """Whether JSON has an object with two fields of one name: which of them counts is for the provider to say."""
    twice = False

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        fields = dict(pairs)
        twice = twice or len(fields) < len(pairs)
        return fields

    json.loads(line, object_pairs_hook=note)
    return twice


def _body(batch: Batch, status: str) -> dict[str, Any]:
    body, started = batch.details["body"], status not in ("validating", "failed")
    completed, failed, usage = batch.details.get("totals") or _totals(batch)
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": body["endpoint"],
        "model": batch.details["model"] if started else None,
        "errors": {"object": "list", "data": batch.details["problems"]} if status == "failed" else None,
        "input_file_id": body["input_file_id"],
        "completion_window": "24h",
        "status": status,
        "output_file_id": batch.details.get("output_file_id"),
        "error_file_id": batch.details.get("error_file_id"),
        "created_at": int(batch.created),
        "in_progress_at": int(batch.started) if started else None,
        "expires_at": int(batch.created) + int(DAY),
        "finalizing_at": int(min(batch.finalizing, batch.expires)) if status in ("finalizing", "completed", "expired") else None,
        "completed_at": int(batch.ended) if status == "completed" else None,
        "failed_at": int(batch.started) if status == "failed" else None,
        "expired_at": int(batch.ended) if status == "expired" else None,
        "cancelling_at": int(batch.cancelled) if batch.cancelled else None,
        "cancelled_at": int(batch.ended) if status == "cancelled" else None,
        "request_counts": {"total": len(batch.items) if started else 0, "completed": completed, "failed": failed},
        "usage": usage,
        "metadata": body.get("metadata"),
    }


def _status(state: str) -> str:
    return {"running": "in_progress", "ended": "completed"}.get(state, state)


async def _write_outputs(call: Call, batch: Batch) -> None:
    """The output file and the error file, once and off the event loop: there may be 50,000 lines."""
    size = call.services.batches.size(batch)
    found = await call.services.work(size, _outputs, batch, call.services.clock.now())
    for name, file in found.items():
        call.services.batches.files[file.id] = file
        batch.details[f"{name}_file_id"] = file.id
    batch.details["totals"] = await call.services.work(size, _totals, batch)


def _outputs(batch: Batch, now: float) -> dict[str, File]:
    out, asked = {}, batch.details["body"].get("output_expires_after")
    why = UNDONE["batch_expired" if batch.cancelled is None else "batch_cancelled"]
    for name, kinds in (("output", (True,)), ("error", (False, None))):
        items = [item for item in batch.order if item.ok in kinds]
        rows = [{"id": hex_id("batch_req_", 32), "custom_id": i.custom_id, "response": i.result, "error": why if i.ok is None else None} for i in items]
        if rows:
            content = "".join(json.dumps(row) + "\n" for row in rows).encode()
            gone = files.expires(now, "batch_output", asked)
            out[name] = File(random_id("file-", 22), f"{batch.id}_{name}.jsonl", "batch_output", content, now, gone)
    return out


def _totals(batch: Batch) -> tuple[int, int, dict[str, Any]]:
    """How many lines were answered, how many were refused, and the tokens of all."""
    done = [item for item in batch.items if item.result is not None]
    failed = sum(item.ok is False for item in done)
    return len(done) - failed, failed, _usage(done)


def _usage(done: list[Item]) -> dict[str, Any]:
    """Token totals over all answered lines, in the names of the Responses API."""
    found = [item.result["body"].get("usage") or {} for item in done]
    given = sum(u.get("prompt_tokens", u.get("input_tokens", 0)) for u in found)
    made = sum(u.get("completion_tokens", u.get("output_tokens", 0)) for u in found)
    thought = [u.get("completion_tokens_details") or u.get("output_tokens_details") or {} for u in found]
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": sum(t.get("reasoning_tokens", 0) for t in thought)},
        "total_tokens": given + made,
    }
