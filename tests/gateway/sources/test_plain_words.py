"""What the house model says of pictures, of what tools said and of empty messages, in every dialect, with the SDKs."""

from __future__ import annotations

import base64
import json
import os
from io import BytesIO

import anthropic
import boto3
import openai
import pytest
from google import genai
from google.genai import types
from PIL import Image

from helpers.gateway.sources.plain_words import LONGEST_TOLD, NO_WORDS, UNSEEN

LOOK = "How many clouds are in this?"
ORDER = "Is there a lamp left?"
TOLD = "The tool says: 5 in stock"
SCHEMA = {"type": "object", "properties": {"product": {"type": "string"}}, "required": ["product"]}
CLAUDE, BEDROCK = "claude-haiku-5-5", "us.anthropic.claude-haiku-5-5"


def png() -> bytes:
    stored = BytesIO()
    Image.new("RGB", (28, 28), "green").save(stored, "PNG")
    return stored.getvalue()


DATA = base64.b64encode(png()).decode()
URL = f"data:image/png;base64,{DATA}"


def chat(content, *more, **fields):
    turns = [{"role": "user", "content": content}, *more]
    fields.setdefault("max_completion_tokens", 100)
    return openai.OpenAI().chat.completions.create(model="gpt-6-luna", messages=turns, reasoning_effort="none", **fields)


def by_chat(picture):
    if picture:
        parts = [{"type": "image_url", "image_url": {"url": URL}}, {"type": "text", "text": LOOK}]
        return chat(parts).choices[0].message.content
    return chat(ORDER, *called("5 in stock")).choices[0].message.content


def called(*results):
    """A turn of OpenAI's that calls a tool once for each result, and the results."""
    call = {"type": "function", "function": {"name": "get_stock", "arguments": '{"product": "lamp"}'}}
    calls = [{"id": f"call_{n}", **call} for n, _ in enumerate(results)]
    return {"role": "assistant", "tool_calls": calls}, *({"role": "tool", "tool_call_id": f"call_{n}", "content": told} for n, told in enumerate(results))


def by_responses(picture):
    given = [{"role": "user", "content": [{"type": "input_image", "image_url": URL}, {"type": "input_text", "text": LOOK}]}]
    if not picture:
        call = {"type": "function_call", "call_id": "call_1", "name": "get_stock", "arguments": '{"product": "lamp"}'}
        given = [{"role": "user", "content": ORDER}, call, {"type": "function_call_output", "call_id": "call_1", "output": "5 in stock"}]
    return openai.OpenAI().responses.create(model="gpt-6-luna", input=given, max_output_tokens=100).output_text


def by_messages(picture):
    turns = [{"role": "user", "content": ORDER}]
    if picture:
        source = {"type": "base64", "media_type": "image/png", "data": DATA}
        turns = [{"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": LOOK}]}]
    else:
        turns.append({"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_stock", "input": {"product": "lamp"}}]})
        turns.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "5 in stock"}]}]})
    tools = [{"name": "get_stock", "input_schema": SCHEMA}]
    return anthropic.Anthropic().messages.create(model=CLAUDE, max_tokens=100, messages=turns, tools=tools).content[0].text


def by_gemini(picture):
    parts = [types.Part.from_bytes(data=png(), mime_type="image/png"), LOOK]
    if not picture:
        call = types.Part(function_call=types.FunctionCall(name="get_stock", args={"product": "lamp"}), thought_signature=b"any")
        told = types.Part.from_function_response(name="get_stock", response={"result": "5 in stock"})
        parts = [types.UserContent(ORDER), types.ModelContent([call]), types.UserContent([told])]
    client = genai.Client()
    return client.models.generate_content(model="gemini-3.5-flash-lite", contents=parts).text


