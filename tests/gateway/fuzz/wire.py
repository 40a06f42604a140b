"""The gateway in a process of its own, and a client that can send what no SDK would."""

from __future__ import annotations

import http.client
import io
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from helpers import models

ROOT = Path(__file__).parents[3]
PATIENCE = 60.0  # seconds without a byte after which no answer is awaited
KEYS = {"authorization": "Bearer some-key", "x-api-key": "some-key", "api-key": "some-key", "x-goog-api-key": "some-key"}
BASE = {"host": "127.0.0.1", "content-type": "application/json", "anthropic-version": "2023-06-01", **KEYS}


@dataclass
class Request:
    """One request. `leave` is after how many bytes of its answer the client hangs up; `raw` are bytes that are sent as they are."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: dict(BASE))
    pieces: int = 1  # how many writes bring it
    chunk: int = 0  # size of the chunks of its body; 0: the body comes with its length
    leave: int | None = None
    raw: bytes | None = None
    patience: float = PATIENCE

    @property
    def is_plain(self) -> bool:
        """Whether it has to be answered: it is HTTP, and its client stays."""
        return self.raw is None and self.leave is None and self.patience == PATIENCE

    def bytes(self) -> bytes:
        if self.raw is not None:
            return self.raw
        body, length = self.body, {"content-length": str(len(self.body))}
        if self.chunk:
            parts = [self.body[at : at + self.chunk] for at in range(0, len(self.body), self.chunk)]
            body, length = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n", {"transfer-encoding": "chunked"}
        lines = [f"{self.method} {_in_url(self.path)} HTTP/1.1", *(f"{name}: {value}" for name, value in {**self.headers, **length}.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def __str__(self) -> str:
        return f"{self.method} {self.path}"[:150] if self.raw is None else f"bytes {self.raw[:60]!r}"


def _in_url(path: str) -> str:
    """A path as a request line can carry it: without blanks, other letters in UTF-8."""
    return path.replace(" ", "%20").encode("utf-8", "surrogatepass").decode("latin-1")


@dataclass
class Answer:
    """What came back. Status 0: nothing did; `note` says why, or how the answer broke off."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    note: str = ""


class Client:
    """A connection that is kept from request to request, and made anew where it was closed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket: socket.socket | None = None
        self._file: _Kept | None = None

    def send(self, *requests: Request) -> list[Answer]:
        """Send requests one behind the other without waiting, then read their answers."""
        began = time.monotonic()
        try:
            self._write(b"".join(request.bytes() for request in requests), max(request.pieces for request in requests), requests[0].patience)
        except OSError as error:  # it may have said why before it hung up
            note = f"{type(error).__name__} while sending"
        else:
            note = ""
        answers = []
        for request in requests:
            answers.append(self._read(request, began, note))
            began = time.monotonic()
            note = note or ("after the last answer" if self._socket is None else "")
        return answers

    def close(self) -> None:
        if self._socket is not None and self._file is not None:
            self._file.really_close()
            self._socket.close()
        self._socket = self._file = None

    def _write(self, data: bytes, pieces: int, patience: float) -> None:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port))
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._file = _Kept(self._socket.makefile("rb", buffering=0))
        self._socket.settimeout(patience)
        step = max(1, -(-len(data) // pieces))
        for at in range(0, len(data), step):
            self._socket.sendall(data[at : at + step])

    def _read(self, request: Request, began: float, note: str) -> Answer:
        if self._file is None:
            return Answer(note=note or "no connection")
        answer = Answer()
        response = http.client.HTTPResponse(self._file, method=request.method)  # type: ignore[arg-type]
        try:
            if request.leave == 0:
                raise ConnectionAbortedError("left at once")
            response.begin()
            answer.status, answer.headers = response.status, {name.lower(): value for name, value in response.getheaders()}
            answer.body = response.read(request.leave)
            if request.leave is not None or response.will_close:
                self.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            answer.note = f"{type(error).__name__}: {error}"[:200]
            self.close()
        answer.seconds = time.monotonic() - began
        return answer


class _Kept(io.BufferedReader):
    """What a connection sends, for one http.client.HTTPResponse after another: each closes what it reads from."""

    def makefile(self, *_: object) -> _Kept:
        return self

    def close(self) -> None:
        pass

    def really_close(self) -> None:
        super().close()


class Gateway:
    """`llm-course gateway` on a free port. What it says on stderr is kept."""

    def __init__(self) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("COURSE_")}
        environ |= {"COURSE_PACE": "0", "COURSE_DATE": str(models.facts_date()), "PYTHONFAULTHANDLER": "1"}
        environ["OPENBLAS_NUM_THREADS"] = "1"  # beside clients on the same cores, more threads wait for one another: a token takes five times as long
        command = [sys.executable, "-m", "helpers.command", "gateway", "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", env=environ, cwd=ROOT)
        said = "".join(iter(self._line_that_ends, ""))
        self.port = int(re.findall(r"127\.0\.0\.1:(\d+)", said)[-1])
        self._errors: list[str] = []
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def _line_that_ends(self) -> str:
        """The next line of stdout; nothing after the one that says that it serves."""
        line = self.process.stdout.readline() if self.process.stdout and not getattr(self, "_serves", False) else ""
        self._serves = line.startswith("#")
        return line

    def _listen(self) -> None:
        for line in self.process.stderr or ():
            self._errors.append(line)

    @property
    def is_dead(self) -> bool:
        return self.process.poll() is not None

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._listening.join(5)

    def megabytes(self) -> float:
        """Resident memory; 0 where the system has no /proc."""
        status = Path(f"/proc/{self.process.pid}/status")
        found = re.search(r"VmRSS:\s+(\d+)", status.read_text()) if status.exists() else None
        return int(found[1]) / 1024 if found else 0.0

    def descriptors(self) -> int:
        folder = Path(f"/proc/{self.process.pid}/fd")
        return len(list(folder.iterdir())) if folder.exists() else 0

    def tracebacks(self) -> Counter[str]:
        """What went wrong inside, by where and what."""
        found: Counter[str] = Counter()
        said = "".join(self._errors)
        for text in re.split(r"(?=Traceback \(most recent|Fatal Python error)", said)[1:]:
            lines = text.splitlines()
            end = next((i for i, line in enumerate(lines[1:], 1) if line and not line.startswith(" ")), len(lines) - 1)
            places = [line.strip() for line in lines[:end] if "helpers/" in line]
            found[f"{lines[end]} / {places[-1] if places else lines[0]}"[:300]] += 1
        return found
