"""Bedrock's Converse through boto3."""

import pytest

from tests.gateway.dialects.bedrock.samples import ANSWER, MESSAGES, PROMPT, client, said

CLAUDE, LLAMA, NOVA = "us.anthropic.claude-haiku-5-5", "meta.llama3-1-8b-instruct-v1:0", "amazon.nova-lite-v1:0"


LONG = "All work and no play makes this a dull notebook. " * 200


@pytest.fixture
def bedrock(gateway):
    return client()


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
    assert usage.items() <= plain["usage"].items()
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


def test_top_k_is_heeded(bedrock):
    def ask(**more):
        given = {"modelId": "us.anthropic.claude-haiku-4-5-20251001-v1:0", "messages": said("Tell me of zebras"), "inferenceConfig": {"temperature": 1}, **more}
        return bedrock.converse(**given)["output"]["message"]["content"][0]["text"]

    assert len({ask(additionalModelRequestFields={"top_k": 1}) for _ in range(4)}) == 1
    assert len({ask() for _ in range(4)}) > 1


def test_a_cache_point_after_the_tools_keeps_them_when_the_system_prompt_changes(bedrock):
    tools = [{"toolSpec": {"name": "look", "description": LONG, "inputSchema": {"json": {"type": "object"}}}}, {"cachePoint": {"type": "default"}}]

    def ask(system):
        used = bedrock.converse(modelId=CLAUDE, messages=said("Hi"), system=[{"text": system}], toolConfig={"tools": tools})["usage"]
        return used["cacheWriteInputTokens"], used["cacheReadInputTokens"]

    written, read = ask("Be brief.")
    assert read == 0 < written and ask("Be long.") == (0, written)


def test_cache_points_among_tools_count_too(bedrock):
    point = {"cachePoint": {"type": "default"}}
    tools = [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}, point]
    content = [block for number in range(4) for block in ({"text": f"Part {number}"}, point)]
    with pytest.raises(bedrock.exceptions.ValidationException, match="A maximum of 4 blocks with cache_control may be provided. Found 5."):
        bedrock.converse(modelId=CLAUDE, messages=[{"role": "user", "content": content}], toolConfig={"tools": tools})
