"""The stand-in for Vault: it answers the real client and plain HTTP as a real OpenBao did; and that one is asked too, where `make openbao` was."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import hvac
import pytest

from helpers import local_vault

ROOT = Path(__file__).parents[1]
CAPTURED = [json.loads(line) for line in (ROOT / "tests/data/openbao.jsonl").read_text(encoding="utf-8").splitlines()]
BAO = ROOT / ".openbao/bin/bao"
RAISES = {"raise_on_deleted_version": True}
# In Go's words, which the stand-in says in its own.
OWN_WORDS = ("error converting input", "Field validation failed")
TIMES = ("created_time", "deletion_time")


@pytest.fixture(params=["stand-in", pytest.param("OpenBao", marks=pytest.mark.skipif(not BAO.exists(), reason="make openbao"))])
def vault(request):
    """The stand-in; and a real OpenBao on a port of its own, in memory, with none of our environment."""
    if request.param == "stand-in":
        yield local_vault.start()
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [BAO, "server", "-dev", "-dev-root-token-id=made-up", f"-dev-listen-address={address}", "-dev-no-store-token"]
    with subprocess.Popen(command, env={"HOME": os.devnull, "PATH": os.environ["PATH"]}, stdout=subprocess.PIPE, text=True) as process:
        found = next(line for line in process.stdout if line.startswith("Unseal Key:"))
        real = local_vault.Vault(f"http://{address}", "made-up", found.split()[-1])
        ends = time.monotonic() + 30
        while not hvac.Client(url=real.address, token="made-up").sys.is_initialized() and time.monotonic() < ends:
            time.sleep(0.1)
        yield real
        process.kill()


@pytest.fixture
def kv(vault):
    return hvac.Client(url=vault.address, token=vault.root_token).secrets.kv.v2


def read(kv, path, version=None):
    return kv.read_secret_version(path, version, **RAISES)["data"]


def test_a_secret_has_versions(kv):
    for number, value in enumerate(("first", "second"), 1):
        assert kv.create_or_update_secret("prod/llm", {"OPENAI_API_KEY": value})["data"]["version"] == number
    assert read(kv, "prod/llm")["data"] == {"OPENAI_API_KEY": "second"}
    assert read(kv, "prod/llm", 1)["data"] == {"OPENAI_API_KEY": "first"}
    assert kv.list_secrets("")["data"]["keys"] == ["prod/"] and kv.list_secrets("prod")["data"]["keys"] == ["llm"]
    assert sorted(kv.read_secret_metadata("prod/llm")["data"]["versions"]) == ["1", "2"]


def test_what_was_deleted_comes_back_and_what_was_destroyed_does_not(kv):
    kv.create_or_update_secret("a", {"k": "v"})
    kv.delete_latest_version_of_secret("a")
    with pytest.raises(hvac.exceptions.InvalidPath):
        read(kv, "a")
    gone = kv.read_secret("a", raise_on_deleted_version=False)["data"]
    assert gone["data"] is None and gone["metadata"]["deletion_time"]
    kv.undelete_secret_versions("a", [1])
    assert read(kv, "a")["data"] == {"k": "v"}
    kv.destroy_secret_versions("a", [1])
    kv.undelete_secret_versions("a", [1])
    with pytest.raises(hvac.exceptions.InvalidPath):
        read(kv, "a")
    kv.delete_metadata_and_all_versions("a")
    with pytest.raises(hvac.exceptions.InvalidPath):
        kv.read_secret_metadata("a")


def test_two_who_write_at_once_do_not_lose_what_the_other_wrote(kv):
    kv.create_or_update_secret("a", {"k": "1"}, cas=0)
    with pytest.raises(hvac.exceptions.InvalidRequest, match="check-and-set"):
        kv.create_or_update_secret("a", {"k": "2"}, cas=0)
    assert kv.create_or_update_secret("a", {"k": "2"}, cas=1)["data"]["version"] == 2


def test_ten_versions_are_kept(kv):
    for number in range(11):
        kv.create_or_update_secret("a", {"k": number})
    with pytest.raises(hvac.exceptions.InvalidPath):
        read(kv, "a", 1)
    assert read(kv, "a", 2)["data"] == {"k": 1}


def test_a_wrong_token_and_none_are_refused(vault, kv):
    kv.create_or_update_secret("a", {"k": "v"})
    for token in ("wrong", ""):
        stranger = hvac.Client(url=vault.address, token=token)
        assert not stranger.is_authenticated()
        with pytest.raises(hvac.exceptions.Forbidden):
            read(stranger.secrets.kv.v2, "a")


POLICIES = [
    'path "secret/data/billing/*" { capabilities = ["read"] }',
    'path "secret/data/billing/*" {\n  capabilities = ["read"]\n}\npath "secret/data/other" { capabilities = ["deny"] }',
    {"path": {"secret/data/billing/*": {"capabilities": ["read"]}}},
]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_token_may_do_what_its_policy_says_and_no_more(vault, kv, policy):
    client = hvac.Client(url=vault.address, token=vault.root_token)
    for path in ("billing/llm", "other"):
        kv.create_or_update_secret(path, {"k": "v"})
    client.sys.create_or_update_policy("billing", policy)
    made = client.auth.token.create(policies=["billing"], ttl="1h")["auth"]
    assert made["lease_duration"] == 3600 and sorted(made["policies"]) == ["billing", "default"]
    service = hvac.Client(url=vault.address, token=made["client_token"])
    assert service.is_authenticated() and read(service.secrets.kv.v2, "billing/llm")["data"] == {"k": "v"}
    for forbidden in (
        lambda: read(service.secrets.kv.v2, "other"),
        lambda: read(service.secrets.kv.v2, "none"),
        lambda: service.secrets.kv.v2.create_or_update_secret("billing/llm", {"k": "mine"}),
        lambda: service.secrets.kv.v2.create_or_update_secret("billing/new", {"k": "mine"}),
        lambda: service.secrets.kv.v2.list_secrets("billing"),
        lambda: service.sys.seal(),
    ):
        with pytest.raises(hvac.exceptions.Forbidden):
            forbidden()
    service.auth.token.revoke_self()
    with pytest.raises(hvac.exceptions.Forbidden):
        read(service.secrets.kv.v2, "billing/llm")


def test_a_token_ends_by_the_clock_that_was_given():
    now = [1_000_000.0]
    vault = local_vault.start(clock=lambda: now[0])
    made = hvac.Client(url=vault.address, token=vault.root_token).auth.token.create(ttl="1h30m")["auth"]["client_token"]
    service = hvac.Client(url=vault.address, token=made)
    assert service.auth.token.lookup_self()["data"]["ttl"] == 5400
    now[0] += 5400
    assert not service.is_authenticated()


def test_a_sealed_vault_says_so_until_it_is_opened(vault, kv):
    kv.create_or_update_secret("a", {"k": "v"})
    client = hvac.Client(url=vault.address, token=vault.root_token)
    client.sys.seal()
    assert client.sys.is_sealed() and client.sys.read_health_status(method="GET").status_code == 503
    with pytest.raises(hvac.exceptions.VaultDown, match="Vault is sealed"):
        read(kv, "a")
    with pytest.raises(hvac.exceptions.InvalidRequest):
        client.sys.submit_unseal_key("wrong")
    client.sys.submit_unseal_key(vault.unseal_key)
    assert read(kv, "a")["data"] == {"k": "v"}


# ---- the stand-in alone -------------------------------------------------------------
def ask(vault, method, path, token, body):
    connection = http.client.HTTPConnection(vault.address.removeprefix("http://"), timeout=10)
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, data, {"X-Vault-Token": token} if token else {})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None


def same(ours, theirs, name=""):
    """Whether all that we say, they said: the same fields, and the same values but for times, ids and our name."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return all(field in theirs and same(value, theirs[field], field) for field, value in ours.items())
    if isinstance(theirs, str) and theirs.startswith("<"):
        return isinstance(ours, str) and bool(ours)
    if name == "version" and ours == "stand-in":
        return True
    if name == "ttl":
        return abs(ours - theirs) <= 2
    return ours == theirs or (name == "errors" and bool(ours) and theirs[0].startswith(OWN_WORDS))


