"""A kernel behind walls: the same ipykernel that a learner has, spoken to through a door, with an end to everything it may take.

Only its replies are read. What it prints goes nowhere, as nobody listens on that channel: so no output is too much.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.session import Session

from helpers.exercises.walls import Box, Limits

START_SECONDS, GRACE_SECONDS, LOOK_SECONDS = 60.0, 3.0, 0.2
LARGEST = 4 << 20  # bytes of a reply; a longer one ends the line
CHANNELS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
COMMAND = [sys.executable, "-m", "ipykernel_launcher", "-f", "{door}/line.json", "--HistoryManager.enabled=False", "--InteractiveShell.xmode=Minimal"]


class Ended(Exception):
    """The kernel is gone, or was ended. Its text says why."""


@dataclass(frozen=True)
class Reply:
    """How a cell ended: what it raised, if it did, and whether it was interrupted because its time was over."""

    error: str = ""  # the class of what it raised
    said: str = ""
    late: bool = False
    values: dict[str, str] = field(default_factory=dict)  # of the expressions that were asked for

    @property
    def is_ok(self) -> bool:
        return not self.error and not self.late


class Kernel:
    """A kernel in a box of its own. Every call raises Ended once it is gone."""

    def __init__(self, limits: Limits, hide: tuple[Path, ...] = (), walls: bool = True) -> None:
        self.limits = limits
        self.answered_twice = False
        self._is_ready = False
        self._ends = time.monotonic() + limits.notebook_seconds + START_SECONDS
        self._session = Session(key=secrets.token_hex(32).encode(), username="grader", check_pid=False)
        self._box = Box(COMMAND, limits, hide, walls)
        self._sockets: list[zmq.Socket] = []
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for socket in self._sockets:
            socket.close(linger=0)
        self._box.close()

    def run(self, code: str, seconds: float | None = None, quiet: bool = False, ask: dict[str, str] | None = None) -> Reply:
        """Run a cell. One that takes too long is interrupted; if it ignores that, the kernel is ended.

        quiet: it does not join the history, where the notebook's own code could read it. ask: names and expressions to evaluate.
        """
        content = {"code": code, "silent": quiet, "store_history": not quiet, "user_expressions": ask or {}, "allow_stdin": False, "stop_on_error": False}
        sent = self._session.send(self._shell, "execute_request", content)["header"]["msg_id"]
        left = self._ends - time.monotonic()
        if left <= 0:
            raise Ended(f"the whole notebook took longer than {self.limits.notebook_seconds:g} s")
        reply = self._wait(self._shell, sent, min(seconds or self.limits.cell_seconds, left))
        if reply is not None:
            return _reply(reply)
        self._session.send(self._control, "interrupt_request", {})
        if self._wait(self._shell, sent, GRACE_SECONDS) is None:
            raise Ended("a cell took too long, and went on when it was interrupted")
        return Reply(late=True)

    def _open(self) -> None:
        ports = {name: number for number, name in enumerate(CHANNELS, 1)}
        line = {"transport": "ipc", "ip": f"{self._box.inner_door}/k", "key": self._session.key.decode(), "signature_scheme": "hmac-sha256", **ports}
        (self._box.door / "line.json").write_text(json.dumps(line))
        self._shell, self._control = (self._connect(ports[name]) for name in ("shell_port", "control_port"))
        for socket in (self._shell, self._control):
            sent = self._session.send(socket, "kernel_info_request", {})["header"]["msg_id"]
            if self._wait(socket, sent, START_SECONDS) is None:
                raise Ended(f"the kernel did not start within {START_SECONDS:g} s")
        self._box.close_door()
        self._is_ready = True
        self._ends = time.monotonic() + self.limits.notebook_seconds

    def _connect(self, port: int) -> zmq.Socket:
        socket = zmq.Context.instance().socket(zmq.DEALER)
        socket.setsockopt(zmq.MAXMSGSIZE, LARGEST)
        socket.setsockopt(zmq.RECONNECT_IVL, 10)
        socket.setsockopt(zmq.IDENTITY, self._session.bsession)
        socket.connect(f"ipc://{self._box.door}/k-{port}")
        self._sockets.append(socket)
        return socket

    def _wait(self, socket: zmq.Socket, sent: str, seconds: float) -> dict[str, Any] | None:
        """The content of the reply to what was sent; None if it did not come in time."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if socket.poll(1000 * min(left, LOOK_SECONDS)):
                answers, kind, content = self._receive(socket)
                if answers == sent:
                    return content
                self.answered_twice = self.answered_twice or kind == "execute_reply"
            self._look()
        return None

    def _receive(self, socket: zmq.Socket) -> tuple[str, str, dict[str, Any]]:
        """A message: which one it answers, its kind and its content."""
        try:
            message = self._session.recv(socket, zmq.NOBLOCK)[1]
            return str(message["parent_header"].get("msg_id")), str(message["msg_type"]), dict(message["content"])
        except Exception as error:  # it is the notebook's side that wrote this: anything may be wrong with it
            raise Ended(f"the kernel's answer was none: {type(error).__name__}") from None

    def _look(self) -> None:
        """Whether the kernel still runs, and does not take too much."""
        if self._box.process.poll() is not None:
            raise Ended(f"the kernel ended: {self._box.last_words()}")
        if not self._is_ready:  # until it has a root of its own, the processes it sees are the machine's
            return
        processes, memory = self._box.load()
        if processes > self.limits.processes:
            raise Ended(f"it started more than {self.limits.processes} processes")
        if memory > self.limits.memory:
            raise Ended(f"it used more than {self.limits.memory >> 20} MB of memory")


def _reply(content: dict[str, Any]) -> Reply:
    if content.get("status") != "ok":
        return Reply(str(content.get("ename") or content.get("status"))[:100], str(content.get("evalue", "")))
    asked = content.get("user_expressions")
    values = {name: value["data"]["text/plain"] for name, value in asked.items() if "data" in value} if isinstance(asked, dict) else {}
    return Reply(values={name: str(value) for name, value in values.items()})
