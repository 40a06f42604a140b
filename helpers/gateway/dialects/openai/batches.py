"""OpenAI's files and batches: a JSONL file in, a job that is polled, an output file and an error file out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tornado.httputil import HTTPFile, HTTPInputError, parse_multipart_form_data

from helpers.gateway.batches import DAY, Batch, File, Item
from helpers.gateway.dialects.schema import OBJECT, STRING, checker, nullable, one_of, shape
from helpers.gateway.exchange import Question, Refusal, ready
from helpers.gateway.wire import Call, Dialect, Headers, Read, Response, Route, Write, hex_id, parse_json, random_id, route

MOST_LINES = 50_000
MONTH = 30 * DAY
check = checker(
    shape(
        "input_file_id endpoint completion_window",
        closed=True,
        input_file_id=STRING,
        endpoint=one_of("/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/completions", "/v1/moderations"),
        completion_window=one_of("24h"),
        metadata=nullable(OBJECT),
        output_expires_after=OBJECT,
    )
)
check_line = checker(
    shape("custom_id method url body", custom_id=STRING, method=one_of("POST"), url=STRING, body=OBJECT)
)


class OpenAIBatches:
    """The routes under /v1/files and /v1/batches."""

    def __init__(self, dialect: Dialect, base_headers: Callable[[], Headers], answerers: dict[str, tuple[Read, Write]]) -> None:
        """`answerers` holds, by endpoint, how a line of a batch is read and its answer written."""
        self._dialect = dialect
        self._base_headers = base_headers
        self._answerers = answerers

    def routes(self) -> list[Route]:
        return [
            route("POST", "/v1/files", "files", handle=self.upload),
            route("GET", "/v1/files", "files", handle=self.list_files),
            route("GET", "/v1/files/(?P<id>[^/]+)", "file", handle=self.get_file),
            route("DELETE", "/v1/files/(?P<id>[^/]+)", "file", handle=self.delete_file),
            route("GET", "/v1/files/(?P<id>[^/]+)/content", "file content", handle=self.content),
            route("POST", "/v1/batches", "batches", handle=self.create),
            route("GET", "/v1/batches", "batches", handle=self.list_batches),
            route("GET", "/v1/batches/(?P<id>[^/]+)", "batch", handle=self.get_batch),
            route("POST", "/v1/batches/(?P<id>[^/]+)/cancel", "batch cancel", handle=self.cancel),
        ]

    # ---- files -----------------------------------------------------------
    def upload(self, call: Call) -> Response:
        fields = _multipart(call)
        if "file" not in fields or "purpose" not in fields:
            raise Refusal("missing", param="purpose" if "file" in fields else "file")
        name, content = fields["file"]
        now = call.services.clock.now()
        file = File(random_id("file-", 22), name or "upload", fields["purpose"][1].decode("utf-8", "replace"), content, now)
        call.services.batches.files[file.id] = file
        return self._dialect.ok(_file_body(file))

    async def list_files(self, call: Call) -> Response:
        rows = [_file_body(file) for file in reversed(call.services.batches.files.values())]
        return self._dialect.ok({"object": "list", "data": rows, "has_more": False})

    async def get_file(self, call: Call) -> Response:
        return self._dialect.ok(_file_body(_file(call, call.groups["id"])))

    async def delete_file(self, call: Call) -> Response:
        file = _file(call, call.groups["id"])
        del call.services.batches.files[file.id]
        return self._dialect.ok({"object": "file", "deleted": True, "id": file.id})

    async def content(self, call: Call) -> Response:
        file = _file(call, call.groups["id"])
        headers = [("Content-Type", "application/octet-stream"), ("content-disposition", f'attachment; filename="{_ascii(file.name)}"')]
        return Response(200, [*headers, *self._base_headers()], file.content)

    # ---- batches ---------------------------------------------------------
    async def create(self, call: Call) -> Response:
        check(call.json)
        body = call.json
        if body["endpoint"] not in self._answerers:
            raise Refusal("bad_value", f"This gateway runs batches of {' and '.join(self._answerers)}.", param="endpoint")
        file = _file(call, body["input_file_id"])
        items, problems = await call.services.work(len(file.content), _lines, file, body["endpoint"])

        async def run(item: Item) -> None:
            await self._run(call, body["endpoint"], item)

        batch = call.services.batches.create(hex_id("batch_", 32), self._dialect.provider, items, run, body=body, problems=problems)
        batch.failed = bool(problems)
        return self._dialect.ok(self._batch_body(call, batch, "validating"))

    async def list_batches(self, call: Call) -> Response:
        rows = [self._batch_body(call, b, await _settle(call, b)) for b in call.services.batches.of(self._dialect.provider)]
        ends = {"first_id": rows[0]["id"], "last_id": rows[-1]["id"]} if rows else {"first_id": None, "last_id": None}
        return self._dialect.ok({"object": "list", "data": rows, **ends, "has_more": False})

    async def get_batch(self, call: Call) -> Response:
        batch = self._find(call)
        return self._dialect.ok(self._batch_body(call, batch, await _settle(call, batch)))

    async def cancel(self, call: Call) -> Response:
        batch = self._find(call)
        if not batch.cancel(call.services.clock.now()):
            raise Refusal("conflict", f"Cannot cancel a batch with status '{_status(batch.state(call.services.clock.now()))}'.")
        return self._dialect.ok(self._batch_body(call, batch, "cancelling"))

    def _find(self, call: Call) -> Batch:
        batch = call.services.batches.get(self._dialect.provider, call.groups["id"])
        if batch is None:
            raise Refusal("not_found", f"No batch found with id '{call.groups['id']}'.")
        return batch

    async def _run(self, call: Call, endpoint: str, item: Item) -> None:
        """Answer one line, with the body and the status that the endpoint itself would have given."""
        read, write = self._answerers[endpoint]

        def read_line() -> Question:
            return ready(replace(read(call.with_json(item.request["body"])), batch=True, stream=False))

        try:
            question = await call.services.work(item.size, read_line)
            answer = await call.services.answer(question)
            status, body, item.ok = 200, json.loads(write(question, answer)), True
        except Refusal as refusal:
            response = self._dialect.error(refusal, call)
            status, body, item.ok = response.status, json.loads(response.body), False
        item.result = {"status_code": status, "request_id": hex_id("req_", 32), "body": body}

    def _batch_body(self, call: Call, batch: Batch, state: str) -> dict[str, Any]:
        status, body = _status(state), batch.details["body"]
        done = [item for item in batch.items if item.result is not None]
        failed = sum(item.ok is False for item in done)
        started = status not in ("validating", "failed")
        if status == "completed":
            _write_outputs(call, batch)
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": body["endpoint"],
            "model": batch.items[0].request["body"].get("model") if started and batch.items else None,
            "errors": {"object": "list", "data": batch.details["problems"]} if status == "failed" else None,
            "input_file_id": body["input_file_id"],
            "completion_window": "24h",
            "status": status,
            "output_file_id": batch.details.get("output_file_id"),
            "error_file_id": batch.details.get("error_file_id"),
            "created_at": int(batch.created),
            "in_progress_at": int(batch.started) if started else None,
            "expires_at": int(batch.created) + int(DAY),
            "finalizing_at": int(batch.finalizing) if status in ("finalizing", "completed") else None,
            "completed_at": int(batch.ended) if status == "completed" else None,
            "failed_at": int(batch.started) if status == "failed" else None,
            "expired_at": None,
            "cancelling_at": int(batch.cancelled) if batch.cancelled else None,
            "cancelled_at": int(batch.ended) if status == "cancelled" else None,
            "request_counts": {"total": len(batch.items) if started else 0, "completed": len(done) - failed, "failed": failed},
            "usage": _usage(done),
            "metadata": body.get("metadata"),
        }


async def _settle(call: Call, batch: Batch) -> str:
    return await batch.settle(call.services.clock.now())


def _status(state: str) -> str:
    return {"running": "in_progress", "ended": "completed"}.get(state, state)


def _lines(file: File, endpoint: str) -> tuple[list[Item], list[dict[str, Any]]]:
    """The requests of an input file, and what is wrong with it: the batch then fails, and nothing is thrown."""
    items, problems = [], []
    for number, text in enumerate(file.content.decode("utf-8", "replace").splitlines(), start=1):
        if not text.strip():
            continue
        try:
            line = parse_json(text)
            check_line(line)
            if line["url"] != endpoint:
                raise ValueError(f"url {line['url']!r} is not the batch's endpoint {endpoint!r}")
            items.append(Item(line["custom_id"], line))
        except (ValueError, Refusal, TypeError) as error:
            problems.append({"code": "invalid_json_line", "message": f"{error}", "param": None, "line": number})
    names = [item.custom_id for item in items]
    if len(set(names)) < len(names):
        problems.append({"code": "duplicate_custom_id", "message": "A custom_id stands on more than one line.", "param": "custom_id", "line": None})
    if not items and not problems:
        problems.append({"code": "empty_file", "message": "The input file has no requests.", "param": None, "line": None})
    if len(items) > MOST_LINES:
        problems.append({"code": "too_many_tasks", "message": f"A batch has at most {MOST_LINES} requests.", "param": None, "line": None})
    return items, problems


def _write_outputs(call: Call, batch: Batch) -> None:
    """The output file and the error file, once."""
    for name, ok in (("output", True), ("error", False)):
        items = [item for item in batch.items if item.ok is ok]
        if items and f"{name}_file_id" not in batch.details:
            rows = [{"id": hex_id("batch_req_", 32), "custom_id": i.custom_id, "response": i.result, "error": None} for i in items]
            content = "".join(json.dumps(row) + "\n" for row in rows).encode()
            file = File(random_id("file-", 22), f"{batch.id}_{name}.jsonl", "batch_output", content, call.services.clock.now())
            call.services.batches.files[file.id] = file
            batch.details[f"{name}_file_id"] = file.id


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


def _file(call: Call, id: str) -> File:
    file = call.services.batches.files.get(id)
    if file is None:
        raise Refusal("not_found", f"No such File object: {id}", param="id")
    return file


def _file_body(file: File) -> dict[str, Any]:
    return {
        "object": "file",
        "id": file.id,
        "purpose": file.purpose,
        "filename": file.name,
        "bytes": len(file.content),
        "created_at": int(file.created),
        "expires_at": int(file.created + MONTH) if file.purpose.startswith("batch") else None,
        "status": "processed",
        "status_details": None,
    }


def _ascii(name: str) -> str:
    """A file's name as a header can carry it."""
    return re.sub(r'[^ -~]|["\\]', "_", name)


def _multipart(call: Call) -> dict[str, tuple[str, bytes]]:
    """The fields of a multipart form as (file name, content)."""
    content_type = call.headers.get("content-type", "")
    boundary = content_type.partition("boundary=")[2].strip('"').encode()
    if not content_type.startswith("multipart/form-data") or not boundary:
        raise Refusal("bad_json", "a file is uploaded as multipart/form-data")
    fields: dict[str, list[bytes]] = {}
    files: dict[str, list[HTTPFile]] = {}
    try:
        parse_multipart_form_data(boundary, call.body, fields, files)
    except HTTPInputError as error:
        raise Refusal("bad_json", str(error)) from None
    plain = {name: ("", values[-1]) for name, values in fields.items()}
    return plain | {name: (found[-1]["filename"], found[-1]["body"]) for name, found in files.items()}
