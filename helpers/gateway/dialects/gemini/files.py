"""Gemini's files: what is kept of them, for how long and for whom, and how a prompt names them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from helpers.gateway.batches import DAY, File
from helpers.gateway.dialects.gemini import uploads
from helpers.gateway.dialects.gemini.owners import owner
from helpers.gateway.dialects.gemini.pages import page
from helpers.gateway.dialects.gemini.times import timestamp
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import Call, Dialect, Headers, Response, Route, random_id, route

KEPT = 2 * DAY  # seconds: "Files are stored for 48 hours" (Files API guide, as of 2026-11)
# A video is being processed before it can be used: 2 to 15 seconds for a few MB, as users measured it.
PROCESSING = 5.0
GENERATED = "batch_output"  # the purpose of a file that a batch wrote; only such a file can be downloaded
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
ADDRESS = re.compile(r"(?<=/v1beta/)files/[a-z0-9-]{1,40}$")
ADDRESSES = re.compile(rb'v1beta\\?/files\\?/([a-z0-9-]{1,40})"')  # in JSON, which may have a \\ before each /
NAME = re.compile(r"files/[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


class GeminiFiles:
    """The routes under /upload and files."""

    def __init__(self, dialect: Dialect, headers: Callable[[], Headers]) -> None:
        self._dialect, self._headers = dialect, headers

    def routes(self, version: str) -> list[Route]:
        one = version + "/files/(?P<id>[^/:]+)"
        return [
            route("POST", "/upload" + version + "/files", "files", handle=self.upload),
            route("GET", version + "/files", "files", handle=self.list),
            route("GET", one, "file", handle=self.get),
            route("DELETE", one, "file", handle=self.delete),
            route("GET", "(?:/download)?" + one + ":download", "file content", handle=self.download),
        ]

    async def upload(self, call: Call) -> Response:
        """The beginning of an upload, or a piece of one."""
        if "upload_id" in call.query:
            return await self._go_on(call)
        if not uploads.is_start(call):
            raise Refusal("bad_value", "This gateway takes resumable uploads, as Google's SDK sends them: X-Goog-Upload-Protocol: resumable, X-Goog-Upload-Command: start.")
        file = await call.services.work(len(call.body), uploads.begun, call)
        if file.name and not NAME.fullmatch(file.name):
            raise Refusal("bad_value", f"Invalid file name {file.name!r}: files/ and at most 40 lowercase letters, digits and dashes, none at the ends.")
        if file.name and _kept(call, file.name):
            raise Refusal("conflict", f"Requested entity already exists: {file.name}")
        call.services.batches.files[file.id] = file
        return Response(200, uploads.started(call, file))

    async def _go_on(self, call: Call) -> Response:
        files, command = call.services.batches.files, uploads.command(call)
        begun = files.get(call.query["upload_id"])
        if begun is None or begun.provider != uploads.PENDING:
            raise Refusal("not_found", "Upload not found.")
        if "query" in command:
            return Response(200, [*self._headers(), *uploads.progress(begun)])
        if "cancel" in command:
            del files[begun.id]
            return Response(200, [*self._headers(), ("X-Goog-Upload-Status", "cancelled")])
        begun = await call.services.work(len(begun.content) + len(call.body), uploads.with_piece, call, begun)
        if "finalize" not in command:
            files[begun.id] = begun
            return Response(200, [*self._headers(), *uploads.progress(begun)])
        file = await call.services.work(len(begun.content), _whole, call, begun)
        files.pop(begun.id, None)
        files[file.id] = file
        return self._dialect.ok({"file": _body(call, file)}, ("X-Goog-Upload-Status", "final"))

    async def list(self, call: Call) -> Response:
        now, mine = call.services.clock.now(), owner(call)
        kept = [file for file in reversed(call.services.batches.files.values()) if _is_of(file, mine) and not file.is_gone(now)]
        shown, more = page(call, kept, lambda file: file.id, 10, 100)
        return self._dialect.ok({"files": [_body(call, file) for file in shown], **more} if shown else {})

    async def get(self, call: Call) -> Response:
        return self._dialect.ok(_body(call, _named(call)))

    async def delete(self, call: Call) -> Response:
        del call.services.batches.files[_named(call).id]
        return self._dialect.ok({})

    async def download(self, call: Call) -> Response:
        file = _named(call)
        if file.purpose != GENERATED:
            raise Refusal("bad_value", "Only generated files can be downloaded.")
        return Response(200, [("Content-Type", "application/octet-stream"), *self._headers()], file.content)


def named(call: Call, name: str) -> File:
    """A file that is still kept, by the course's clock, and of the key that a call has. name: with its beginning, files/. Raises Refusal."""
    file = _kept(call, name)
    if file is None or not _is_of(file, owner(call)):
        raise Refusal("forbidden", f"You do not have permission to access the File {name.removeprefix('files/')} or it may not exist.")
    return file


