"""Anthropic's OpenAI-compatible endpoint through the OpenAI SDK: what it takes, what it passes over, whose words its errors have."""

import json
import os

import anthropic
import openai
import pytest
from openai import OpenAI

MODEL, HELLO = "claude-haiku-5-5", [{"role": "user", "content": "Say hello in five words."}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"at": {"enum": ["sea", "sky"]}}, "required": ["at"]}}}


@pytest.fixture
def client(gateway):
    return OpenAI(base_url=os.environ["ANTHROPIC_BASE_URL"] + "/v1/", api_key="some key", max_retries=0, timeout=60)


def chat(client, **more):
    return client.chat.completions.create(**{"model": MODEL, "messages": HELLO, **more})


def test_the_answer_is_the_one_of_the_messages_endpoint(client):
    own = anthropic.Anthropic().messages.create(model=MODEL, max_tokens=1024, messages=HELLO)
    answer = chat(client)
    assert answer.choices[0].message.content == next(block.text for block in own.content if block.type == "text")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (own.usage.input_tokens, own.usage.output_tokens)
    assert answer.id.startswith("msg_01") and answer.system_fingerprint is None and answer.choices[0].finish_reason == "stop"


def test_a_stream_with_its_usage(client):
    *chunks, last = chat(client, stream=True, stream_options={"include_usage": True})
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == chat(client).choices[0].message.content
    assert last.choices == [] and last.usage.total_tokens == chat(client).usage.total_tokens


def test_what_it_passes_over(client):
    """A schema is no promise here, and log-probabilities do not come."""
    schema = {
        "type": "json_schema",
        "json_schema": {"name": "n", "strict": True, "schema": {"type": "object", "properties": {}, "additionalProperties": False}},
    }
    answer = chat(client, response_format=schema, logprobs=True, top_logprobs=2, seed=1, frequency_penalty=1, reasoning_effort="low")
    assert answer.choices[0].logprobs is None and answer.choices[0].message.content == chat(client).choices[0].message.content
    assert chat(client, temperature=2).choices  # taken for 1


def test_system_messages_are_put_together_at_the_beginning(client):
    scattered = [*HELLO, {"role": "developer", "content": "Be kind."}, *HELLO, {"role": "system", "content": "Be brief."}]
    together = [{"role": "system", "content": "Be kind.\nBe brief."}, *HELLO, *HELLO]
    assert chat(client, messages=scattered, max_tokens=3).usage.prompt_tokens == chat(client, messages=together, max_tokens=3).usage.prompt_tokens


def test_a_tool_that_has_to_be_called(client):
    choice = chat(client, tools=[TOOL], tool_choice="required", max_completion_tokens=60).choices[0]
    assert json.loads(choice.message.tool_calls[0].function.arguments)["at"] in ("sea", "sky") and choice.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("change", "error", "kind", "text"),
    [
        ({"n": 2}, openai.BadRequestError, "invalid_request_error", "n: "),
        ({"model": "claude-nobody"}, openai.NotFoundError, "not_found_error", "model: claude-nobody"),
        ({"messages": []}, openai.BadRequestError, "invalid_request_error", "messages: at least 1 item"),
        ({"max_tokens": "many"}, openai.BadRequestError, "invalid_request_error", "max_tokens: Input should be a valid integer"),
    ],
)
def test_errors_have_anthropics_words_in_openais_shape(client, change, error, kind, text):
    with pytest.raises(error) as caught:
        chat(client, **change)
    assert caught.value.body | {"message": ""} == {"code": kind, "message": "", "type": kind, "param": None}
    assert text in caught.value.body["message"]


def test_a_bad_key(gateway):
    with pytest.raises(openai.AuthenticationError, match="invalid x-api-key"):
        chat(OpenAI(base_url=os.environ["ANTHROPIC_BASE_URL"] + "/v1/", api_key="invalid"))
