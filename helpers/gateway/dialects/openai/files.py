"""OpenAI's files: uploads as a multipart form, what is kept of them, and for how long."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from helpers.gateway.batches import DAY, File
from helpers.gateway.dialects import multipart
from helpers.gateway.dialects.openai.errors import refused
from helpers.gateway.dialects.schema import STRING, between, checker, one_of, shape
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import Call, Dialect, Headers, Response, Route, random_id, route

PURPOSES = ("fine-tune", "assistants", "batch", "user_data", "vision", "evals")
LARGEST_BATCH_FILE = 200 * 1024**2  # bytes
MONTH = 30 * DAY
# How long a file, or the output of a batch, is kept: an hour to 30 days (API reference, as in openai 3.57).
EXPIRES_AFTER = shape("anchor seconds", closed=True, anchor=one_of("created_at"), seconds=between("integer", 3600, int(MONTH)))
check_form = checker(shape("file purpose", file=STRING, purpose=STRING, expires_after=EXPIRES_AFTER))


class OpenAIFiles:
    """The routes under /v1/files."""

    def __init__(self, dialect: Dialect, base_headers: Callable[[], Headers]) -> None:
        self._dialect, self._base_headers = dialect, base_headers

    def routes(self) -> list[Route]:
        return [
            route("POST", "/v1/files", "files", handle=self.upload),
            route("GET", "/v1/files", "files", handle=self.list),
            route("GET", "/v1/files/(?P<id>[^/]+)", "file", handle=self.get),
            route("DELETE", "/v1/files/(?P<id>[^/]+)", "file", handle=self.delete),
            route("GET", "/v1/files/(?P<id>[^/]+)/content", "file content", handle=self.content),
        ]

    async def upload(self, call: Call) -> Response:
        file = await call.services.work(len(call.body), _uploaded, call)  # up to 200 MB are read
        call.services.batches.files[file.id] = file
        return self._dialect.ok(_body(file))

    async def list(self, call: Call) -> Response:
        purpose = call.query.get("purpose")
        now = call.services.clock.now()
        kept = [file for file in reversed(call.services.batches.files.values()) if file.provider == "openai" and not file.is_gone(now)]
        return self._dialect.ok({"object": "list", "data": [_body(f) for f in kept if purpose in (None, f.purpose)], "has_more": False})

    async def get(self, call: Call) -> Response:
        return self._dialect.ok(_body(_named(call)))

    async def delete(self, call: Call) -> Response:
        file = _named(call)
        del call.services.batches.files[file.id]
        return self._dialect.ok({"object": "file", "deleted": True, "id": file.id})

    async def content(self, call: Call) -> Response:
        file = _named(call)
        headers = [("Content-Type", "application/octet-stream"), ("content-disposition", f'attachment; filename="{_ascii(file.name)}"')]
        return Response(200, [*headers, *self._base_headers()], file.content)


def batch_file(call: Call) -> File | None:
    """The file that a call uploads for a batch; None for one with another purpose. Raises Refusal."""
    file = _uploaded(call)
    return file if file.purpose == "batch" else None


def find(call: Call, id: str) -> File | None:
    """A file that is still kept, by the course's clock."""
    file = call.services.batches.files.get(id)
    return None if file is None or file.provider != "openai" or file.is_gone(call.services.clock.now()) else file


def expires(created: float, purpose: str, asked: dict[str, Any] | None) -> float | None:
    """When a file goes: as asked; else after 30 days where it belongs to a batch, and never where it does not."""
    if asked:
        return created + asked["seconds"]
    return created + MONTH if purpose.startswith("batch") else None


def _named(call: Call) -> File:
    file = find(call, call.groups["id"])
    if file is None:
        raise Refusal("not_found", f"No such File object: {call.groups['id']}", param="id")
    return file


def _uploaded(call: Call) -> File:
    """The file of a form. Raises Refusal."""
    try:
        parts = multipart.parts(call.headers.get("content-type", ""), call.body)
    except ValueError:
        raise refused("Could not parse multipart form") from None
    fields = {name: _value(name, part.content) for name, part in parts.items() if name != "file"}
    after = {found[1]: fields[name] for name in fields if (found := re.fullmatch(r"expires_after\[(\w+)\]", name))}
    check_form({**fields, **({"file": ""} if "file" in parts else {}), **({"expires_after": after} if after else {})})
    content = parts["file"].content
    purpose, name = fields["purpose"], parts["file"].filename or "upload"
    if purpose not in PURPOSES:
        raise refused(f"'{purpose}' is not one of {list(PURPOSES)} - 'purpose'", "purpose")
    if purpose == "batch":
        _check_batch_file(name, content)
    created = call.services.clock.now()
    return File(random_id("file-", 22), name, purpose, content, created, expires(created, purpose, after))


def _value(name: str, value: bytes) -> str | int:
    """A field of a form: a text, or a number where one is expected and given."""
    text = value.decode("utf-8", "replace")
    return int(text) if name == "expires_after[seconds]" and re.fullmatch(r"-?[0-9]{1,18}", text) else text


def _check_batch_file(name: str, content: bytes) -> None:
    """Refuse what /v1/files itself refuses; a bad line is found when a batch is made of the file."""
    if not name.lower().endswith(".jsonl"):
        raise refused("Invalid file format for Batch API. Must be .jsonl")
    if len(content) > LARGEST_BATCH_FILE:
        raise Refusal("too_large")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        raise refused("Invalid file for Batch API. Must be utf-8 encoded") from None


def _body(file: File) -> dict[str, Any]:
    return {
        "object": "file",
        "id": file.id,
        "purpose": file.purpose,
        "filename": file.name,
        "bytes": len(file.content),
        "created_at": int(file.created),
        "expires_at": None if file.expires is None else int(file.expires),
        "status": "processed",
        "status_details": None,
    }


def _ascii(name: str) -> str:
    """A file's name as a header can carry it."""
    return re.sub(r'[^ -~]|["\\]', "_", name)
