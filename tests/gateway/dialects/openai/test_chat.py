"""OpenAI's chat completions through its own SDK."""

import asyncio
import json
import re

import openai
import pytest
from openai import OpenAI

from tests.gateway.dialects.openai.samples import HELLO, HELLO_ANSWER, HELLO_THINKING, PIXEL, user

COUNT = "Count from one to ten in words, one number a line."


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


def chat(client, text=HELLO, model="gpt-6-luna", **more):
    return client.chat.completions.create(model=model, messages=user(text), **more)


def test_chat_completion(client):
    answer = chat(client)
    assert answer.choices[0].message.content == HELLO_ANSWER
    assert (answer.object, answer.model, answer.choices[0].finish_reason) == ("chat.completion", "gpt-6-luna", "stop")
    assert re.fullmatch(r"chatcmpl-[A-Za-z0-9]{29}", answer.id)
    assert answer.system_fingerprint is None
    used = answer.usage
    assert used.completion_tokens_details.reasoning_tokens == HELLO_THINKING < used.completion_tokens
    assert used.total_tokens == used.prompt_tokens + used.completion_tokens


@pytest.mark.parametrize(
    ("model", "served_as", "has_logprobs"),
    [("gpt-4o", "gpt-4o-2024-08-06", True), ("gpt-6-luna", "gpt-6-luna", False)],
)
def test_model_is_dated_and_logprobs_are_null_or_absent(client, model, served_as, has_logprobs):
    raw = client.chat.completions.with_raw_response.create(model=model, messages=user(HELLO))
    body = json.loads(raw.text)
    assert body["model"] == served_as
    assert ("logprobs" in body["choices"][0]) is has_logprobs
    assert body["choices"][0].get("logprobs") is None


def test_sampling_is_free_while_a_model_does_not_think(client):
    assert chat(client, reasoning_effort="none", temperature=0.2, logprobs=True).usage.completion_tokens_details.reasoning_tokens == 0


def test_effort_scales_the_thinking(client):
    spent = [chat(client, reasoning_effort=e).usage.completion_tokens_details.reasoning_tokens for e in ("none", "low", "medium", "max")]
    assert spent == sorted(set(spent)) and spent[0] == 0


def test_stream(client):
    chunks = list(chat(client, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[0].choices[0].delta.content == ""
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == HELLO_ANSWER
    assert [c.choices[0].finish_reason for c in chunks][-2:] == [None, "stop"]
    assert len({c.id for c in chunks}) == 1
    assert "usage" not in chunks[0].model_fields_set, "without include_usage the key is absent"


def test_stream_with_usage_ends_with_a_chunk_without_choices(client):
    *chunks, last = chat(client, stream=True, stream_options={"include_usage": True})
    assert all(c.choices and c.usage is None and "usage" in c.model_fields_set for c in chunks)
    assert last.choices == [] and last.usage == chat(client).usage


@pytest.mark.parametrize("include", [None, False])
def test_obfuscation_can_be_turned_off(client, include):
    options = {} if include is None else {"stream_options": {"include_obfuscation": include}}
    assert {bool(chunk.obfuscation) for chunk in chat(client, stream=True, **options)} == {include is None}
    events = client.responses.create(model="gpt-6-luna", input=HELLO, stream=True, **options)
    assert {"obfuscation" in event.to_dict() for event in events if "delta" in event.type} == {include is None}


def test_stream_ends_with_done(client):
    raw = client.chat.completions.with_raw_response.create(model="gpt-6-luna", messages=user(HELLO), stream=True)
    assert raw.headers["content-type"] == "text/event-stream; charset=utf-8"
    text = raw.http_response.read().decode()
    assert text.endswith("data: [DONE]\n\n") and "event:" not in text


def test_n_choices_are_charged_together(client):
    one, three = chat(client), chat(client, n=3)
    assert [c.index for c in three.choices] == [0, 1, 2]
    assert three.usage.completion_tokens == 3 * one.usage.completion_tokens
    assert three.usage.prompt_tokens == one.usage.prompt_tokens


def test_n_choices_in_a_stream_interleave(client):
    texts = {0: "", 1: ""}
    for chunk in chat(client, n=2, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == {0: HELLO_ANSWER, 1: HELLO_ANSWER}


@pytest.mark.parametrize("stop", ["three", ["never said", "three"]])
def test_stop_is_cut_from_the_text(client, stop):
    choice = chat(client, COUNT, stop=stop).choices[0]
    assert (choice.message.content, choice.finish_reason) == ("one\ntwo\n", "stop")


@pytest.mark.parametrize("role", ["system", "developer"])
def test_system_and_developer_are_the_same_role(client, role):
    messages = [{"role": role, "content": "Answer in at most eight words."}, *user("What is a list comprehension?")]
    answer = client.chat.completions.create(model="gpt-6-luna", messages=messages)
    assert answer.usage.prompt_tokens > chat(client, "What is a list comprehension?").usage.prompt_tokens
    assert answer.choices[0].message.content == "A one-line way to build a list."


def test_image_parts(client):
    parts = [{"type": "text", "text": HELLO}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    assert chat(client, parts).usage.prompt_tokens - chat(client).usage.prompt_tokens == 258


def test_truncation(client):
    answer = chat(client, COUNT, model="gpt-4o", max_completion_tokens=3)
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 3)
    assert answer.choices[0].message.content


def test_thinking_can_eat_the_whole_budget(client):
    answer = chat(client, max_completion_tokens=20)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("", "length")
    assert answer.usage.completion_tokens == answer.usage.completion_tokens_details.reasoning_tokens == 20


async def _ask_async():
    async with openai.AsyncOpenAI() as client:
        return await client.chat.completions.create(model="gpt-6-luna", messages=user(HELLO))


def test_async_client(gateway):
    assert asyncio.run(_ask_async()).choices[0].message.content == HELLO_ANSWER


def raw(client, **more):
    return client.chat.completions.with_raw_response.create(model="gpt-6-luna", messages=user(HELLO), **more)
