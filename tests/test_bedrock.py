"""Bedrock through boto3: Converse and InvokeModel, plain and streamed, caches, quotas and refusals."""

import json
from concurrent.futures import ThreadPoolExecutor

import boto3
import httpx2
import pytest
from botocore.config import Config
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import ClientError, EventStreamError

CLAUDE, LLAMA, NOVA = "us.anthropic.claude-haiku-5-5", "meta.llama3-1-8b-instruct-v1:0", "amazon.nova-lite-v1:0"
PROMPT, ANSWER = "Say hello in five words.", "Hello there, lovely to meet."


def said(text):
    return [{"role": "user", "content": [{"text": text}]}]


MESSAGES = said(PROMPT)
INVOKE = {
    CLAUDE: {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 200, "messages": [{"role": "user", "content": PROMPT}]},
    LLAMA: {"prompt": PROMPT, "max_gen_len": 200},
    NOVA: {"messages": MESSAGES, "inferenceConfig": {"max_new_tokens": 200}},
}
TEXT = {
    CLAUDE: lambda body: body["content"][-1]["text"],
    LLAMA: lambda body: body["generation"],
    NOVA: lambda body: body["output"]["message"]["content"][0]["text"],
}
PIECE = {
    CLAUDE: lambda event: event.get("delta", {}).get("text", ""),
    LLAMA: lambda event: event["generation"],
    NOVA: lambda event: event.get("contentBlockDelta", {}).get("delta", {}).get("text", ""),
}


def client(**more):
    return boto3.client("bedrock-runtime", config=Config(retries={"total_max_attempts": 1}), **more)


@pytest.fixture
def bedrock(gateway):
    return client()


def refused(code, call, *args, **kwargs):
    """The message and the HTTP status of a refusal with this code."""
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    assert caught.value.response["Error"]["Code"] == code
    return caught.value.response["Error"]["Message"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


# ---- converse ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("model", [CLAUDE, LLAMA, NOVA])
def test_converse_says_the_same_plain_and_streamed(bedrock, model, gateway):
    plain = bedrock.converse(modelId=model, messages=MESSAGES)
    gateway.in_loop(gateway.house.forget)  # else it would draw another answer
    events = list(bedrock.converse_stream(modelId=model, messages=MESSAGES)["stream"])
    text = "".join(event.get("contentBlockDelta", {}).get("delta", {}).get("text", "") for event in events)
    assert plain["output"]["message"]["content"][-1]["text"] == text != ""
    assert plain["stopReason"] == "end_turn"
    assert events[0] == {"messageStart": {"role": "assistant"}}
    assert events[-2] == {"messageStop": {"stopReason": "end_turn"}}
    usage = events[-1]["metadata"]["usage"]
    assert usage == plain["usage"]
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]


def test_claude_thinks_first_and_shows_no_thought(bedrock):
    thought, answer = bedrock.converse(modelId=CLAUDE, messages=MESSAGES)["output"]["message"]["content"]
    assert thought["reasoningContent"]["reasoningText"]["text"] == "" and thought["reasoningContent"]["reasoningText"]["signature"]
    assert answer == {"text": ANSWER}


def test_converse_has_a_request_id_and_no_token_headers(bedrock):
    meta = bedrock.converse(modelId=CLAUDE, messages=MESSAGES)["ResponseMetadata"]
    assert meta["RequestId"] == meta["HTTPHeaders"]["x-amzn-requestid"]
    assert not [name for name in meta["HTTPHeaders"] if name.startswith("x-amzn-bedrock") or "ratelimit" in name]


def test_max_tokens_cuts_the_answer(bedrock):
    reply = bedrock.converse(modelId=NOVA, messages=MESSAGES, inferenceConfig={"maxTokens": 5})
    assert (reply["stopReason"], reply["usage"]["outputTokens"]) == ("max_tokens", 5)


