"""Anthropic's workload identity through its own SDK: a platform's token is exchanged, and nobody holds a key."""

import anthropic
import httpx2
import pytest
from anthropic import Anthropic
from anthropic.lib.credentials import IdentityTokenFile, WorkloadIdentityCredentials, WorkloadIdentityError

ORGANIZATION = "00000000-0000-4000-8000-000000000000"
MESSAGES = [{"role": "user", "content": "Say hello in five words."}]


@pytest.fixture
def platform(tmp_path):
    """The file in which a platform vouches for a program."""
    (tmp_path / "token").write_text("made up")
    return tmp_path / "token"


def claude(platform):
    vouched = WorkloadIdentityCredentials(
        identity_token_provider=IdentityTokenFile(platform), federation_rule_id="fdrl_made_up", organization_id=ORGANIZATION
    )
    return Anthropic(credentials=vouched, max_retries=0)


def ask(client):
    return client.messages.create(model="claude-haiku-5-5", max_tokens=500, messages=MESSAGES)


def operations(gateway):
    return [entry.operation for entry in gateway.meter.log()]


def test_a_token_is_exchanged_once_and_used(gateway, platform):
    client = claude(platform)
    assert client.api_key is None
    assert ask(client).content[-1].text == ask(client).content[-1].text
    assert operations(gateway) == ["token", "messages", "messages"]


def test_the_variables_alone_will_do_where_there_is_no_key(gateway, platform, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_IDENTITY_TOKEN_FILE", str(platform))
    monkeypatch.setenv("ANTHROPIC_FEDERATION_RULE_ID", "fdrl_made_up")
    monkeypatch.setenv("ANTHROPIC_ORGANIZATION_ID", ORGANIZATION)
    ask(Anthropic(max_retries=0))
    assert operations(gateway) == ["messages"], "a key in the environment wins"
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    ask(Anthropic(max_retries=0))
    assert operations(gateway) == ["messages", "token", "messages"]


def test_a_program_that_nobody_vouches_for_is_refused(gateway, platform):
    platform.write_text("an invalid token")
    with pytest.raises(WorkloadIdentityError) as caught:
        ask(claude(platform))
    assert caught.value.status_code == 401 and caught.value.body["error"] == "invalid_grant"


@pytest.mark.parametrize("missing", ["grant_type", "assertion", "federation_rule_id", "organization_id"])
def test_what_is_missing_is_named(gateway, missing):
    body = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a", "federation_rule_id": "b", "organization_id": "c"}
    answer = httpx2.post(f"{gateway.base_url}/anthropic/v1/oauth/token", json={**body, missing: 5})
    assert answer.status_code == 400 and missing in answer.json()["error_description"]


def test_a_token_ends(gateway):
    body = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a", "federation_rule_id": "b", "organization_id": "c"}
    answer = httpx2.post(f"{gateway.base_url}/anthropic/v1/oauth/token", json=body).json()
    client = Anthropic(auth_token=answer["access_token"], max_retries=0)
    ask(client)
    gateway.advance(seconds=answer["expires_in"])
    with pytest.raises(anthropic.AuthenticationError, match="OAuth token has expired"):
        ask(client)


def test_the_sdk_asks_for_another_when_its_token_is_refused(gateway, platform):
    client = claude(platform).with_options(max_retries=2)
    ask(client)
    gateway.advance(hours=1)
    ask(client)
    assert [(entry.operation, entry.status) for entry in gateway.meter.log()][2:] == [("messages", 401), ("token", 200), ("messages", 200)]


def test_the_tokens_are_bounded(gateway, platform):
    dialect = next(dialect for dialect, _ in gateway._dialects if dialect.mount == "/anthropic")
    for number in range(1005):
        dialect._identities._ends[str(number)] = 1.0
    client = claude(platform)
    for _ in range(3):
        client.credentials()
    assert len(dialect._identities._ends) <= 1007
