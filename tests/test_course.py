"""start() in a kernel, `llm-course gateway` beside one, and the controls under /course/."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import anthropic
import boto3
import openai
import pytest
from google import genai

import helpers
from helpers import course as course_module
from helpers import environment
from helpers.course import CourseError
from helpers.gateway.server import Gateway

ROOT = Path(__file__).parent.parent
SETTINGS = ("COURSE_MODE", "COURSE_PACE", "COURSE_STRICT", "COURSE_BUDGET_USD", "COURSE_RECORD_TO")
HELLO = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Say hello in five words."}]}


@pytest.fixture
def kernel(monkeypatch):
    """A process in which nothing was started yet, as a fresh kernel is."""
    monkeypatch.setattr(course_module, "_running", None)
    for name in (*SETTINGS, *environment.REMOVED):
        monkeypatch.delenv(name, raising=False)
    for name in environment.variables(""):
        monkeypatch.setenv(name, "from-the-shell")
    yield monkeypatch
    if course_module._running is not None:
        course_module._running.gateway.stop()


def test_start_points_every_sdk_at_the_gateway_in_this_process(kernel):
    kernel.setenv("AWS_PROFILE", "work")
    course = helpers.start(pace=0, show=False)
    for name, value in environment.variables(course.gateway.base_url).items():
        assert os.environ[name] == value
    assert "AWS_PROFILE" not in os.environ
    assert openai.OpenAI().chat.completions.create(**HELLO).choices[0].message.content == "Hello, it's nice meeting you."


def test_started_again_it_begins_anew_on_the_same_port(kernel):
    course = helpers.start(pace=0, show=False)
    helpers.ask("openai", "Say hello in five words.")
    course.gateway.fault("server_error", times=None)
    again = helpers.start(pace=0, strict=True, show=False)
    assert again is course and len(again.log()) == 0 and course.bill.live == 0
    assert helpers.ask("openai", "Say hello in five words.").text
    with pytest.raises(openai.NotFoundError, match="strict mode"):
        helpers.ask("openai", "Nobody recorded this.")
    assert helpers.start(pace=0, show=False).gateway.port == course.gateway.port
    assert helpers.ask("openai", "Nobody recorded this.").text and course.log()[-1].source.kind == "house"


@pytest.mark.parametrize(
    "name, value, says",
    [
        ("COURSE_MODE", "lvie", "offline, live, record"),
        ("COURSE_PACE", "fast", "COURSE_PACE is 'fast': give a number"),
        ("COURSE_PACE", "-1", "0 or more"),
        ("COURSE_PACE", "nan", "0 or more"),
        ("COURSE_BUDGET_USD", "inf", "0 or more"),
        ("COURSE_BUDGET_USD", "1,50", "give a number"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_with_what_to_do(kernel, name, value, says):
    kernel.setenv(name, value)
    with pytest.raises(CourseError, match=re.escape(says)):
        helpers.start(show=False)


def test_empty_variables_count_as_unset(kernel):
    for line in (ROOT / ".env.example").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            assert value == ""
            kernel.setenv(name, value)
    for name in SETTINGS:
        kernel.setenv(name, "")
    course = helpers.start(show=False)
    assert (course.mode, course.gateway.pace, course.gateway.strict, str(course.budget_usd)) == ("offline", 1.0, False, "0.50")


def test_the_environment_sets_what_the_call_leaves_open(kernel):
    for name, value in (("COURSE_PACE", "0"), ("COURSE_STRICT", "1"), ("COURSE_BUDGET_USD", "0.25")):
        kernel.setenv(name, value)
    course = helpers.start(show=False)
    assert (course.gateway.pace, course.gateway.strict, str(course.budget_usd)) == (0.0, True, "0.25")
    assert helpers.start(pace=2, strict=False, show=False).gateway.pace == 2.0


def test_a_kernel_does_not_change_its_mode(kernel):
    helpers.start(show=False)
    with pytest.raises(CourseError, match="restart the kernel"):
        helpers.start(mode="live", show=False)


def test_the_status_card_says_what_to_expect_and_no_port(kernel, capsys):
    course = helpers.start(pace=0)
    assert "offline" in capsys.readouterr().out
    for card in (str(course), repr(course), course._repr_html_()):
        assert "offline" in card and "gpt-6-luna" in card and "course.bill" in card
        assert str(course.gateway.port) not in card and "127.0.0.1" not in card


def test_log_and_bill_show_themselves(kernel):
    course = helpers.start(pace=0, show=False)
    helpers.ask("anthropic", "Say hello in five words.")
    with pytest.raises(openai.NotFoundError):
        openai.OpenAI().chat.completions.create(**HELLO | {"model": "<b>"})
    for text in (str(course.log()), course.log()._repr_html_()):
        assert "claude-haiku-5-5" in text and "scripted" in text and "404" in text and "<b>" not in text
    for text in (str(course.bill), course.bill._repr_html_()):
        assert "0.00 USD" in text and "claude-haiku-5-5" in text
    assert len(course.log()) == 2 and len(course.log().only(provider="openai", status=404)) == 1


# ---- the command -------------------------------------------------------------------------------------------
def command(*arguments, **environ):
    clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return subprocess.Popen(
        [sys.executable, "-m", "helpers.command", "gateway", *arguments], cwd=ROOT, env=clean | environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_gateway_command_prints_what_a_shell_evaluates_and_stops_when_told(number):
    running = command("--port", "0", "--pace", "0", COURSE_MODE="")
    try:
        lines = []
        while not lines or not lines[-1].startswith("#"):
            lines.append(running.stdout.readline())
            assert lines[-1], running.stderr.read()
        assert "offline mode" in lines[-1]
        script = "AWS_PROFILE=work\n" + "".join(lines) + 'echo "$OPENAI_BASE_URL|$OPENAI_API_KEY|$NO_PROXY|$AWS_PROFILE"'
        shown = subprocess.run(["sh", "-eu", "-c", script.replace("$AWS_PROFILE", "${AWS_PROFILE-none}")], capture_output=True, text=True, check=True).stdout.strip()
        base_url, key, no_proxy, profile = shown.split("|")
        assert (no_proxy, profile) == ("127.0.0.1,localhost", "none")
        client = openai.OpenAI(base_url=base_url, api_key=key)
        assert client.chat.completions.create(**HELLO).choices[0].message.content == "Hello, it's nice meeting you."
        running.send_signal(number)
        assert running.wait(timeout=10) == 0
        assert running.stderr.read() == ""
    finally:
        running.kill()
        running.communicate()


def test_a_taken_port_gives_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = command("--port", str(taken.getsockname()[1]))
        out, err = ran.communicate(timeout=30)
    assert ran.returncode == 1 and out == ""
    assert re.fullmatch(r"llm-course: cannot serve on port \d+: Address already in use\. Choose another with --port\.\n", err)


@pytest.mark.parametrize(
    "arguments, environ",
    [
        (["--port", "99999"], {}),
        (["--port", "0"], {"COURSE_MODE": "lvie"}),
        (["--port", "0"], {"COURSE_PACE": "fast"}),
        (["--port", "0", "--pace", "-1"], {}),
        (["--port", "0", "--budget-usd", "much"], {}),
    ],
)
def test_a_wrong_setting_gives_a_sentence(arguments, environ):
    ran = command(*arguments, **environ)
    out, err = ran.communicate(timeout=30)
    assert (ran.returncode, out) == (1, "") and err.startswith("llm-course: ") and err.count("\n") == 1


# ---- the controls ------------------------------------------------------------------------------------------
def control(gateway, method, path, **arguments):
    data = json.dumps(arguments).encode() if arguments else None
    request = urllib.request.Request(f"{gateway.base_url}/course/{path}", data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def ask(**more):
    return openai.OpenAI(max_retries=0).chat.completions.create(**HELLO | more)


def test_status_and_log_say_what_was_received(gateway):
    ask()
    assert control(gateway, "GET", "status")[1] == {"mode": "offline", "strict": False, "pace": 0, "requests": 1, "sources": {"scripted": 1}}
    [entry] = control(gateway, "GET", "log")[1]
    assert (entry["provider"], entry["model"], entry["status"], entry["source"]["kind"]) == ("openai", "gpt-6-luna", 200, "scripted")
    assert entry["usage"]["output_tokens"] > 0


def test_a_fault_is_set_and_cleared(gateway):
    assert control(gateway, "POST", "faults", kind="overloaded", provider="openai", times=5)[0] == 200
    with pytest.raises(openai.InternalServerError):
        ask()
    assert control(gateway, "DELETE", "faults")[0] == 200
    assert ask().choices


def test_the_clock_is_moved_and_an_outage_passes(gateway):
    assert control(gateway, "POST", "faults", kind="outage", seconds=3600)[0] == 200
    with pytest.raises(openai.InternalServerError):
        ask()
    before = gateway.clock.now()
    assert control(gateway, "POST", "advance", seconds=3600)[1]["now"] >= before + 3600
    assert ask().choices


def test_a_limit_is_set(gateway):
    assert control(gateway, "POST", "limits", provider="openai", family="requests", per_minute=1)[0] == 200
    assert ask().choices
    with pytest.raises(openai.RateLimitError):
        ask()


@pytest.mark.parametrize(
    "path, arguments, says",
    [
        ("faults", {"kind": "typo"}, "rate_limited"),
        ("faults", {"kind": "slow", "provider": "opneai"}, "anthropic"),
        ("faults", {"kind": "slow", "times": 0}, "1 or more"),
        ("faults", {"kind": "slow", "seconds": -1}, "0 or more"),
        ("faults", {"kind": "slow", "chunk": "x"}, "whole number"),
        ("faults", {"kind": "outage"}, "seconds"),
        ("faults", {"kind": "slow", "typo": 1}, "typo"),
        ("advance", {"seconds": -1}, "forward"),
        ("advance", {"seconds": 1e300}, "century"),
        ("advance", {"seconds": "x"}, "numbers"),
        ("advance", {"hours": 1}, "hours"),
        ("limits", {"provider": "opneai", "family": "requests", "per_minute": 1}, "opneai"),
        ("limits", {"provider": "openai", "family": "input-tokens", "per_minute": 1}, "requests, tokens"),
        ("limits", {"provider": "openai", "family": "requests", "per_minute": 0}, "at least 1"),
        ("limits", {"provider": "openai", "family": "requests", "per_minute": 1.5}, "whole number"),
        ("limits", {"provider": "openai"}, "family"),
    ],
)
def test_a_wrong_order_is_refused_with_what_to_do_and_changes_nothing(gateway, path, arguments, says):
    status, body = control(gateway, "POST", path, **arguments)
    assert status == 400 and says in body["error"]
    assert ask().choices


@pytest.mark.parametrize("method, path", [("GET", "faults"), ("POST", "log"), ("GET", "typo")])
def test_an_unknown_control_is_refused_with_those_that_exist(gateway, method, path):
    status, body = control(gateway, method, path)
    assert status == 404 and "POST /course/advance" in body["error"]


def test_the_same_orders_in_python(gateway):
    with pytest.raises(ValueError, match="opneai"):
        gateway.limit("opneai", requests=1)
    with pytest.raises(ValueError, match="forward"):
        gateway.advance(hours=-1)
    gateway.limit("anthropic", tokens=5)
    with pytest.raises(anthropic.RateLimitError, match="5 input tokens per minute"):
        anthropic.Anthropic(max_retries=0).messages.create(**HELLO | {"model": "claude-haiku-5-5", "max_tokens": 99})


HOSTILE = {
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_DEFAULT_PROFILE": "nobody",
    "ANTHROPIC_CUSTOM_HEADERS": "x-api-key: a-real-key",
    "GOOGLE_GENAI_USE_ENTERPRISE": "true",
    "GOOGLE_GENAI_USE_VERTEXAI": "true",
    "GOOGLE_CLOUD_PROJECT": "somebody",
    "OPENAI_ORG_ID": "somebody",
}


def test_settings_of_the_shell_lead_no_sdk_elsewhere(gateway, monkeypatch, tmp_path):
    (tmp_path / "config").write_text("[default]\nignore_configured_endpoint_urls = true\n")
    for name, value in {**HOSTILE, "AWS_CONFIG_FILE": str(tmp_path / "config")}.items():
        monkeypatch.setenv(name, value)
    environment.point_sdks_at(gateway.base_url)
    assert boto3.client("bedrock-runtime").meta.endpoint_url.startswith(gateway.base_url)
    assert "a-real-key" not in str(anthropic.Anthropic().default_headers)
    client = genai.Client()
    assert not client.vertexai
    assert client.models.generate_content(model="gemini-3.5-flash-lite", contents="Say hello in five words.").text
    assert len(gateway.meter.log()) == 1


def test_a_gateway_that_does_not_run_says_so():
    stopped = Gateway(pace=0)
    with pytest.raises(RuntimeError, match="start"):
        stopped.advance(seconds=1)


def test_what_helpers_offers_is_listed():
    assert {"start", "ask", "estimate", "price", "charts"} <= set(dir(helpers))
