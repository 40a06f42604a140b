"""Sends the samples and reads what comes back: JSON, server-sent events, and AWS's event stream."""

from __future__ import annotations

import json
from typing import Any

import httpx2

from helpers.drift.samples import Sample

PATIENCE = 120  # seconds


class Refused(ValueError):
    """The request was not answered; the message says what came instead."""


def ask(client: httpx2.Client, base_url: str, sample: Sample) -> list[Any]:
    """What was answered: one body, or the events of a stream. Raises Refused."""
    method, content = ("GET", None) if sample.body is None else ("POST", json.dumps(sample.body))
    headers = {"Content-Type": "application/json", **sample.headers}
    answer = client.request(method, base_url + sample.path, content=content, headers=headers, timeout=PATIENCE)
    if answer.status_code != 200:
        raise Refused(f"{answer.status_code} {answer.text[:200].strip()}")
    if not sample.is_streamed:
        return [answer.json()]
    return _frames(answer.content) if sample.provider == "bedrock" else _events(answer.text)


def _events(text: str) -> list[Any]:
    """Of server-sent events, without Anthropic's pings, which its SDK passes over."""
    lines = (line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:"))
    found = [json.loads(line) for line in lines if line != "[DONE]"]
    return [event for event in found if event.get("type") != "ping"]


def _frames(content: bytes) -> list[dict[str, Any]]:
    """Of AWS's event stream, each by its name and without `p`, the padding that botocore passes over."""
    from botocore.eventstream import EventStreamBuffer

    buffer = EventStreamBuffer()
    buffer.add_data(content)
    return [{frame.headers[":event-type"]: {name: value for name, value in json.loads(frame.payload).items() if name != "p"}} for frame in buffer]
