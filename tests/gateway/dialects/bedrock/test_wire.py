"""What boto3 hides of Bedrock: frames, keys, each speaker's own wording, and the usage in answers of the real service."""

import base64
import json

import boto3
import httpx2
import pytest
from botocore.config import Config
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from botocore.exceptions import ClientError, EventStreamError

from helpers.gateway.dialects.bedrock import eventstream
from helpers.gateway.dialects.bedrock.dialect import Bedrock
from helpers.gateway.exchange import Refusal, Usage
from tests.gateway.dialects.bedrock.samples import FROM_MODEL

CLAUDE, LLAMA, NOVA = "us.anthropic.claude-haiku-5-5", "meta.llama3-1-8b-instruct-v1:0", "amazon.nova-lite-v1:0"
BARE_CLAUDE = "anthropic.claude-haiku-5-5"
MESSAGES = [{"role": "user", "content": [{"text": "Say hello in five words."}]}]
CLAUDE_BODY = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 200, "messages": [{"role": "user", "content": "Hello"}]}
POINT = {"cachePoint": {"type": "default"}}
EVENT_STREAM = "application/vnd.amazon.eventstream"
SCOPE = "20261123/us-east-1/bedrock/aws4_request"


@pytest.fixture
def bedrock(gateway):
    return boto3.client("bedrock-runtime", config=Config(retries={"total_max_attempts": 1}))


