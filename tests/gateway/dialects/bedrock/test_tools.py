"""Tools and structured outputs on Bedrock, through boto3."""

import json
import re

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from jsonschema import validate

from helpers import environment
from helpers.gateway.server import Gateway
from tests.gateway.dialects.bedrock.samples import FROM_MODEL
from tests.gateway.dialects.samples import (
    ANY,
    FORCED,
    JSON_SCHEMA,
    OPEN,
    ORDER,
    PERSON,
    SCHEMAS,
    STORY,
    THINKS,
    TOOLS,
    logged,
)

BEDROCK, BEDROCK_MID, BEDROCK_OLD = "us.anthropic.claude-haiku-5-5", "us.anthropic.claude-sonnet-5-5", "us.anthropic.claude-haiku-4-5-20251001-v1:0"
LLAMA, NOVA = "meta.llama3-1-8b-instruct-v1:0", "amazon.nova-lite-v1:0"
PROMPT = "Ada, who is a regular, orders two teapots and one kettle; it is urgent."
CONVERSE_TOOLS = [{"toolSpec": {"name": tool["name"], "inputSchema": {"json": tool["input_schema"]}}} for tool in TOOLS]
CONVERSE_FORCED = {"tools": CONVERSE_TOOLS, "toolChoice": {"tool": {"name": "order"}}}
TEXT_FORMAT = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"name": "person", "schema": json.dumps(PERSON)}}}}


@pytest.fixture(scope="module")
def gateway():
    """One gateway for all tests here, so that the house model is loaded once."""
    running = Gateway(pace=0).start()
    with pytest.MonkeyPatch.context() as patch:
        for name in environment.REMOVED:
            patch.delenv(name, raising=False)
        for name, value in environment.variables(running.base_url).items():
            patch.setenv(name, value)
        yield running
    running.stop()


@pytest.fixture(scope="module")
def bedrock(gateway):
    return boto3.client("bedrock-runtime", config=Config(retries={"total_max_attempts": 1}))


def user(text=PROMPT):
    return [{"role": "user", "content": text}]


def said(text=PROMPT):
    return [{"role": "user", "content": [{"text": text}]}]


def body(text=PROMPT, **more):
    """The body of an InvokeModel call for Claude."""
    return json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 600, "messages": user(text), **more})


def events_of(stream):
    return [json.loads(event["chunk"]["bytes"]) for event in stream["body"]]


@pytest.mark.parametrize("model", [BEDROCK, NOVA])
def test_converse_calls_a_tool_that_is_named(bedrock, gateway, model):
    reply = bedrock.converse(modelId=model, messages=said(), toolConfig=CONVERSE_FORCED)
    (block,) = reply["output"]["message"]["content"]
    call = block["toolUse"]
    assert (call["name"], reply["stopReason"]) == ("order", "tool_use") and re.fullmatch(r"tooluse_[A-Za-z0-9]{22}", call["toolUseId"])
    validate(call["input"], ORDER)
    assert reply["usage"]["outputTokens"] == logged(gateway) > 0


def test_converse_streams_a_call(bedrock, gateway):
    config = {"tools": CONVERSE_TOOLS, "toolChoice": {"any": {}}}
    events = list(bedrock.converse_stream(modelId=BEDROCK, messages=said(), toolConfig=config)["stream"])
    kinds = [next(iter(event)) for event in events]
    assert kinds[:3] == ["messageStart", "contentBlockStart", "contentBlockDelta"]
    assert kinds[-3:] == ["contentBlockStop", "messageStop", "metadata"] and set(kinds[2:-3]) == {"contentBlockDelta"}
    call = events[1]["contentBlockStart"]["start"]["toolUse"]
    pieces = [event["contentBlockDelta"]["delta"]["toolUse"]["input"] for event in events if "contentBlockDelta" in event]
    validate(json.loads("".join(pieces)), SCHEMAS[call["name"]])
    assert call["toolUseId"].startswith("tooluse_") and events[-2]["messageStop"]["stopReason"] == "tool_use"
    assert events[-1]["metadata"]["usage"]["outputTokens"] == logged(gateway) > 0


def test_a_round_with_a_tool_through_converse(bedrock):
    turn = bedrock.converse(modelId=BEDROCK, messages=said(), toolConfig=CONVERSE_FORCED)["output"]["message"]
    call = turn["content"][0]["toolUse"]
    result = {"role": "user", "content": [{"toolResult": {"toolUseId": call["toolUseId"], "content": [{"json": {"order_number": 7}}]}}]}
    turns = [*said(), turn, result]
    reply = bedrock.converse(modelId=BEDROCK, messages=turns, toolConfig={"tools": CONVERSE_TOOLS}, inferenceConfig={"maxTokens": 40})
    assert reply["stopReason"] in ("end_turn", "max_tokens")
    message = refused(bedrock.converse, modelId=BEDROCK, messages=turns)
    assert message == "The toolConfig field must be defined when using toolUse and toolResult content blocks."


