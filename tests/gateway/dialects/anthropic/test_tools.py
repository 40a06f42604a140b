"""Tools and structured outputs with Anthropic's own SDK."""

import json
import re
import time

import anthropic
import pytest
from anthropic import Anthropic
from jsonschema import validate
from pydantic import BaseModel

from helpers import environment
from helpers.gateway.dialects.anthropic.tools import arguments
from helpers.gateway.server import Gateway
from tests.gateway.dialects.samples import (
    ANY,
    FORCED,
    JSON_SCHEMA,
    MID,
    OLD,
    OPEN,
    ORDER,
    PERSON,
    SCHEMAS,
    SMALL,
    STORY,
    THINKS,
    TOOLS,
    logged,
)

PROMPT = "Ada, who is a regular, orders two teapots and one kettle; it is urgent."


@pytest.fixture(scope="module")
def gateway():
    """One gateway for all tests here, so that the house model is loaded once."""
    running = Gateway(pace=0).start()
    with pytest.MonkeyPatch.context() as patch:
        for name in environment.REMOVED:
            patch.delenv(name, raising=False)
        for name, value in environment.variables(running.base_url).items():
            patch.setenv(name, value)
        yield running
    running.stop()


@pytest.fixture(scope="module")
def client(gateway):
    return Anthropic(max_retries=0)


def user(text=PROMPT):
    return [{"role": "user", "content": text}]


def ask(client, text=PROMPT, *, model=SMALL, max_tokens=600, **more):
    return client.messages.create(model=model, max_tokens=max_tokens, messages=user(text), **more)


@pytest.mark.parametrize("model", [SMALL, OLD])
def test_a_tool_that_is_named_is_called(client, gateway, model):
    message = ask(client, model=model, tools=TOOLS, tool_choice=FORCED)
    (call,) = message.content
    assert (call.type, call.name, call.caller.type) == ("tool_use", "order", "direct") and re.fullmatch(r"toolu_01[A-Za-z0-9]{22}", call.id)
    validate(call.input, ORDER)
    assert (message.stop_reason, message.stop_sequence) == ("tool_use", None)
    assert message.usage.output_tokens == logged(gateway) > 0


