"""Resumable uploads, as Google's SDKs send them: a start, which is answered with an address, and pieces that go there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from helpers.gateway.batches import File
from helpers.gateway.dialects.gemini.fields import normalised
from helpers.gateway.dialects.gemini.owners import owner
from helpers.gateway.dialects.schema import ANY, STRING, checker, shape
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import Call, Headers, random_id

PENDING = "gemini upload"  # in place of the provider of a file that has not come whole
MOST = 200_000_000  # bytes of a file; Google takes ten times as much
GRANULARITY = str(8 * 1024**2)  # bytes of which a piece has to be a multiple, as recorded; here any size will do
FILE = shape(closed=True, name=STRING, displayName=STRING, mimeType=STRING, sizeBytes=ANY, source=STRING)
START = shape(closed=True, file=FILE)
check = checker(START)


def is_start(call: Call) -> bool:
    return call.headers.get("x-goog-upload-protocol") == "resumable" and call.headers.get("x-goog-upload-command") == "start"


def begun(call: Call) -> File:
    """A file of which nothing has come yet; its `name` is the one that was asked for, if any. Raises Refusal for one that will be too large."""
    body = normalised(call.json if call.body.strip() else {}, START)
    check(body)
    asked = body.get("file", {})
    size = call.headers.get("x-goog-upload-header-content-length", "0")
    _check_size(int(size) if size.isdecimal() and len(size) < 19 else 0)
    kind = call.headers.get("x-goog-upload-header-content-type") or asked.get("mimeType", "application/octet-stream")
    shown, now = asked.get("displayName", ""), call.services.clock.now()
    return File(random_id("", 64), asked.get("name", ""), "", b"", now, provider=PENDING, mime_type=kind, owner=owner(call), shown=shown)


def with_piece(call: Call, file: File) -> File:
    """The file with the piece that a call brings. Raises Refusal for one out of its place."""
    if call.headers.get("x-goog-upload-offset") != str(len(file.content)):
        raise Refusal("bad_value", f"The offset has to be {len(file.content)}: so many bytes have come.")
    _check_size(len(file.content) + len(call.body))
    return replace(file, content=file.content + call.body)


def started(call: Call, file: File) -> Headers:
    """What the start of an upload is answered with, its body being empty."""
    address = f"{call.base_url}{call.path}?upload_id={file.id}&upload_protocol=resumable"
    named = {"Status": "active", "URL": address, "Control-URL": address, "Chunk-Granularity": GRANULARITY}
    return [("Content-Type", "text/plain; charset=utf-8"), ("X-GUploader-UploadID", file.id), *_state(**named)]


def progress(file: File) -> Headers:
    """How much of a file has come."""
    return _state(**{"Status": "active", "Size-Received": str(len(file.content))})


def command(call: Call) -> set[str]:
    return {word.strip() for word in call.headers.get("x-goog-upload-command", "").split(",")}


def _state(**named: Any) -> Headers:
    return [(f"X-Goog-Upload-{name}", value) for name, value in named.items()]


def _check_size(size: int) -> None:
    if size > MOST:
        raise Refusal("bad_value", f"This gateway keeps files of at most {MOST:,} bytes.")