@pytest.mark.parametrize(("model", "type"), [(BEDROCK, "tool_use"), (BEDROCK_OLD, "tool_use"), (NOVA, None)])
def test_claudes_call_says_that_it_is_one_and_comes_back_with_it(bedrock, model, type):
    asked = {"modelId": model, "messages": said(), "toolConfig": CONVERSE_FORCED}
    turn = bedrock.converse(**asked)["output"]["message"]
    events = list(bedrock.converse_stream(**asked)["stream"])
    started = next(event["contentBlockStart"]["start"]["toolUse"] for event in events if "contentBlockStart" in event)
    call = turn["content"][-1]["toolUse"]
    assert call.get("type") == started.get("type") == type
    result = {"role": "user", "content": [{"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "7"}]}}]}
    assert bedrock.converse(modelId=model, messages=[*said(), turn, result], toolConfig={"tools": CONVERSE_TOOLS})["output"]


@pytest.mark.parametrize("model", [BEDROCK, BEDROCK_OLD])
def test_converse_fits_an_answer_to_a_schema(bedrock, model):
    reply = bedrock.converse(modelId=model, messages=said(), outputConfig=TEXT_FORMAT)
    validate(json.loads(reply["output"]["message"]["content"][-1]["text"]), PERSON)
    assert reply["stopReason"] == "end_turn"


OWN_FORMAT = {"output_config": {"format": {"type": "json_schema", "schema": {"$schema": "http://json-schema.org/draft-07/schema#", **PERSON}}}}


@pytest.mark.parametrize("model", [BEDROCK, BEDROCK_OLD])
def test_converse_hands_on_a_schema_in_the_models_own_field(bedrock, model):
    reply = bedrock.converse(modelId=model, messages=said(), additionalModelRequestFields=OWN_FORMAT)
    validate(json.loads(reply["output"]["message"]["content"][-1]["text"]), PERSON)
    events = bedrock.converse_stream(modelId=model, messages=said(), additionalModelRequestFields=OWN_FORMAT)["stream"]
    text = "".join(event["contentBlockDelta"]["delta"].get("text", "") for event in events if "contentBlockDelta" in event)
    validate(json.loads(text), PERSON)


def test_converse_hands_on_an_effort_in_the_models_own_field(bedrock):
    fields = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "huge"}}
    assert "effort" in refused(bedrock.converse, modelId=BEDROCK, messages=said(), additionalModelRequestFields=fields)


def test_converse_ends_at_its_limit_and_at_a_stop_sequence(bedrock, gateway):
    reply = bedrock.converse(modelId=BEDROCK, messages=said(STORY), inferenceConfig={"maxTokens": 5})
    assert (reply["stopReason"], reply["usage"]["outputTokens"], logged(gateway)) == ("max_tokens", 5, 5)
    events = list(bedrock.converse_stream(modelId=BEDROCK, messages=said(STORY), inferenceConfig={"stopSequences": ["e"]})["stream"])
    text = "".join(event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event)
    assert {"messageStop": {"stopReason": "stop_sequence"}} in events and "e" not in text


def refused(call, **arguments):
    """The message of a ValidationException."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return caught.value.response["Error"]["Message"]


MODEL_TOOLS = {"tools": CONVERSE_TOOLS, "toolChoice": {"any": {}}}
BAD_TOOL = {"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "string"}}}}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"toolConfig": {"tools": CONVERSE_TOOLS, "toolChoice": {"tool": {"name": "fly"}}}}, FROM_MODEL + "Tool 'fly' not found in provided tools"),
        (
            {"modelId": BEDROCK_MID, "toolConfig": CONVERSE_FORCED},
            FROM_MODEL + 'tool_choice: type "tool" and "any" are not supported for this model.',
        ),
        (
            {"modelId": BEDROCK_OLD, "toolConfig": MODEL_TOOLS, "additionalModelRequestFields": {"thinking": THINKS["thinking"]}},
            FROM_MODEL + "Thinking may not be enabled when tool_choice forces tool use.",
        ),
        (
            {"modelId": LLAMA, "toolConfig": MODEL_TOOLS},
            "This model doesn't support the toolConfig.toolChoice.any field. Remove toolConfig.toolChoice.any and try again.",
        ),
        (
            {"toolConfig": {"tools": [BAD_TOOL]}},
            "The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of the following: object.",
        ),
        (
            {"modelId": NOVA, "outputConfig": TEXT_FORMAT},
            "This model doesn't support the outputConfig field. Remove outputConfig and try again.",
        ),
    ],
)
def test_what_converse_refuses(bedrock, options, message):
    assert refused(bedrock.converse, **{"modelId": BEDROCK, "messages": said(), **options}) == message


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("{", "The value at outputConfig.textFormat.structure.jsonSchema.schema must be a JSON schema."),
        (json.dumps(OPEN), FROM_MODEL + "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"),
    ],
)
def test_converse_refuses_a_schema(bedrock, schema, message):
    config = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": schema}}}}
    assert refused(bedrock.converse, modelId=BEDROCK_OLD, messages=said(), outputConfig=config) == message


def test_a_schema_may_limit_the_length_of_a_text(bedrock):
    """As recorded with Claude Sonnet 4.5 in 2026, though AWS's page says otherwise."""
    schema = {"type": "object", "properties": {"title": {"type": "string", "minLength": 1, "maxLength": 40}}, "required": ["title"], "additionalProperties": False}
    config = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": json.dumps(schema)}}}}
    reply = bedrock.converse(modelId=BEDROCK_OLD, messages=said(), outputConfig=config)
    validate(json.loads(reply["output"]["message"]["content"][-1]["text"]), schema)
    message = json.loads(bedrock.invoke_model(modelId=BEDROCK_OLD, body=body(output_config={"format": {"type": "json_schema", "schema": schema}}))["body"].read())
    validate(json.loads(message["content"][-1]["text"]), schema)
    schema["properties"]["title"] = {"type": "number", "minimum": 1}
    config["textFormat"]["structure"]["jsonSchema"]["schema"] = json.dumps(schema)
    words = FROM_MODEL + "output_config.format.schema: For 'number' type, property 'minimum' is not supported"
    assert refused(bedrock.converse, modelId=BEDROCK_OLD, messages=said(), outputConfig=config) == words


def test_llama_takes_tools_but_not_in_a_stream(bedrock):
    options = {"modelId": LLAMA, "messages": said(), "toolConfig": {"tools": CONVERSE_TOOLS}, "inferenceConfig": {"maxTokens": 10}}
    assert bedrock.converse(**options)["output"]["message"]["content"]
    assert refused(bedrock.converse_stream, **options) == "This model doesn't support tool use in streaming mode."


def test_invoke_calls_a_tool(bedrock, gateway):
    message = json.loads(bedrock.invoke_model(modelId=BEDROCK, body=body(tools=TOOLS, tool_choice=FORCED))["body"].read())
    (call,) = message["content"]
    assert list(call) == ["type", "id", "name", "input"] and re.fullmatch(r"toolu_bdrk_01[A-Za-z0-9]{22}", call["id"])
    validate(call["input"], ORDER)
    assert (message["stop_reason"], message["usage"]["output_tokens"]) == ("tool_use", logged(gateway))


def test_invoke_streams_a_call(bedrock, gateway):
    reply = bedrock.invoke_model_with_response_stream(modelId=BEDROCK, body=body(tools=TOOLS, tool_choice=ANY))
    events = events_of(reply)
    call = next(event["content_block"] for event in events if event["type"] == "content_block_start")
    pieces = [event["delta"]["partial_json"] for event in events if event["type"] == "content_block_delta"]
    assert (call["type"], call["input"]) == ("tool_use", {})
    validate(json.loads("".join(pieces)), SCHEMAS[call["name"]])
    metrics = events[-1]["amazon-bedrock-invocationMetrics"]
    assert events[-2]["usage"]["output_tokens"] == metrics["outputTokenCount"] == logged(gateway) > 0
    assert 0 < metrics["firstByteLatency"] <= metrics["invocationLatency"]


@pytest.mark.parametrize("model", [BEDROCK, BEDROCK_OLD])
def test_invoke_fits_an_answer_to_a_schema(bedrock, model):
    config = {"format": JSON_SCHEMA}
    message = json.loads(bedrock.invoke_model(modelId=model, body=body(output_config=config))["body"].read())
    validate(json.loads(message["content"][-1]["text"]), PERSON)


def test_invoke_refuses_as_claude_does(bedrock):
    assert refused(bedrock.invoke_model, modelId=BEDROCK, body=body(tool_choice=ANY)) == "tool_choice.any may only be specified while providing tools"


def test_nova_calls_a_tool_in_its_own_body(bedrock):
    asked = json.dumps({"messages": said(), "toolConfig": CONVERSE_FORCED})
    message = json.loads(bedrock.invoke_model(modelId=NOVA, body=asked)["body"].read())
    validate(message["output"]["message"]["content"][0]["toolUse"]["input"], ORDER)
    events = events_of(bedrock.invoke_model_with_response_stream(modelId=NOVA, body=asked))
    assert events[1]["contentBlockStart"]["start"]["toolUse"]["name"] == "order" and message["stopReason"] == "tool_use"
    assert {"messageStop": {"stopReason": "tool_use"}} in events


def test_a_recorded_answer_to_a_result_is_found_whatever_the_id_of_the_call(gateway):
    stock = {"type": "object", "properties": {"product": {"type": "string"}}, "required": ["product"], "additionalProperties": False}
    tool = {"name": "get_stock", "description": "How many pieces of a product our shop has in stock.", "inputSchema": {"json": stock}}
    call = {"toolUse": {"toolUseId": "tooluse_of_mine", "name": "get_stock", "input": {"product": "kettle"}}}
    result = {"toolResult": {"toolUseId": "tooluse_of_mine", "content": [{"text": "0 in stock"}]}}
    turns = [{"role": "user", "content": [{"text": "Can I order three kettles?"}]}, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    reply = boto3.client("bedrock-runtime").converse(modelId="amazon.nova-lite-v1:0", messages=turns, toolConfig={"tools": [{"toolSpec": tool}]})
    assert reply["ResponseMetadata"]["HTTPHeaders"]["x-course-source"] == "scripted"