def inline(body: dict[str, Any], call: Call) -> None:
    """Put the bytes of uploaded files in the place of their addresses, so that a file is what it would be in the request itself.

    Addresses elsewhere stay as they are. Raises Refusal for a file that is not kept (any more), and for one that is still being processed.
    """
    for part in _parts(body):
        given = part.get("fileData")
        found = ADDRESS.search(given.get("fileUri") or "") if given else None
        if found:
            file = _ready(call, found[0])
            del part["fileData"]
            part["inlineData"] = {"mimeType": given.get("mimeType") or file.mime_type, "data": base64.b64encode(file.content).decode()}


def weight(call: Call, body: bytes) -> int:
    """The bytes of the files that a body names: the time that a prompt takes goes with them."""
    return sum(call.services.batches.files.size("files/" + name.decode()) for name in set(ADDRESSES.findall(body)))


def generated(name: str, content: bytes, created: float, maker: str) -> File:
    """A file that a batch wrote, for whoever made the batch."""
    file = File(name, name, GENERATED, content, created, created + KEPT, "gemini", "application/jsonl", maker)
    _ = file.digest  # worked out here, as nobody is to wait for it later
    return file


def _parts(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for content in (*body.get("contents", ()), body.get("systemInstruction", {})):
        for part in content.get("parts", ()):
            yield part
            inside = part.get("functionResponse", {}).get("parts")
            yield from (one for one in inside if _names_a_file(one)) if isinstance(inside, list) else ()


def _names_a_file(part: Any) -> bool:
    """Whether a part in a function's result, which nobody has looked at, has a file's address."""
    given = part.get("fileData") if isinstance(part, dict) else None
    return isinstance(given, dict) and isinstance(given.get("fileUri"), str)


def _ready(call: Call, name: str) -> File:
    file = named(call, name)
    if call.services.clock.now() < file.ready:
        raise Refusal("not_ready", f"The File {name.removeprefix('files/')} is not in an ACTIVE state and usage is not allowed.")
    return file


def _kept(call: Call, name: str) -> File | None:
    file = call.services.batches.files.get(name)
    return None if file is None or file.provider != "gemini" or file.is_gone(call.services.clock.now()) else file


def _is_of(file: File, mine: str) -> bool:
    return file.provider == "gemini" and file.owner == mine


def _named(call: Call) -> File:
    return named(call, "files/" + call.groups["id"])


def _whole(call: Call, begun: File) -> File:
    """A file of which the last piece has come."""
    now = call.services.clock.now()
    name = begun.name or random_id("files/", 12, LETTERS)
    wait = PROCESSING * call.services.batches.pace if begun.mime_type.startswith("video/") else 0.0
    file = replace(begun, id=name, provider="gemini", created=now, expires=now + KEPT, ready=now + wait)
    _ = file.digest
    return file


def _body(call: Call, file: File) -> dict[str, Any]:
    """What is said of a file."""
    address = f"{call.base_url}/v1beta/{file.id}"
    is_generated, is_ready = file.purpose == GENERATED, call.services.clock.now() >= file.ready
    return {
        "name": file.id,
        **({"displayName": file.shown} if file.shown else {}),
        "mimeType": file.mime_type,
        "sizeBytes": str(len(file.content)),
        "createTime": timestamp(file.created),
        "updateTime": timestamp(max(file.created, file.ready) if is_ready else file.created),
        **({"expirationTime": timestamp(file.expires)} if file.expires else {}),
        # In base64 stand the hexadecimal digits, not the bytes.
        "sha256Hash": base64.b64encode(file.digest.encode()).decode(),
        "uri": address,
        **({"downloadUri": f"{address}:download?alt=media"} if is_generated else {}),
        "state": "ACTIVE" if is_ready else "PROCESSING",
        "source": "GENERATED" if is_generated else "UPLOADED",
    }
