"""Writing captured recordings: real answers with their timing, scrubbed of keys, ids, organisations and addresses."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from helpers.gateway.dialects.base import Call, Headers
from helpers.gateway.exchange import Question, key_of
from helpers.gateway.sources.recordings import FOLDER, shape

FILE = "captured.jsonl"
NOT_RECORDED = (401, 403, 429)

# Headers with an id of the request or of the account are left out; the rest of the kept ones stay.
ID_HEADERS = ("request-id", "x-request-id", "apim-request-id", "x-amzn-requestid", "server-timing")

SECRETS = re.compile(r"sk-[A-Za-z0-9_-]{16,}|AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{30,}|Bearer [A-Za-z0-9._~+/-]{16,}|eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*")
EMAILS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w")
IDS = re.compile(r"\b(chatcmpl-|msg_bdrk_01|msg_01|req_01|toolu_01|call_|org-|proj_|wrkspc_01|(?:resp|msg|rs|fc|req)_(?=[0-9a-f]{32}))([A-Za-z0-9]{8,})")
RESPONSE_ID = re.compile(r'("responseId":\s*")([^"]+)(")')


class Recorder:
    """Appends to one file of a folder, one line a question, sorted; the same question again adds an answer to its line."""

    def __init__(self, folder: Path | None, secrets: list[str]) -> None:
        self._path = (folder or FOLDER) / FILE
        self._secrets = [secret for secret in secrets if len(secret) >= 8]

    def record(self, question: Question, call: Call, status: int, headers: Headers, chunks: list[tuple[float, bytes]], server: str) -> str:
        """Keep one answer. Returns what to note in the log: that it was recorded, or why not."""
        if status in NOT_RECORDED or status >= 500:
            return f"not recorded: status {status}"
        if self._holds_secret(json.dumps(question.meaning(), ensure_ascii=False)):
            return "not recorded: the request holds a key"
        scrubbed = self._scrub_chunks(chunks)
        if scrubbed is None:
            return "not recorded: a secret inside binary data"
        kept = [[name, self._scrub(value)] for name, value in headers if name not in ID_HEADERS]
        answer = {"status": status, "headers": kept, "chunks": [[round(at, 4), data] for at, data in scrubbed]}
        self._write(self._line(question, call, server), answer)
        return "recorded"

    def _line(self, question: Question, call: Call, server: str) -> dict[str, Any]:
        meaning = question.meaning()
        return {
            "kind": "captured",
            "date": datetime.now(UTC).date().isoformat(),
            "server": server,
            "versions": call.headers.get("user-agent", ""),
            "provider": meaning["provider"],
            "models": [meaning["model"]],
            "messages": meaning["messages"],
            "tools": meaning["tools"],
            "shape": shape(question),
            "answers": [],
        }

    def _write(self, line: dict[str, Any], answer: dict[str, Any]) -> None:
        """The whole file is written anew beside the old one and then put in its place, so that nothing is lost."""
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        lines = {_name(known): known for known in map(json.loads, text.splitlines())}
        lines.setdefault(_name(line), line)["answers"].append(answer)
        rows = sorted(json.dumps(known, sort_keys=True, ensure_ascii=False) for known in lines.values())
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
        fresh.replace(self._path)

    # ---- scrubbing -------------------------------------------------------
    def _holds_secret(self, text: str) -> bool:
        return bool(SECRETS.search(text)) or any(secret in text for secret in self._secrets)

    def _scrub(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "x" * len(secret))
        text = SECRETS.sub(lambda found: "x" * len(found[0]), text)
        text = EMAILS.sub("someone@example.com", text)
        text = RESPONSE_ID.sub(lambda found: found[1] + "0" * len(found[2]) + found[3], text)
        return IDS.sub(lambda found: found[1] + "0" * len(found[2]), text)

    def _scrub_chunks(self, chunks: list[tuple[float, bytes]]) -> list[tuple[float, Any]] | None:
        """Chunks with nothing secret in them; in one piece where a secret spans two. None where binary data holds one."""
        body = b"".join(chunk for _, chunk in chunks)
        try:
            whole = body.decode("utf-8")
        except UnicodeDecodeError:
            return self._binary(chunks, body)
        try:
            pieces = [(at, self._scrub(chunk.decode("utf-8"))) for at, chunk in chunks]
        except UnicodeDecodeError:
            pieces = []
        clean = self._scrub(whole)
        if "".join(text for _, text in pieces) == clean:
            return pieces
        return [(chunks[0][0], clean)]

    def _binary(self, chunks: list[tuple[float, bytes]], body: bytes) -> list[tuple[float, Any]] | None:
        if self._holds_secret(body.decode("latin-1")):
            return None
        return [(at, {"base64": base64.b64encode(chunk).decode()}) for at, chunk in chunks]


def _name(line: dict[str, Any]) -> str:
    return key_of({name: line[name] for name in ("provider", "models", "messages", "tools", "shape")})
