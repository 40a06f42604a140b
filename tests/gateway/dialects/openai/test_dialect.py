"""OpenAI's models, limits, prompt caching and refusals through its own SDK."""

import os
import re
from types import SimpleNamespace

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.gateway.dialects.openai.samples import HELLO, PIXEL, user

LONG = "All work and no play makes this a dull notebook. " * 200


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


def chat(client, text=HELLO, model="gpt-6-luna", **more):
    return client.chat.completions.create(model=model, messages=user(text), **more)


def test_models_that_are_retired_are_not_listed(client, gateway):
    listed = {model.id: model for model in client.models.list()}
    assert "gpt-3.5-turbo" not in listed and "gpt-6-luna" in listed
    assert listed["gpt-4o"].shutdown_date == "2027-01-14" and listed["gpt-6-luna"].shutdown_date is None
    gateway.advance(hours=24 * 365)
    assert "gpt-4o" not in {model.id for model in client.models.list()}


def test_model(client):
    model = client.models.retrieve("gpt-5-mini")
    assert (model.id, model.object, model.owned_by, model.shutdown_date) == ("gpt-5-mini", "model", "openai", "2026-12-11")
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-3.5-turbo")
    assert caught.value.code == "model_not_found"


@pytest.fixture
def still(gateway, monkeypatch):
    """The course's clock stands still but for what a test adds to it, so no bucket refills unasked."""
    now = gateway.clock.now()
    monkeypatch.setattr("helpers.gateway.clock.time", SimpleNamespace(time=lambda: now))


def raw(client, **more):
    return client.chat.completions.with_raw_response.create(model="gpt-6-luna", messages=user(HELLO), **more)


def test_rate_limit_headers(client, gateway, still):
    gateway.limit("openai", requests=600, tokens=60_000)
    first, second = raw(client).headers, raw(client).headers
    assert (first["x-ratelimit-limit-requests"], first["x-ratelimit-limit-tokens"]) == ("600", "60000")
    assert (first["x-ratelimit-remaining-requests"], first["x-ratelimit-reset-requests"]) == ("599", "100ms")
    assert (second["x-ratelimit-remaining-requests"], second["x-ratelimit-reset-requests"]) == ("598", "200ms")
    assert int(second["x-ratelimit-remaining-tokens"]) < int(first["x-ratelimit-remaining-tokens"]) < 60_000
    assert first["x-ratelimit-reset-tokens"] == f"{60_000 - int(first['x-ratelimit-remaining-tokens'])}ms"
    assert re.fullmatch(r"req_[0-9a-f]{32}", first["x-request-id"]) and first["openai-version"] == "2020-10-01"
    gateway.advance(minutes=1)
    assert raw(client).headers["x-ratelimit-remaining-requests"] == "599"


def test_rate_limit(client, gateway, still):
    gateway.limit("openai", requests=1)
    chat(client)
    with pytest.raises(openai.RateLimitError) as caught:
        chat(client)
    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "requests")
    assert caught.value.response.headers["retry-after"] == "60" and "Please try again in 1m0s" in caught.value.message
    gateway.advance(minutes=1)
    assert chat(client).choices


def test_request_too_large_for_the_limit(client, gateway):
    gateway.limit("openai", tokens=100)
    with pytest.raises(openai.RateLimitError, match="Request too large") as caught:
        chat(client, LONG)
    assert caught.value.type == "tokens"


def cached(client, model, text=LONG):
    used = chat(client, text, model=model).usage
    details = used.prompt_tokens_details
    return used.prompt_tokens, details.cached_tokens, getattr(details, "cache_write_tokens", None)


def test_gpt_6_charges_for_writing_to_the_cache(client, gateway):
    prompt, read, written = cached(client, "gpt-6-luna")
    assert read == 0 and written == prompt - 3, "the last few tokens of a prompt are never kept"
    assert cached(client, "gpt-6-luna") == (prompt, written, 0)
    gateway.advance(minutes=29)
    assert cached(client, "gpt-6-luna")[1] == written, "a read renews"
    gateway.advance(minutes=31)
    assert cached(client, "gpt-6-luna") == (prompt, 0, written)


def test_older_models_cache_in_blocks_of_128(client, gateway):
    prompt, read, written = cached(client, "gpt-4o")
    assert (read, written) == (0, None)
    again = cached(client, "gpt-4o")[1]
    assert again % 128 == 0 and prompt - 140 < again <= prompt
    gateway.advance(minutes=11)
    assert cached(client, "gpt-4o")[1] == 0


