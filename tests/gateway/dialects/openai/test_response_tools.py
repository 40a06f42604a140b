"""Tools and structured outputs in OpenAI's Responses API, through its own SDK."""

import json
from itertools import groupby
from math import exp

import jsonschema
import openai
import pytest
from openai import OpenAI

from helpers import environment
from helpers.gateway.server import Gateway
from tests.gateway.dialects.samples import LONG, TIME, WEATHER, Report

THINKS, PLAIN = "gpt-6-luna", "gpt-4o"
PROMPT = "What will the weather be in Bern?"
# So long that no answer of a few tokens ends by itself.


@pytest.fixture(scope="module")
def gateway():
    """One gateway for all: it loads the house model once."""
    with pytest.MonkeyPatch.context() as patch:
        running = Gateway(pace=0).start()
        for name in environment.REMOVED:
            patch.delenv(name, raising=False)
        for name, value in environment.variables(running.base_url).items():
            patch.setenv(name, value)
        yield running
        running.stop()


@pytest.fixture(autouse=True)
def afresh(gateway):
    gateway.reset()


TOOLS = [
    {"type": "function", "name": "weather", "description": "The weather.", "parameters": WEATHER, "strict": True},
    {"type": "function", "name": "time", "parameters": TIME},
]
FORCED = {"type": "function", "name": "weather"}


@pytest.fixture(scope="module")
def openai_client(gateway):
    return OpenAI(max_retries=0)


@pytest.fixture
def respond(openai_client):
    """responses.create with a prompt; the events of a stream as a list."""

    def respond(input=PROMPT, model=THINKS, **more):
        answer = openai_client.responses.create(model=model, input=input, **more)
        return list(answer) if more.get("stream") else answer

    return respond


def test_a_response_calls_the_function_that_it_has_to_call(respond):
    answer = respond(tools=TOOLS, tool_choice=FORCED)
    thoughts, call = answer.output
    assert thoughts.type == "reasoning"
    jsonschema.validate(json.loads(call.arguments), WEATHER)
    assert (call.type, call.name, call.status, answer.status) == ("function_call", "weather", "completed", "completed")
    assert call.id.startswith("fc_") and call.call_id.startswith("call_") and len(call.id) == len(answer.id) - 2
    assert answer.output_text == ""


def test_a_streamed_call_comes_in_pieces_of_its_arguments(respond):
    events = respond(tools=TOOLS, tool_choice=FORCED, stream=True)
    assert [kind for kind, _ in groupby(event.type.removeprefix("response.") for event in events)] == [
        "created",
        "in_progress",
        *("output_item.added", "output_item.done"),
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    added, done = ([e for e in events if e.type == f"response.output_item.{kind}"] for kind in ("added", "done"))
    assert [(e.item.type, e.output_index) for e in added] == [(e.item.type, e.output_index) for e in done] == [("reasoning", 0), ("function_call", 1)]
    assert {e.output_index for e in events if e.type.startswith("response.function_call_arguments")} == {1}
    assert events[-1].response.output == [e.item for e in done]
    added, done = added[1].item, done[1].item
    assert (added.arguments, added.status, added.call_id, added.id) == ("", "in_progress", done.call_id, done.id)
    pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert len(pieces) > 1 and "".join(pieces) == done.arguments == events[-3].arguments
    jsonschema.validate(json.loads(done.arguments), WEATHER)


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", {"weather", "time"}),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "time"}]}, {"time"}),
    ],
)
def test_a_response_calls_one_of_several_functions(respond, choice, names):
    call = respond(tools=TOOLS, tool_choice=choice).output[-1]
    assert call.name in names
    jsonschema.validate(json.loads(call.arguments), {"weather": WEATHER, "time": TIME}[call.name])


@pytest.mark.parametrize("choice", [None, "auto", "none", {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "time"}]}])
def test_a_response_speaks_where_it_need_not_call(respond, choice):
    more = {} if choice is None else {"tool_choice": choice}
    assert [item.type for item in respond(tools=TOOLS, max_output_tokens=16, **more).output] == ["reasoning", "message"]


