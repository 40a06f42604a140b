"""Which ids Bedrock takes, from where: profiles and their regions, a Mistral model, and what only some models see."""

import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import helpers
from tests.gateway.dialects.bedrock.samples import MESSAGES, client, said

MISTRAL = "mistral.mistral-large-3-675b-instruct"
ONCE = Config(retries={"total_max_attempts": 1})


@pytest.fixture
def bedrock(gateway):
    return client()


@pytest.mark.parametrize("model", ["anthropic.claude-haiku-5-5", "anthropic.claude-sonnet-5-5", "anthropic.claude-haiku-4-5-20251001-v1:0"])
def test_newer_models_of_anthropic_want_a_profile(bedrock, model):
    with pytest.raises(ClientError, match="on-demand throughput") as caught:
        bedrock.converse(modelId=model, messages=MESSAGES)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert bedrock.converse(modelId=f"us.{model}", messages=MESSAGES)["stopReason"] == "end_turn"
    assert bedrock.count_tokens(modelId=model, input={"converse": {"messages": MESSAGES}})["inputTokens"] > 0


@pytest.mark.parametrize(
    ("region", "profile", "taken"),
    [
        ("us-east-1", "us", True),
        ("us-west-2", "us", True),
        ("eu-central-1", "us", False),
        ("us-east-1", "eu", False),
        ("eu-central-1", "eu", True),
        ("eu-west-3", "global", True),
        ("ap-southeast-2", "global", True),
        ("ap-southeast-2", "us", False),
        ("ca-central-1", "us", True),
        ("us-gov-west-1", "us", False),
    ],
)
def test_a_profile_belongs_to_a_part_of_the_world(gateway, region, profile, taken):
    bedrock = boto3.client("bedrock-runtime", region_name=region, config=ONCE)
    asked = {"modelId": f"{profile}.anthropic.claude-haiku-5-5", "messages": MESSAGES}
    if taken:
        assert bedrock.converse(**asked)["stopReason"] == "end_turn"
        return
    with pytest.raises(ClientError, match="model identifier is invalid"):
        bedrock.converse(**asked)


@pytest.mark.parametrize("model", ["meta.llama3-1-8b-instruct-v1:0", "amazon.nova-lite-v1:0"])
def test_llama_and_nova_have_profiles_too(bedrock, gateway, model):
    by_profile = bedrock.converse(modelId=f"us.{model}", messages=MESSAGES)
    assert by_profile["usage"]["inputTokens"] == bedrock.converse(modelId=model, messages=MESSAGES)["usage"]["inputTokens"]
    assert bedrock.count_tokens(modelId=f"us.{model}", input={"converse": {"messages": MESSAGES}})["inputTokens"] == by_profile["usage"]["inputTokens"]
    assert helpers.price(f"us.{model}", "bedrock").input == helpers.price(model, "bedrock").input
    arn = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.{model}"
    body = {"prompt": "Hello"} if "llama" in model else {"messages": MESSAGES}
    assert json.loads(bedrock.invoke_model(modelId=arn, body=json.dumps(body))["body"].read())
    with pytest.raises(ClientError, match="model identifier is invalid"):
        boto3.client("bedrock-runtime", region_name="eu-west-1", config=ONCE).converse(modelId=f"us.{model}", messages=MESSAGES)


def test_what_a_profile_does_not_reach_is_not_counted_either(gateway):
    with pytest.raises(ClientError, match="model identifier is invalid"):
        boto3.client("bedrock-runtime", region_name="eu-west-1", config=ONCE).count_tokens(modelId="us.anthropic.claude-haiku-5-5", input={"converse": {"messages": MESSAGES}})


def test_a_region_costs_more_than_the_world():
    regional, anywhere = (helpers.price(f"{where}.anthropic.claude-haiku-5-5", "bedrock") for where in ("eu", "global"))
    assert regional.input > anywhere.input and regional.output > anywhere.output
    assert regional.input == helpers.price("us.anthropic.claude-haiku-5-5", "bedrock").input


def test_a_mistral_model_answers_converse_with_an_instruction(bedrock):
    reply = bedrock.converse(modelId=MISTRAL, messages=said("What is a token?"), system=[{"text": "Be brief."}], inferenceConfig={"maxTokens": 300, "temperature": 0.5})
    assert reply["stopReason"] == "end_turn" and reply["output"]["message"]["content"][0]["text"]
    events = list(bedrock.converse_stream(modelId=MISTRAL, messages=said("What is a token?"))["stream"])
    assert events[-1]["metadata"]["usage"]["outputTokens"] > 0


def test_its_price_is_known():
    assert helpers.price(MISTRAL, "bedrock").output == 3 * helpers.price(MISTRAL, "bedrock").input


def test_it_calls_a_tool_that_it_has_to_call(bedrock):
    schema = {"type": "object", "properties": {"city": {"enum": ["Oslo"]}}, "required": ["city"]}
    tools = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": schema}}}], "toolChoice": {"any": {}}}
    reply = bedrock.converse(modelId=MISTRAL, messages=said("How is it in Oslo?"), toolConfig=tools)
    assert reply["stopReason"] == "tool_use" and reply["output"]["message"]["content"][-1]["toolUse"]["input"] == {"city": "Oslo"}


def test_its_own_body_is_not_served_and_the_refusal_says_so(bedrock):
    with pytest.raises(ClientError, match="Converse") as caught:
        bedrock.invoke_model(modelId=MISTRAL, body=b'{"messages": [{"role": "user", "content": "Hello"}]}')
    assert caught.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(("model", "taken"), [("us.anthropic.claude-haiku-5-5", False), (MISTRAL, False), ("amazon.nova-lite-v1:0", True)])
def test_only_nova_reads_a_picture_out_of_s3(bedrock, model, taken):
    image = {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://bucket/picture.png"}}}}
    messages = [{"role": "user", "content": [image, {"text": "What is this?"}]}]
    if taken:
        assert bedrock.converse(modelId=model, messages=messages)["output"]
        return
    with pytest.raises(ClientError, match="This model doesn't support the s3Uri field. Remove s3Uri and try again."):
        bedrock.converse(modelId=model, messages=messages)


def test_it_answers_in_the_form_of_a_schema_where_nova_cannot(bedrock):
    schema = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false}'
    form = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": schema}}}}
    reply = bedrock.converse(modelId=MISTRAL, messages=MESSAGES, outputConfig=form)
    assert list(json.loads(reply["output"]["message"]["content"][0]["text"])) == ["n"]
    with pytest.raises(ClientError, match="outputConfig"):
        bedrock.converse(modelId="amazon.nova-lite-v1:0", messages=MESSAGES, outputConfig=form)
