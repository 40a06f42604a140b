"""What a caller of Bedrock may ask for beside the answer, and to which project it is charged."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

BEDROCK, LLAMA, NOVA = "us.anthropic.claude-haiku-5-5", "meta.llama3-1-8b-instruct-v1:0", "amazon.nova-lite-v1:0"
PROMPT = "Say hello in five words."
MESSAGES = [{"role": "user", "content": [{"text": PROMPT}]}]
INVOKE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 200, "messages": [{"role": "user", "content": PROMPT}]}
THOUGHTS = "/usage/output_tokens_details"


@pytest.fixture
def bedrock(gateway):
    return boto3.client("bedrock-runtime")


def test_converse_hands_on_fields_of_claudes_own_answer(bedrock):
    ask = {"modelId": BEDROCK, "messages": MESSAGES, "inferenceConfig": {"stopSequences": ["lovely"]}}
    reply = bedrock.converse(**ask, additionalModelResponseFieldPaths=[THOUGHTS, "/stop_sequence", "/content/0", "/nothing/here"])
    found = reply["additionalModelResponseFields"]
    assert set(found) == {"usage", "stop_sequence"}
    assert 0 < found["usage"]["output_tokens_details"]["thinking_tokens"] <= reply["usage"]["outputTokens"]
    assert (reply["stopReason"], found["stop_sequence"]) == ("stop_sequence", "lovely")

    events = list(bedrock.converse_stream(**ask, additionalModelResponseFieldPaths=[THOUGHTS, "/delta/stop_sequence", "/stop_sequence"])["stream"])
    found = next(event["messageStop"] for event in events if "messageStop" in event)["additionalModelResponseFields"]
    assert found["delta"] == {"stop_sequence": "lovely"} and set(found) == {"usage", "delta"}


def test_converse_leaves_out_fields_that_are_not_there(bedrock):
    for model in (BEDROCK, LLAMA, NOVA):
        reply = bedrock.converse(modelId=model, messages=MESSAGES, additionalModelResponseFieldPaths=["/nothing"])
        assert "additionalModelResponseFields" not in reply


def test_converse_refuses_a_path_that_is_no_json_pointer(bedrock):
    with pytest.raises(ClientError) as caught:
        bedrock.converse(modelId=BEDROCK, messages=MESSAGES, additionalModelResponseFieldPaths=["/usage", "stop_sequence"])
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert caught.value.response["Error"]["Message"] == "The value at additionalModelResponseFieldPaths.1 must be a JSON Pointer, which starts with a slash."


def test_a_project_is_taken_for_converse_and_invoke(bedrock):
    assert bedrock.converse(modelId=BEDROCK, messages=MESSAGES, projectIdentifier="team-a")["output"]
    assert bedrock.converse_stream(modelId=BEDROCK, messages=MESSAGES, projectIdentifier="team-a")["stream"]
    assert bedrock.invoke_model(modelId=BEDROCK, body=json.dumps(INVOKE), projectIdentifier="team-a")["body"].read()
