"""Shared fixtures: a real gateway on loopback, and an environment that points every SDK at it."""

import pytest

from helpers import environment, network
from helpers.gateway.server import Gateway


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