def refused(call, **arguments):
    """Code, message and status of a refusal."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error, meta = caught.value.response["Error"], caught.value.response["ResponseMetadata"]
    return error["Code"], error["Message"], meta["HTTPStatusCode"]


# ---- frames --------------------------------------------------------------------------------------------------
def decoded(data):
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return list(buffer)


@pytest.mark.parametrize("payload", [b"", b"{}", "{\"text\":\"日本 é\"}".encode(), b"x" * 70_000])
def test_botocore_decodes_what_we_encode(payload):
    one, other = decoded(eventstream.event("chunk", payload) + eventstream.exception("throttlingException", payload))
    assert one.headers == {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    assert other.headers == {":exception-type": "throttlingException", ":content-type": "application/json", ":message-type": "exception"}
    assert one.payload == other.payload == payload


@pytest.mark.parametrize("place", [0, 9, 20, -6, -1])
def test_a_frame_with_one_wrong_byte_is_noticed(place):
    frame = bytearray(eventstream.event("chunk", b'{"bytes":"aGVsbG8="}'))
    frame[place] ^= 1
    with pytest.raises(ChecksumMismatch):
        decoded(bytes(frame))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("rate_limited", "throttlingException"), ("overloaded", "serviceUnavailableException"), ("server_error", "internalServerException")],
)
def test_a_refusal_inside_a_stream_is_an_exception_frame(kind, name):
    (frame,) = decoded(Bedrock().stream_error(Refusal(kind), Bedrock.stream_type, first=False))
    assert (frame.headers[":message-type"], frame.headers[":exception-type"]) == ("exception", name)
    assert json.loads(frame.payload)["message"]


@pytest.mark.parametrize(
    ("operation", "body"),
    [("converse_stream", {"messages": MESSAGES}), ("invoke_model_with_response_stream", {"body": json.dumps(CLAUDE_BODY)})],
)
def test_boto3_raises_an_exception_that_comes_inside_a_stream(bedrock, gateway, operation, body):
    gateway.fault("overloaded_in_stream", chunk=1)
    reply = getattr(bedrock, operation)(modelId=CLAUDE, **body)
    with pytest.raises(EventStreamError) as caught:
        list(reply.get("stream") or reply["body"])
    assert caught.value.response["Error"]["Code"] == "serviceUnavailableException"


# ---- keys and paths ------------------------------------------------------------------------------------------
def post(gateway, authorization, model=CLAUDE):
    headers = {"authorization": authorization} if authorization is not None else {}
    return httpx2.post(f"{gateway.base_url}/bedrock/model/{model}/converse", json={"messages": MESSAGES}, headers=headers)


@pytest.mark.parametrize(
    ("authorization", "status", "name"),
    [
        (None, 403, "MissingAuthenticationTokenException"),
        ("", 403, "MissingAuthenticationTokenException"),
        ("AWS4-HMAC-SHA256 Credential=AKInValIdKEY/" + SCOPE + ", Signature=0", 403, "UnrecognizedClientException"),
        ("Bearer an-invalid-key", 403, "UnrecognizedClientException"),
        ("Bearer some-key", 200, None),
        # Only the key id says whether a key is good: this signature does not.
        ("AWS4-HMAC-SHA256 Credential=SOMEBODY/" + SCOPE + ", Signature=invalid", 200, None),
    ],
)
def test_a_key_is_read_from_its_signature_or_as_a_bearer_token(gateway, authorization, status, name):
    reply = post(gateway, authorization)
    assert reply.status_code == status
    assert len(reply.headers["x-amzn-requestid"]) == 36
    assert reply.headers.get("x-amzn-errortype") == (name and f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/")
    assert "retry-after" not in reply.headers


def test_an_id_is_not_found_behind_a_path_of_another_kind(gateway):
    assert post(gateway, "Bearer some-key", f"nonsense%2F{CLAUDE}").status_code == 400


def test_the_on_demand_id_of_an_older_model_is_answered(bedrock):
    assert bedrock.converse(modelId=LLAMA, messages=MESSAGES)["stopReason"] == "end_turn"


def test_tokens_are_counted_by_the_bare_id_of_a_model_that_is_invoked_by_a_profile(bedrock):
    counted = bedrock.count_tokens(modelId=BARE_CLAUDE, input={"converse": {"messages": MESSAGES}})["inputTokens"]
    assert counted == bedrock.converse(modelId=CLAUDE, messages=MESSAGES)["usage"]["inputTokens"]
    assert refused(bedrock.converse, modelId=BARE_CLAUDE, messages=MESSAGES)[0] == "ValidationException"


MALFORMED = "Malformed input request: {}, please reformat your input and try again."
ROLE = "'messages.1.member.role' failed to satisfy constraint: Member must satisfy enum value set: [user, assistant, system]"
BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 2000}}


# ---- who finds a fault words it ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        ("rate_limited", "ThrottlingException", 429),
        ("overloaded", "ServiceUnavailableException", 503),
        ("server_error", "InternalServerException", 500),
        ("out_of_credit", "ThrottlingException", 429),
        ("wrong_key", "UnrecognizedClientException", 403),
    ],
)
def test_faults_have_the_exceptions_of_the_service(bedrock, gateway, fault, code, status):
    gateway.fault(fault, "bedrock")
    found = refused(bedrock.converse, modelId=CLAUDE, messages=MESSAGES)
    assert (found[0], found[2]) == (code, status)


@pytest.mark.parametrize(
    ("model", "body", "words"),
    [
        (CLAUDE, {**CLAUDE_BODY, "guardrails": 1}, "guardrails: Extra inputs are not permitted"),
        (CLAUDE, {name: CLAUDE_BODY[name] for name in ("anthropic_version", "messages")}, "max_tokens: Field required"),
        (LLAMA, {}, MALFORMED.format("#: required key [prompt] not found")),
        (LLAMA, {"prompt": "Hi", "max_gen_len": 0}, MALFORMED.format("#/max_gen_len: 0 is not greater or equal to 1")),
        (NOVA, {"messages": MESSAGES, "max_tokens": 5}, MALFORMED.format("#: extraneous key [max_tokens] is not permitted")),
        (CLAUDE, {**CLAUDE_BODY, "messages": [{"role": "user", "content": "word " * 800_000}]}, "Input is too long for requested model."),
    ],
)
def test_invoke_speaks_with_the_models_own_words(bedrock, model, body, words):
    assert refused(bedrock.invoke_model, modelId=model, body=json.dumps(body)) == ("ValidationException", words, 400)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"messages": [{"role": "nobody", "content": []}]}, ROLE),
        ({"messages": [{"role": "assistant", "content": [{"text": "Hi"}]}]}, FROM_MODEL + "This model does not support assistant message prefill."),
        ({"messages": [{"role": "user", "content": [{"text": "Hi"}, POINT] * 5}]}, FROM_MODEL + "A maximum of 4 blocks"),
        ({"additionalModelRequestFields": BUDGET}, FROM_MODEL + '"thinking.type.enabled" is not supported'),
        ({"additionalModelRequestFields": {"max_gen_len": 5}}, FROM_MODEL + "max_gen_len: Extra inputs are not permitted"),
    ],
)
def test_converse_speaks_for_itself_and_quotes_the_model(bedrock, more, words):
    code, text, status = refused(bedrock.converse, modelId=CLAUDE, **{"messages": MESSAGES, **more})
    assert words in text and (code, status) == ("ValidationException", 400)


@pytest.mark.parametrize(
    ("model", "more"),
    [
        (CLAUDE, {"thinking": {"type": "disabled"}, "metadata": {"user_id": "u"}}),
        (CLAUDE, {"anthropic_beta": ["a-beta-of-tomorrow"], "a_field_of_tomorrow": 1}),
        (NOVA, {"inferenceConfig": {"topK": 5}}),
    ],
)
def test_what_a_model_or_a_beta_may_have_of_its_own_is_passed_on(bedrock, model, more):
    assert bedrock.converse(modelId=model, messages=MESSAGES, additionalModelRequestFields=more)["stopReason"] == "end_turn"


ODD_BLOCKS = [None, 5, [], "x", {}, {"text": {}}, {"text": None}, {"text": {"text": 5}}, {"text": []}, {"image": 5}]


@pytest.mark.parametrize("path", ["converse", "converse-stream"])
@pytest.mark.parametrize("system", [*[{"guardContent": odd} for odd in ODD_BLOCKS[:4] + ODD_BLOCKS[5:]], {"image": None}, {"document": {"name": "x"}}, {"toolUse": 5}, *ODD_BLOCKS[:5]], ids=str)
def test_an_instruction_that_is_none_is_refused_in_the_services_words(gateway, path, system):
    url = f"{gateway.base_url}/bedrock/model/{CLAUDE}/{path}"
    sent = httpx2.post(url, json={"messages": MESSAGES, "system": [system]}, headers={"authorization": "Bearer any"})
    assert (sent.status_code, sent.headers["x-amzn-errortype"].partition(":")[0]) == (400, "ValidationException")


def test_effort_is_how_long_claude_thinks(bedrock):
    replies = [bedrock.converse(modelId=CLAUDE, messages=MESSAGES, outputConfig={"effort": effort}) for effort in ("low", "high")]
    assert replies[0]["usage"]["outputTokens"] < replies[1]["usage"]["outputTokens"]


@pytest.mark.parametrize("name", ["max_new_tokens", "maxTokens"])
def test_nova_has_two_names_for_its_limit(bedrock, name):
    body = json.dumps({"messages": MESSAGES, "inferenceConfig": {name: 2}})
    answer = json.loads(bedrock.invoke_model(modelId=NOVA, body=body)["body"].read())
    assert (answer["stopReason"], answer["usage"]["outputTokens"]) == ("max_tokens", 2)


# ---- usage ---------------------------------------------------------------------------------------------------
def test_what_is_written_to_a_cache_is_told_by_its_lifetime(bedrock):
    hour, minutes = ({"cachePoint": {"type": "default", "ttl": ttl}} for ttl in ("1h", "5m"))
    content = [{"text": "one " * 600}, hour, {"text": "two " * 600}, minutes, {"text": "Go."}]
    usage = bedrock.converse(modelId=CLAUDE, messages=[{"role": "user", "content": content}])["usage"]
    assert [detail["ttl"] for detail in usage["cacheDetails"]] == ["1h", "5m"]
    assert sum(detail["inputTokens"] for detail in usage["cacheDetails"]) == usage["cacheWriteInputTokens"] > 1200


def test_a_cache_point_among_the_tools_is_no_tool(bedrock):
    tool = {"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}
    replies = [bedrock.converse(modelId=CLAUDE, messages=MESSAGES, toolConfig={"tools": tools}) for tools in ([tool], [tool, POINT])]
    assert replies[0]["usage"]["inputTokens"] == replies[1]["usage"]["inputTokens"]


def streamed(*events):
    """The frames of an invoke stream that hold these events of a model."""
    inner = (base64.b64encode(json.dumps(event).encode()).decode() for event in events)
    return b"".join(eventstream.event("chunk", json.dumps({"bytes": text, "p": "ab"}).encode()) for text in inner)


def plain(body):
    return json.dumps(body).encode()


CONVERSED = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 118, "cacheReadInputTokens": 3, "cacheWriteInputTokens": 100}
BY_TTL = {"cacheDetails": [{"ttl": "1h", "inputTokens": 60}, {"ttl": "5m", "inputTokens": 40}]}
CLAUDES = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 100}
NOVAS = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 118, "cacheReadInputTokenCount": 3, "cacheWriteInputTokenCount": 100}
METADATA = eventstream.event("messageStop", b'{"stopReason":"end_turn"}') + eventstream.event("metadata", plain({"usage": CONVERSED}))
CLAUDES_EVENTS = (
    {"type": "message_start", "message": {"usage": {**CLAUDES, "output_tokens": 1}}},
    {"type": "message_delta", "usage": {"output_tokens": 5}},
)
LLAMAS_EVENTS = (
    {"generation": "H", "prompt_token_count": 10, "generation_token_count": 1},
    {"generation": "", "prompt_token_count": None, "generation_token_count": 5, "stop_reason": "stop"},
)
ALL = Usage(113, 3, 100, 0, 5)


@pytest.mark.parametrize(
    ("body", "content_type", "usage"),
    [
        (plain({"usage": CONVERSED}), "application/json", ALL),
        (plain({"usage": {**CONVERSED, **BY_TTL}}), "application/json", Usage(113, 3, 40, 60, 5)),
        (METADATA, EVENT_STREAM, ALL),
        (plain({"type": "message", "usage": CLAUDES}), "application/json", ALL),
        (streamed(*CLAUDES_EVENTS), EVENT_STREAM, ALL),
        (plain({"usage": NOVAS}), "application/json", ALL),
        (streamed({"messageStop": {}}, {"metadata": {"usage": NOVAS}}), EVENT_STREAM, ALL),
        (plain(LLAMAS_EVENTS[0]), "application/json", Usage(10, output_tokens=1)),
        (streamed(*LLAMAS_EVENTS), EVENT_STREAM, Usage(10, output_tokens=5)),
        (streamed(LLAMAS_EVENTS[0], LLAMAS_EVENTS[0]), EVENT_STREAM, None),
        (b'{"message": "no usage"}', "application/json", None),
    ],
)
def test_the_usage_of_a_real_answer_is_read(body, content_type, usage):
    dialect = Bedrock()
    assert dialect.usage(dialect.events(body, content_type)) == usage