def by_converse(picture):
    turns = [{"role": "user", "content": [{"text": LOOK}]}]
    if picture:
        turns[0]["content"].insert(0, {"image": {"format": "png", "source": {"bytes": png()}}})
    else:
        turns[0]["content"][0]["text"] = ORDER
        turns.append({"role": "assistant", "content": [{"toolUse": {"toolUseId": "tool-1", "name": "get_stock", "input": {"product": "lamp"}}}]})
        turns.append({"role": "user", "content": [{"toolResult": {"toolUseId": "tool-1", "content": [{"text": "5 in stock"}]}}]})
    tools = {"tools": [{"toolSpec": {"name": "get_stock", "inputSchema": {"json": SCHEMA}}}]}
    reply = boto3.client("bedrock-runtime").converse(modelId=BEDROCK, messages=turns, toolConfig=tools)
    return reply["output"]["message"]["content"][0]["text"]


everywhere = pytest.mark.parametrize("ask", [by_chat, by_responses, by_messages, by_gemini, by_converse])


@everywhere
def test_a_picture_is_said_not_to_be_seen(gateway, ask):
    assert ask(picture=True) == UNSEEN
    assert gateway.meter.entries[-1].source.kind == "house"


@everywhere
def test_what_a_tool_said_is_repeated(gateway, ask):
    assert ask(picture=False) == TOLD
    assert gateway.meter.entries[-1].source.kind == "house"


@pytest.mark.parametrize("empty", ["", " \n", [{"type": "text", "text": ""}]], ids=repr)
def test_an_empty_message_is_said_to_be_empty(gateway, empty):
    assert chat(empty).choices[0].message.content == NO_WORDS
    assert gateway.meter.entries[-1].source.kind == "house"
    assert chat(empty, {"role": "assistant", "content": "?"}, {"role": "user", "content": "What is a token?"}).choices[0].message.content != NO_WORDS


def test_an_empty_input_is_said_to_be_empty_by_responses_and_gemini(gateway):
    assert openai.OpenAI().responses.create(model="gpt-6-luna", input="").output_text == NO_WORDS
    assert genai.Client().models.generate_content(model="gemini-3.5-flash-lite", contents=" ").text == NO_WORDS


def test_results_of_several_calls_are_repeated_in_their_order(gateway):
    said = chat(ORDER, *called("5 lamps", '{"result": "2 shades"}', '{"cables": 3}')).choices[0].message.content
    assert said == 'The tool says: 5 lamps 2 shades {"cables": 3}'


def test_a_long_result_is_cut_and_one_nested_without_end_does_no_harm(gateway):
    said = chat(ORDER, *called("word " * 10_000), max_completion_tokens=400).choices[0].message.content
    assert said.endswith(" ...") and len(said) < LONGEST_TOLD + 30
    assert chat(ORDER, *called("[" * 5_000)).choices[0].message.content.startswith("The tool says: [[[")


def test_limits_stops_streams_and_several_choices_hold_as_ever(gateway):
    told = called("5 in stock")
    cut = chat(ORDER, *told, max_completion_tokens=3).choices[0]
    assert cut.finish_reason == "length" and TOLD.startswith(cut.message.content)
    assert chat(ORDER, *told, stop=[" in "]).choices[0].message.content == "The tool says: 5"
    assert [choice.message.content for choice in chat(ORDER, *told, n=3).choices] == [TOLD] * 3
    chunks = chat(ORDER, *told, stream=True)
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == TOLD


def test_where_the_form_is_set_and_where_the_talk_has_gone_on_the_model_answers_itself(gateway):
    shaped = {"type": "json_schema", "json_schema": {"name": "stock", "strict": True, "schema": {**SCHEMA, "additionalProperties": False}}}
    assert set(json.loads(chat(ORDER, *called("5 in stock"), response_format=shaped).choices[0].message.content)) == {"product"}
    on = chat(ORDER, *called("5 in stock"), {"role": "assistant", "content": "Five."}, {"role": "user", "content": "What is a token?"})
    assert "token" in on.choices[0].message.content


def test_the_house_model_by_its_own_name_answers_as_its_own_server_would(gateway):
    client = openai.OpenAI(base_url=os.environ["COMPATIBLE_BASE_URL"])
    reply = client.chat.completions.create(model="house", messages=[{"role": "user", "content": ORDER}, *called("5 in stock")], max_tokens=20)
    assert reply.choices[0].message.content != TOLD
