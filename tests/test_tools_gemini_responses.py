"""Functions, structured answers and logprobs on Gemini and on OpenAI's Responses, through their SDKs: the form, never the words."""

import enum
import json
from dataclasses import replace
from itertools import groupby
from math import exp

import httpx2
import jsonschema
import openai
import pytest
from google import genai
from google.genai import errors, types
from openai import OpenAI
from pydantic import BaseModel, Field

from helpers import environment, models
from helpers.gateway.dialects.gemini_schema import plain
from helpers.gateway.server import Gateway

FLASH, OLDER = "gemini-3.5-flash-lite", "gemini-2.5-flash"
THINKS, PLAIN = "gpt-6-luna", "gpt-4o"
PROMPT = "What will the weather be in Bern?"
WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 10},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "hours": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 23}, "minItems": 1, "maxItems": 3},
        "place": {
            "type": "object",
            "properties": {"height": {"type": "number", "minimum": 0, "maximum": 9}, "indoors": {"type": "boolean"}},
            "required": ["height", "indoors"],
            "additionalProperties": False,
        },
    },
    "required": ["city", "days", "unit", "hours", "place"],
    "additionalProperties": False,
}
TIME = {"type": "object", "properties": {"zone": {"type": "string", "enum": ["UTC", "CET"]}}, "required": ["zone"], "additionalProperties": False}
# So long that no answer of a few tokens ends by itself.
LONG = {"type": "object", "properties": {"name": {"type": "string", "minLength": 300, "maxLength": 400}}, "required": ["name"], "additionalProperties": False}


class Unit(enum.Enum):
    celsius = "celsius"
    fahrenheit = "fahrenheit"


class Reading(BaseModel):
    station: str = Field(max_length=8)
    degrees: int
    unit: Unit


class Report(BaseModel):
    readings: list[Reading] = Field(min_length=1, max_length=2)
    is_certain: bool


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


# ---- Gemini ------------------------------------------------------------------
def upper(schema):
    """The same schema as Gemini writes it."""
    if isinstance(schema, list):
        return [upper(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    named = {name: upper(value) for name, value in schema.items() if name != "additionalProperties"}
    return {**named, "type": schema["type"].upper()} if isinstance(schema.get("type"), str) else named


def declared(form="parameters"):
    weather = {"parameters": upper(WEATHER)} if form == "parameters" else {"parameters_json_schema": WEATHER}
    functions = [types.FunctionDeclaration(name="weather", **weather), types.FunctionDeclaration(name="time", parameters=upper(TIME))]
    return [types.Tool(function_declarations=functions)]


def calling(mode="ANY", *allowed):
    config = types.FunctionCallingConfig(mode=mode, allowed_function_names=list(allowed) or None)
    return types.ToolConfig(function_calling_config=config)


@pytest.fixture(scope="module")
def client(gateway):
    return genai.Client()


@pytest.fixture
def ask(client):
    """generate_content, plain or streamed, with its config as keywords; the pieces of a stream as a list."""

    def ask(contents=PROMPT, model=FLASH, stream=False, **config):
        if not stream:
            return client.models.generate_content(model=model, contents=contents, config=types.GenerateContentConfig(**config))
        return list(client.models.generate_content_stream(model=model, contents=contents, config=types.GenerateContentConfig(**config)))

    return ask


def finish(reply):
    return reply.candidates[0].finish_reason.name


def refused(call, *args, **kwargs):
    with pytest.raises(errors.ClientError) as caught:
        call(*args, **kwargs)
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    return caught.value.message


@pytest.mark.parametrize("form", ["parameters", "parameters_json_schema"])
@pytest.mark.parametrize("stream", [False, True])
def test_gemini_calls_the_function_that_it_has_to_call(ask, form, stream):
    replies = ask(stream=stream, tools=declared(form), tool_config=calling("ANY", "weather"))
    [reply] = replies if stream else [replies]
    [part] = reply.candidates[0].content.parts
    jsonschema.validate(part.function_call.args, WEATHER)
    assert (part.function_call.name, finish(reply)) == ("weather", "STOP")
    assert part.function_call.id and part.thought_signature
    assert reply.usage_metadata.candidates_token_count > 5


def test_a_call_by_gemini_2_has_no_id(ask):
    [call] = ask(model=OLDER, tools=declared(), tool_config=calling("ANY", "time")).function_calls
    assert call.id is None and call.args["zone"] in ("UTC", "CET")


@pytest.mark.parametrize("stream", [False, True])
def test_gemini_calls_one_of_several_functions_once_a_candidate(ask, stream):
    replies = ask(stream=stream, tools=declared(), tool_config=calling(), candidate_count=2)
    [reply] = replies if stream else [replies]
    for candidate in reply.candidates:
        [part] = candidate.content.parts
        jsonschema.validate(part.function_call.args, {"weather": WEATHER, "time": TIME}[part.function_call.name])


@pytest.mark.parametrize("config", [None, "AUTO", "NONE", "VALIDATED"])
def test_gemini_speaks_where_it_need_not_call(ask, config):
    reply = ask(tools=declared(), tool_config=config and calling(config), max_output_tokens=10)
    assert reply.function_calls is None and finish(reply) in ("STOP", "MAX_TOKENS")


def test_a_full_round_with_a_gemini_function(ask, client):
    question = types.Content(role="user", parts=[types.Part(text=PROMPT)])
    first = ask([question], tools=declared(), tool_config=calling("ANY", "time"))
    [call] = first.function_calls
    result = types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"time": "12:00"}))
    contents = [question, first.candidates[0].content, types.Content(role="user", parts=[result])]
    second = ask(contents, tools=declared(), max_output_tokens=10)
    assert second.usage_metadata.prompt_token_count > first.usage_metadata.prompt_token_count
    assert "number of function response parts" in refused(ask, [*contents[:2], question], tools=declared())
    assert "comes immediately after a function call turn" in refused(ask, [question, contents[2]], tools=declared())


