"""AWS on this machine, as exercises use it: on loopback alone, empty at each start, and gone with whoever started it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from urllib.parse import urlsplit

import boto3
import pytest

from helpers import local_aws
from helpers.course import CourseError

MADE_UP = {"region_name": "us-east-1", "aws_access_key_id": "made-up", "aws_secret_access_key": "made-up"}


def secrets(address):
    return boto3.client("secretsmanager", endpoint_url=address, **MADE_UP)


def is_open(address):
    with socket.socket() as client:
        return client.connect_ex((urlsplit(address).hostname, urlsplit(address).port)) == 0


def python(code, **options):
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_a_secret_is_kept_until_the_next_start_which_has_the_same_address(capfd):
    address = local_aws.start()
    assert urlsplit(address).hostname == "127.0.0.1"
    client = secrets(address)
    client.create_secret(Name="prod/llm", SecretString="kept")
    assert client.get_secret_value(SecretId="prod/llm")["SecretString"] == "kept"
    assert local_aws.start() == address
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_secret_value(SecretId="prod/llm")
    assert capfd.readouterr() == ("", ""), "a notebook would show what its processes print"


def test_the_version_before_is_kept():
    client = secrets(local_aws.start())
    client.create_secret(Name="a", SecretString="old")
    client.put_secret_value(SecretId="a", SecretString="new")
    found = {stage: client.get_secret_value(SecretId="a", VersionStage=stage)["SecretString"] for stage in ("AWSCURRENT", "AWSPREVIOUS")}
    assert found == {"AWSCURRENT": "new", "AWSPREVIOUS": "old"} and client.get_secret_value(SecretId="a")["SecretString"] == "new"


def test_a_token_in_a_file_becomes_credentials_that_end(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("made up")
    (tmp_path / "config").write_text(
        f"[profile chat]\nrole_arn = arn:aws:iam::123456789012:role/chat\nweb_identity_token_file = {tmp_path / 'token'}\nregion = us-east-1\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", local_aws.start())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    assert boto3.Session().get_credentials().method == "env", "a key in the environment wins"
    held = boto3.Session(profile_name="chat").get_credentials()
    assert held.method == "assume-role-with-web-identity" and held.get_frozen_credentials().token


def test_no_page_in_a_browser_may_read_it():
    request = urllib.request.Request(f"{local_aws.start()}/moto-api/data.json", headers={"Origin": "https://example.com"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        assert "access-control-allow-origin" not in {name.lower() for name in answer.headers}


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_whoever_started_it_however_that_ends(ending):
    process = python("from helpers import local_aws; print(local_aws.start(), flush=True); input()", stdin=subprocess.PIPE)
    address = process.stdout.readline().strip()
    assert is_open(address)
    process.send_signal(ending)
    process.communicate()
    ends = time.monotonic() + 30
    while is_open(address) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not is_open(address)


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_was_killed_or_does_not_answer_is_replaced(ending, monkeypatch):
    monkeypatch.setattr(local_aws, "PATIENCE", 1.0)
    local_aws.start()
    before = local_aws._running
    before.send_signal(ending)
    secrets(local_aws.start()).create_secret(Name="a", SecretString="kept")
    assert before.poll() is not None and local_aws._running is not before


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_it_goes_on_when_a_cell_is_interrupted():
    code = """if 1:
        import os, signal
        from helpers import local_aws
        address = local_aws.start()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.killpg(0, signal.SIGINT)  # as JupyterLab does it: all processes of the kernel get it
        print(local_aws.start() == address)
    """
    said = python(code, start_new_session=True).communicate(timeout=60)
    assert said == ("True\n", "")


def test_it_has_nothing_of_the_kernels_environment(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-learners-own")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    seen = {}
    monkeypatch.setattr(local_aws.subprocess, "Popen", lambda *_, env, **options: seen.update(env))
    with pytest.raises(AttributeError):  # no process was started
        local_aws._begin()
    assert seen.keys() <= {*local_aws.KEPT, *local_aws.SETTINGS} and "the-learners-own" not in seen.values()


def test_it_reaches_nothing_but_this_machine():
    code = """if 1:
        import socket
        from helpers import local_aws
        local_aws.stay_here()
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname()).close()
        for act in (lambda: socket.create_connection(("203.0.113.1", 80), 5), lambda: socket.getaddrinfo("example.invalid", 80)):
            try:
                act()
            except OSError as error:
                print(error)
    """
    said, _ = python(code).communicate(timeout=60)
    assert said.splitlines() == [f"{host} is not this machine, and nothing else is reached from here" for host in ("203.0.113.1", "example.invalid")]


def test_a_missing_package_gets_a_sentence(monkeypatch):
    monkeypatch.setattr(local_aws.importlib.util, "find_spec", lambda name: None if name == "moto" else name)
    with pytest.raises(CourseError, match="cannot start without moto: run `make setup`"):
        local_aws._begin()
