"""What further makers' models take in Converse: a schema for the answer, and images, in a message or in a tool's result."""

import json

import pytest
from botocore.exceptions import ClientError

from tests.gateway.dialects.bedrock.samples import client, said

PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00"
    b"\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"
)
IMAGE = {"image": {"format": "png", "source": {"bytes": PIXEL}}}
TOOL = {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}]}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
FORM = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"name": "number", "schema": json.dumps(SCHEMA)}}}}
PIXTRAL, LLAMA_4 = "us.mistral.pixtral-large-2502-v1:0", "us.meta.llama4-maverick-17b-instruct-v1:0"


@pytest.fixture
def bedrock(gateway):
    return client()


def refused(bedrock, **asked):
    with pytest.raises(ClientError) as caught:
        bedrock.converse(**asked)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return caught.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    "model",
    [
        *("zai.glm-4.7-flash", "minimax.minimax-m2", "nvidia.nemotron-nano-12b-v2", "qwen.qwen3-32b-v1:0", "google.gemma-3-27b-it"),  # recorded
        *("deepseek.v3.2", "mistral.ministral-3-3b-instruct", "openai.gpt-oss-120b-1:0", "nvidia.nemotron-nano-9b-v2"),  # tried by users
        *("minimax.minimax-m2.5", "qwen.qwen3-vl-235b-a22b", "moonshot.kimi-k2-thinking", "moonshotai.kimi-k2.5", "us.zai.glm-5.3"),
    ],
)
def test_an_answer_fits_the_schema_that_it_was_given(bedrock, model):
    reply = bedrock.converse(modelId=model, messages=said("How many?"), outputConfig=FORM)
    assert list(json.loads(reply["output"]["message"]["content"][-1]["text"])) == ["n"]


@pytest.mark.parametrize(
    "model",
    ["amazon.nova-lite-v1:0", "us.amazon.nova-2-lite-v1:0", "meta.llama3-1-8b-instruct-v1:0", LLAMA_4, PIXTRAL, "us.deepseek.r1-v1:0", "google.gemma-3-4b-it"],
)
def test_a_schema_is_refused_by_those_that_have_none(bedrock, model):
    words = "This model doesn't support the outputConfig field. Remove outputConfig and try again."
    assert refused(bedrock, modelId=model, messages=said("How many?"), outputConfig=FORM) == words


@pytest.mark.parametrize("model", [PIXTRAL, LLAMA_4, "us.openai.gpt-6-astra", "google.gemma-3-27b-it", "amazon.nova-lite-v1:0"])
def test_an_image_is_seen_in_a_message(bedrock, model):
    messages = [{"role": "user", "content": [{"text": "What is this?"}, IMAGE]}]
    assert bedrock.converse(modelId=model, messages=messages)["stopReason"] == "end_turn"


@pytest.mark.parametrize("model", ["qwen.qwen3-32b-v1:0", "amazon.nova-micro-v1:0", "meta.llama3-1-8b-instruct-v1:0"])
def test_an_image_is_refused_by_those_that_see_none(bedrock, model):
    words = "This model doesn't support the image content block that you provided. Update the content block and try again."
    assert refused(bedrock, modelId=model, messages=[{"role": "user", "content": [{"text": "What is this?"}, IMAGE]}]) == words


@pytest.mark.parametrize(
    ("model", "taken"),
    [("us.anthropic.claude-haiku-5-5", True), ("amazon.nova-lite-v1:0", True), (LLAMA_4, True)]
    + [(PIXTRAL, False), ("us.openai.gpt-6-astra", False), ("google.gemma-3-27b-it", False)],
)
def test_an_image_in_a_tools_result_is_seen_by_claude_nova_and_llama_alone(bedrock, model, taken):
    call = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "call_1", "name": "look", "input": {}}}]}
    result = {"role": "user", "content": [{"toolResult": {"toolUseId": "call_1", "content": [{"text": "It is this:"}, IMAGE]}}]}
    asked = {"modelId": model, "messages": [*said("Look."), call, result], "toolConfig": TOOL}
    if taken:
        assert bedrock.converse(**asked)["output"]
        return
    assert refused(bedrock, **asked) == "This model doesn't support the image field for user messages. Remove image and try again."


def test_pixtral_reads_a_document_in_a_tools_result(bedrock):
    call = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "call_1", "name": "look", "input": {}}}]}
    document = {"document": {"name": "a", "format": "txt", "source": {"bytes": b"Hello"}}}
    result = {"role": "user", "content": [{"toolResult": {"toolUseId": "call_1", "content": [document]}}]}
    assert bedrock.converse(modelId=PIXTRAL, messages=[*said("Look."), call, result], toolConfig=TOOL)["output"]