def test_the_sdk_runs_a_python_function_by_itself(ask):
    seen = []

    def roll(sides: int, times: list[int]) -> int:
        """Rolls dice."""
        seen.append((sides, times))
        return 4

    ask(tools=[roll], tool_config=calling(), automatic_function_calling={"maximum_remote_calls": 2})
    assert seen and all(isinstance(sides, int) and all(isinstance(n, int) for n in times) for sides, times in seen)


@pytest.mark.parametrize("stream", [False, True])
def test_gemini_fills_in_a_pydantic_model(ask, stream):
    config = {"response_mime_type": "application/json", "response_schema": Report}
    if stream:
        pieces = ask(stream=True, **config)
        assert len(pieces) > 1 and [finish(piece) for piece in pieces if piece.candidates[0].finish_reason] == ["STOP"]
        Report.model_validate_json("".join(piece.text for piece in pieces))
    else:
        assert isinstance(ask(**config).parsed, Report)


@pytest.mark.parametrize("form", [{"response_schema": list[Reading]}, {"response_json_schema": {"type": "array", "items": WEATHER, "maxItems": 1}}, {}])
def test_gemini_answers_in_json(ask, form):
    value = json.loads(ask(response_mime_type="application/json", **form).text)
    assert isinstance(value, list if form else dict)


@pytest.mark.parametrize("stream", [False, True])
def test_a_word_of_an_enum_has_no_quotes(ask, stream):
    replies = ask(stream=stream, response_mime_type="text/x.enum", response_schema=Unit)
    [reply] = replies if stream else [replies]
    assert reply.text in ("celsius", "fahrenheit") and finish(reply) == "STOP"
    assert stream or reply.parsed is Unit(reply.text)


def test_a_word_that_is_cut_off_has_no_quotes_either(ask):
    reply = ask(response_mime_type="text/x.enum", response_schema={"type": "STRING", "enum": ["x" * 300, "xx" * 300]}, max_output_tokens=3)
    assert finish(reply) == "MAX_TOKENS" and set(reply.text or "x") == {"x"}


def test_a_schema_without_a_mime_type_has_no_effect(gateway):
    body = {"contents": [{"parts": [{"text": PROMPT}]}], "generationConfig": {"responseSchema": {"type": "OBJECT"}, "maxOutputTokens": 5}}
    assert post(gateway, body).status_code == 200


