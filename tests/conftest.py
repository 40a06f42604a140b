"""Shared fixtures: a real gateway on loopback, an environment that points every SDK at it, and a server that says what it is told."""

import http.server
import json
import os
import threading
import time
from dataclasses import replace

import pytest
from hypothesis import settings

from helpers import environment, network
from helpers.gateway.exchange import Refusal
from helpers.gateway.handler import Handler
from helpers.gateway.server import Gateway
from helpers.gateway.sources import charges

collect_ignore = ["another_project"]  # its tests are run as its own: test_pytest_llm_gateway.py
settings.register_profile("course", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("course")


@pytest.fixture(autouse=True)
def environment_as_it_was():
    """helpers.start() sets variables of this process, which the next test is not to find."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True)
def no_request_counts_more_than_live_mode_sets_aside(monkeypatch):
    """Of every request that any test sends: the bound of its tokens is no less than the neutral count."""
    short, read = [], Handler._read

    async def checked(self, route, call, entry):
        question = await read(self, route, call, entry)
        # By the body alone: the question's own text, which is counted too where it is longer, is left out.
        bare = replace(question, messages=(), tools=())
        try:
            most = await self.work(len(call.body), lambda: charges.bound(bare, json.loads(call.body))) if question.provider != "compatible" else None
        except Refusal:
            return question
        if most and most.input_tokens < question.prompt_tokens:
            short.append((most.input_tokens, question.prompt_tokens, call.body[:200]))
        return question

    monkeypatch.setattr(Handler, "_read", checked)
    yield
    assert not short


@pytest.fixture
def gateway(monkeypatch):
    """A running gateway that answers at once; the variables of this process lead to it."""
    running = Gateway(pace=0).start()
    for name in (*environment.REMOVED, *network.PROXIES, *network.CERTIFICATES):
        monkeypatch.setenv(name, "")  # so that it is put back, whatever a test does
        monkeypatch.delenv(name)
    for name, value in environment.variables(running.base_url).items():
        monkeypatch.setenv(name, value)
    yield running
    running.stop()


@pytest.fixture
def server_saying():
    """Starts a server on loopback that answers every POST with these chunks; its base URL."""
    servers = []

    def start(status: int, content_type: str, *chunks: bytes) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.end_headers()
                for chunk in chunks:
                    self.wfile.write(chunk)
                    self.wfile.flush()
                    time.sleep(0.02)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
