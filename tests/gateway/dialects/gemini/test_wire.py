"""Gemini beside the SDK's beaten track: the raw wire, caches with recordings, batches that fail, the words of refusals."""

import http.client
import json

import pytest
from google import genai
from google.genai import errors, types

from helpers.gateway.dialects.gemini.dialect import Gemini
from helpers.gateway.exchange import Usage

MODEL, IMPLICIT_ONLY, RETIRED = "gemini-3.5-flash-lite", "gemini-4-argon", "gemini-2.0-flash"
PROMPT = "Count to thirty."
ANSWER = ", ".join(str(number) for number in range(1, 31)) + "."
THINKING = 40
DOCUMENT = "The library opens at nine. " * 900
GENERATE = f"/v1/models/{MODEL}:generateContent"


@pytest.fixture
def record(gateway):
    """Add a recording of a conversation to the gateway."""

    def record(*messages, answer, thinking=0):
        line = {"kind": "scripted", "date": "2026-11-23", "provider": "gemini", "models": [MODEL], "messages": [list(m) for m in messages]}
        gateway.in_loop(lambda: gateway.recordings.add({**line, "answers": [{"text": answer, "thinking_tokens": thinking}]}))

    return record


@pytest.fixture
def client(record):
    record(("user", PROMPT), answer=ANSWER, thinking=THINKING)
    return genai.Client()


def ask(client, contents=PROMPT, model=MODEL, **config):
    return client.models.generate_content(model=model, contents=contents, config=config)


def refused(call):
    """The error that the SDK raises for a call."""
    with pytest.raises(errors.APIError) as caught:
        call()
    assert caught.value.details["error"]["code"] == caught.value.code
    return caught.value


