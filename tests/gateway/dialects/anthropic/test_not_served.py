"""What the SDK can ask for and the gateway does not serve: refused in Anthropic's shape, and named where the gateway differs."""

import re
from pathlib import Path

import anthropic
import httpx2
import pytest
from anthropic import NotFoundError

import helpers.gateway
from tests.gateway.dialects.anthropic.samples import NEW, PLAIN, user

SERVED = ("/v1/messages", "/v1/models", "/v1/files")
CALL = re.compile(r'self\._(get|post|put|patch|delete|get_api_list)\(\s*(?:path_template\(\s*)?"(/v1/[^"]+)"')
DEVIATIONS = Path(helpers.gateway.__file__).with_name("DEVIATIONS.md").read_text()


def operations():
    """Methods and paths of all calls in the SDK's source."""
    sources = Path(anthropic.__file__).with_name("resources").rglob("*.py")
    found = {match.groups() for source in sources for match in CALL.finditer(source.read_text())}
    return sorted(("GET" if method == "get_api_list" else method.upper(), path) for method, path in found)


NOT_SERVED = [(method, path) for method, path in operations() if not path.startswith(SERVED)]


def test_the_sdks_source_is_read():
    families = {path.split("/")[2] for _, path in operations()}
    assert {"messages", "models", "files", "skills", "agents", "organizations"} <= families and len(NOT_SERVED) > 200


def test_each_is_refused_as_not_found(gateway):
    headers = {"x-api-key": "any", "anthropic-version": NEW}
    with httpx2.Client(headers=headers) as client:
        for method, path in NOT_SERVED:
            reply = client.request(method, f"{gateway.base_url}/anthropic{re.sub(r'{[^}]*}', 'x', path)}")
            assert (reply.status_code, reply.json()["error"]) == (404, {"type": "not_found_error", "message": "Not found"}), (method, path)


@pytest.mark.parametrize("family", sorted({path.split("/")[2] for _, path in NOT_SERVED}))
def test_each_family_is_named_where_the_gateway_differs(family):
    [line] = [line for line in DEVIATIONS.split("## Anthropic\n")[1].split("\n## ")[0].splitlines() if line.startswith("- Served: ")]
    assert family.removesuffix("s").replace("_", " ") in line.partition("Not: ")[2]


def test_the_sdk_says_so(client):
    for act in (client.beta.skills.list, client.beta.agents.list, client.beta.memory_stores.list, client.skills.list):
        with pytest.raises(NotFoundError, match="Not found"):
            act()


def test_fields_of_the_beta_that_are_not_served_are_refused_by_name(client):
    for field, value in (("fallbacks", [{"model": PLAIN}]), ("compaction", {"type": "x"}), ("billing_policy", {"bill_to": "x"})):
        with pytest.raises(anthropic.BadRequestError, match=f"{field}: Extra inputs are not permitted"):
            client.beta.messages.create(model=PLAIN, max_tokens=9, messages=user("Hello"), extra_body={field: value})


def test_the_count_of_the_beta_takes_what_the_call_takes(client):
    more = {"context_management": {"edits": []}, "mcp_servers": [{"type": "url", "name": "a", "url": "https://example.com"}]}
    plain = client.beta.messages.count_tokens(model=PLAIN, messages=user("Hello"))
    assert client.beta.messages.count_tokens(model=PLAIN, messages=user("Hello"), **more).input_tokens == plain.input_tokens
