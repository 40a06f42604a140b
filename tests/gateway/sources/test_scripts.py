"""Answers that a program sets itself: gateway.script(), and the same over HTTP, through every SDK."""

import json
import os
from decimal import Decimal

import anthropic
import boto3
import httpx2
import openai
import pytest
from google import genai
from google.genai import types

from helpers.gateway.server import Gateway
from helpers.gateway.sources import scripts
from helpers.gateway.sources.upstream import Upstream

ASKED = "Which shelf holds the blue lamp?"
PROPERTIES = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CLAUDE, BEDROCK = "claude-haiku-4-5", "us.anthropic.claude-haiku-4-5-20251001-v1:0"


def turns(content=ASKED):
    return [{"role": "user", "content": content}]


def chat(client, model, **fields):
    return client.chat.completions.create(model=model, messages=turns(), **fields)


def streamed(client, model):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chat(client, model, stream=True) if chunk.choices)


def claude_streamed():
    with anthropic.Anthropic().messages.stream(model=CLAUDE, max_tokens=99, messages=turns()) as stream:
        return stream.get_final_text()


def converse(**fields):
    client = boto3.client("bedrock-runtime", region_name="us-east-1")
    return client.converse(modelId=BEDROCK, messages=[{"role": "user", "content": [{"text": ASKED}]}], **fields)["output"]["message"]["content"]


def gemini(**fields):
    client = genai.Client()  # one that nobody holds is closed before it is answered
    return client.models.generate_content(model="gemini-2.5-flash", contents=ASKED, **fields)


def gemini_streamed():
    client = genai.Client()
    return "".join(chunk.text or "" for chunk in client.models.generate_content_stream(model="gemini-2.5-flash", contents=ASKED))


def compatible():
    return openai.OpenAI(base_url=os.environ["COMPATIBLE_BASE_URL"])


SAID = {
    "openai": lambda: chat(openai.OpenAI(), "gpt-6-luna").choices[0].message.content,
    "openai, streamed": lambda: streamed(openai.OpenAI(), "gpt-6-luna"),
    "responses": lambda: openai.OpenAI().responses.create(model="gpt-6-luna", input=ASKED).output_text,
    "azure": lambda: chat(openai.AzureOpenAI(), "gpt-4o").choices[0].message.content,
    "compatible": lambda: chat(compatible(), "meta-llama/Llama-3.1-8B-Instruct").choices[0].message.content,
    "house model": lambda: chat(compatible(), "house").choices[0].message.content,
    "anthropic": lambda: anthropic.Anthropic().messages.create(model=CLAUDE, max_tokens=99, messages=turns()).content[-1].text,
    "anthropic, streamed": claude_streamed,
    "gemini": lambda: gemini().text,
    "gemini, streamed": gemini_streamed,
    "bedrock": lambda: converse()[-1]["text"],
}


@pytest.mark.parametrize("say", SAID.values(), ids=SAID)
def test_every_provider_gives_the_answer_that_was_set(gateway, say):
    gateway.script("The third, from the left.")
    assert say() == "The third, from the left."
    entry = gateway.log()[-1]
    assert (entry.source.kind, entry.source.detail) == ("scripted", "set by the program itself") and entry.usage.output_tokens > 3


TOOL = {"type": "function", "function": {"name": "weather", "parameters": PROPERTIES}}


def openai_call():
    called = chat(openai.OpenAI(), "gpt-6-luna", tools=[TOOL], reasoning_effort="none").choices[0].message.tool_calls[0].function
    return called.name, json.loads(called.arguments)


def anthropic_call():
    tool = {"name": "weather", "input_schema": PROPERTIES}
    block = anthropic.Anthropic().messages.create(model=CLAUDE, max_tokens=99, messages=turns(), tools=[tool]).content[-1]
    return block.name, block.input


def gemini_call():
    tool = types.Tool(function_declarations=[types.FunctionDeclaration(name="weather", parameters_json_schema=PROPERTIES)])
    config = types.GenerateContentConfig(tools=[tool], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True))
    called = gemini(config=config).function_calls[0]
    return called.name, called.args


def bedrock_call():
    block = converse(toolConfig={"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": PROPERTIES}}}]})[-1]["toolUse"]
    return block["name"], block["input"]


@pytest.mark.parametrize("call", [openai_call, anthropic_call, gemini_call, bedrock_call])
def test_every_provider_calls_the_function_that_was_set(gateway, call):
    gateway.script(call=("weather", {"city": "Oslo"}))
    assert call() == ("weather", {"city": "Oslo"})


