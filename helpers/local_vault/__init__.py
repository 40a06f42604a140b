"""A stand-in for HashiCorp's Vault on loopback: its key-value store (KV, version 2), tokens and policies, for the client `hvac`.

It is no Vault: what it is told it keeps in memory, unencrypted, and it ends with the kernel. It answers as OpenBao 2.7.2 did, the
free continuation of Vault, which tests compare (tests/data/openbao.jsonl). What it lacks it says, with status 405.
"""

from __future__ import annotations

import http.server
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from helpers.local_vault.bounds import Refused
from helpers.local_vault.store import Store

HOST = "127.0.0.1"
LARGEST_BODY = 100_000  # bytes
_running: _Server | None = None
_starting = threading.Lock()


@dataclass
class Vault:
    """Where it is, the token that may do everything, and what opens it when it was sealed. None of them is shown."""

    address: str
    root_token: str = field(repr=False)
    unseal_key: str = field(repr=False)


def start(clock: Callable[[], float] = time.time) -> Vault:
    """A vault that holds nothing yet. Called again, it begins anew at the same address, with another token.

    Give address and root_token to hvac.Client(url=..., token=...). clock: seconds since 1970, by which tokens end.
    """
    global _running
    with _starting:
        if _running is None:
            _running = _Server((HOST, 0), _Handler)
            threading.Thread(target=_running.serve_forever, name="local-vault", daemon=True).start()
        _running.store = store = Store(clock)
    return Vault(f"http://{HOST}:{_running.server_port}", store.access.root_token, store.unseal_key)


class _Server(http.server.HTTPServer):
    """One request at a time, so that nothing here needs a lock."""

    def handle_error(self, *where: Any) -> None:
        """Nothing of a client that went away in the middle: that is no news for a notebook."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*where)


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = 5  # seconds in which a request has to come
    server_version, sys_version = "local-vault", ""

    def _serve(self) -> None:
        url, size = urlsplit(self.path), self.headers.get("Content-Length", "0")
        try:
            if not size.isdecimal() or int(size) > LARGEST_BODY:
                raise Refused(413, "http: request body too large")
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
            arguments = self.command, unquote(url.path).removeprefix("/v1/"), query, self.headers.get("X-Vault-Token", "")
            status, answer = self.server.store.answer(*arguments, self.rfile.read(int(size)))
        except Refused as error:
            status, *errors = error.args
            answer = {"errors": errors}
        body = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(204 if answer is None else status)
        for name, value in (("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_LIST = do_PATCH = _serve

    def log_message(self, *_: Any) -> None:
        """Say nothing in the notebook."""
