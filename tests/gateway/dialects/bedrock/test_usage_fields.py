"""Which fields a usage has on the wire, by maker and operation, as recorded in 2025 and 2026; boto3 hides those that it does not know."""

import base64
import json

import httpx2
import pytest
from botocore.eventstream import EventStreamBuffer

from tests.gateway.dialects.bedrock.samples import MESSAGES, client, said

CLAUDE, LLAMA, NOVA = "us.anthropic.claude-haiku-5-5", "meta.llama3-1-8b-instruct-v1:0", "amazon.nova-lite-v1:0"
MISTRAL = "mistral.mistral-large-3-675b-instruct"
COUNTS = ["inputTokens", "outputTokens", "serverToolUsage", "totalTokens"]
CACHE = ["cacheReadInputTokenCount", "cacheReadInputTokens", "cacheWriteInputTokenCount", "cacheWriteInputTokens"]
LONG = [{"text": "word " * 600}, {"cachePoint": {"type": "default"}}, {"text": "Go on."}]
CLAUDES = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 200, "messages": [{"role": "user", "content": "Hello"}]}
NOVAS = {"messages": MESSAGES, "inferenceConfig": {"max_new_tokens": 200}}


def post(gateway, model, operation, body):
    reply = httpx2.post(f"{gateway.base_url}/bedrock/model/{model}/{operation}", json=body, headers={"authorization": "Bearer some-key"}, timeout=60)
    assert reply.status_code == 200, reply.text
    return reply


def payloads(reply):
    """What the frames of a stream hold; of InvokeModel's, what the model itself wrote."""
    buffer = EventStreamBuffer()
    buffer.add_data(reply.content)
    found = [(frame.headers[":event-type"], json.loads(frame.payload)) for frame in buffer]
    return [json.loads(base64.b64decode(payload["bytes"])) if kind == "chunk" else {kind: payload} for kind, payload in found]


def converse(gateway, model, messages=MESSAGES):
    return post(gateway, model, "converse", {"messages": messages}).json()["usage"]


def streamed(gateway, model, messages=MESSAGES):
    return payloads(post(gateway, model, "converse-stream", {"messages": messages}))[-1]["metadata"]["usage"]


@pytest.mark.parametrize("model", [NOVA, LLAMA, MISTRAL])
def test_only_claude_states_its_cache_where_nothing_was_cached(gateway, model):
    assert sorted(converse(gateway, CLAUDE)) == sorted([*CACHE, *COUNTS])
    usage = converse(gateway, model)
    assert list(usage) == COUNTS and usage["serverToolUsage"] == {}


@pytest.mark.parametrize("model", [CLAUDE, NOVA, LLAMA])
def test_a_stream_states_no_cache_where_nothing_was_cached(gateway, model):
    assert list(streamed(gateway, model)) == COUNTS


def test_what_was_cached_is_stated_by_both_names_plain_and_streamed(gateway):
    messages = [{"role": "user", "content": LONG}]
    written, read = converse(gateway, CLAUDE, messages), streamed(gateway, CLAUDE, messages)
    assert list(written) == ["cacheDetails", *CACHE, *COUNTS] and list(read) == [*CACHE, *COUNTS]
    assert written["cacheDetails"] == [{"inputTokens": written["cacheWriteInputTokens"], "ttl": "5m"}]
    assert written["cacheWriteInputTokenCount"] == written["cacheWriteInputTokens"] == read["cacheReadInputTokens"] == read["cacheReadInputTokenCount"] > 600


def test_boto3_shows_the_fields_that_it_knows(gateway):
    bedrock = client()
    usage = bedrock.converse(modelId=CLAUDE, messages=MESSAGES)["usage"]
    assert set(usage) == {"inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens", "cacheWriteInputTokens"}
    usage = list(bedrock.converse_stream(modelId=CLAUDE, messages=said("Hello"))["stream"])[-1]["metadata"]["usage"]
    assert set(usage) == {"inputTokens", "outputTokens", "totalTokens"}


def test_novas_own_usage_has_names_of_its_own(gateway):
    usage = post(gateway, NOVA, "invoke", NOVAS).json()["usage"]
    assert list(usage) == ["inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokenCount", "cacheWriteInputTokenCount"]
    metadata = payloads(post(gateway, NOVA, "invoke-with-response-stream", NOVAS))[-1]["metadata"]
    assert list(metadata) == ["usage", "metrics", "trace"] and metadata["metrics"] == metadata["trace"] == {}
    assert metadata["usage"] == {name: usage[name] for name in usage if name != "totalTokens"}


def test_the_metrics_of_a_stream_state_novas_cache_always_and_claudes_where_it_was_used(gateway):
    def metrics(model, body):
        return payloads(post(gateway, model, "invoke-with-response-stream", body))[-1]["amazon-bedrock-invocationMetrics"]

    counts = ["inputTokenCount", "outputTokenCount", "invocationLatency", "firstByteLatency"]
    cache = ["cacheReadInputTokenCount", "cacheWriteInputTokenCount"]
    assert list(metrics(NOVA, NOVAS)) == [*counts, *cache]
    assert list(metrics(CLAUDE, CLAUDES)) == list(metrics(LLAMA, {"prompt": "Hello"})) == counts
    marked = [{"type": "text", "text": "word " * 600, "cache_control": {"type": "ephemeral"}}]
    written = metrics(CLAUDE, {**CLAUDES, "system": marked})
    assert list(written) == [*counts, *cache] and written["cacheReadInputTokenCount"] == 0 < 600 < written["cacheWriteInputTokenCount"]


def test_claudes_own_answer_has_not_all_that_anthropics_api_has(gateway):
    usage = post(gateway, CLAUDE, "invoke", CLAUDES).json()["usage"]
    assert not {"inference_geo", "server_tool_use"} & set(usage) and usage["service_tier"] == "standard"
    events = payloads(post(gateway, CLAUDE, "invoke-with-response-stream", CLAUDES))
    started = next(event["message"]["usage"] for event in events if event["type"] == "message_start")
    ended = next(event["usage"] for event in events if event["type"] == "message_delta")
    assert not {"inference_geo", "server_tool_use"} & {*started, *ended}
    assert {event["type"] for event in events} >= {"content_block_start", "message_stop"} and "ping" not in {event["type"] for event in events}