def test_a_call_comes_as_a_stream_of_json(client, gateway):
    with client.messages.stream(model=SMALL, max_tokens=600, messages=user(), tools=TOOLS, tool_choice=FORCED) as stream:
        events, message = list(stream), stream.get_final_message()
    raw = [event for event in events if event.type in ("message_start", "message_delta", "message_stop") or event.type.startswith("content_block")]
    kinds = [event.type for event in raw]
    assert kinds[:3] == ["message_start", "content_block_start", "content_block_delta"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"] and set(kinds[2:-3]) == {"content_block_delta"}
    pieces = [event.delta.partial_json for event in raw if event.type == "content_block_delta"]
    (call,) = message.content
    assert pieces[0] == "" and len(pieces) > 3 and json.loads("".join(pieces)) == call.input
    validate(call.input, ORDER)
    # The SDK fills the usage of message_start up with that of message_delta, so both are looked at as they came.
    start, end = raw[0].message.usage, raw[-2].usage
    assert (message.stop_reason, call.name, end.input_tokens) == ("tool_use", "order", start.input_tokens)
    assert end.output_tokens == logged(gateway) > 1


def test_message_start_counts_one_token_of_output(client, gateway):
    raw = client.messages.create(model=SMALL, max_tokens=20, messages=user(), tools=TOOLS, tool_choice=FORCED, stream=True)
    first, *_, last, _ = list(raw)
    assert (first.message.usage.output_tokens, first.message.content, first.message.stop_reason) == (1, [], None)
    assert last.usage.output_tokens == 20 == logged(gateway) and last.delta.stop_reason == "max_tokens"


def test_any_calls_one_of_the_tools(client):
    message = ask(client, tools=TOOLS, tool_choice={**ANY, "disable_parallel_tool_use": True})
    (call,) = message.content
    validate(call.input, SCHEMAS[call.name])
    assert message.stop_reason == "tool_use"


@pytest.mark.parametrize("choice", [{"type": "auto"}, {"type": "none"}, None])
def test_a_tool_that_need_not_be_called(client, choice):
    message = ask(client, max_tokens=20, tools=TOOLS, **({"tool_choice": choice} if choice else {}))
    assert {block.type for block in message.content} <= {"text"} and message.stop_reason in ("end_turn", "max_tokens")


def test_tools_of_anthropics_own_are_no_functions(client):
    search = {"type": "web_search_20260209", "name": "web_search"}
    (call,) = ask(client, tools=[search, TOOLS[0]], tool_choice=ANY).content
    assert call.name == "order"


def test_a_round_with_a_tool(client):
    first = ask(client, tools=TOOLS, tool_choice=FORCED)
    (call,) = first.content
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": '{"order_number": 7}'}]}
    turns = [*user(), {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = client.messages.create(model=SMALL, max_tokens=40, messages=turns, tools=TOOLS)
    assert second.stop_reason in ("end_turn", "max_tokens") and second.usage.input_tokens > first.usage.input_tokens


def test_a_call_in_a_batch(client):
    params = {"model": SMALL, "max_tokens": 600, "messages": user(), "tools": TOOLS}
    asked = [{"custom_id": name, "params": {**params, **more}} for name, more in (("a", {"tool_choice": FORCED}), ("b", {"tool_choice": ANY, "model": MID}))]
    batch = client.messages.batches.create(requests=asked)
    while batch.processing_status != "ended":
        time.sleep(0.1)
        batch = client.messages.batches.retrieve(batch.id)
    results = {row.custom_id: row.result for row in client.messages.batches.results(batch.id)}
    validate(results["a"].message.content[0].input, ORDER)
    assert results["b"].error.error.message == 'tool_choice: type "tool" and "any" are not supported for this model.'


def test_an_answer_fits_its_schema(client):
    message = ask(client, output_config={"format": JSON_SCHEMA})
    (block,) = message.content
    validate(json.loads(block.text), PERSON)
    assert message.stop_reason == "end_turn"


class Person(BaseModel):
    name: str
    regular: bool


def test_the_sdk_parses_an_answer_into_a_model(client):
    assert isinstance(client.messages.parse(model=OLD, max_tokens=600, messages=user(), output_format=Person).parsed_output, Person)


def test_an_answer_ends_at_its_limit(client, gateway):
    message = ask(client, STORY, max_tokens=5)
    assert (message.stop_reason, message.usage.output_tokens, logged(gateway)) == ("max_tokens", 5, 5)
    with client.messages.stream(model=SMALL, max_tokens=5, messages=user(STORY)) as stream:
        message = stream.get_final_message()
    assert (message.stop_reason, message.usage.output_tokens, logged(gateway)) == ("max_tokens", 5, 5)


def test_a_call_that_is_cut_short(client):
    options = {"model": SMALL, "max_tokens": 8, "messages": user(), "tools": TOOLS, "tool_choice": FORCED}
    plain = client.messages.create(**options)
    with client.messages.stream(**options) as stream:
        streamed = stream.get_final_message()
    for message in (plain, streamed):
        (call,) = message.content
        assert (message.stop_reason, call.name, isinstance(call.input, dict)) == ("max_tokens", "order", True)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ('{"a": 1, "b": "x"}', {"a": 1, "b": "x"}),
        ('{"a": 1, "b": "x', {"a": 1}),
        ('{"a": {"c": [1, 2', {"a": {"c": [1, 2]}}),
        ('{"a', {}),
        ("", {}),
        ('{"a": "\\ud800"}', {}),
    ],
)
def test_what_had_come_of_the_arguments(text, given):
    assert arguments(text) == given


def test_an_answer_ends_at_a_stop_sequence(client):
    message = ask(client, STORY, stop_sequences=["e"])
    text = "".join(block.text for block in message.content)
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "e") and "e" not in text
    with client.messages.stream(model=SMALL, max_tokens=600, messages=user(STORY), stop_sequences=["e"]) as stream:
        text, message = "".join(stream.text_stream), stream.get_final_message()
    assert message.stop_reason == "stop_sequence" and "e" not in text