def test_answers_are_given_in_their_order_and_to_the_questions_that_have_the_words(gateway):
    gateway.script("one", to="lamp")
    gateway.script("two", to="lamp", times=2)
    gateway.script("none", to="shelf of books", times=None)
    gateway.script("all", provider="openai", times=None)
    assert [SAID["openai"]() for _ in range(5)] == ["one", "two", "two", "all", "all"]
    assert SAID["anthropic"]() not in ("one", "two", "none", "all")


def test_only_the_last_turn_is_looked_at(gateway):
    gateway.script("Blue.", to="blue lamp")
    again = [*turns(), {"role": "assistant", "content": "The third."}, *turns("Thank you.")]
    assert openai.OpenAI().chat.completions.create(model="gpt-6-luna", messages=again).choices[0].message.content != "Blue."
    assert SAID["openai"]() == "Blue."


def test_a_limit_and_a_stop_hold_for_it_too(gateway):
    gateway.script("one two three four five six", times=None)
    short = chat(openai.OpenAI(), "gpt-4o", max_tokens=2).choices[0]
    stopped = chat(openai.OpenAI(), "gpt-4o", stop=[" four"]).choices[0]
    assert (short.message.content, short.finish_reason) == ("one two", "length")
    assert (stopped.message.content, stopped.finish_reason) == ("one two three", "stop")


def test_strict_mode_has_it_and_a_reset_forgets_it(gateway):
    gateway.strict = True
    gateway.script("The third.", times=None)
    assert SAID["openai"]() == "The third."
    gateway.reset()
    with pytest.raises(openai.NotFoundError):
        SAID["openai"]()


def test_a_batch_has_it(gateway):
    gateway.script("The third.", times=None)
    request = {"custom_id": "a", "params": {"model": CLAUDE, "max_tokens": 99, "messages": turns()}}
    client = anthropic.Anthropic()
    batch = client.messages.batches.create(requests=[request])
    gateway.advance(hours=1)
    while client.messages.batches.retrieve(batch.id).processing_status != "ended":
        pass
    assert [line.result.message.content[-1].text for line in client.messages.batches.results(batch.id)] == ["The third."]


def test_vectors_are_no_answers(gateway):
    gateway.script("The third.", times=None)
    assert len(openai.OpenAI().embeddings.create(model="text-embedding-3-small", input=ASKED).data[0].embedding) == 1536


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "give either text"),
        ({"text": "yes", "call": ("weather", {})}, "give either text"),
        ({"text": 7}, "text is a string"),
        ({"text": "yes", "to": None}, "to is a string"),
        ({"text": "y" * (scripts.LARGEST + 1)}, "at most 100,000"),
        ({"call": "weather"}, "name of a function"),
        ({"call": ("weather", "Oslo")}, "name of a function"),
        ({"call": ("weather", {"city": {1, 2}})}, "cannot be written as JSON"),
        ({"call": ("weather", {"city": "y" * scripts.LARGEST})}, "at most 100,000"),
        ({"text": "yes", "provider": "mistral"}, "there is no provider"),
        ({"text": "yes", "times": 0}, "whole number"),
        ({"text": "yes", "times": True}, "whole number"),
        ({"text": "yes", "times": 1.5}, "whole number"),
    ],
)
def test_what_is_no_answer_is_refused_with_a_sentence(gateway, wrong, says):
    with pytest.raises(ValueError, match=says):
        gateway.script(**wrong)
    answer = httpx2.post(f"{gateway.base_url}/course/answers", json=wrong if says != "cannot be written as JSON" else {"call": ["weather", []]})
    assert answer.status_code in (400, 413) and "error" in answer.json()


def test_no_more_are_kept_than_there_is_room_for(gateway):
    for _ in range(scripts.MOST):
        gateway.script("yes", to="words that nobody says")
    with pytest.raises(ValueError, match="1,000 answers are set"):
        gateway.script("yes")


def test_other_programs_set_answers_over_http(gateway):
    order = {"call": ["weather", {"city": "Oslo"}], "to": "lamp", "provider": "openai", "times": None}
    assert httpx2.post(f"{gateway.base_url}/course/answers", json=order).json() == {"set": order}
    assert openai_call() == openai_call() == ("weather", {"city": "Oslo"})


def test_where_the_providers_answer_none_is_set():
    live = Gateway(upstream=Upstream("live", {}, budget_usd=Decimal(1), bases={})).start()
    try:
        with pytest.raises(ValueError, match="in live mode the provider answers"):
            live.script("yes")
        assert httpx2.post(f"{live.base_url}/course/answers", json={"text": "yes"}).status_code == 400
    finally:
        live.stop()
