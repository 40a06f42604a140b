"""Shared fixtures: a real gateway on loopback, and an environment that points every SDK at it."""

import json
from dataclasses import replace

import pytest

from helpers import environment
from helpers.gateway.exchange import Refusal
from helpers.gateway.handler import Handler
from helpers.gateway.server import Gateway
from helpers.gateway.sources import charges


@pytest.fixture(autouse=True)
def no_request_counts_more_than_live_mode_sets_aside(monkeypatch):
    """Of every request that any test sends: the bound of its tokens is no less than the neutral count."""
    short, read = [], Handler._read

    async def checked(self, route, call, entry):
        question = await read(self, route, call, entry)
        try:
            # By the body alone: the question's own text, which is counted too where it is longer, is left out.
            bare = replace(question, messages=(), tools=())
            most = charges.bound(bare, json.loads(call.body)) if question.provider != "compatible" else None
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
    for name in environment.REMOVED:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.variables(running.base_url).items():
        monkeypatch.setenv(name, value)
    yield running
    running.stop()
