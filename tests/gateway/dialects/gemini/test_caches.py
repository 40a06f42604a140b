"""Gemini's explicit caches through Google's own SDK."""

import pytest
from google.genai import errors, types

from tests.gateway.dialects.gemini.samples import LONG, MODEL, OLDER, PROMPT


def refused(code, status, call, *args, **kwargs):
    """The message of a refusal with this code and status."""
    with pytest.raises(errors.ClientError) as caught:
        call(*args, **kwargs)
    assert (caught.value.code, caught.value.status) == (code, status)
    return caught.value.message


@pytest.fixture
def cache(client):
    config = types.CreateCachedContentConfig(contents=LONG, system_instruction="Be brief.", display_name="a long text", ttl="300s")
    return client.caches.create(model=MODEL, config=config)


def test_a_cache_is_made_read_listed_and_deleted(client, cache):
    assert cache.name.startswith("cachedContents/") and cache.display_name == "a long text"
    assert (cache.expire_time - cache.create_time).total_seconds() == pytest.approx(300, abs=1)
    assert client.caches.get(name=cache.name) == cache and list(client.caches.list()) == [cache]
    client.caches.delete(name=cache.name)
    assert list(client.caches.list()) == []
    refused(403, "PERMISSION_DENIED", client.caches.get, name=cache.name)


def test_a_cached_prompt_is_part_of_the_prompt(ask, client, cache):
    usage = ask(cached_content=cache.name).usage_metadata
    held = cache.usage_metadata.total_token_count
    assert usage.cached_content_token_count == usage.cache_tokens_details[0].token_count == held > 5000
    assert usage.prompt_token_count == held + client.models.count_tokens(model=MODEL, contents=PROMPT).total_tokens


def test_a_cache_expires_and_can_be_kept_alive(ask, client, cache, gateway):
    gateway.advance(minutes=4)
    client.caches.update(name=cache.name, config=types.UpdateCachedContentConfig(ttl="600s"))
    gateway.advance(minutes=9)
    assert ask(cached_content=cache.name).usage_metadata.cached_content_token_count
    gateway.advance(minutes=1)
    assert "CachedContent not found" in refused(403, "PERMISSION_DENIED", ask, cached_content=cache.name)
    assert list(client.caches.list()) == []


def test_a_cache_belongs_to_one_model(ask, cache):
    assert "has to be the same" in refused(400, "INVALID_ARGUMENT", ask, model=OLDER, cached_content=cache.name)


@pytest.mark.parametrize(
    ("model", "text", "words"),
    [
        (MODEL, "too short", "min_total_token_count=4096"),
        ("gemini-4-argon", LONG, "not supported for createCachedContent"),
        ("gemini-9", LONG, "is not found"),
    ],
)
def test_a_cache_that_cannot_be(client, model, text, words):
    with pytest.raises(errors.ClientError, match=words):
        client.caches.create(model=model, config=types.CreateCachedContentConfig(contents=text))


def test_a_reset_forgets_caches(client, cache, gateway):
    gateway.reset()
    assert list(client.caches.list()) == []


def test_a_long_prompt_sent_twice_is_cached_by_itself(ask):
    assert ask(LONG).usage_metadata.cached_content_token_count is None
    assert ask(LONG).usage_metadata.cached_content_token_count > 4096


def test_a_cache_without_a_name_to_show_says_so(client):
    """Recorded in 2026-08: an empty text, not a missing field."""
    assert client.caches.create(model=MODEL, config={"contents": LONG}).display_name == ""