def schema_of(**more):
    return {"output_config": {"format": {"type": "json_schema", "schema": {**PERSON, **more}}}}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tool_choice": ANY}, "tool_choice.any may only be specified while providing tools"),
        ({"tool_choice": ANY, "tools": []}, "tool_choice.any may only be specified while providing tools"),
        ({"tool_choice": {"type": "tool", "name": "fly"}, "tools": TOOLS}, "Tool 'fly' not found in provided tools"),
        ({"tool_choice": {"type": "tool"}, "tools": TOOLS}, "tool_choice.tool.name: Field required"),
        ({"tool_choice": {}, "tools": TOOLS}, "tool_choice.type: Field required"),
        (
            {"tool_choice": {"type": "required"}, "tools": TOOLS},
            "tool_choice: Input tag 'required' found using 'type' does not match any of the expected tags: 'auto', 'any', 'tool', 'none'",
        ),
        ({"tool_choice": ANY, "tools": TOOLS, "model": MID}, 'tool_choice: type "tool" and "any" are not supported for this model.'),
        ({"tool_choice": FORCED, "tools": TOOLS, **THINKS}, "Thinking may not be enabled when tool_choice forces tool use."),
        ({"tools": [{"name": "look"}]}, "tools.0.custom.input_schema: Field required"),
        ({"tools": [{"name": "look", "input_schema": {}}]}, "tools.0.custom.input_schema.type: Field required"),
        ({"tools": [{"name": "look", "input_schema": {"type": "array"}}]}, "tools.0.custom.input_schema.type: Input should be 'object'"),
        ({"tools": [{"name": "look", "input_schema": {"type": "object", "anyOf": [{}]}}]}, "tools.0.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"),
        (
            {"tools": [{"name": "look", "input_schema": {"type": "object", "properties": {"a": {"type": "any"}}}}]},
            "tools.0.custom.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12 (https://json-schema.org/draft/2020-12). "
            "Learn more about tool use at https://docs.claude.com/en/docs/tool-use.",
        ),
        ({"tools": [TOOLS[0], TOOLS[0]]}, "tools: Tool names must be unique."),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema: Field required"),
        ({"output_config": {"format": {"type": "json_object", "schema": {}}}}, "output_config.format.type: Input should be 'json_schema'"),
        (
            schema_of(properties={"x": OPEN}),
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
        ),
        (
            schema_of(properties={"x": {"type": "integer", "minimum": 1, "maximum": 9}}),
            "output_config.format.schema: For 'integer' type, properties maximum, minimum are not supported",
        ),
        (schema_of(properties={"x": {"type": "string", "format": "phone"}}), "output_config.format.schema: For 'string' type, format 'phone' is not supported"),
        (
            schema_of(properties={"x": {"type": "array", "items": {"type": "string", "maxLength": 5}}}),
            "output_config.format.schema: For 'string' type, property 'maxLength' is not supported",
        ),
        (
            schema_of(properties={"x": {"type": "array", "minItems": 2}}),
            "output_config.format.schema: For 'array' type, 'minItems' values other than 0 or 1 are not supported",
        ),
    ],
)
def test_what_is_refused(client, options, message):
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(client, **options)
    assert caught.value.body["error"] == {"type": "invalid_request_error", "message": message}


def test_a_forced_tool_is_not_even_counted_for_a_model_that_always_thinks(client):
    with pytest.raises(anthropic.BadRequestError, match="not supported for this model"):
        client.messages.count_tokens(model=MID, messages=user(), tools=TOOLS, tool_choice=ANY)
    assert client.messages.count_tokens(model=SMALL, messages=user(), tools=TOOLS, tool_choice=ANY).input_tokens > 0


def test_a_tool_may_be_left_to_a_model_that_thinks(client):
    ask(client, tools=TOOLS, tool_choice={"type": "auto"}, **THINKS)
