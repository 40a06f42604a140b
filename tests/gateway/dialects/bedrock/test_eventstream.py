"""The frames of Bedrock's streams."""

import json

import httpx2
import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import EventStreamError

from tests.gateway.dialects.bedrock.samples import MESSAGES, PROMPT, client

CLAUDE, LLAMA, NOVA = "us.anthropic.claude-haiku-5-5", "meta.llama3-1-8b-instruct-v1:0", "amazon.nova-lite-v1:0"


INVOKE = {
    CLAUDE: {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 200, "messages": [{"role": "user", "content": PROMPT}]},
    LLAMA: {"prompt": PROMPT, "max_gen_len": 200},
    NOVA: {"messages": MESSAGES, "inferenceConfig": {"max_new_tokens": 200}},
}


@pytest.fixture
def bedrock(gateway):
    return client()


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