def test_it_answers_as_a_real_one_did():
    vault, different = local_vault.start(), []
    tokens = {"root": vault.root_token, "wrong": "not-one"}
    for line in CAPTURED[1:]:
        status, answer = ask(vault, line["method"], line["path"], tokens.get(line["token"]), line["body"])
        if answer and answer.get("auth"):
            tokens["billing"] = answer["auth"]["client_token"]
        if status != line["status"] or not same(answer, line["answer"]):
            different.append((line["method"], line["path"], status, answer, line))
    assert not different and len(CAPTURED) > 60


@pytest.mark.parametrize("body", [b"{oops", b"[1]", b"\xff", b'{"data": 5}', b'{"data": {}, "options": {"cas": "x"}}', b"[" * 5000])
def test_bad_input_is_refused_in_words(body):
    vault = local_vault.start()
    status, answer = ask(vault, "POST", "/v1/secret/data/a", vault.root_token, body)
    assert status == 400 and answer["errors"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/auth/token/create", {"ttl": "soon"}),
        ("/v1/auth/token/create", {"ttl": [1]}),
        ("/v1/auth/token/create", {"policies": 5}),
        ("/v1/auth/token/create", {"policies": [[1]]}),
        ("/v1/sys/policies/acl/a", {"policy": "anything"}),
        ("/v1/sys/policies/acl/a", {"policy": 5}),
        ("/v1/sys/policies/acl/a", {"policy": '{"path": {"a": {}}}'}),
        ("/v1/sys/policies/acl/a", {"policy": 'path "a/+/b" { capabilities = ["read"] }'}),
        ("/v1/secret/destroy/a", {"versions": 5}),
        ("/v1/secret/delete/a", {"versions": ["1"]}),
        ("/v1/secret/data/a", {"data": {}, "options": 5}),
    ],
)
def test_wrong_values_are_refused_in_words(path, body):
    vault = local_vault.start()
    ask(vault, "POST", "/v1/secret/data/a", vault.root_token, {"data": {}})
    status, answer = ask(vault, "POST", path, vault.root_token, body)
    assert status == 400 and answer["errors"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"/v1/secret/data/a?version={'9' * 5000}", None),
        ("POST", "/v1/auth/token/create", {"ttl": "9" * 5000 + "h"}),
        ("POST", "/v1/auth/token/create", {"ttl": 1e300}),
        ("POST", "/v1/sys/policies/acl/a", {"policy": 'path "a" { capabilities = ["read"] }' + " " * 60_000 + "x"}),
    ],
)
def test_numbers_and_texts_of_any_length_are_refused_at_once_and_a_notebook_shows_nothing_of_it(method, path, body, capfd):
    vault, began = local_vault.start(), time.monotonic()
    status, answer = ask(vault, method, path, vault.root_token, body)
    assert status == 400 and answer["errors"] and time.monotonic() - began < 5
    assert capfd.readouterr() == ("", "")


