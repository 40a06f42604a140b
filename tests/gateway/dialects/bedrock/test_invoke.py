"""Bedrock's InvokeModel and CountTokens through boto3."""

import json

import pytest

from tests.gateway.dialects.bedrock.samples import MESSAGES, PROMPT, client

CLAUDE, LLAMA, NOVA = "us.anthropic.claude-haiku-5-5", "meta.llama3-1-8b-instruct-v1:0", "amazon.nova-lite-v1:0"


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


@pytest.fixture
def bedrock(gateway):
    return client()


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


@pytest.mark.parametrize("turns", [[("user", "What is a token?")], [("system", "Be brief."), ("user", "Hello"), ("assistant", "Hi."), ("user", "What is a token?")]])
def test_a_prompt_in_llamas_template_is_read_as_the_turns_that_it_holds(gateway, turns):
    bedrock = client()
    marks = "<|begin_of_text|>" + "".join(f"<|start_header_id|>{role}<|end_header_id|>\n\n{text}<|eot_id|>" for role, text in turns)
    sent = bedrock.invoke_model(modelId=LLAMA, body=json.dumps({"prompt": marks + "<|start_header_id|>assistant<|end_header_id|>\n\n", "max_gen_len": 100}))
    system = [{"text": text} for role, text in turns if role == "system"]
    messages = [{"role": role, "content": [{"text": text}]} for role, text in turns if role != "system"]
    counted = bedrock.count_tokens(modelId=LLAMA, input={"converse": {"messages": messages, **({"system": system} if system else {})}})
    assert json.loads(sent["body"].read())["prompt_token_count"] == counted["inputTokens"]
