"""Clients whose own way of making an address from the printed variables leads past the routes arrive all the same."""

import httpx2
import openai
import pytest

from helpers.gateway.detours import straight

HELLO = [{"role": "user", "content": "Say hello in five words."}]
CLAUDE = {"model": "claude-haiku-5-5", "max_tokens": 100, "messages": HELLO}


def send(gateway, path, **body):
    headers = {"x-api-key": "k", "api-key": "k", "authorization": "Bearer k", "anthropic-version": "2023-06-01"}
    return httpx2.request("POST" if body else "GET", f"{gateway.base_url}{path}", json=body or None, headers=headers)


def test_anthropics_address_without_v1(gateway):
    """As Vercel's AI SDK makes it."""
    with_it, without = (send(gateway, f"/anthropic{version}/messages", **CLAUDE) for version in ("/v1", ""))
    assert with_it.status_code == without.status_code == 200 and with_it.json()["content"][-1] == without.json()["content"][-1]
    count = send(gateway, "/anthropic/messages/count_tokens", **{name: value for name, value in CLAUDE.items() if name != "max_tokens"})
    assert count.json()["input_tokens"] > 0 and send(gateway, "/anthropic/models").json()["data"]
    assert send(gateway, "/anthropic/models/claude-haiku-5-5").json()["id"] == "claude-haiku-5-5"
    assert send(gateway, "/anthropic/messages", **CLAUDE | {"model": "nobody"}).json()["error"]["type"] == "not_found_error"


def test_a_deployment_under_openais_address_is_azures(gateway):
    """As openai-node's AzureOpenAI makes it; Python's does not, unless it is told to."""
    client = openai.AzureOpenAI(base_url=f"{gateway.base_url}/openai/v1")
    assert client.chat.completions.create(model="gpt-4o-mini", messages=HELLO).choices[0].message.content == "Hello, it's nice meeting you."
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="nobody", messages=HELLO)
    assert refused.value.code == "DeploymentNotFound"
    assert {entry.provider for entry in gateway.meter.log()} == {"azure"}


@pytest.mark.parametrize(
    "path",
    ["/anthropic/v1/messages", "/anthropic/v1/chat/completions", "/anthropic/message", "/anthropic/messagesx", "/anthropic", "/openai/v1/chat/completions", "/openai/v1/deployments", "/azure/openai/deployments/x/chat/completions"],
)
def test_other_paths_are_meant_as_they_are(path):
    assert straight(path) == path
