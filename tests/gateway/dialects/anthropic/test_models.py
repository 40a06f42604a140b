"""Anthropic's list of models: pages, stages of life, and what each model can do, as the SDK's types have them."""

import anthropic
import httpx2
import pytest
from anthropic.types import ModelInfo

from tests.gateway.dialects.anthropic.samples import OLD, THINKS, user

RETIRED, DEPRECATED = "claude-sonnet-4-20250514", "claude-sonnet-4-5"


def page(gateway, **query):
    reply = httpx2.get(f"{gateway.base_url}/anthropic/v1/models", params=query, headers={"x-api-key": "any", "anthropic-version": OLD})
    return reply.json()


def test_pages_of_a_size_together_are_the_whole_list(gateway, client):
    whole = [model.id for model in client.models.list(limit=1000)]
    assert [model.id for model in client.models.list(limit=2)] == whole
    first = page(gateway, limit=2)
    assert (len(first["data"]), first["has_more"], first["first_id"], first["last_id"]) == (2, True, whole[0], whole[1])
    after = page(gateway, limit=2, after_id=whole[1])
    assert [model["id"] for model in after["data"]] == whole[2:4]
    before = page(gateway, limit=2, before_id=whole[3])
    assert [model["id"] for model in before["data"]] == whole[1:3] and before["has_more"]
    assert page(gateway, before_id=whole[0])["data"] == [] and page(gateway, before_id=whole[0])["first_id"] is None


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "1001"}, {"limit": "many"}, {"after_id": "claude-none"}, {"lifecycle": "old"}])
def test_a_page_that_there_is_not(gateway, query):
    assert page(gateway, **query)["error"]["type"] == "invalid_request_error"


def test_stages_of_life(client):
    stages = {stage: {model.id for model in client.models.list(lifecycle=[stage])} for stage in ("active", "deprecated", "retired")}
    assert THINKS in stages["active"] and DEPRECATED in stages["deprecated"] and RETIRED in stages["retired"]
    assert {model.id for model in client.models.list()} == stages["active"] | stages["deprecated"]
    both = {model.id for model in client.models.list(lifecycle=["deprecated", "retired"])}
    assert both == stages["deprecated"] | stages["retired"]


def test_every_model_has_what_the_sdks_type_requires(gateway):
    for body in page(gateway, limit=1000)["data"]:
        strict = ModelInfo.model_validate(body, strict=False)
        missing = [name for name, field in type(strict.capabilities).model_fields.items() if field.is_required() and name not in body["capabilities"]]
        kinds = body["capabilities"]["thinking"]["types"]
        assert not missing and set(kinds) == {"adaptive", "between_tools", "disabled", "enabled"}, body["id"]


@pytest.mark.parametrize("kind", ["adaptive", "between_tools", "disabled", "enabled"])
def test_the_thinking_types_are_those_that_the_model_takes(client, kind):
    for model in client.models.list(limit=1000):
        thinking = {"type": kind, **({"budget_tokens": 1024} if kind == "enabled" else {})}
        try:
            client.messages.create(model=model.id, max_tokens=2000, messages=user("Hello"), thinking=thinking)
            taken = True
        except anthropic.BadRequestError:
            taken = False
        assert getattr(model.capabilities.thinking.types, kind).supported == taken, model.id


def test_a_refusal_for_the_rate_names_the_limits(gateway, client, still):
    gateway.limit("anthropic", requests=1)
    client.messages.create(model=THINKS, max_tokens=600, messages=user("Hello"))
    with pytest.raises(anthropic.RateLimitError) as refused:
        client.messages.create(model=THINKS, max_tokens=600, messages=user("Hello"))
    headers = refused.value.response.headers
    assert (headers["anthropic-ratelimit-requests-limit"], headers["anthropic-ratelimit-requests-remaining"]) == ("1", "0")
    assert int(headers["anthropic-ratelimit-input-tokens-limit"]) > 0 and headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert headers["x-should-retry"] == "true" and int(headers["retry-after"]) > 0


def test_context_management_names_its_strategies(client):
    """As recorded in 2026-08; none has an effect here."""
    found = client.models.retrieve(THINKS).capabilities.context_management.to_dict()
    none = {"supported": False}
    assert found == {**none, "clear_thinking_20251015": none, "clear_tool_uses_20250919": none, "compact_20260112": none}