MARK = {"prompt_cache_breakpoint": {"mode": "explicit"}}


def test_in_explicit_mode_only_what_is_marked_is_cached(client):
    def ask(question, *mark):
        said = [{"type": "text", "text": LONG, **(MARK if mark else {})}, {"type": "text", "text": question}]
        messages = [{"role": "user", "content": said}]
        used = client.chat.completions.create(model="gpt-6-luna", messages=messages, prompt_cache_options={"mode": "explicit"}).usage
        return used.prompt_tokens, used.prompt_tokens_details.cached_tokens, used.prompt_tokens_details.cache_write_tokens

    assert [ask("Why?")[1:] for _ in range(2)] == [(0, 0), (0, 0)], "nothing marked, nothing cached"
    prompt, read, written = ask("Why?", MARK)
    assert read == 0 < written < prompt
    assert ask("And how much does all of that cost?", MARK)[1:] == (written, 0)


def test_in_explicit_mode_responses_cache_only_what_is_marked(client):
    def ask(question, **mark):
        said = [{"role": "user", "content": [{"type": "input_text", "text": LONG, **mark}, {"type": "input_text", "text": question}]}]
        used = client.responses.create(model="gpt-6-luna", input=said, prompt_cache_options={"mode": "explicit"}).usage
        return used.input_tokens_details.cached_tokens, used.input_tokens_details.cache_write_tokens

    assert [ask("Why?") for _ in range(2)] == [(0, 0), (0, 0)]
    read, written = ask("Why?", **MARK)
    assert ask("And how much?", **MARK) == (written, 0) and read == 0 < written


@pytest.mark.parametrize("options", ["explicit", 5, ["explicit"]])
def test_cache_options_that_are_no_object_do_no_harm_where_they_are_not_looked_at(gateway, options):
    house = OpenAI(base_url=os.environ["COMPATIBLE_BASE_URL"], max_retries=0)
    assert chat(house, model="house", extra_body={"prompt_cache_options": options}).choices


def test_only_the_last_four_marks_are_written(client):
    def ask(*texts):
        said = [{"type": "text", "text": text, **MARK} for text in texts]
        asked = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": said}], "prompt_cache_options": {"mode": "explicit"}}
        return client.chat.completions.create(**asked).usage.prompt_tokens_details

    assert ask(LONG, "1", "2", "3", "4").cache_write_tokens
    assert ask(LONG).cached_tokens == 0
    assert ask(LONG, "1").cached_tokens


def test_a_common_beginning_is_enough_and_a_changed_one_is_not(client):
    _, _, written = cached(client, "gpt-6-luna")
    _, read, more = cached(client, "gpt-6-luna", LONG + "And then some more.")
    assert written - 2 <= read <= written and 0 < more < 10
    assert cached(client, "gpt-6-luna", [{"type": "text", "text": LONG}, {"type": "image_url", "image_url": {"url": PIXEL}}])[2] >= 258
    assert cached(client, "gpt-6-luna", "First. " + LONG)[1] == 0


@pytest.mark.parametrize("words", [900, 1013, 1016, 1019, 1024, 1030])
def test_what_is_written_can_be_read(client, words):
    prompt, read, written = cached(client, "gpt-6-luna", "yes" + " yes" * (words - 1))
    assert read == 0
    assert cached(client, "gpt-6-luna", "yes" + " yes" * (words - 1)) == (prompt, written, 0)
    if prompt < 1024:
        assert written == 0


