"""LiteLLM's proxy on loopback, started and stopped from a notebook; and a session with it that was recorded, for where it is not built.

It runs in an environment of its own, .proxy, in a process that ends with the kernel, and asks the providers by way of the gateway.
"""

from __future__ import annotations

import atexit
import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from IPython.display import HTML

from helpers import page
from helpers.course import CourseError

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
CONFIG, KEYS, RECORDED = FOLDER / "config.yaml", FOLDER / "keys.py", FOLDER / "recorded.json"
GUARD = ROOT / "helpers" / "serving" / "guard.py"  # ends a process together with the kernel
PATIENCE = 3.0  # seconds that it gets to end itself
LONGEST_START = 180.0  # seconds; it imports for ten on a quick machine
# Which team asks for which model, one after the other.
ASKED = (
    *(("key-of-research", "claude"), ("key-of-support", "claude"), ("key-of-nobody", "small")),
    *(("key-of-support", "small"),) * 4,
)
COLUMNS = ("key", "model", "what came back")


def python() -> Path:
    """The Python of the environment that `make proxy` builds, or the one that COURSE_PROXY names; it need not be there."""
    named = os.environ.get("COURSE_PROXY")
    return Path(named).absolute() if named else ROOT / ".proxy" / "bin" / "python"


def chosen(server: str) -> bool:
    """Whether a notebook starts the proxy: with "auto", if it is built, and says so if it is not; with "recorded", never.

    Raises CourseError for every other word.
    """
    if server not in ("recorded", "auto"):
        raise CourseError(f'there is no server "{server}": choose "recorded" or "auto"')
    if server == "auto" and not python().exists():
        print('no proxy was found, so this goes on as with "recorded". `make proxy` builds it')
    return server == "auto" and python().exists()


def session(ask: Callable[[str, str, str], str], *, live: bool) -> HTML:
    """A table of what came back for each of ASKED: by `ask(address, key, model)` from a proxy that is started for it, or as recorded."""
    if live:
        with Proxy() as proxy:
            rows = [(key, model, ask(proxy.base_url, key, model)) for key, model in ASKED]
        return HTML(page.table(COLUMNS, rows, "by the proxy on this machine"))
    kept = json.loads(RECORDED.read_text(encoding="utf-8"))
    return HTML(page.table(COLUMNS, kept["rows"], f"captured {kept['date']}, LiteLLM {kept['litellm']}"))


class Proxy:
    """A running proxy. `base_url` is for OpenAI(base_url=...), with the key of a team."""

    def __init__(self) -> None:
        if not python().exists():
            raise CourseError("there is no proxy to start: run `make proxy`, or let COURSE_PROXY name a Python that has it")
        port = _free_port()
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._folder = tempfile.TemporaryDirectory(prefix="course-proxy-")
        self._log = Path(self._folder.name) / "proxy.log"
        command = [python(), "-W", "ignore", "-m", "litellm.proxy.proxy_cli", "--config", CONFIG, "--host", "127.0.0.1", "--port", port]
        # Whoever administers it needs this key; here nobody does.
        more = {"LITELLM_MASTER_KEY": f"sk-{secrets.token_hex(32)}", "PYTHONDONTWRITEBYTECODE": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        with self._log.open("wb") as log:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", GUARD, str(PATIENCE), *map(str, command)],
                cwd=self._folder.name,
                env={**{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}, **more},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # to interrupt a cell is not to interrupt the server
            )
        atexit.register(self.stop)
        self._wait_for(port)

    def _wait_for(self, port: int) -> None:
        until = time.monotonic() + LONGEST_START
        try:
            while not _is_alive(port):
                if self._guard.poll() is not None or time.monotonic() > until:
                    said = "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])
                    raise CourseError(f"the proxy did not start: remove .proxy, and run `make proxy` again. The last that it printed:\n\n{said}")
                time.sleep(0.2)
        except BaseException:  # an interrupted cell too
            self.stop()
            raise

    def stop(self) -> None:
        """End it. To stop it again does no harm."""
        with suppress(OSError, ValueError):  # it has ended already; it was stopped before
            self._guard.stdin.close()
        self._guard.wait()
        self._folder.cleanup()
        atexit.unregister(self.stop)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _is_alive(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/liveliness")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