def test_geminis_schema_as_plain_json_schema():
    given = {
        "type": "OBJECT",
        "title": "T",
        "properties": {
            "a": {"type": "STRING", "nullable": True, "enum": ["x"], "format": "enum"},
            "b": {"type": "array", "items": {"type": "INTEGER", "format": "int32", "minimum": 1}, "min_items": "2", "maxItems": 3},
            "c": {"anyOf": [{"type": "NUMBER"}, {"type": "STRING", "format": "date"}], "nullable": True, "default": 5},
        },
        "required": ["a"],
        "property_ordering": ["c", "a"],
    }
    made = plain(given, "schema")
    assert list(made["properties"]) == ["c", "a", "b"]
    assert made == {
        "type": "object",
        "properties": {
            "a": {"type": ["string", "null"], "enum": ["x", None]},
            "b": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 3},
            "c": {"anyOf": [{"type": "number"}, {"type": "string", "format": "date"}, {"type": "null"}]},
        },
        "required": ["a"],
    }


def post(gateway, body, model=FLASH):
    """A raw request, for what the SDK would not send."""
    url = f"{gateway.base_url}/gemini/v1beta/models/{model}:generateContent"
    return httpx2.post(url, json=body, headers={"x-goog-api-key": "some-key"})


PARAMETERS = "tools[0].function_declarations[0].parameters"
SCHEMA = "type.googleapis.com/google.ai.generativelanguage.v1beta"


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"type": "ARRAY"}, f"* GenerateContentRequest.{PARAMETERS}.items: missing field.\n"),
        ({"type": "OBJECT"}, f"* GenerateContentRequest.{PARAMETERS}.properties: should be non-empty for OBJECT type\n"),
        (
            {"type": "OBJECT", "properties": {"maxDepth": {"type": "INTEGER", "enum": ["1"]}}},
            f"* GenerateContentRequest.{PARAMETERS}.properties[maxDepth].enum: only allowed for STRING type\n",
        ),
        ({**upper(TIME), "required": ["a"]}, f"* GenerateContentRequest.{PARAMETERS}.required[0]: property is not defined\n"),
        (
            {"type": "OBJECT", "properties": {"a": {"type": "STRING", "$ref": "#/x"}}},
            f"Invalid JSON payload received. Unknown name \"$ref\" at '{PARAMETERS}.properties[0].value': Cannot find field.",
        ),
        ({"type": "thing"}, f"Invalid value at '{PARAMETERS}.type' ({SCHEMA}.Type), \"thing\""),
        (
            {"type": ["STRING", "NULL"]},
            f"Invalid JSON payload received. Unknown name \"type\" at '{PARAMETERS}': Proto field is not repeating, cannot start list.",
        ),
        ({"type": "STRING", "enum": ["a", 5]}, f"Invalid value at '{PARAMETERS}.enum[1]' (TYPE_STRING), 5"),
        ({"type": "ARRAY", "items": "STRING"}, f"Invalid value at '{PARAMETERS}.items' ({SCHEMA}.Schema), \"STRING\""),
    ],
)
def test_a_schema_that_gemini_refuses(gateway, parameters, text):
    body = {"contents": [{"parts": [{"text": PROMPT}]}], "tools": [{"functionDeclarations": [{"name": "f", "parameters": parameters}]}]}
    reply = post(gateway, body)
    assert (reply.status_code, reply.json()["error"]["message"]) == (400, text)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"tool_config": calling()}, "Function calling config is set without function_declarations."),
        ({"tools": declared(), "tool_config": calling("ANY", "storm")}, "should be a subset of the provided function_declarations"),
        ({"tools": declared(), "tool_config": calling("AUTO", "time")}, "only be set when the function calling mode is ANY"),
        ({"tools": [*declared(), *declared()]}, "Duplicate function declaration found: weather"),
        ({"response_mime_type": "image/png"}, "response_mime_type: allowed mimetypes are `text/plain`, `application/json`"),
        ({"response_mime_type": "text/x.enum"}, "response_schema.enum: must be specified"),
        ({"logprobs": 3}, "logprobs: can only be set if response_logprobs is true."),
        ({"response_logprobs": True, "logprobs": 21}, "logprobs must be at most 20."),
        ({"response_logprobs": True}, "Logprobs is not enabled for this model"),
        ({"response_mime_type": "application/json", "response_json_schema": {"type": "integer", "minimum": 2, "maximum": 1}}, "cannot be followed"),
        (
            {"model": OLDER, "tools": declared(), "response_mime_type": "application/json"},
            "Function calling with a response mime type: 'application/json' is unsupported",
        ),
        (
            {"model": OLDER, "tools": [{"google_search": {}}], "response_mime_type": "application/json"},
            "Tool use with a response mime type: 'application/json' is unsupported",
        ),
    ],
)
def test_what_gemini_refuses(ask, config, text):
    assert text in refused(ask, **config)


