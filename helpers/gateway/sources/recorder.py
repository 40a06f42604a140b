"""Writing captured recordings: real answers with their timing, scrubbed of keys, ids, accounts and addresses."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from helpers.gateway.exchange import Question
from helpers.gateway.sources.recordings import FOLDER, FORM, checked, lines, shape
from helpers.gateway.sources.scrub import Scrubber, spoken, zeros
from helpers.gateway.wire import Call, Headers

FILE = "captured.jsonl"
NOT_RECORDED = (401, 403, 429)  # and 5xx: they say something of the account or of the hour, not of the request
REQUEST_IDS = ("request-id", "x-request-id", "apim-request-id", "x-amzn-requestid")
# An SDK's name and version at the beginning of its User-Agent; what follows tells of the machine.
PRODUCT = re.compile(r"[\w.-]+/(?:v?[\d.]+|\w+(?: [\d.]+)?)")

Chunks = list[tuple[float, bytes]]
Events = Callable[[bytes], list[Any]]


class Recorder:
    """Adds to one file of a folder, one line a question; the same question again adds an answer to its line."""

    def __init__(self, folder: Path | None = None, scrubber: Scrubber | None = None) -> None:
        self._path = (folder or FOLDER) / FILE
        self._scrubber = scrubber or Scrubber()

    def record(self, question: Question, call: Call, server: str, status: int, headers: Headers, chunks: Chunks, events: Events) -> str:
        """Keep one answer, whose JSON `events` reads. Returns a note for the log: that it was recorded, or why not."""
        if status in NOT_RECORDED or status >= 500:
            return f"not recorded: status {status}"
        if not any(isinstance(event, dict) for event in events(b"".join(chunk for _, chunk in chunks))):
            return "not recorded: the answer is not in the provider's format (a page, or empty)"
        line = _line(question, call, server)
        if self._scrubber.reveals(_json(line)):
            return "not recorded: the request holds a key, an account or an e-mail address"
        binary = any(name == "content-type" and "eventstream" in value for name, value in headers)
        # Cutting into a binary frame would break its checksum, and a key in pieces cannot be cut out at all.
        clean = chunks if binary else self._scrubbed(chunks)
        if self._scrubber.reveals(spoken(events(b"".join(chunk for _, chunk in clean)))):
            return "not recorded: a key, an account or an e-mail address spread over events or inside binary frames"
        kept = [[name, self._header(name, value)] for name, value in headers]
        answer = {"status": status, "headers": kept, "chunks": _written(clean)}
        try:
            self._write(line, answer)
        except (OSError, ValueError) as error:
            return f"not recorded: {error}"
        return "recorded"

    def _header(self, name: str, value: str) -> str:
        """A value that keeps nothing of the account; SDKs still find a request id, of zeros."""
        if name in REQUEST_IDS:
            prefix, _, id = value.rpartition("_")
            return (prefix and prefix + "_") + zeros(id.encode()).decode()
        return self._scrubber.scrub(value.encode()).decode()

    def _scrubbed(self, chunks: Chunks) -> Chunks:
        """The answer is scrubbed in one piece, as a key may span two chunks, and cut again where it was cut."""
        clean, start, out = self._scrubber.scrub(b"".join(chunk for _, chunk in chunks)), 0, []
        for at, chunk in chunks:
            out.append((at, clean[start : start + len(chunk)]))
            start += len(chunk)
        return out

    def _write(self, line: dict[str, Any], answer: dict[str, Any]) -> None:
        """Add an answer to its line, in a file that other kernels may be writing too.

        The whole file is written anew beside the old one and then put in its place, so that nothing is half written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path.with_suffix(".lock")):
            known, damaged = self._known()
            known.setdefault(_name(line), line)["answers"].append(answer)
            rows = [json.dumps(known[name], sort_keys=True, ensure_ascii=False).encode() for name in sorted(known)]
            fresh = self._path.with_suffix(".new")
            with fresh.open("wb") as file:
                file.writelines(row + b"\n" for row in (*rows, *damaged))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)

    def _known(self) -> tuple[dict[str, dict[str, Any]], list[bytes]]:
        """The recordings of the file by name, and the lines that are none: they are kept as they are, for whoever can mend them."""
        known, damaged = {}, []
        for _, text in lines(self._path) if self._path.exists() else ():
            try:
                line = checked(json.loads(text))
                if known.setdefault(_name(line), line) is not line:  # of two files that somebody put together
                    known[_name(line)]["answers"] += line["answers"]
            except (ValueError, KeyError):
                damaged.append(text)
        return known, damaged


def _line(question: Question, call: Call, server: str) -> dict[str, Any]:
    meaning = question.meaning()
    return {
        "kind": "captured",
        "date": datetime.now(UTC).date().isoformat(),
        "server": server,
        "versions": _versions(call),
        "provider": meaning.pop("provider"),
        "models": [meaning.pop("model")],
        **meaning,
        "shape": shape(question),
        "answers": [],
    }


def _name(line: dict[str, Any]) -> str:
    """What a line is sorted and found by: its answers and their date are no part of it."""
    return json.dumps([line[name] for name in ("provider", "models", "messages", "tools", "shape")] + [line.get(name) for name in FORM], sort_keys=True)


def _versions(call: Call) -> str:
    """The SDK that asked, and its version."""
    found = PRODUCT.match(call.headers.get("user-agent", ""))
    stated = call.headers.get("x-stainless-package-version", "")
    name = found[0] if found else "unknown"
    return name if not stated or stated in name else f"{name} {stated}"


def _written(chunks: Chunks) -> list[list[Any]]:
    """Text as it stands; bytes that are no text as {"base64": ...}."""
    return [[round(at, 3), _text(chunk)] for at, chunk in chunks]


def _text(chunk: bytes) -> str | dict[str, str]:
    try:
        return chunk.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(chunk).decode()}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