REFUSED = [
    ({"messages": None}, "missing_required_parameter", "messages"),
    ({"messages": [{"content": "Hi"}]}, "missing_required_parameter", "messages[0].role"),
    ({"messages": [{"role": "wizard", "content": "Hi"}]}, "invalid_value", "messages[0].role"),
    ({"messages": []}, "empty_array", "messages"),
    ({"messages": "Hi"}, "invalid_type", "messages"),
    ({"max_completion_tokens": "many"}, "invalid_type", "max_completion_tokens"),
    ({"max_completion_tokens": 0}, "integer_below_min_value", "max_completion_tokens"),
    ({"n": 1000}, "integer_above_max_value", "n"),
    ({"temperature": 2.5}, "decimal_above_max_value", "temperature"),
    ({"temperature": -0.5}, "decimal_below_min_value", "temperature"),
    ({"top_k": 3}, "unknown_parameter", "top_k"),
    ({"max_tokens": 50}, "unsupported_parameter", "max_tokens"),
    ({"temperature": 0.5}, "unsupported_value", "temperature"),
    ({"reasoning_effort": "minimal"}, "unsupported_value", "reasoning_effort"),
    ({"model": "gpt-6.1-sol", "reasoning_effort": "none"}, "unsupported_value", "reasoning_effort"),
    ({"model": "gpt-6.1-sol", "stop": "x"}, "unsupported_parameter", "stop"),
    ({"model": "gpt-4o", "reasoning_effort": "low"}, "unsupported_parameter", "reasoning_effort"),
    ({"logprobs": True}, "unsupported_parameter", "logprobs"),
]


@pytest.mark.parametrize(("change", "code", "param"), REFUSED)
def test_bad_request(client, change, code, param):
    body = {"model": "gpt-6-luna", "messages": user(HELLO), **change}
    body = {name: value for name, value in body.items() if value is not None}
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body=body, cast_to=object)
    assert (caught.value.code, caught.value.param, caught.value.type) == (code, param, "invalid_request_error")
    assert param.split(".")[-1] in caught.value.message or code == "invalid_value"


def test_max_tokens_refusal_says_what_to_use(client):
    with pytest.raises(openai.BadRequestError, match="Use 'max_completion_tokens' instead"):
        chat(client, max_tokens=5)
    assert chat(client, model="gpt-4o", max_tokens=5).usage.completion_tokens == 5


@pytest.mark.parametrize("model", ["gpt-99", "gpt-3.5-turbo"])
def test_unknown_and_retired_models(client, model):
    with pytest.raises(openai.NotFoundError) as caught:
        chat(client, model=model)
    assert (caught.value.code, caught.value.param) == ("model_not_found", None) and model in caught.value.message
    assert ("has been deprecated, learn more here: https://platform.openai.com/docs/deprecations" in caught.value.message) is (model == "gpt-3.5-turbo")
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=model, input=HELLO)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_model_retires_on_its_day(client, gateway):
    assert chat(client, model="gpt-4o").choices
    gateway.advance(hours=24 * 365)
    with pytest.raises(openai.NotFoundError):
        chat(client, model="gpt-4o")


def test_prompt_too_long(client):
    with pytest.raises(openai.BadRequestError, match="exceeds the context window") as caught:
        chat(client, "word " * 130_000, model="gpt-4o")
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize(("key", "body", "status"), [("Bearer x", b"{oops", 400), ("Bearer x", b"[1]", 400), ("", b"{}", 401)])
def test_raw_requests_are_refused_in_the_same_shape(gateway, key, body, status):
    answer = httpx2.post(f"{gateway.base_url}/openai/v1/chat/completions", content=body, headers={"authorization": key})
    assert answer.status_code == status and set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_bad_key_is_not_repeated_whole(gateway):
    key = "sk-proj-invalid-0123456789abcdefghij"
    with pytest.raises(openai.AuthenticationError) as caught:
        chat(OpenAI(api_key=key, max_retries=0))
    assert caught.value.code == "invalid_api_key" and "****" in caught.value.message
    assert key not in str(caught.value) and "0123456789" not in str(caught.value)
    assert caught.value.response.headers["www-authenticate"].startswith("Bearer")
    assert not any(name.startswith("x-ratelimit") for name in caught.value.response.headers)


def test_unknown_path(client):
    with pytest.raises(openai.NotFoundError):
        client.get("/nothing", cast_to=object)


TOOLS = [{"type": "function", "function": {"name": "a"}}]


@pytest.mark.parametrize(
    "wrong",
    [
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": "a"}},
        {"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "allowed_tools": "a"}},
        {"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": ["a"]}}},
        {"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "tools": 3}},
        {"tools": [{"type": "function", "function": "a"}]},
        {"response_format": {"type": "json_schema", "json_schema": "x"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": True}}},
    ],
    ids=str,
)
def test_a_tool_or_format_of_the_wrong_type_is_refused(gateway, wrong):
    with pytest.raises(openai.BadRequestError):
        openai.OpenAI().chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}], **wrong)
