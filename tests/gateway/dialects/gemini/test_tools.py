"""Functions, structured outputs and log-probabilities with Google's own SDK."""

import json
from dataclasses import replace
from math import exp

import httpx2
import jsonschema
import pytest
from google import genai
from google.genai import errors, types

from helpers import environment, models
from helpers.gateway.dialects.gemini.schema import plain
from helpers.gateway.server import Gateway
from tests.gateway.dialects.gemini.samples import finish
from tests.gateway.dialects.samples import LONG, TIME, WEATHER, Reading, Report, Unit

FLASH, OLDER = "gemini-3.5-flash-lite", "gemini-2.5-flash"
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


EMPTY = [{"type": "OBJECT", "properties": {}}, {"type": "OBJECT", "properties": {}, "required": []}, {"type": "OBJECT"}]


@pytest.mark.parametrize("form", [{"parameters": one} for one in EMPTY] + [{"parameters_json_schema": {"additionalProperties": False, "properties": {}, "type": "object"}}])
def test_a_function_may_have_no_parameters(ask, form):
    """As ruby_llm and pydantic-ai declare one, in 231 recorded requests."""
    tools = [types.Tool(function_declarations=[types.FunctionDeclaration(name="now", description="the time", **form)])]
    [call] = ask(tools=tools, tool_config=calling("ANY", "now")).function_calls
    assert (call.name, call.args) == ("now", {})


def test_an_answer_has_to_have_properties(ask):
    assert "response_schema.properties: should be non-empty for OBJECT type" in refused(ask, response_mime_type="application/json", response_schema=EMPTY[0])


CALL = {
    "contents": [{"role": "user", "parts": [{"text": PROMPT}]}],
    "tools": [{"functionDeclarations": [{"name": "now", "parameters": EMPTY[0]}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
}
SAID = "Model generated function call(s)."


@pytest.mark.parametrize("model", [FLASH, OLDER])
@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent"])
def test_an_answer_that_calls_says_so_at_its_end(gateway, model, method):
    """As recorded in 176 of 188 answers; the SDK for Python leaves it out, so that this is raw."""
    told = []
    for mode in ("ANY", "NONE"):
        body = {**CALL, "toolConfig": {"functionCallingConfig": {"mode": mode}}, "generationConfig": {"maxOutputTokens": 900}}
        reply = post(gateway, body, model, method).json()
        *_, last = reply if isinstance(reply, list) else [reply]
        told.append(last["candidates"][0].get("finishMessage"))
    assert told == [SAID, None]


def test_a_call_in_a_batch_says_so_too(gateway):
    batch = {"batch": {"inputConfig": {"requests": {"requests": [{"request": CALL}]}}}}
    name = post(gateway, batch, method="batchGenerateContent").json()["name"]
    gateway.advance(hours=1)
    done = httpx2.get(f"{gateway.base_url}/gemini/v1beta/{name}", headers={"x-goog-api-key": "some-key"}).json()
    [answered] = done["response"]["inlinedResponses"]["inlinedResponses"]
    assert answered["response"]["candidates"][0]["finishMessage"] == SAID


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


def post(gateway, body, model=FLASH, method="generateContent"):
    """A raw request, for what the SDK would not send."""
    url = f"{gateway.base_url}/gemini/v1beta/models/{model}:{method}"
    return httpx2.post(url, json=body, headers={"x-goog-api-key": "some-key"})


PARAMETERS = "tools[0].function_declarations[0].parameters"
SCHEMA = "type.googleapis.com/google.ai.generativelanguage.v1beta"


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"type": "ARRAY"}, f"* GenerateContentRequest.{PARAMETERS}.items: missing field.\n"),
        (
            {"type": "OBJECT", "properties": {"where": {"type": "OBJECT", "properties": {}}}},
            f"* GenerateContentRequest.{PARAMETERS}.properties[where].properties: should be non-empty for OBJECT type\n",
        ),
        ({"type": "OBJECT", "properties": {}, "required": ["a"]}, f"* GenerateContentRequest.{PARAMETERS}.required[0]: property is not defined\n"),
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