def test_thinking_can_eat_all_of_max_tokens(bedrock):
    reply = bedrock.converse(modelId=CLAUDE, messages=MESSAGES, inferenceConfig={"maxTokens": 10})
    assert reply["stopReason"] == "max_tokens"
    assert [next(iter(block)) for block in reply["output"]["message"]["content"]] == ["reasoningContent"]
    events = list(bedrock.converse_stream(modelId=CLAUDE, messages=MESSAGES, inferenceConfig={"maxTokens": 10})["stream"])
    assert {"messageStop": {"stopReason": "max_tokens"}} in events


def test_a_stop_sequence_ends_the_answer(bedrock):
    reply = bedrock.converse(modelId=CLAUDE, messages=MESSAGES, inferenceConfig={"stopSequences": [", lovely"]})
    assert reply["output"]["message"]["content"][-1] == {"text": "Hello there"}
    assert reply["stopReason"] == "stop_sequence"


def test_system_prompt_and_earlier_turns_count(bedrock):
    longer = [*MESSAGES, {"role": "assistant", "content": [{"text": ANSWER}]}, *said("Again, please.")]
    inputs = [
        bedrock.converse(modelId=NOVA, messages=MESSAGES)["usage"]["inputTokens"],
        bedrock.converse(modelId=NOVA, messages=MESSAGES, system=[{"text": "Be brief."}])["usage"]["inputTokens"],
        bedrock.converse(modelId=NOVA, messages=longer, system=[{"text": "Be brief."}])["usage"]["inputTokens"],
    ]
    assert inputs == sorted(set(inputs))


def test_a_model_answers_to_its_arn(bedrock):
    arn = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{CLAUDE}"
    assert bedrock.converse(modelId=arn, messages=MESSAGES)["output"]["message"]["content"][-1] == {"text": ANSWER}


# ---- invoke --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("model", INVOKE)
def test_invoke_takes_and_gives_each_makers_own_body(bedrock, gateway, model):
    reply = bedrock.invoke_model(modelId=model, body=json.dumps(INVOKE[model]))
    gateway.in_loop(gateway.house.forget)  # else it would draw another answer
    body = json.loads(reply["body"].read())
    stream = bedrock.invoke_model_with_response_stream(modelId=model, body=json.dumps(INVOKE[model]))
    events = [json.loads(event["chunk"]["bytes"]) for event in stream["body"]]
    assert "".join(map(PIECE[model], events)) == TEXT[model](body) != ""

    headers, metrics = reply["ResponseMetadata"]["HTTPHeaders"], events[-1]["amazon-bedrock-invocationMetrics"]
    assert headers["x-amzn-bedrock-input-token-count"] == str(metrics["inputTokenCount"])
    assert headers["x-amzn-bedrock-output-token-count"] == str(metrics["outputTokenCount"])
    assert {"x-amzn-bedrock-invocation-latency", "x-amzn-bedrock-cache-read-input-token-count"} <= set(headers)
    assert not any("amazon-bedrock-invocationMetrics" in event for event in events[:-1])


def test_invoke_and_converse_count_alike(bedrock):
    body = json.loads(bedrock.invoke_model(modelId=CLAUDE, body=json.dumps(INVOKE[CLAUDE]))["body"].read())
    usage = bedrock.converse(modelId=CLAUDE, messages=MESSAGES)["usage"]
    assert (body["usage"]["input_tokens"], body["usage"]["output_tokens"]) == (usage["inputTokens"], usage["outputTokens"])
    assert body["id"].startswith("msg_bdrk_01")


@pytest.mark.parametrize("model", INVOKE)
def test_tokens_are_counted_before_a_call_as_in_it(bedrock, model):
    counted = bedrock.count_tokens(modelId=model, input={"converse": {"messages": MESSAGES}})["inputTokens"]
    assert counted == bedrock.converse(modelId=model, messages=MESSAGES)["usage"]["inputTokens"]
    assert counted == bedrock.count_tokens(modelId=model, input={"invokeModel": {"body": json.dumps(INVOKE[model])}})["inputTokens"]