def send(gateway, path, body=None, method="POST", key="a-key"):
    """Status, content type and bytes of a raw request."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    connection.request(method, "/gemini" + path, None if body is None else json.dumps(body), {"x-goog-api-key": key})
    answer = connection.getresponse()
    received = answer.read()
    connection.close()
    return answer.status, answer.getheader("content-type"), received


def contents(*texts):
    return [{"role": "user", "parts": [{"text": text}]} for text in texts]


# ---- the wire ----------------------------------------------------------------
@pytest.mark.parametrize("version", ["/v1", "/v1beta", ""])
def test_every_version_and_none_is_served(client, gateway, version):
    status, content_type, body = send(gateway, f"{version}/models/{MODEL}:generateContent", {"contents": contents(PROMPT)})
    assert (status, content_type) == (200, "application/json; charset=UTF-8")
    assert json.loads(body)["candidates"][0]["content"]["parts"] == [{"text": ANSWER}]


@pytest.mark.parametrize(("path", "status"), [(GENERATE, 403), (f"{GENERATE}?key=a-key", 200), (f"{GENERATE}?key=an-invalid-key", 400)])
def test_a_key_may_stand_in_the_query(client, gateway, path, status):
    assert send(gateway, path, {"contents": contents(PROMPT)}, key="")[0] == status


def test_null_and_a_single_object_are_taken(client, gateway):
    body = {"contents": {"parts": {"text": PROMPT}}, "system_instruction": None, "generation_config": {"max_output_tokens": THINKING + 1}}
    status, _, received = send(gateway, GENERATE, body)
    assert status == 200 and json.loads(received)["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_what_is_the_users_own_keeps_its_names(gateway, record):
    call = {"functionCall": {"name": "look_up", "args": {"first_word": "quokka", "null_word": None}, "id": "call-1"}, "thoughtSignature": "c2lnbmVk"}
    said = json.dumps({"args": call["functionCall"]["args"], "name": "look_up"}, sort_keys=True)
    result = {"functionResponse": {"name": "look_up", "response": {"first_word": "quokka"}}}
    found = json.dumps({"name": "look_up", "response": {"first_word": "quokka"}}, sort_keys=True)
    record(["user", PROMPT], ["assistant", [["tool_use", said]]], ["user", [["tool_result", found]]], answer="An animal.")
    body = {"contents": [*contents(PROMPT), {"role": "model", "parts": [call]}, {"role": "user", "parts": [result]}]}
    assert json.loads(send(gateway, GENERATE, body)[2])["candidates"][0]["content"]["parts"] == [{"text": "An animal."}]


def test_tools_are_part_of_the_prompt(client):
    tool = types.Tool(function_declarations=[types.FunctionDeclaration(name="look_up", description="Looks a word up.")])
    with_tools = ask(client, "Hello.", tools=[tool], automatic_function_calling={"disable": True}).usage_metadata
    assert with_tools.prompt_token_count > ask(client, "Hello.").usage_metadata.prompt_token_count


def test_every_piece_of_a_stream_has_the_usage_so_far(client):
    pieces = list(client.models.generate_content_stream(model=MODEL, contents=PROMPT, config={"candidate_count": 2}))
    totals = [piece.usage_metadata.total_token_count for piece in pieces]
    assert totals == sorted(totals) and len(set(totals)) > 2
    assert [candidate.index for piece in pieces for candidate in piece.candidates if candidate.finish_reason] == [0, 1]


def test_an_overload_inside_a_stream_is_raised_by_the_sdk(client, gateway):
    gateway.fault("overloaded_in_stream", "gemini", chunk=1)
    stream = client.models.generate_content_stream(model=MODEL, contents=PROMPT)
    assert next(stream).text
    error = refused(lambda: list(stream))
    assert isinstance(error, errors.ServerError) and (error.code, error.status) == (503, "UNAVAILABLE")


# ---- caches ------------------------------------------------------------------
def make_cache(client, **config):
    return client.caches.create(model=MODEL, config={"contents": DOCUMENT, "ttl": "300s", **config})


def test_the_cache_stands_before_the_prompt_and_is_counted_once(client, record):
    record(("system", "Answer from the text."), ("user", DOCUMENT), ("user", "When?"), answer="At nine.")
    cache = make_cache(client, system_instruction="Answer from the text.")
    answer = ask(client, "When?", cached_content=cache.name)
    held, alone = cache.usage_metadata.total_token_count, client.models.count_tokens(model=MODEL, contents="When?").total_tokens
    assert answer.text == "At nine."
    assert answer.usage_metadata.cached_content_token_count == held
    assert answer.usage_metadata.prompt_token_count == held + alone


@pytest.mark.parametrize("config", [{"system_instruction": "Be brief."}, {"tools": [{"google_search": {}}]}])
def test_what_a_cache_may_hold_is_not_given_beside_it(client, config):
    error = refused(lambda: ask(client, cached_content=make_cache(client).name, **config))
    assert error.code == 400 and "CachedContent can not be used with" in error.message


@pytest.mark.parametrize(
    ("expiry", "text"),
    [
        ({"ttl": "five minutes"}, "Invalid value at 'ttl' (type.googleapis.com/google.protobuf.Duration), \"five minutes\""),
        ({"ttl": "0s"}, "ttl must be in the future."),
        ({"ttl": "999999999999s"}, "Invalid value at 'ttl'"),
        ({"ttl": None, "expire_time": "2020-01-01T00:00:00Z"}, "expire_time must be in the future."),
    ],
)
def test_a_time_to_live_that_cannot_be(client, expiry, text):
    error = refused(lambda: make_cache(client, **expiry))
    assert error.code == 400 and text in error.message


def test_a_model_with_implicit_caching_only_makes_no_caches(client):
    error = refused(lambda: client.caches.create(model=IMPLICIT_ONLY, config={"contents": DOCUMENT}))
    assert error.code == 404 and "not supported for createCachedContent" in error.message


# ---- batches -----------------------------------------------------------------
def make_batch(client, **config):
    request = types.InlinedRequest(contents=PROMPT, metadata={"key": "one"}, config=config or None)
    return client.batches.create(model=MODEL, src=[request])


def test_an_operation_is_done_with_its_results_and_counts_in_strings(client, gateway):
    name = make_batch(client).name
    pending = json.loads(send(gateway, f"/v1beta/{name}", method="GET")[2])
    assert "done" not in pending and pending["metadata"]["batchStats"] == {"requestCount": "1", "pendingRequestCount": "1"}
    gateway.advance(hours=1)
    done = json.loads(send(gateway, f"/v1beta/{name}", method="GET")[2])
    assert done["done"] is True and done["response"]["inlinedResponses"] == done["metadata"]["output"]["inlinedResponses"]
    assert done["metadata"]["batchStats"] == {"requestCount": "1", "successfulRequestCount": "1"}


def test_a_request_that_the_model_refuses_fails_alone(client, gateway):
    name = make_batch(client, thinking_config=types.ThinkingConfig(thinking_level="XHIGH")).name
    gateway.advance(hours=1)
    result = client.batches.get(name=name).dest.inlined_responses[0]
    assert (result.error.code, result.response, result.metadata) == (3, None, {"key": "one"})
    assert result.error.message == "Thinking level XHIGH is not supported for this model."


def test_a_batch_from_a_file_is_refused(client):
    error = refused(lambda: client.batches.create(model=MODEL, src="files/mine"))
    assert (error.code, error.status) == (403, "PERMISSION_DENIED")


# ---- refusals ----------------------------------------------------------------
@pytest.mark.parametrize("version", ["v1", "v1beta"])
@pytest.mark.parametrize("model", ["gemini-0-nothing", RETIRED])
def test_the_404_of_a_model_names_version_and_method(gateway, model, version):
    client = genai.Client(http_options={"api_version": version})
    said = f"models/{model} is not found for API version {version}, or is not supported for "
    assert refused(lambda: ask(client, model=model)).message.startswith(f"{said}generateContent. Call ListModels")
    assert refused(lambda: list_pieces(client, model)).message.startswith(f"{said}streamGenerateContent. Call ListModels")
    assert refused(lambda: client.models.get(model=model)).code == 404


def list_pieces(client, model):
    return list(client.models.generate_content_stream(model=model, contents=PROMPT))


TURN = contents("Hello.")
PARSER = "Invalid JSON payload received. "
CHECKED = "* GenerateContentRequest."


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"contents": []}, CHECKED + "contents: contents is not specified\n"),
        ({"contents": [{"parts": []}]}, CHECKED + "contents[0].parts: contents.parts must not be empty.\n"),
        (
            {"contents": [{"parts": [{}]}]},
            CHECKED + "contents[0].parts[0].data: required oneof field 'data' must have one initialized field\n",
        ),
        (
            {"contents": [{"parts": [{"text": "x", "functionCall": {"name": "f"}}]}]},
            "Invalid value at 'contents[0].parts[0]' (oneof), oneof field 'data' is already set. Cannot set 'functionCall'",
        ),
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "?"}}]}]},
            "Invalid value at 'contents[0].parts[0].inline_data.data' (TYPE_BYTES), Base64 decoding failed for \"?\"",
        ),
        (
            {"contents": TURN, "generationConfig": {"temperature": 3}},
            CHECKED + "generation_config.temperature: temperature must be at most 2.\n",
        ),
        (
            {"contents": TURN, "generationConfig": {"thinkingConfig": {"thinkingBudget": 5, "thinkingLevel": "low"}}},
            "You can only set only one of thinking budget and thinking level.",
        ),
    ],
)
def test_what_the_model_server_refuses_has_no_details(gateway, body, text):
    status, _, received = send(gateway, GENERATE, body)
    assert (status, json.loads(received)["error"]) == (400, {"code": 400, "message": text, "status": "INVALID_ARGUMENT"})


@pytest.mark.parametrize(
    ("more", "field", "text"),
    [
        ({"foo": 1}, None, PARSER + 'Unknown name "foo": Cannot find field.'),
        (
            {"generationConfig": {"max_tokens": 1}},
            "generation_config",
            PARSER + "Unknown name \"max_tokens\" at 'generation_config': Cannot find field.",
        ),
        ({"tools": [{"function": {}}]}, "tools[0]", PARSER + "Unknown name \"function\" at 'tools[0]': Cannot find field."),
        (
            {"generationConfig": {"seed": [1]}},
            "generation_config.seed",
            PARSER + "Unknown name \"seed\" at 'generation_config': Proto field is not repeating, cannot start list.",
        ),
        (
            {"generationConfig": {"maxOutputTokens": 2.5}},
            "generation_config.max_output_tokens",
            "Invalid value at 'generation_config.max_output_tokens' (TYPE_INT32), 2.5",
        ),
        (
            {"systemInstruction": "Be brief."},
            "system_instruction",
            "Invalid value at 'system_instruction' (type.googleapis.com/google.ai.generativelanguage.v1beta.Content), \"Be brief.\"",
        ),
    ],
)
def test_what_the_parser_refuses_names_the_field(gateway, more, field, text):
    status, _, received = send(gateway, GENERATE, {"contents": TURN, **more})
    error = json.loads(received)["error"]
    assert (status, error["message"]) == (400, text)
    violation = error["details"][0]["fieldViolations"][0]
    assert (violation.get("field"), violation["description"]) == (field, text)


@pytest.mark.parametrize(
    ("fault", "kind", "code", "status"),
    [
        ("overloaded", errors.ServerError, 503, "UNAVAILABLE"),
        ("server_error", errors.ServerError, 500, "INTERNAL"),
        ("rate_limited", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
        ("out_of_credit", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
        ("wrong_key", errors.ClientError, 400, "INVALID_ARGUMENT"),
    ],
)
def test_a_fault_is_raised_once_and_not_retried(client, gateway, fault, kind, code, status):
    gateway.fault(fault, "gemini")
    error = refused(lambda: ask(client))
    assert type(error) is kind and (error.code, error.status) == (code, status)
    assert len(gateway.meter.log()) == 1
    assert ask(client).text == ANSWER


# ---- a real provider's answer ------------------------------------------------
FIRST = {"promptTokenCount": 9, "thoughtsTokenCount": 20, "totalTokenCount": 29}
LAST = {**FIRST, "cachedContentTokenCount": 4, "candidatesTokenCount": 5, "totalTokenCount": 34}
PIECES = [{"usageMetadata": FIRST}, {"candidates": [{"finishReason": "STOP"}], "usageMetadata": LAST}]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (json.dumps(PIECES[1]), "application/json; charset=UTF-8"),
        (json.dumps(PIECES), "application/json; charset=UTF-8"),
        ("".join(f"data: {json.dumps(piece)}\r\n\r\n" for piece in PIECES), "text/event-stream"),
    ],
)
def test_the_usage_of_a_real_answer_is_read_in_every_form(body, content_type):
    dialect = Gemini()
    used = dialect.usage(dialect.events(body.encode(), content_type))
    assert used == Usage(input_tokens=9, cache_read_tokens=4, output_tokens=25, thinking_tokens=20)