def test_what_it_lacks_it_says():
    vault = local_vault.start()
    with pytest.raises(hvac.exceptions.UnexpectedError, match="the course's stand-in for a vault does not know POST secret/config"):
        hvac.Client(url=vault.address, token=vault.root_token).secrets.kv.v2.configure(max_versions=2)


def test_everything_it_keeps_is_bounded():
    vault = local_vault.start()
    status, answer = ask(vault, "POST", "/v1/secret/data/a", vault.root_token, {"data": {"k": "x" * 200_000}})
    assert (status, answer["errors"]) == (413, ["http: request body too large"])
    store = local_vault._running.store
    for number in range(1000):
        store.secrets.write(f"s{number}", {}, {"data": {}})
    status, answer = ask(vault, "POST", "/v1/secret/data/more", vault.root_token, {"data": {}})
    assert status == 400 and "keeps 1,000 of each" in answer["errors"][0]
    assert ask(vault, "POST", "/v1/secret/data/s5", vault.root_token, {"data": {}})[0] == 200


def test_started_again_it_is_empty_at_the_same_address_and_shows_no_token():
    before = local_vault.start()
    hvac.Client(url=before.address, token=before.root_token).secrets.kv.v2.create_or_update_secret("a", {"k": "v"})
    after = local_vault.start()
    assert after.address == before.address and after.root_token != before.root_token
    assert not hvac.Client(url=after.address, token=before.root_token).is_authenticated()
    with pytest.raises(hvac.exceptions.InvalidPath):
        read(hvac.Client(url=after.address, token=after.root_token).secrets.kv.v2, "a")
    assert after.root_token not in repr(after) and after.unseal_key not in repr(after)


def test_it_is_on_loopback_alone_and_ends_with_its_process():
    code = "from helpers import local_vault; print(local_vault.start().address, flush=True); __import__('sys').stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        host, port = process.stdout.readline().strip().removeprefix("http://").split(":")
        assert host == "127.0.0.1"
        socket.create_connection((host, int(port)), timeout=5).close()
    assert process.returncode == 0
    with pytest.raises(OSError):
        socket.create_connection((host, int(port)), timeout=5)


def test_a_client_that_goes_silent_holds_it_up_for_seconds_only(monkeypatch):
    monkeypatch.setattr(local_vault._Handler, "timeout", 0.2)
    vault = local_vault.start()
    host, port = vault.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as silent:
        silent.sendall(b"POST /v1/secret/data/a HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
        assert hvac.Client(url=vault.address, token=vault.root_token).is_authenticated()