# ---- the frames of a stream ----------------------------------------------------------------------------------
STREAMS = {"converse-stream": {"messages": MESSAGES}, "invoke-with-response-stream": INVOKE[CLAUDE]}
SIGNED = {"authorization": "AWS4-HMAC-SHA256 Credential=some-key-id/20261123/us-east-1/bedrock/aws4_request"}


@pytest.mark.parametrize("operation", STREAMS)
def test_frames_have_good_checksums_and_padding(gateway, operation):
    reply = httpx2.post(f"{gateway.base_url}/bedrock/model/{CLAUDE}/{operation}", json=STREAMS[operation], headers=SIGNED)
    assert reply.headers["content-type"] == "application/vnd.amazon.eventstream"
    decoder = EventStreamBuffer()
    decoder.add_data(reply.content)
    frames = list(decoder)  # raises for a checksum that is wrong
    assert len(frames) > 3
    for frame in frames:
        assert (frame.headers[":message-type"], frame.headers[":content-type"]) == ("event", "application/json")
        assert json.loads(frame.payload)["p"].startswith("a")


def test_an_exception_can_come_inside_a_stream(bedrock, gateway):
    gateway.fault("overloaded_in_stream", chunk=2)
    stream = bedrock.converse_stream(modelId=CLAUDE, messages=MESSAGES)
    assert stream["ResponseMetadata"]["HTTPStatusCode"] == 200
    kinds = []
    with pytest.raises(EventStreamError, match="serviceUnavailableException"):
        for event in stream["stream"]:
            kinds.append(next(iter(event)))
    assert kinds == ["messageStart", "contentBlockDelta"]


# ---- caches --------------------------------------------------------------------------------------------------
def cached(bedrock, words, **point):
    content = [{"text": "word " * words}, {"cachePoint": {"type": "default", **point}}, {"text": PROMPT}]
    usage = bedrock.converse(modelId=CLAUDE, messages=[{"role": "user", "content": content}])["usage"]
    assert usage["totalTokens"] == sum(usage[n] for n in ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"))
    return usage["cacheWriteInputTokens"], usage["cacheReadInputTokens"]


def test_a_cache_is_written_read_and_forgotten_after_five_minutes(bedrock, gateway):
    written, read = cached(bedrock, 600)
    assert written > 600 and read == 0
    assert cached(bedrock, 600) == (0, written)
    gateway.advance(minutes=5)
    assert cached(bedrock, 600) == (written, 0)


def test_a_cache_can_last_an_hour(bedrock, gateway):
    written, _ = cached(bedrock, 600, ttl="1h")
    gateway.advance(minutes=59)
    assert cached(bedrock, 600, ttl="1h") == (0, written)


def test_what_is_too_short_is_not_cached(bedrock):
    assert [cached(bedrock, 100) for _ in range(2)] == [(0, 0), (0, 0)]


PROFILE_NEEDED = (
    "Invocation of model ID anthropic.claude-haiku-5-5 with on-demand throughput isn’t supported. "
    "Retry your request with the ID or ARN of an inference profile that contains this model."
)


# ---- refusals ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("model", "code", "status", "words"),
    [
        ("anthropic.claude-haiku-5-5", "ValidationException", 400, PROFILE_NEEDED),
        ("anthropic.claude-sonnet-4-20250514-v1:0", "ResourceNotFoundException", 404, "reached the end of its life"),
        ("nobody.knows-v1:0", "ValidationException", 400, "The provided model identifier is invalid."),
    ],
)
@pytest.mark.parametrize("operation", ["converse", "converse_stream"])
def test_models_that_cannot_be_called(bedrock, operation, model, code, status, words):
    text, found = refused(code, getattr(bedrock, operation), modelId=model, messages=MESSAGES)
    assert words in text and found == status


