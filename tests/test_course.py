"""start() in a kernel, `llm-course gateway` beside one, and the controls under /course/."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import anthropic
import boto3
import certifi
import httpx2
import openai
import pytest
from google import genai

import helpers
from helpers import course as course_module
from helpers import environment, network
from helpers.course import CourseError
from helpers.gateway.server import Gateway

ROOT = Path(__file__).parent.parent
SETTINGS = ("COURSE_MODE", "COURSE_PACE", "COURSE_STRICT", "COURSE_BUDGET_USD", "COURSE_RECORD_TO")
HELLO = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Say hello in five words."}]}


@pytest.fixture
def kernel(monkeypatch):
    """A process in which nothing was started yet, as a fresh kernel is."""
    monkeypatch.setattr(course_module, "_running", None)
    for name in (*SETTINGS, *environment.REMOVED, *network.PROXIES, *network.CERTIFICATES):
        monkeypatch.setenv(name, "")  # so that it is put back, whatever start() does
        monkeypatch.delenv(name)
    for name in environment.variables(""):
        monkeypatch.setenv(name, "from-the-shell")
    yield monkeypatch
    if course_module._running is not None:
        course_module._running.gateway.stop()


def test_start_points_every_sdk_at_the_gateway_in_this_process(kernel):
    kernel.setenv("AWS_PROFILE", "work")
    course = helpers.start(pace=0, show=False)
    for name, value in environment.variables(course.gateway.base_url).items():
        assert os.environ[name] == (f"{value},from-the-shell" if name in network.DIRECT else value)
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
        ("COURSE_PACE", "-1", "from 0 to 100"),
        ("COURSE_PACE", "nan", "from 0 to 100"),
        ("COURSE_PACE", "1e400", "COURSE_PACE is '1e400': give a number from 0 to 100"),
        ("COURSE_PACE", "101", "from 0 to 100"),
        ("COURSE_BUDGET_USD", "inf", "from 0 to 10000"),
        ("COURSE_BUDGET_USD", "1e400", "from 0 to 10000"),
        ("COURSE_BUDGET_USD", "1,50", "give a number"),
        ("COURSE_STRICT", "maybe", "COURSE_STRICT is 'maybe': give 1 or 0"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_with_what_to_do(kernel, name, value, says):
    kernel.setenv(name, value)
    with pytest.raises(CourseError, match=re.escape(says)):
        helpers.start(show=False)


@pytest.mark.parametrize("text, strict", [("1", True), ("true", True), ("Yes", True), (" on ", True), ("0", False), ("False", False), ("no", False)])
def test_strict_is_said_in_words_too(kernel, text, strict):
    kernel.setenv("COURSE_STRICT", text)
    assert helpers.start(show=False).gateway.strict is strict


def test_an_argument_that_makes_no_sense_is_refused(kernel):
    with pytest.raises(CourseError, match="strict is 'no': give True or False"):
        helpers.start(strict="no", show=False)


@pytest.mark.parametrize("line", ["COURSE_MODE=live", "export COURSE_MODE = 'live'", "  COURSE_PACE=0 # at once"])
def test_a_setting_in_dotenv_is_not_passed_over_in_silence(kernel, tmp_path, line):
    (tmp_path / ".env").write_text(f"# settings\n{line}\n")
    (tmp_path / "notebooks").mkdir()
    kernel.chdir(tmp_path / "notebooks")
    name = re.search("COURSE_[A-Z]+", line)[0]
    with pytest.raises(CourseError, match=f"{name} stands in .*env, which is read for keys alone: set it in your shell"):
        helpers.start(show=False)
    kernel.setenv(name, {"COURSE_MODE": "offline", "COURSE_PACE": "0"}[name])
    assert helpers.start(show=False).mode == "offline", "what the shell says counts"


@pytest.mark.parametrize("text", ["COURSE_MODE=\n", "# COURSE_MODE=live\n", "NOTE=COURSE_MODE=live\n"])
def test_a_dotenv_without_a_setting_is_none_of_its_business(kernel, tmp_path, text):
    (tmp_path / ".env").write_text(text)
    kernel.chdir(tmp_path)
    assert helpers.start(show=False).mode == "offline"


def test_a_dotenv_that_may_not_be_read_is_nothing_to_offline_mode(kernel, tmp_path):
    def read(path, really=Path.read_bytes):
        if path.name == ".env":
            raise PermissionError(13, "Permission denied", str(path))
        return really(path)

    (tmp_path / ".env").write_text("COURSE_MODE=live\n")
    kernel.chdir(tmp_path)
    kernel.setattr(Path, "read_bytes", read)
    assert helpers.start(show=False).mode == "offline"


KEY = b"OPENAI_API_KEY=some-key\r\n"


@pytest.mark.parametrize("data", [b"\xff\xfe" + KEY.decode().encode("utf-16-le"), KEY.decode().encode("utf-16-le"), b"# cl\xe9\r\n" + KEY])
def test_a_dotenv_that_is_not_in_utf8_is_refused_by_name(kernel, tmp_path, data):
    (tmp_path / ".env").write_bytes(data)
    kernel.chdir(tmp_path)
    with pytest.raises(CourseError, match=r"\.env is not in UTF-8: save it in UTF-8"):
        helpers.start(mode="live", show=False)
    assert helpers.start(show=False).mode == "offline", "offline, its keys are not read"


def test_a_byte_order_mark_of_utf8_is_no_part_of_a_key(kernel, tmp_path):
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbf" + KEY)
    kernel.chdir(tmp_path)
    kernel.delenv("OPENAI_API_KEY")
    assert "OPENAI_API_KEY" in repr(helpers.start(mode="live", show=False).gateway.upstream._keys)


def test_a_folder_for_recordings_that_is_a_file_is_refused(kernel, tmp_path):
    (tmp_path / "file").touch()
    kernel.setenv("COURSE_RECORD_TO", str(tmp_path / "file"))
    with pytest.raises(CourseError, match="is no folder"):
        helpers.start(mode="record", show=False)
    kernel.setenv("COURSE_RECORD_TO", str(tmp_path / "made-when-needed"))
    assert helpers.start(mode="record", show=False).mode == "record"


@pytest.mark.parametrize(
    "name, value",
    [
        ("SSL_CERT_FILE", "/no/such/cacert.pem"),
        ("SSL_CERT_FILE", "{garbage}"),
        ("SSL_CERT_FILE", "{empty}"),
        ("SSL_CERT_FILE", ""),
        ("SSL_CERT_DIR", "/no/such/folder"),
        ("SSLKEYLOGFILE", "/no/such/folder/keys"),
        ("REQUESTS_CA_BUNDLE", "/no/such/cacert.pem"),
        ("CURL_CA_BUNDLE", "/no/such/cacert.pem"),
        ("AWS_CA_BUNDLE", "/no/such/cacert.pem"),
        *((name, "socks5://proxy.example:1080") for name in ("ALL_PROXY", "all_proxy", "HTTPS_PROXY", "http_proxy")),
        ("HTTPS_PROXY", "ftp://proxy.example"),
        ("http_proxy", "http://somebody:a-secret@proxy.example:x"),
        ("NO_PROXY", "*"),
        ("no_proxy", "http://[::1], fe80::/10, müller.example"),
    ],
)
def test_no_network_setting_of_the_shell_breaks_an_offline_call(kernel, tmp_path, name, value):
    (tmp_path / "garbage").write_text("no certificate")
    (tmp_path / "empty").touch()
    for other in (*network.PROXIES, *network.CERTIFICATES, *network.DIRECT):
        kernel.delenv(other, raising=False)
    kernel.setenv(name, value.format(garbage=tmp_path / "garbage", empty=tmp_path / "empty") if "{" in value else value)
    course = helpers.start(pace=0, show=False)
    for provider in ("openai", "anthropic", "gemini", "bedrock"):  # one for each SDK
        assert helpers.ask(provider, "Say hello in five words.").text
    assert (f"{name}," in str(course) or f"{name}:" in str(course)) == bool(value), "what is set aside is said"
    assert "proxy.example" not in str(course)
    assert "Set aside" not in str(helpers.start(pace=0, show=False)), "once"


@pytest.mark.parametrize(
    "name, value", [("SSL_CERT_FILE", "/no/such/cacert.pem"), ("ALL_PROXY", "socks5://somebody:a-secret@proxy.example"), ("https_proxy", "ftp://proxy.example")]
)
def test_live_mode_refuses_a_network_that_cannot_be_used_by_its_name_alone(kernel, name, value):
    kernel.setenv(name, value)
    with pytest.raises(CourseError, match=f"^{name} cannot be used: correct or unset it") as refused:
        helpers.start(mode="live", show=False)
    assert value not in str(refused.value)


def test_live_mode_leaves_the_network_of_the_shell_as_it_is(kernel):
    for name, value in {"NO_PROXY": "*,models.corp.example", "HTTPS_PROXY": "http://proxy.example:3128", "SSL_CERT_FILE": certifi.where()}.items():
        kernel.setenv(name, value)
    course = helpers.start(mode="live", show=False)
    assert os.environ["NO_PROXY"] == "127.0.0.1,localhost,::1,*,models.corp.example"
    assert os.environ["HTTPS_PROXY"] == "http://proxy.example:3128" and os.environ["SSL_CERT_FILE"] == certifi.where()
    assert not {"NO_PROXY", "HTTPS_PROXY", "SSL_CERT_FILE"} & set(course.set_aside)


def test_offline_a_client_of_another_machine_is_told_why(kernel):
    helpers.start(pace=0, show=False)
    with pytest.raises(httpx2.ProxyError, match="403 Nothing was sent: this kernel is offline"):
        httpx2.get("https://api.openai.com/v1/models")
    plain = httpx2.get("http://models.corp.example/v1/models")
    assert plain.status_code == 403 and "helpers.start(mode=" in plain.json()["error"]["message"]


def test_a_client_that_names_another_server_on_this_machine_reaches_it(kernel, gateway):
    helpers.start(pace=0, show=False)
    other = openai.OpenAI(base_url=f"http://localhost:{gateway.port}/openai/v1")
    assert other.chat.completions.create(**HELLO).choices and len(gateway.meter.log()) == 1


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
    for card in (str(course), repr(course), course._repr_html_().replace("<wbr>", "")):
        assert "offline" in card and "gpt-6-luna" in card and "course.bill" in card
        assert str(course.gateway.port) not in card and "127.0.0.1" not in card


def test_log_and_bill_show_themselves(kernel):
    course = helpers.start(pace=0, show=False)
    helpers.ask("anthropic", "Say hello in five words.")
    with pytest.raises(openai.NotFoundError):
        openai.OpenAI().chat.completions.create(**HELLO | {"model": "<b>"})
    for text in (str(course.log()), course.log()._repr_html_().replace("<wbr>", "")):
        assert "claude-haiku-5-5" in text and "scripted" in text and "404" in text and "<b>" not in text
    for text in (str(course.bill), course.bill._repr_html_().replace("<wbr>", "")):
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
        script = "AWS_PROFILE=work\nNO_PROXY=models.corp.example\n" + "".join(lines) + 'echo "$OPENAI_BASE_URL|$OPENAI_API_KEY|$NO_PROXY|$AWS_PROFILE"'
        shown = subprocess.run(["sh", "-eu", "-c", script.replace("$AWS_PROFILE", "${AWS_PROFILE-none}")], capture_output=True, text=True, check=True).stdout.strip()
        base_url, key, no_proxy, profile = shown.split("|")
        assert (no_proxy, profile) == ("127.0.0.1,localhost,::1,models.corp.example", "none")
        client = openai.OpenAI(base_url=base_url, api_key=key)
        assert client.chat.completions.create(**HELLO).choices[0].message.content == "Hello, it's nice meeting you."
        running.send_signal(number)
        assert running.wait(timeout=10) == 0
        assert running.stderr.read() == ""
    finally:
        running.kill()
        running.communicate()


def test_the_gateway_command_counts_with_its_own_files_whatever_the_shell_says(tmp_path):
    dead = "http://127.0.0.1:9"
    running = command("--port", "0", "--pace", "0", TIKTOKEN_CACHE_DIR=str(tmp_path), HTTPS_PROXY=dead, https_proxy=dead)
    try:
        base_url = next(line for line in running.stdout if line.startswith("export OPENAI_BASE_URL=")).strip().partition("=")[2]
        assert openai.OpenAI(base_url=base_url, api_key="any", max_retries=0).chat.completions.create(**HELLO | {"messages": [{"role": "user", "content": "hi"}]}).usage.prompt_tokens
    finally:
        running.kill()
        running.communicate()
    assert list(tmp_path.iterdir()) == []


def test_the_gateway_command_unsets_what_would_stop_every_client_and_leaves_the_rest():
    running = command("--port", "0", ALL_PROXY="socks5://proxy.example", HTTPS_PROXY="http://proxy.example", SSL_CERT_FILE="/no/such/file", ANTHROPIC_NEW="x")
    try:
        unset = running.stdout.readline().split()
    finally:
        running.kill()
        running.communicate()
    assert {"ALL_PROXY", "SSL_CERT_FILE", "ANTHROPIC_NEW", "AWS_PROFILE"} <= set(unset) and "HTTPS_PROXY" not in unset


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
        (["--port", "0"], {"COURSE_PACE": "1e400"}),
        (["--port", "0"], {"COURSE_STRICT": "maybe"}),
        (["--port", "0", "--recordings", "/no/such/folder"], {}),
        (["--port", "0", "--mode", "live"], {"ALL_PROXY": "socks5://proxy.example"}),
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


def test_the_clock_stands_still_and_goes_on(gateway):
    assert control(gateway, "POST", "stop_clock") == (200, {"now": gateway.clock.now()})
    stood = gateway.clock.now()
    assert control(gateway, "POST", "advance", minutes=1, hours=1)[1] == {"now": stood + 3660}
    assert control(gateway, "POST", "start_clock")[0] == 200
    time.sleep(0.01)
    assert gateway.clock.now() > stood + 3660


def test_a_key_is_revoked_and_not_said_again(gateway):
    assert control(gateway, "POST", "revoke", key="sk-an-old-one") == (200, {"revoked": True})
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(max_retries=0, api_key="sk-an-old-one").chat.completions.create(**HELLO)
    assert ask().choices
    assert control(gateway, "POST", "reset")[0] == 200
    assert openai.OpenAI(max_retries=0, api_key="sk-an-old-one").chat.completions.create(**HELLO).choices


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
        ("advance", {"hours": "1"}, "hours"),
        ("advance", {}, "seconds, minutes"),
        ("advance", {"days": 1}, "it takes seconds, minutes, hours"),
        ("stop_clock", {"seconds": 1}, "no arguments"),
        ("revoke", {}, "key is missing"),
        ("revoke", {"key": ""}, "not empty"),
        ("revoke", {"key": 5}, "not empty"),
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


@pytest.mark.parametrize("path", ["/bedrock-mantle/openai/v1/responses", "/vertex/v1/projects", "/typo"])
def test_where_nothing_is_served_the_answer_says_what_is(gateway, path):
    answer = httpx2.get(gateway.base_url + path)
    assert answer.status_code == 404
    assert f"The course's gateway has nothing under {path}; it serves /openai, /azure" in answer.json()["error"]["message"]


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
