"""Fixtures that several tests of this folder use."""

from types import SimpleNamespace

import pytest
from anthropic import Anthropic


@pytest.fixture
def client(gateway):
    return Anthropic(max_retries=0)


@pytest.fixture
def still(gateway, monkeypatch):
    """The course's clock stands still but for what a test adds to it, so no bucket refills unasked."""
    now = gateway.clock.now()
    monkeypatch.setattr("helpers.gateway.clock.time", SimpleNamespace(time=lambda: now))