def test_bad_credentials(gateway):
    stranger = client(aws_access_key_id="AKIAINVALID", aws_secret_access_key="some-secret")
    text, status = refused("UnrecognizedClientException", stranger.converse, modelId=CLAUDE, messages=MESSAGES)
    assert (text, status) == ("The security token included in the request is invalid.", 403)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"messages": []}, "'messages' failed to satisfy constraint"),
        ({"messages": said(" ")}, "messages.0.content.0 is blank"),
        ({"messages": [{"role": "user", "content": [{"cachePoint": {"type": "default"}}]}]}, "cachePoint"),
        ({"inferenceConfig": {"maxTokens": 5000}}, "exceeds the model limit of 4096"),
        ({"inferenceConfig": {"temperature": 1.5}}, "Value '1.5' at 'inferenceConfig.temperature' failed to satisfy constraint"),
        ({"messages": said("word " * 130_000)}, "prompt is too long: 130040 tokens > 128000 maximum"),
    ],
)
def test_a_converse_body_that_does_not_do(bedrock, more, words):
    text, status = refused("ValidationException", bedrock.converse, modelId=LLAMA, **{"messages": MESSAGES, **more})
    assert words in text and status == 400


@pytest.mark.parametrize(
    ("model", "change", "words"),
    [
        (LLAMA, {"max_tokens": 5}, "extraneous key [max_tokens] is not permitted"),
        (LLAMA, {"max_gen_len": "5"}, "#/max_gen_len: expected type: Integer, found: String"),
        (CLAUDE, {"anthropic_version": None}, "anthropic_version"),
        (CLAUDE, {"anthropic_version": "2023-06-01"}, "bedrock-2023-05-31"),
        (NOVA, {"messages": None}, "messages"),
    ],
)
def test_an_invoke_body_that_does_not_do(bedrock, model, change, words):
    body = {name: value for name, value in (INVOKE[model] | change).items() if value is not None}
    text, _ = refused("ValidationException", bedrock.invoke_model, modelId=model, body=json.dumps(body))
    assert words in text


# ---- quotas --------------------------------------------------------------------------------------------------
def test_requests_a_minute(bedrock, gateway):
    gateway.limit("bedrock", requests=2)
    for _ in range(2):
        headers = bedrock.converse(modelId=CLAUDE, messages=MESSAGES)["ResponseMetadata"]["HTTPHeaders"]
        assert not [name for name in headers if "limit" in name]
    text, status = refused("ThrottlingException", bedrock.converse, modelId=CLAUDE, messages=MESSAGES)
    assert text.startswith("Too many requests") and status == 429
    gateway.advance(seconds=30)
    bedrock.converse(modelId=CLAUDE, messages=MESSAGES)


def test_the_quota_is_reserved_by_max_tokens_and_unset_means_the_models_maximum(bedrock, gateway):
    gateway.limit("bedrock", tokens=2000)
    text, _ = refused("ThrottlingException", bedrock.converse, modelId=NOVA, messages=MESSAGES)
    assert text.startswith("Too many tokens")
    for _ in range(3):  # what was reserved and not used comes back
        bedrock.converse(modelId=NOVA, messages=MESSAGES, inferenceConfig={"maxTokens": 1700})
    refused("ThrottlingException", bedrock.converse, modelId=NOVA, messages=MESSAGES, inferenceConfig={"maxTokens": 1990})


def test_calls_under_way_hold_their_tokens(gateway):
    """Four calls that reserve 4,000 tokens each, of 6,000 a minute: the first holds its tokens until it has ended."""
    gateway.pace = 0.2
    gateway.limit("bedrock", tokens=6000)

    def ask(_):
        client = boto3.client("bedrock-runtime", config=Config(retries={"total_max_attempts": 1}))
        message = {"role": "user", "content": [{"text": "Say hello in five words."}]}
        try:
            client.converse(modelId="us.anthropic.claude-haiku-5-5", messages=[message], inferenceConfig={"maxTokens": 4000})
        except client.exceptions.ThrottlingException:
            return "throttled"
        return "answered"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(ask, range(4))).count("answered") == 1
