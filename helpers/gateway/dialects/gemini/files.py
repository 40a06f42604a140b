"""Gemini's files: resumable uploads, as Google's SDK sends them, what is kept of them, and for how long."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from helpers.gateway.batches import DAY, File
from helpers.gateway.dialects.gemini.caches import timestamp
from helpers.gateway.dialects.gemini.fields import normalised
from helpers.gateway.dialects.schema import ANY, STRING, checker, shape
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import Call, Dialect, Headers, Response, Route, random_id, route

KEPT = 2 * DAY  # seconds: "Files are stored for 48 hours" (Files API guide, as of 2026-11)
GENERATED = "batch_output"  # the purpose of a file that a batch wrote; only such a file can be downloaded
UPLOADING = "gemini upload"  # in place of the provider of a file that has not come whole
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
ADDRESS = re.compile(r"(?<=/v1beta/)files/[a-z0-9-]{1,40}$")
NAME = re.compile(r"files/[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
FILE = shape(closed=True, name=STRING, displayName=STRING, mimeType=STRING, sizeBytes=ANY, source=STRING)
START = shape(closed=True, file=FILE)
check = checker(START)


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
        """The beginning of an upload, which is answered with an address, or a piece of one, sent to that address."""
        if "upload_id" in call.query:
            return await self._go_on(call)
        if call.headers.get("x-goog-upload-protocol") != "resumable" or call.headers.get("x-goog-upload-command") != "start":
            raise Refusal("bad_value", "This gateway takes resumable uploads, as Google's SDK sends them: X-Goog-Upload-Protocol: resumable, X-Goog-Upload-Command: start.")
        file = _begun(call)
        if file.name and find(call, file.name):
            raise Refusal("conflict", f"Requested entity already exists: {file.name}")
        call.services.batches.files[file.id] = file
        address = f"{call.base_url}{call.path}?upload_id={file.id}&upload_protocol=resumable"
        state = [("X-Goog-Upload-Status", "active"), ("X-Goog-Upload-URL", address), ("X-Goog-Upload-Chunk-Granularity", "262144")]
        return Response(200, [*self._headers(), *state])

    async def _go_on(self, call: Call) -> Response:
        files = call.services.batches.files
        begun = files.get(call.query["upload_id"])
        if begun is None or begun.provider != UPLOADING:
            raise Refusal("not_found", "Upload not found.")
        if call.headers.get("x-goog-upload-offset") != str(len(begun.content)):
            raise Refusal("bad_value", f"The offset has to be {len(begun.content)}: so many bytes have come.")
        begun = files[begun.id] = replace(begun, content=begun.content + call.body)
        if "finalize" not in call.headers.get("x-goog-upload-command", ""):
            return Response(200, [*self._headers(), ("X-Goog-Upload-Status", "active")])
        now = call.services.clock.now()
        name = begun.name or random_id("files/", 12, LETTERS)
        file = replace(begun, id=name, provider="gemini", created=now, expires=now + KEPT)
        del files[begun.id]
        files[name] = file
        body = await call.services.work(len(file.content), _body, call, file)
        return self._dialect.ok({"file": body}, ("X-Goog-Upload-Status", "final"))

    async def list(self, call: Call) -> Response:
        now = call.services.clock.now()
        kept = [file for file in reversed(call.services.batches.files.values()) if file.provider == "gemini" and not file.is_gone(now)]
        return self._dialect.ok({"files": [_body(call, file) for file in kept]} if kept else {})

    async def get(self, call: Call) -> Response:
        file = _named(call)
        return self._dialect.ok(await call.services.work(len(file.content), _body, call, file))

    async def delete(self, call: Call) -> Response:
        del call.services.batches.files[_named(call).id]
        return self._dialect.ok({})

    async def download(self, call: Call) -> Response:
        file = _named(call)
        if file.purpose != GENERATED:
            raise Refusal("bad_value", "Only generated files can be downloaded.")
        return Response(200, [("Content-Type", "application/octet-stream"), *self._headers()], file.content)


def find(call: Call, name: str) -> File | None:
    """A file that is still kept, by the course's clock. name: with its beginning, files/."""
    file = call.services.batches.files.get(name)
    return None if file is None or file.provider != "gemini" or file.is_gone(call.services.clock.now()) else file


def named(call: Call, name: str) -> File:
    """A file that is still kept. Raises Refusal."""
    file = find(call, name)
    if file is None:
        raise Refusal("forbidden", f"You do not have permission to access the File {name.removeprefix('files/')} or it may not exist.")
    return file


def inline(body: dict[str, Any], call: Call) -> None:
    """Put the bytes of uploaded files in the place of their addresses, so that a file is what it would be in the request itself.

    Addresses elsewhere stay as they are. Raises Refusal for a file that is not kept (any more).
    """
    for content in body.get("contents", ()):
        for part in content.get("parts", ()):
            found = ADDRESS.search(part.get("fileData", {}).get("fileUri", ""))
            if found:
                file = named(call, found[0])
                given = part.pop("fileData")
                part["inlineData"] = {"mimeType": given.get("mimeType") or file.mime_type, "data": base64.b64encode(file.content).decode()}


def _named(call: Call) -> File:
    return named(call, "files/" + call.groups["id"])


def _begun(call: Call) -> File:
    """A file of which nothing has come yet; its `name` is the one that was asked for, if any."""
    body = normalised(call.json if call.body.strip() else {}, START)
    check(body)
    asked = body.get("file", {})
    name = asked.get("name", "")
    if name and not NAME.fullmatch(name):
        raise Refusal("bad_value", f"Invalid file name {name!r}: files/ and at most 40 lowercase letters, digits and dashes, none at the ends.")
    kind = call.headers.get("x-goog-upload-header-content-type") or asked.get("mimeType", "application/octet-stream")
    return File(random_id("", 64), name, asked.get("displayName", ""), b"", call.services.clock.now(), provider=UPLOADING, mime_type=kind)


def _body(call: Call, file: File) -> dict[str, Any]:
    """What is said of a file. Of an uploaded one `purpose` holds the name that is shown."""
    address = f"{call.base_url}/v1beta/{file.id}"
    generated = file.purpose == GENERATED
    # In base64 stand the hexadecimal digits, not the bytes.
    digest = base64.b64encode(hashlib.sha256(file.content).hexdigest().encode()).decode()
    return {
        "name": file.id,
        **({"displayName": file.purpose} if file.purpose and not generated else {}),
        "mimeType": file.mime_type,
        "sizeBytes": str(len(file.content)),
        "createTime": timestamp(file.created),
        "updateTime": timestamp(file.created),
        **({"expirationTime": timestamp(file.expires)} if file.expires else {}),
        "sha256Hash": digest,
        "uri": address,
        **({"downloadUri": f"{address}:download?alt=media"} if generated else {}),
        "state": "ACTIVE",
        "source": "GENERATED" if generated else "UPLOADED",
    }
