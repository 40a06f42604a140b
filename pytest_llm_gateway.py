"""The pytest fixture `llm_gateway`, for any project that calls LLM APIs: pytest finds it where this package is installed.

It stands beside the package `helpers`, from which it imports only when the gateway is wanted: a project that does not ask for it is not
touched, nor is one with a package `helpers` of its own.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from helpers.gateway.server import Gateway

HIDDEN = (
    "llm_gateway: a package `helpers` of this project's own hides that of the gateway. Install the gateway in an environment of its own, run "
    "`llm-course gateway` there, and give it orders over HTTP, under /course/"
)
RUNNING: pytest.StashKey[Gateway] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("llm_gateway_at_start", "whether the SDKs' variables are set before any test is imported, for clients that a module makes", "bool", False)
    parser.addini("llm_gateway_strict", "whether a prompt is refused that has neither a recording nor an answer that the test has set", "bool", False)
    parser.addini("llm_gateway_pace", "0 answers at once, 1 at the typical speed of the model", "float", 0.0)
    parser.addini("llm_gateway_recordings", "a folder with recordings of the project's own, in the place of the course's", "string", "")


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.getini("llm_gateway_at_start"):
        shell = pytest.MonkeyPatch()
        session.config.add_cleanup(shell.undo)
        _point_sdks_at(_running(session.config), shell)


@pytest.fixture
def llm_gateway(pytestconfig: pytest.Config) -> Iterator[Gateway]:
    """A gateway on loopback that speaks like the providers of LLMs, as good as new; the variables of every SDK lead to it.

    Its controls: script, fault, limit, revoke, advance, stop_clock, log, verdict. `base_url` is where it listens. All tests of a process
    have the same one, begun anew for each. It never calls a provider.
    """
    gateway = _running(pytestconfig)
    gateway.strict, gateway.pace = pytestconfig.getini("llm_gateway_strict"), pytestconfig.getini("llm_gateway_pace")
    gateway.reset()
    with pytest.MonkeyPatch.context() as shell:
        _point_sdks_at(gateway, shell)
        yield gateway


def _running(config: pytest.Config) -> Gateway:
    """The gateway of this process, which stops when pytest ends."""
    if RUNNING not in config.stash or not config.stash[RUNNING].is_running:
        gateway = _made(config)
        config.stash[RUNNING] = gateway.start()
        config.add_cleanup(gateway.stop)
    return config.stash[RUNNING]


def _made(config: pytest.Config) -> Gateway:
    if _is_hidden():
        raise pytest.UsageError(HIDDEN)
    from helpers.gateway.server import Gateway

    own = config.getini("llm_gateway_recordings")
    if not own:
        return Gateway()
    folder = config.rootpath / own
    if not folder.is_dir():
        raise pytest.UsageError(f"llm_gateway_recordings: {folder} is no folder")
    return Gateway(recordings=folder)


def _is_hidden() -> bool:
    """Whether `helpers` is not ours but another's, be it a folder or a single file."""
    found = importlib.util.find_spec("helpers")
    return found is None or found.origin is None or not (Path(found.origin).parent / "gateway").is_dir()


def _point_sdks_at(gateway: Gateway, shell: pytest.MonkeyPatch) -> None:
    from helpers import environment

    for name, value in environment.changes(gateway.base_url, os.environ, offline=False).items():
        if value is None:
            shell.delenv(name, raising=False)
        else:
            shell.setenv(name, value)
