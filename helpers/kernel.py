"""What a kernel of the course does before its first cell: whatever is sent before helpers.start() is refused.

IPython reads etc/ipython/ipython_kernel_config.py of the environment that a kernel belongs to, whoever starts the kernel:
JupyterLab, papermill, nbval, Binder, an editor. That file is installed with this package, and calls `guard`.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

from helpers import environment, network

FIRST = "Nothing was sent: run helpers.start() first, then make the client anew."
TERMINAL = f"{FIRST} For pip and the like, use a terminal."  # to what would go to another machine
PATIENCE = 10.0  # seconds for a client to send its request
_guarding = threading.Event()


def guard() -> None:
    """Point every SDK of this process at an address that refuses, until helpers.start(). Takes about 0.02 s."""
    if _guarding.is_set():
        return
    server = _Server(("127.0.0.1", 0), _Refusing)
    environment.set_aside(f"http://127.0.0.1:{server.server_address[1]}", why=FIRST)
    threading.Thread(target=server.serve_forever, name="llm-course-guard", daemon=True).start()
    _guarding.set()


class _Server(ThreadingTCPServer):
    """Not HTTPServer, which asks the network for its own name, and on some machines waits seconds for it."""

    daemon_threads = True
    request_queue_size = 64


class _Refusing(BaseHTTPRequestHandler):
    """Answers every request with an error that no SDK asks for again, in a body where each finds the sentence."""

    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    def refuse(self) -> None:
        """Hear the request out, then refuse. The reason stands in the first line too: of a proxy's answer, nothing else is shown."""
        self.close_connection = True
        length = self.headers.get("content-length", "")
        left = int(length) if length.isdecimal() else 0
        while left > 0 and (piece := self.rfile.read(min(left, 65536))):
            left -= len(piece)
        sentence = TERMINAL if self.command == "CONNECT" or "://" in self.path else FIRST
        kind, body = network.refusal(self.path, sentence)
        self.send_response(403 if self.command == "CONNECT" else 400, sentence)
        for name, value in (("content-type", kind), ("content-length", str(len(body))), ("connection", "close"), ("x-should-retry", "false")):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_CONNECT = do_DELETE = do_GET = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = refuse

    def log_message(self, *_: object) -> None:
        """Say nothing in the notebook: the error is enough."""
