"""HTTP as the fuzzer speaks it: a client that can send what no SDK would, and can leave when it likes."""

from __future__ import annotations

import http.client
import io
import socket
import time
from dataclasses import dataclass, field

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
