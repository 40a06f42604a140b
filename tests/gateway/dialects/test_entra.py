"""Tokens of Microsoft Entra ID in place of a key, by the token providers of the OpenAI and Anthropic SDKs; and Claude on Microsoft Foundry."""

import base64
import json

import anthropic
import httpx2
import openai
import pytest

HELLO = [{"role": "user", "content": "Say hello in five words."}]
AUDIENCE = "https://cognitiveservices.azure.com"


def token(expires, audience=AUDIENCE):
    """A token as Entra's look from outside: three parts, the middle one JSON. Nobody signed it."""
    parts = ({"alg": "none", "typ": "JWT"}, {"aud": audience, "exp": expires})
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts), "unsigned"])


class Provider:
    """Gives a token for an hour, and a new one where that is over."""

    def __init__(self, gateway, audience=AUDIENCE):
        self.gateway, self.audience, self.made, self.ends = gateway, audience, 0, 0.0

    def __call__(self):
        if self.gateway.clock.now() >= self.ends - 300:
            self.ends, self.made = self.gateway.clock.now() + 3600, self.made + 1
        return token(self.ends, self.audience)


def azure(gateway, provider):
    return openai.AzureOpenAI(api_key=None, azure_ad_token_provider=provider, max_retries=0)


def v1(gateway, provider):
    return openai.OpenAI(base_url=f"{gateway.base_url}/azure/openai/v1", api_key=provider, max_retries=0)


def ask(client):
    return client.chat.completions.create(model="gpt-6-luna", messages=HELLO).choices[0].message.content


@pytest.fixture(params=[azure, v1], ids=["deployment", "v1"])
def make(request, monkeypatch):
    monkeypatch.delenv("AZURE_OPENAI_API_KEY", raising=False)
    return request.param


def test_a_provider_is_asked_for_each_call_and_makes_a_new_token_when_one_ends(make, gateway, monkeypatch):
    monkeypatch.delenv("AZURE_OPENAI_API_KEY", raising=False)
    provider = Provider(gateway)
    client = make(gateway, provider)
    assert ask(client) and ask(client) and provider.made == 1
    gateway.advance(hours=1)
    assert ask(client) and provider.made == 2


def test_a_token_that_has_ended_is_refused(make, gateway, monkeypatch):
    monkeypatch.delenv("AZURE_OPENAI_API_KEY", raising=False)
    fixed = token(gateway.clock.now() + 3600)
    client = make(gateway, lambda: fixed)
    assert ask(client)
    gateway.advance(hours=1, seconds=1)
    with pytest.raises(openai.AuthenticationError, match="Access token is missing, invalid, audience is incorrect .*, or have expired") as caught:
        ask(client)
    assert caught.value.body["statusCode"] == 401 and fixed not in str(caught.value)


@pytest.mark.parametrize(("audience", "taken"), [(AUDIENCE, True), ("https://ai.azure.com", True), ("https://graph.microsoft.com", False)])
def test_a_token_for_another_service_is_refused(make, gateway, monkeypatch, audience, taken):
    monkeypatch.delenv("AZURE_OPENAI_API_KEY", raising=False)
    client = make(gateway, Provider(gateway, audience))
    if taken:
        assert ask(client)
        return
    with pytest.raises(openai.AuthenticationError, match="audience is incorrect"):
        ask(client)


@pytest.mark.parametrize("text", ["opaque", "a.b.c", "....", "e30.e30.e30", f"e30.{base64.urlsafe_b64encode(b'[1]').decode()}.x", "e30.é.x"])
def test_what_is_no_token_of_entras_passes_as_any_key_does(gateway, text):
    path = f"{gateway.base_url}/azure/openai/v1/chat/completions"
    sent = httpx2.post(path, json={"model": "gpt-6-luna", "messages": HELLO}, headers={"authorization": b"Bearer " + text.encode("latin-1")})
    assert sent.status_code == 200


@pytest.mark.parametrize("ends", ['"soon"', "null", "true", "[]", "1e308"])
def test_an_end_that_is_no_time_is_passed_over(gateway, ends):
    middle = base64.urlsafe_b64encode(f'{{"exp": {ends}}}'.encode()).rstrip(b"=").decode()
    path = f"{gateway.base_url}/azure/openai/v1/chat/completions"
    sent = httpx2.post(path, json={"model": "gpt-6-luna", "messages": HELLO}, headers={"authorization": f"Bearer e30.{middle}.x"})
    assert sent.status_code == 200


def test_the_list_of_models_wants_a_token_that_lasts_too(gateway):
    assert v1(gateway, Provider(gateway)).models.list().data
    with pytest.raises(openai.AuthenticationError, match="have expired"):
        v1(gateway, lambda: token(gateway.clock.now() - 1)).models.list()


# ---- Foundry -------------------------------------------------------------------------------------------------
def claude(**more):
    return anthropic.AnthropicFoundry(max_retries=0, **more)


def say(client, model="claude-haiku-5-5"):
    return client.messages.create(model=model, max_tokens=500, messages=HELLO)


def test_claude_answers_on_foundry_without_rate_limit_headers(gateway):
    raw = claude().messages.with_raw_response.create(model="claude-haiku-5-5", max_tokens=500, messages=HELLO)
    direct = anthropic.Anthropic().messages.create(model="claude-haiku-5-5", max_tokens=500, messages=HELLO)
    assert raw.parse().content[-1].text == direct.content[-1].text
    assert raw.headers["apim-request-id"] and raw.headers["request-id"]
    assert not [name for name in raw.headers if "ratelimit" in name]


def test_foundry_streams_and_counts(gateway):
    with claude().messages.stream(model="claude-haiku-5-5", max_tokens=500, messages=HELLO) as stream:
        assert stream.get_final_text()
    assert claude().messages.count_tokens(model="claude-haiku-5-5", messages=HELLO).input_tokens > 0


def test_foundry_takes_tokens_of_entras_and_refuses_those_that_ended(gateway):
    provider = Provider(gateway)
    client = claude(api_key=None, azure_ad_token_provider=provider)
    assert say(client).content and say(client).content and provider.made == 1
    gateway.advance(hours=2)
    assert say(client).content and provider.made == 2
    late = claude(api_key=None, azure_ad_token_provider=lambda: token(gateway.clock.now() - 1))
    for call in (say, lambda client: client.messages.count_tokens(model="claude-haiku-5-5", messages=HELLO)):
        with pytest.raises(anthropic.AuthenticationError, match="have expired"):
            call(late)


def test_foundry_has_no_batches_and_no_list_of_models(gateway):
    assert claude().models is None and claude().messages.batches is None
    for path in ("/v1/models", "/v1/messages/batches"):
        sent = httpx2.get(f"{gateway.base_url}/foundry/anthropic{path}", headers={"api-key": "any", "anthropic-version": "2026-10-21"})
        assert sent.status_code == 404


def test_a_deployment_that_is_not_there_and_a_bad_key(gateway):
    with pytest.raises(anthropic.NotFoundError):
        say(claude(), "no-such-deployment")
    with pytest.raises(anthropic.AuthenticationError):
        say(claude(api_key="invalid"))


def test_a_limit_has_a_status_and_says_when(gateway):
    gateway.limit("anthropic", requests=1)
    say(claude())
    with pytest.raises(anthropic.RateLimitError) as caught:
        say(claude())
    assert caught.value.response.headers["retry-after"] and not [name for name in caught.value.response.headers if "ratelimit" in name]
