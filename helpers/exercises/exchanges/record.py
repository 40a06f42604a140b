"""Writes the five files of exercise 01 anew: `python -m helpers.exercises.exchanges.record`.

Real SDKs send the requests, through a server on loopback that hands them on to the course's gateway and keeps what passes. Names that
would tell (hosts, addresses, keys, models, what a client calls itself) are left out.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2

import helpers
from helpers.exercises.exchanges import FOLDER, LEFT_OUT, MODELS, said

NOTE = "From the course's gateway: real SDKs asked, the answers were written for the course (scripted). Keys, addresses and names are left out."
# Headers whose values say who asked or who answered.
TELLING = ("api-key", "azureml-model-session", "user-agent", "x-api-key", "x-goog-api-client", "x-goog-api-key", "x-ms-deployment-name", "x-ms-served-model", "x-ms-region", "x-ratelimit-key")
VALUES = re.compile(r'("(?:model|modelVersion|system_fingerprint)": ?)"[^"]+"')
Raw = dict[str, Any]


class Handler(BaseHTTPRequestHandler):
    """Hands a request on, and keeps it with its answer."""

    server: Tap

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        kept = {name.lower(): value for name, value in self.headers.items() if name.lower() not in ("host", "accept-encoding", "connection")}
        with httpx2.Client(timeout=60) as client:
            # The host as it was asked for: a signature is made over it.
            answer = client.post(self.server.target + self.path, headers={**kept, "host": self.headers["host"]}, content=body)
        request = {"method": "POST", "headers": said(httpx2.Headers(kept)), "body": body.decode()}
        self.server.seen.append({"request": request, "response": {"status": answer.status_code, "headers": said(answer.headers), "body": answer.text}})
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Tap(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.target = target
        self.seen: list[Raw] = []


@contextmanager
def tapped(target: str) -> Iterator[tuple[str, list[Raw]]]:
    """A server in front of this one: its address, and what has passed through it."""
    tap = Tap(target)
    threading.Thread(target=tap.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{tap.server_port}", tap.seen
    finally:
        tap.shutdown()
        tap.server_close()


# ---- the five calls ---------------------------------------------------------------
def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def birthday(base: str) -> None:
    from openai import OpenAI

    client = OpenAI(base_url=f"{base}/compatible/v1", max_retries=0)
    client.chat.completions.create(model=MODELS["vllm"], messages=user("Say happy birthday in five words."), max_completion_tokens=200)


def congratulations(base: str) -> None:
    from anthropic import AnthropicBedrock

    client = AnthropicBedrock(base_url=f"{base}/bedrock", max_retries=0)
    client.messages.create(model=MODELS["invoke"], max_tokens=400, messages=user("Say congratulations in five words."))


def poem(base: str) -> None:
    from google import genai
    from google.genai import types

    client = genai.Client(http_options=types.HttpOptions(base_url=f"{base}/gemini"))
    config = types.GenerateContentConfig(max_output_tokens=400)
    for _ in client.models.generate_content_stream(model=MODELS["gemini"], contents="Write a poem.", config=config):
        pass


def thanks(base: str) -> None:
    from openai import OpenAI

    client = OpenAI(base_url=f"{base}/azure/openai/v1", max_retries=0)
    asked = {"model": MODELS["azure"], "messages": user("Say thank you in five words."), "max_completion_tokens": 200}
    for _ in client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
        pass


def broken_poem(base: str) -> None:
    import anthropic

    client = anthropic.Anthropic(base_url=f"{base}/anthropic", max_retries=0)
    try:
        for _ in client.messages.create(model=MODELS["anthropic"], max_tokens=400, messages=user("Write a poem."), stream=True):
            pass
    except anthropic.APIError:
        pass


CALLS: dict[str, Callable[[str], None]] = {"a": birthday, "b": congratulations, "c": poem, "d": thanks, "e": broken_poem}


def recorded() -> dict[str, Raw]:
    """The five exchanges, made now, without what would tell. Raises ValueError where an answer is not a written one."""
    course = helpers.start("offline", pace=0, show=False)
    with tapped(course.gateway.base_url) as (base, seen):
        for name, call in CALLS.items():
            if name == "e":
                course.gateway.fault("overloaded_in_stream", chunk=14)
            call(base)
    if any(entry.source.kind != "scripted" for entry in course.log()):
        raise ValueError(f"each of the five has to be answered by a recording:\n{course.log()}")
    return {name: {"note": NOTE, **without_names(exchange)} for name, exchange in zip(CALLS, seen, strict=True)}


def without_names(exchange: Raw) -> Raw:
    """The exchange without the values that would tell."""
    return {side: _without_names(part) for side, part in exchange.items()}


def _without_names(part: Raw) -> Raw:
    headers = {name: _header(name, value) for name, value in part["headers"].items()}
    return {**part, "headers": headers, "body": VALUES.sub(rf'\1"{LEFT_OUT}"', part["body"])}


def _header(name: str, value: str) -> str:
    if name == "authorization":
        return f"{value.split()[0]} {LEFT_OUT}"
    return LEFT_OUT if name in TELLING else value


if __name__ == "__main__":
    for name, exchange in recorded().items():
        (FOLDER / f"{name}.json").write_text(json.dumps(exchange, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
