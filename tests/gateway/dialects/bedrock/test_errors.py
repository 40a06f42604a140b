"""What Bedrock refuses, through boto3."""

import json
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.gateway.dialects.bedrock.samples import MESSAGES, PROMPT, client, said

CLAUDE, LLAMA, NOVA = "us.anthropic.claude-haiku-5-5", "meta.llama3-1-8b-instruct-v1:0", "amazon.nova-lite-v1:0"


INVOKE = {
    CLAUDE: {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 200, "messages": [{"role": "user", "content": PROMPT}]},
    LLAMA: {"prompt": PROMPT, "max_gen_len": 200},
    NOVA: {"messages": MESSAGES, "inferenceConfig": {"max_new_tokens": 200}},
}


@pytest.fixture
def bedrock(gateway):
    return client()


def refused(code, call, *args, **kwargs):
    """The message and the HTTP status of a refusal with this code."""
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    assert caught.value.response["Error"]["Code"] == code
    return caught.value.response["Error"]["Message"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


PROFILE_NEEDED = (
    "Invocation of model ID anthropic.claude-haiku-5-5 with on-demand throughput isn’t supported. "
    "Retry your request with the ID or ARN of an inference profile that contains this model."
)


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
        (CLAUDE, {"anthropic_version": "2023-06-01"}, "Invalid API version: 2023-06-01"),
        (NOVA, {"messages": None}, "messages"),
    ],
)
def test_an_invoke_body_that_does_not_do(bedrock, model, change, words):
    body = {name: value for name, value in (INVOKE[model] | change).items() if value is not None}
    text, _ = refused("ValidationException", bedrock.invoke_model, modelId=model, body=json.dumps(body))
    assert words in text


def test_tools_that_anthropics_servers_run_are_not_on_bedrock(bedrock):
    body = json.dumps({**INVOKE[CLAUDE], "tools": [{"type": "web_search_20250305", "name": "web_search"}]})
    words = "tools.0: Input tag 'web_search_20250305' found using 'type' does not match any of the expected tags: 'bash_20250124', 'custom', "
    for call in (
        lambda: bedrock.count_tokens(modelId=CLAUDE, input={"invokeModel": {"body": body}}),
        lambda: bedrock.invoke_model(modelId=CLAUDE, body=body),
        lambda: bedrock.invoke_model_with_response_stream(modelId=CLAUDE, body=body),
    ):
        assert refused("ValidationException", call)[0].startswith(words)


NOVA_TOO_LONG = "Input Tokens Exceeded: Number of input tokens exceeds maximum length. Please update the input to try again."


def test_a_prompt_that_is_too_long_for_nova(bedrock):
    long = said("word " * 301_000)
    for operation in (bedrock.converse, bedrock.converse_stream):
        assert refused("ValidationException", operation, modelId=NOVA, messages=long) == ("The model returned the following errors: " + NOVA_TOO_LONG, 400)
    assert refused("ValidationException", bedrock.invoke_model, modelId=f"us.{NOVA}", body=json.dumps({"messages": long}))[0] == NOVA_TOO_LONG


@pytest.mark.parametrize(
    ("operation", "asked"),
    [
        ("list_async_invokes", {}),
        ("get_async_invoke", {"invocationArn": "arn:aws:bedrock:us-east-1:123456789012:async-invoke/abcdefghijkl"}),
        ("start_async_invoke", {"modelId": NOVA, "modelInput": {}, "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://bucket"}}}),
        ("invoke_guardrail_checks", {"messages": [{"role": "user", "content": [{"text": "Hello"}]}], "checks": {"contentFilter": {"categories": [{"category": "HATE"}]}}}),
    ],
)
def test_what_the_service_has_and_the_gateway_has_not(bedrock, operation, asked):
    assert refused("UnknownOperationException", getattr(bedrock, operation), **asked)[1] == 404


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
