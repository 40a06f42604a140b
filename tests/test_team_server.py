"""LiteLLM's proxy: the recorded session that chapter 13a shows, and a real one where `make proxy` has built it."""

import json
from importlib.metadata import version

import pytest

from helpers import team_server
from helpers.course import CourseError
from helpers.team_server import record, server

built = pytest.mark.skipif(not server.python().exists(), reason="no LiteLLM proxy is built here: `make proxy` builds it in .proxy")


def test_the_recorded_session_is_of_the_installed_version_and_asks_what_a_real_one_asks():
    kept = json.loads(server.RECORDED.read_text())
    assert kept["litellm"] == version("litellm")
    assert [tuple(row[:2]) for row in kept["rows"]] == list(server.ASKED)


def test_a_recorded_session_says_that_it_is_one(monkeypatch):
    def never(*_):
        raise AssertionError("nobody is to be asked")

    kept = json.loads(server.RECORDED.read_text())
    assert f"captured {kept['date']}, LiteLLM {kept['litellm']}" in team_server.session(never, live=False).data


def test_without_a_proxy_auto_goes_on_as_recorded_and_says_how_to_build_one(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COURSE_PROXY", str(tmp_path / "python"))
    assert not team_server.chosen("auto") and "`make proxy` builds it" in capsys.readouterr().out
    assert not team_server.chosen("recorded") and capsys.readouterr().out == ""
    with pytest.raises(CourseError, match="run `make proxy`"):
        team_server.Proxy()


def test_a_word_that_is_no_choice_is_refused():
    with pytest.raises(CourseError, match='choose "recorded" or "auto"'):
        team_server.chosen("live")


def test_a_proxy_that_cannot_start_shows_what_it_printed(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no such module\nexit 3\n")
    python.chmod(0o755)
    monkeypatch.setenv("COURSE_PROXY", str(python))
    with pytest.raises(CourseError, match="(?s)run `make proxy` again.*no such module"):
        team_server.Proxy()


def test_an_interrupted_start_leaves_no_process_behind(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o755)
    monkeypatch.setenv("COURSE_PROXY", str(python))
    started, popen = [], server.subprocess.Popen
    monkeypatch.setattr(server.subprocess, "Popen", lambda *args, **options: started.append(popen(*args, **options)) or started[0])

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "_is_alive", interrupt)
    with pytest.raises(KeyboardInterrupt):
        team_server.Proxy()
    assert started[0].poll() is not None


@built
def test_a_real_proxy_holds_teams_to_their_models_and_budgets_as_recorded(gateway):
    kept = json.loads(server.RECORDED.read_text())
    with team_server.Proxy() as proxy:
        rows = [[key, model, record.ask(proxy.base_url, key, model)] for key, model in server.ASKED]
    assert rows == kept["rows"]
    # A model that a team may not use, an unknown key and a spent budget: none of these reached a provider.
    assert [entry.provider for entry in gateway.meter.log()] == ["anthropic", "openai", "openai"]
    assert not server._is_alive(int(proxy.base_url.rpartition(":")[2].partition("/")[0]))