@pytest.mark.parametrize("by", ["previous_response_id", "input"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_full_round_with_a_function(respond, by, stream):
    first = respond(tools=TOOLS, tool_choice=FORCED)
    output = {"type": "function_call_output", "call_id": first.output[-1].call_id, "output": '{"degrees": 7}'}
    if by == "input":
        more = {"input": [{"role": "user", "content": PROMPT}, *first.output, output]}
    else:
        more = {"input": [output], "previous_response_id": first.id}
    second = respond(**more, tools=TOOLS, max_output_tokens=16, stream=stream)
    second = second[-1].response if stream else second
    assert [item.type for item in second.output] == ["reasoning", "message"]
    assert second.usage.input_tokens > first.usage.input_tokens + 10, "the call and its output are in the conversation"
    third = respond("Thank you.", previous_response_id=second.id, tools=TOOLS, max_output_tokens=16)
    assert third.usage.input_tokens > second.usage.input_tokens


def test_calls_and_outputs_go_in_pairs(respond):
    first = respond(tools=TOOLS, tool_choice="required")
    call = first.output[-1].call_id
    output = {"type": "function_call_output", "call_id": "call_other", "output": "7"}
    for more, text in (
        ({"input": "And now?", "previous_response_id": first.id}, f"No tool output found for function call {call}."),
        ({"input": [output], "previous_response_id": first.id}, "No tool call found for function call output with call_id call_other."),
        ({"input": [{"role": "user", "content": "Hi"}, *first.output]}, f"No tool output found for function call {call}."),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            respond(**more)
        assert (caught.value.body["message"], caught.value.param, caught.value.code) == (text, "input", None)


@pytest.mark.parametrize("stream", [False, True])
def test_the_sdk_parses_a_structured_answer(openai_client, stream):
    if stream:
        with openai_client.responses.stream(model=THINKS, input=PROMPT, text_format=Report) as events:
            answer = events.get_final_response()
    else:
        answer = openai_client.responses.parse(model=THINKS, input=PROMPT, text_format=Report)
    assert isinstance(answer.output_parsed, Report)
    assert (answer.text.format.type, answer.text.format.name, answer.text.format.strict) == ("json_schema", "Report", True)


def test_the_sdk_parses_a_calls_arguments(openai_client):
    tool = openai.pydantic_function_tool(Report)
    flat = {"type": "function", **tool["function"]}
    call = openai_client.responses.parse(model=THINKS, input=PROMPT, tools=[flat], tool_choice="required").output[-1]
    Report.model_validate(call.parsed_arguments)


def test_json_mode_wants_the_word_json(respond):
    with pytest.raises(openai.BadRequestError, match="must contain the word 'json'"):
        respond(text={"format": {"type": "json_object"}}, instructions="Answer in JSON.")
    assert isinstance(json.loads(respond("Answer in JSON.", text={"format": {"type": "json_object"}}).output_text), dict)


def test_a_response_repeats_what_was_asked(respond):
    text = {"format": {"type": "json_schema", "name": "time", "schema": TIME, "strict": True}, "verbosity": "low"}
    answer = respond(model=PLAIN, tools=TOOLS, tool_choice="auto", text=text, parallel_tool_calls=False, top_logprobs=2).to_dict()
    assert answer["text"] == {"format": {**text["format"], "description": None}, "verbosity": "low"}
    assert (answer["tool_choice"], answer["top_logprobs"], answer["parallel_tool_calls"]) == ("auto", 2, False)
    assert answer["tools"] == [{**TOOLS[0], "output_schema": None}, {**TOOLS[1], "description": None, "strict": True, "output_schema": None}]


REFUSED = [
    ({"tool_choice": "required"}, None, "tool_choice", "Tool choice 'required' must be specified with 'tools' parameter."),
    ({"tools": TOOLS, "tool_choice": {"type": "function", "name": "storm"}}, None, "tool_choice", "Tool choice 'function' not found in 'tools' parameter."),
    ({"tools": TOOLS, "tool_choice": "weather"}, "invalid_value", "tool_choice", "Invalid value: 'weather'. Supported values are: 'none', 'auto', and 'required'."),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "missing_required_parameter", "tools[0].name", None),
    ({"text": {"format": {"type": "json_schema", "schema": TIME}}}, "missing_required_parameter", "text.format.name", None),
    ({"text": {"format": {"type": "json_schema", "name": "t"}}}, "missing_required_parameter", "text.format.schema", None),
    ({"text": {"format": {"type": "xml"}}}, "invalid_value", "text.format.type", None),
    ({"include": ["logprobs"]}, "invalid_value", "include[0]", None),
    ({"include": ["message.output_text.logprobs"]}, None, "include", "logprobs are not supported with reasoning models."),
    ({"top_logprobs": 2}, "unsupported_parameter", "top_logprobs", None),
    ({"model": PLAIN, "top_logprobs": 21}, "integer_above_max_value", "top_logprobs", None),
    ({"input": [{"type": "function_call_output", "output": "7"}]}, "missing_required_parameter", "input[0].call_id", None),
]


@pytest.mark.parametrize(("more", "code", "param", "text"), REFUSED)
def test_what_responses_refuse(respond, more, code, param, text):
    with pytest.raises(openai.BadRequestError) as caught:
        respond(**more)
    assert (caught.value.param, caught.value.type) == (param, "invalid_request_error")
    assert code in (None, caught.value.code) and text in (None, caught.value.body["message"])


@pytest.mark.parametrize("top", [None, 3])
@pytest.mark.parametrize("stream", [False, True])
def test_the_logprobs_of_a_response_add_up(respond, stream, top):
    include = {"include": ["message.output_text.logprobs"], **({"top_logprobs": top} if top else {})}
    form = {"text": {"format": {"type": "json_schema", "name": "long", "schema": LONG}}}
    answer = respond(model=PLAIN, max_output_tokens=16, stream=stream, **include, **form)
    deltas = [token for event in answer if event.type == "response.output_text.delta" for token in event.logprobs] if stream else None
    answer = answer[-1].response if stream else answer
    [content] = answer.output[0].content
    assert deltas is None or [token.logprob for token in deltas] == [token.logprob for token in content.logprobs]
    assert b"".join(bytes(token.bytes) for token in content.logprobs).decode("utf-8", "replace") == content.text
    assert len(content.logprobs) == answer.usage.output_tokens == 16
    for token in content.logprobs:
        likely = [one.logprob for one in token.top_logprobs]
        assert token.logprob <= 0 and len(likely) == (top or 0)
        assert likely == sorted(likely, reverse=True) and sum(map(exp, likely)) <= 1 + 1e-6


def test_without_include_there_are_no_logprobs(respond):
    assert respond(model=PLAIN, max_output_tokens=16).output[0].content[0].logprobs == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["message", "function_call"])
def test_a_limit_cuts_a_response(respond, gateway, kind, stream):
    if kind == "message":
        more = {"text": {"format": {"type": "json_schema", "name": "long", "schema": LONG}}}
    else:
        more = {"tools": [{"type": "function", "name": "long", "parameters": LONG}], "tool_choice": "required"}
    answer = respond(max_output_tokens=16, stream=stream, **more)
    if stream:
        assert answer[-1].type == "response.incomplete"
        answer = answer[-1].response
    assert (answer.status, answer.incomplete_details.reason, answer.output[-1].status) == ("incomplete", "max_output_tokens", "incomplete")
    assert [item.type for item in answer.output] == ["reasoning", kind]
    assert answer.usage.output_tokens == 16 == gateway.meter.log()[-1].usage.output_tokens


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("more", [{"max_output_tokens": 20}, {"tools": TOOLS, "tool_choice": FORCED}])
def test_the_usage_of_a_response_is_that_of_the_log(respond, gateway, more, stream):
    answer = respond(stream=stream, **more)
    stated, logged = (answer[-1].response if stream else answer).usage, gateway.meter.log()[-1].usage
    assert (stated.input_tokens, stated.output_tokens) == (logged.input_tokens, logged.output_tokens)
    assert stated.total_tokens == logged.input_tokens + logged.output_tokens and logged.output_tokens > 0


def test_a_batch_of_responses_can_call_functions(openai_client, gateway):
    body = {"model": THINKS, "input": PROMPT, "tools": TOOLS, "tool_choice": "required"}
    line = json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": body}).encode()
    file = openai_client.files.create(file=("in.jsonl", line), purpose="batch")
    batch = openai_client.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
    gateway.advance(hours=24)
    row = json.loads(openai_client.files.content(openai_client.batches.retrieve(batch.id).output_file_id).text)
    assert [item["type"] for item in row["response"]["body"]["output"]] == ["reasoning", "function_call"]


@pytest.mark.parametrize("schema", [None, {"type": "object", "properties": {}}])
def test_a_function_is_repeated_with_the_schema_of_its_output(gateway, schema):
    """Null where none was given: so recorded since July 2026, on Azure too."""
    tool = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": False}
    asked = tool if schema is None else {**tool, "output_schema": schema}
    response = OpenAI(max_retries=0).responses.create(model=PLAIN, input="Hello!", tools=[asked], max_output_tokens=16)
    assert response.to_dict()["tools"] == [{**tool, "description": None, "output_schema": schema}]
