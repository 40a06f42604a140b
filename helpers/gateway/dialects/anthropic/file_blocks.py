"""Uploaded files in a message: what a block says by `file_id` is read as the same block with its content in it.

The words for a source that may not be a file are recorded ones; those for a file of another type follow the style.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from helpers.gateway.batches import File
from helpers.gateway.dialects.anthropic import files
from helpers.gateway.dialects.anthropic.blocks import FILE, IMAGE_TYPES, SOURCES, unknown_tag
from helpers.gateway.dialects.schema import checker
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import Call

KINDS = {"image": IMAGE_TYPES, "document": ("application/pdf", "text/plain")}  # of files that a block takes
MOST_BYTES = 210_000_000  # of the files of a request, each as often as it is named: as much as the gateway takes in a request itself
check_source = checker(FILE)


@dataclass
class Inlined:
    """A body without `file_id`, the bytes of the files in it, and why the first of those that are not kept is refused."""

    body: dict[str, Any]
    bytes: int = 0
    refusal: Refusal | None = field(default=None, repr=False)


def inlined(body: dict[str, Any], call: Call) -> Inlined:
    """A checked body with the content of files in the place of their ids. Raises Refusal for a file of the wrong type, and for too many bytes.

    It takes time in proportion to the files. One that is not kept here, though it may be at the provider, stands as an address.
    """
    return _Reader(call).read(body)


def size(bodies: list[Any], call: Call) -> int:
    """Bytes of the files that are named anywhere in some values."""
    kept = call.services.batches.files
    return sum(kept.size(id) for id in _ids(bodies))


def _ids(values: list[Any]) -> Iterator[str]:
    open_ = list(values)
    while open_:
        one = open_.pop()
        if isinstance(one, dict):
            open_ += one.values()
            if isinstance(one.get("file_id"), str):
                yield one["file_id"]
        elif isinstance(one, list):
            open_ += one


class _Reader:
    def __init__(self, call: Call) -> None:
        self._call, self._inlined = call, Inlined({})

    def read(self, body: dict[str, Any]) -> Inlined:
        said = [{**one, "content": self._content(one["content"], f"messages.{index}.content")} for index, one in enumerate(body["messages"])]
        self._inlined.body = {**body, "messages": said}
        return self._inlined

    def _content(self, content: Any, path: str) -> Any:
        if not isinstance(content, list):
            return content
        return [self._block(block, f"{path}.{index}.{block.get('type')}") if isinstance(block, dict) else block for index, block in enumerate(content)]

    def _block(self, block: dict[str, Any], path: str) -> dict[str, Any]:
        kind, source = block.get("type"), block.get("source")
        if kind == "tool_result" and "content" in block:
            return {**block, "content": self._content(block["content"], f"{path}.content")}
        if kind == "container_upload" and isinstance(block.get("file_id"), str):
            self._find(block["file_id"])
        if isinstance(kind, str) and kind in KINDS and isinstance(source, dict) and isinstance(source.get("type"), str):
            return {**block, "source": self._source(source, kind, f"{path}.source")}
        return block

    def _source(self, source: dict[str, Any], kind: str, path: str) -> dict[str, Any]:
        if source["type"] != "file":
            if source["type"] not in SOURCES[kind]:
                raise unknown_tag(source["type"], path, (*SOURCES[kind], "file"))
            return {**source, "content": self._content(source["content"], f"{path}.content.content")} if "content" in source else source
        check_source(source, f"{path}.file")
        file = self._find(source["file_id"])
        if file is None:
            return {"type": "url", "url": source["file_id"]}
        if file.mime_type not in KINDS[kind]:
            text = f"{path}.file.file_id: a file of type {file.mime_type} cannot be used in {kind} blocks"
            raise Refusal("bad_value", text, param="file_id")
        if file.mime_type == "text/plain":
            return {"type": "text", "media_type": file.mime_type, "data": file.content.decode("utf-8", "replace")}
        return {"type": "base64", "media_type": file.mime_type, "data": base64.b64encode(file.content).decode()}

    def _find(self, id: str) -> File | None:
        try:
            file = files.present(self._call, id)
        except Refusal as refusal:
            self._inlined.refusal = self._inlined.refusal or refusal
            return None
        self._inlined.bytes += len(file.content)
        if self._inlined.bytes > MOST_BYTES:
            raise Refusal("too_large")
        return file
