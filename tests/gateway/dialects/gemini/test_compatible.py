"""Google's OpenAI-compatible endpoint, with OpenAI's SDK."""

import os

import openai
import pytest

from tests.gateway.dialects.gemini.samples import ANSWER, MODEL, PROMPT, THOUGHTS

SAID = [{"role": "user", "content": PROMPT}]
TOOL = {"type": "function", "function": {"name": "get_stock", "parameters": {"type": "object", "properties": {"n": {"enum": [1]}}, "required": ["n"]}}}


@pytest.fixture
def client(gateway):
    return openai.OpenAI(base_url=os.environ["GOOGLE_GEMINI_BASE_URL"] + "/v1beta/openai/", api_key="a-key", max_retries=0)


def ask(client, **more):
    return client.chat.completions.create(**{"model": MODEL, "messages": SAID, **more})


def test_the_same_recording_answers_with_thoughts_in_the_total_alone(client):
    said = ask(client)
    assert (said.choices[0].message.content, said.choices[0].finish_reason, said.model) == (ANSWER, "stop", MODEL)
    assert said.usage.total_tokens - said.usage.prompt_tokens - said.usage.completion_tokens == THOUGHTS


def test_an_effort_is_a_level_of_thinking(client):
    low, none = [ask(client, model="gemini-3.5-flash-lite", reasoning_effort=effort).usage for effort in ("low", "none")]
    assert low.total_tokens - low.prompt_tokens - low.completion_tokens < THOUGHTS
    assert none.total_tokens == none.prompt_tokens + none.completion_tokens


def test_it_streams(client):
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == ANSWER
    assert not chunks[-1].choices and chunks[-1].usage.total_tokens > THOUGHTS


def test_a_limit_that_goes_on_thinking_leaves_no_content(client):
    choice = ask(client, max_tokens=20).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("length", None)


@pytest.mark.parametrize("stream", [False, True])
def test_a_function_can_be_forced(client, stream):
    said = ask(client, tools=[TOOL], tool_choice="required", stream=stream)
    calls = [c for chunk in said for c in chunk.choices[0].delta.tool_calls or ()] if stream else said.choices[0].message.tool_calls
    assert (calls[0].function.name, calls[0].function.arguments) == ("get_stock", '{"n": 1}')


@pytest.mark.parametrize(
    ("more", "kind", "words"),
    [({"model": "gpt-6-luna"}, openai.NotFoundError, "models/gpt-6-luna is not found"), ({"messages": []}, openai.BadRequestError, "messages")],
)
def test_errors_are_googles_in_a_list(client, more, kind, words):
    with pytest.raises(kind) as caught:
        ask(client, **more)
    assert words in caught.value.response.json()[0]["error"]["message"]


def test_a_bad_key_is_400(gateway):
    client = openai.OpenAI(base_url=os.environ["GOOGLE_GEMINI_BASE_URL"] + "/v1beta/openai/", api_key="an-invalid-key", max_retries=0)
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client)
    assert "API key not valid" in caught.value.response.text


def test_newer_models_begin_their_answer_themselves(client):
    begun = [*SAID, {"role": "assistant", "content": "Hello,"}]
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, messages=begun)
    assert caught.value.body[0]["error"]["message"].startswith("Requests ending with a model turn are not supported")
    assert ask(client, messages=begun, model="gemini-2.5-flash").choices[0].message.content


@pytest.mark.parametrize("choice", ["any", "ANY", "", "get_stock"])
def test_a_tool_choice_that_is_none_is_refused(client, choice):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, tools=[TOOL], tool_choice=choice)
    assert caught.value.body[0]["error"]["message"] == f"Invalid value: '{choice}'. Supported values are: 'none', 'auto', and 'required'."


def test_models_are_listed_by_their_whole_names(gateway):
    """As Google's page on OpenAI's SDK shows it; a model is found by either name."""
    client = openai.OpenAI(base_url=f"{gateway.base_url}/gemini/v1beta/openai/", api_key="some-key")
    names = [model.id for model in client.models.list()]
    assert f"models/{MODEL}" in names and all(name.startswith("models/") for name in names)
    for name in (MODEL, f"models/{MODEL}"):
        found = client.models.retrieve(name)
        assert (found.id, found.object, found.owned_by) == (f"models/{MODEL}", "model", "google")
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gemini-9")
    assert "is not found" in caught.value.response.json()[0]["error"]["message"], "in a list, of which the SDK makes nothing"