@pytest.fixture
def with_logprobs(monkeypatch):
    """Models as they would be if they gave logprobs: none of the course's does today."""
    find = models.find
    monkeypatch.setattr(models, "find", lambda provider, id: replace(find(provider, id), accepts=("stop", "logprobs")))


@pytest.mark.parametrize("top", [None, 3])
@pytest.mark.parametrize("stream", [False, True])
def test_geminis_logprobs_add_up(ask, with_logprobs, stream, top):
    form = {"response_mime_type": "application/json", "response_json_schema": LONG}
    replies = ask(stream=stream, response_logprobs=True, logprobs=top, max_output_tokens=12, **form)
    candidates = [reply.candidates[0] for reply in (replies if stream else [replies])]
    results = [candidate.logprobs_result for candidate in candidates if candidate.logprobs_result]
    chosen = [token.log_probability for result in results for token in result.chosen_candidates]
    assert len(chosen) == 12 == (replies[-1] if stream else replies).usage_metadata.candidates_token_count
    assert max(chosen) <= 0 and candidates[-1].avg_logprobs == pytest.approx(sum(chosen) / len(chosen))
    assert sum(result.log_probability_sum for result in results) == pytest.approx(sum(chosen))
    likely = [[token.log_probability for token in place.candidates] for result in results for place in result.top_candidates or []]
    assert len(likely) == (len(chosen) if top else 0)
    assert all(len(place) == top and place == sorted(place, reverse=True) and sum(map(exp, place)) <= 1 + 1e-6 for place in likely)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("config", [{"response_json_schema": LONG, "response_mime_type": "application/json"}, "call"])
def test_a_limit_cuts_geminis_answer(ask, gateway, config, stream):
    if config == "call":
        tools = [types.Tool(function_declarations=[types.FunctionDeclaration(name="f", parameters_json_schema=LONG)])]
        config = {"tools": tools, "tool_config": calling()}
    replies = ask(stream=stream, max_output_tokens=5, **config)
    last = replies[-1] if stream else replies
    assert (finish(last), last.usage_metadata.candidates_token_count) == ("MAX_TOKENS", 5)
    assert last.function_calls is None, "a call that was cut short is none"
    assert gateway.meter.log()[-1].usage.output_tokens == 5


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_sequence_ends_geminis_answer(ask, stream):
    replies = ask(stream=stream, stop_sequences=["e"])
    replies = replies if stream else [replies]
    assert "e" not in "".join(reply.text or "" for reply in replies) and finish(replies[-1]) == "STOP"


def test_a_stop_sequence_inside_a_call_spoils_it(ask):
    reply = ask(tools=declared(), tool_config=calling("ANY", "time"), stop_sequences=["zone"])
    assert (finish(reply), reply.candidates[0].content.parts) == ("MALFORMED_FUNCTION_CALL", None)


@pytest.mark.parametrize("stream", [False, True])
def test_geminis_usage_is_that_of_the_log(ask, gateway, stream):
    replies = ask(stream=stream, max_output_tokens=12, candidate_count=2)
    replies = replies if stream else [replies]
    stated, logged = replies[-1].usage_metadata, gateway.meter.log()[-1].usage
    assert (stated.prompt_token_count, stated.candidates_token_count) == (logged.input_tokens, logged.output_tokens)
    assert stated.total_token_count == logged.input_tokens + logged.output_tokens and stated.thoughts_token_count is None
    totals = [reply.usage_metadata.total_token_count for reply in replies]
    assert totals == sorted(totals)
    assert {candidate.index or 0 for candidate in replies[-1].candidates} == {0, 1}


def test_a_cache_can_hold_functions(client, ask):
    config = types.CreateCachedContentConfig(contents="word " * 5000, tools=declared(), tool_config=calling("ANY", "time"))
    [call] = ask(cached_content=client.caches.create(model=FLASH, config=config).name).function_calls
    assert call.name == "time"


