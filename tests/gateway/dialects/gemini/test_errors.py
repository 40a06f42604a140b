"""What Gemini refuses, through Google's own SDK."""

import httpx2
import pytest
from google import genai
from google.genai import errors

from tests.gateway.dialects.gemini.samples import ANSWER, LONG, MODEL, OLDER, PROMPT, contents


def refused(code, status, call, *args, **kwargs):
    """The message of a refusal with this code and status."""
    with pytest.raises(errors.ClientError) as caught:
        call(*args, **kwargs)
    assert (caught.value.code, caught.value.status) == (code, status)
    return caught.value.message


def test_a_bad_key_is_a_400(gateway):
    stranger = genai.Client(api_key="an-invalid-key")
    with pytest.raises(errors.ClientError, match="API key not valid") as caught:
        stranger.models.generate_content(model=MODEL, contents=PROMPT)
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    assert caught.value.details["error"]["details"][0]["reason"] == "API_KEY_INVALID"


@pytest.mark.parametrize("model", ["gemini-9", "gemini-2.0-flash"])
def test_an_unknown_model_and_a_retired_one_are_alike(ask, client, model):
    text = refused(404, "NOT_FOUND", ask, model=model)
    assert text.startswith(f"models/{model} is not found for API version v1, or is not supported for generateContent.")
    refused(404, "NOT_FOUND", client.models.count_tokens, model=model, contents=PROMPT)


def test_a_model_retires_by_the_courses_clock(ask, gateway):
    assert ask(model=OLDER).text == ANSWER
    gateway.advance(hours=24 * 365)
    refused(404, "NOT_FOUND", ask, model=OLDER)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": [{"parts": []}]}, "parts must not be empty"),
        ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "Please use a valid role: user, model."),
        ({"contents": contents(), "max_tokens": 5}, 'Unknown name "max'),
        ({"contents": [{"parts": [{"txt": "x"}]}]}, "Unknown name \"txt\" at 'contents[0].parts[0]'"),
        ({"contents": [{"parts": [{"text": 5}]}]}, "Invalid value at 'contents[0].parts[0].text'"),
        ({"contents": "x"}, "Invalid value at 'contents"),
    ],
)
def test_a_body_that_does_not_do(post, body, words):
    reply = post(body)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert words in error["message"]


def test_a_body_that_is_no_json(gateway):
    url = f"{gateway.base_url}/gemini/v1/models/{MODEL}:generateContent"
    reply = httpx2.post(url, content=b"{", headers={"x-goog-api-key": "some-key"})
    assert reply.status_code == 400 and "Invalid JSON payload received" in reply.json()["error"]["message"]


def test_a_temperature_out_of_range(ask):
    assert "temperature" in refused(400, "INVALID_ARGUMENT", ask, temperature=3.0)


def test_a_prompt_that_is_too_long(ask):
    text = refused(400, "INVALID_ARGUMENT", ask, "word " * 1_100_000)
    assert "exceeds the maximum number of tokens allowed (1048576)" in text


def test_a_quota_says_in_the_body_how_long_to_wait(ask, gateway):
    gateway.limit("gemini", requests=2)
    ask(), ask()
    with pytest.raises(errors.ClientError) as caught:
        ask()
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert "limit: 2" in caught.value.message and "Please retry in 30." in caught.value.message
    details = {detail["@type"].rpartition(".")[2]: detail for detail in caught.value.details["error"]["details"]}
    assert details["RetryInfo"]["retryDelay"] == "30s"
    assert details["QuotaFailure"]["violations"][0]["quotaValue"] == "2"
    assert "retry-after" not in caught.value.response.headers
    ask(model=OLDER)  # every model has a quota of its own
    gateway.advance(seconds=30)
    assert ask().text == ANSWER


def test_a_quota_of_tokens_names_another_metric(ask, gateway):
    gateway.limit("gemini", tokens=1000)
    assert "input_token_count" in refused(429, "RESOURCE_EXHAUSTED", ask, LONG)


def test_an_overloaded_model_is_a_server_error(ask, gateway):
    gateway.fault("overloaded")
    with pytest.raises(errors.ServerError) as caught:
        ask()
    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")


@pytest.mark.parametrize("version", ["v1", "v1beta"])
@pytest.mark.parametrize("fault", [None, "overloaded", "rate_limited"])
def test_an_error_in_the_place_of_events_has_their_type_and_is_json(post, gateway, fault, version):
    """As recorded: text/event-stream, and one JSON body, no event."""
    if fault:
        gateway.fault(fault, "gemini")
    body = {"contents": contents(), "generationConfig": {"temperature": 1 if fault else 9}}
    reply = post(body, "streamGenerateContent?alt=sse", version)
    assert reply.headers["content-type"] == "text/event-stream" and reply.status_code >= 400
    assert list(reply.json()) == ["error"] and reply.json()["error"]["code"] == reply.status_code
    assert reply.text.startswith("{\n  "), "laid out as any other error"


def test_the_sdk_reads_it(client, gateway):
    gateway.fault("overloaded", "gemini")
    with pytest.raises(errors.ServerError, match="high demand"):
        list(client.models.generate_content_stream(model=MODEL, contents=PROMPT))


def test_other_errors_are_json(post):
    assert post({}, "generateContent?alt=sse").headers["content-type"] == "application/json; charset=UTF-8"