def test_a_batch_can_call_functions(client, gateway):
    request = {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}], "config": {"tools": declared(), "tool_config": calling()}}
    name = client.batches.create(model=FLASH, src=[request]).name
    gateway.advance(hours=24)
    [result] = client.batches.get(name=name).dest.inlined_responses
    assert result.response.function_calls[0].name in ("weather", "time")


# ---- Responses ---------------------------------------------------------------
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
    [call] = answer.output
    jsonschema.validate(json.loads(call.arguments), WEATHER)
    assert (call.type, call.name, call.status, answer.status) == ("function_call", "weather", "completed", "completed")
    assert call.id.startswith("fc_") and call.call_id.startswith("call_") and len(call.id) == len(answer.id) - 2
    assert answer.output_text == ""


def test_a_streamed_call_comes_in_pieces_of_its_arguments(respond):
    events = respond(tools=TOOLS, tool_choice=FORCED, stream=True)
    assert [kind for kind, _ in groupby(event.type.removeprefix("response.") for event in events)] == [
        "created",
        "in_progress",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    added, done = (next(e.item for e in events if e.type == f"response.output_item.{kind}") for kind in ("added", "done"))
    assert (added.arguments, added.status, added.call_id, added.id) == ("", "in_progress", done.call_id, done.id)
    pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert len(pieces) > 1 and "".join(pieces) == done.arguments == events[-3].arguments
    assert events[-1].response.output == [done]
    jsonschema.validate(json.loads(done.arguments), WEATHER)


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", {"weather", "time"}),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "time"}]}, {"time"}),
    ],
)
def test_a_response_calls_one_of_several_functions(respond, choice, names):
    [call] = respond(tools=TOOLS, tool_choice=choice).output
    assert call.name in names
    jsonschema.validate(json.loads(call.arguments), {"weather": WEATHER, "time": TIME}[call.name])


@pytest.mark.parametrize("choice", [None, "auto", "none", {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "time"}]}])
def test_a_response_speaks_where_it_need_not_call(respond, choice):
    more = {} if choice is None else {"tool_choice": choice}
    assert [item.type for item in respond(tools=TOOLS, max_output_tokens=16, **more).output] == ["message"]


@pytest.mark.parametrize("by", ["previous_response_id", "input"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_full_round_with_a_function(respond, by, stream):
    first = respond(tools=TOOLS, tool_choice=FORCED)
    output = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": '{"degrees": 7}'}
    if by == "input":
        more = {"input": [{"role": "user", "content": PROMPT}, *first.output, output]}
    else:
        more = {"input": [output], "previous_response_id": first.id}
    second = respond(**more, tools=TOOLS, max_output_tokens=16, stream=stream)
    second = second[-1].response if stream else second
    assert [item.type for item in second.output] == ["message"]
    assert second.usage.input_tokens > first.usage.input_tokens + 10, "the call and its output are in the conversation"
    third = respond("Thank you.", previous_response_id=second.id, tools=TOOLS, max_output_tokens=16)
    assert third.usage.input_tokens > second.usage.input_tokens


def test_calls_and_outputs_go_in_pairs(respond):
    first = respond(tools=TOOLS, tool_choice="required")
    call = first.output[0].call_id
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
    [call] = openai_client.responses.parse(model=THINKS, input=PROMPT, tools=[flat], tool_choice="required").output
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
    assert answer["tools"] == [TOOLS[0], {**TOOLS[1], "description": None, "strict": True}]


REFUSED = [
    ({"tool_choice": "required"}, None, "tool_choice", "Tool choice 'required' must be specified with 'tools' parameter."),
    ({"tools": TOOLS, "tool_choice": {"type": "function", "name": "storm"}}, None, "tool_choice", "Tool choice 'function' not found in 'tools' parameter."),
    ({"tools": TOOLS, "tool_choice": "weather"}, "invalid_value", "tool_choice", "Invalid value: 'weather'. Supported values are: 'none', 'auto', 'required'."),
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
    assert (answer.status, answer.incomplete_details.reason, answer.output[0].status) == ("incomplete", "max_output_tokens", "incomplete")
    assert answer.output[0].type == kind
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
    assert row["response"]["body"]["output"][0]["type"] == "function_call"
