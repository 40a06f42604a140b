"""What each provider's token counters include, and that `ask` gives them one meaning."""

import base64

import boto3
import pytest
from anthropic import Anthropic
from google import genai
from openai import AzureOpenAI, OpenAI

from helpers import calls, costs, models
from helpers.gateway.exchange import IMAGE_TOKENS

LONG = "All work and no play makes this a dull notebook. " * 600
PROVIDERS = ("openai", "azure", "anthropic", "gemini", "bedrock")


def _openai(client, prompt):
    used = client.chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": prompt}]).usage
    given, made = used.prompt_tokens_details, used.completion_tokens_details
    return used.prompt_tokens, given.cached_tokens, given.cache_write_tokens, used.completion_tokens, made.reasoning_tokens


def openai(prompt):
    return _openai(OpenAI(), prompt)


def azure(prompt):
    return _openai(AzureOpenAI(), prompt)


def anthropic(prompt):
    marked = [{"type": "text", "text": prompt, "cache_control": {"type": "ephemeral"}}]
    used = Anthropic().messages.create(model="claude-haiku-5-5", max_tokens=1000, messages=[{"role": "user", "content": marked}]).usage
    thinking = used.output_tokens_details.thinking_tokens
    return used.input_tokens, used.cache_read_input_tokens, used.cache_creation_input_tokens, used.output_tokens, thinking


def gemini(prompt):
    client = genai.Client()  # a client without a name is closed before it is used
    used = client.models.generate_content(model="gemini-3.8-flash", contents=prompt).usage_metadata
    assert used.total_token_count == used.prompt_token_count + used.candidates_token_count + (used.thoughts_token_count or 0)
    return used.prompt_token_count, used.cached_content_token_count or 0, 0, used.candidates_token_count, used.thoughts_token_count or 0


def bedrock(prompt):
    content = [{"text": prompt}, {"cachePoint": {"type": "default"}}]
    client = boto3.client("bedrock-runtime")
    used = client.converse(modelId="us.anthropic.claude-haiku-5-5", messages=[{"role": "user", "content": content}])["usage"]
    read, written = used["cacheReadInputTokens"], used["cacheWriteInputTokens"]
    assert used["totalTokens"] == used["inputTokens"] + used["outputTokens"] + read + written
    return used["inputTokens"], read, written, used["outputTokens"], None


@pytest.mark.parametrize(
    ("call", "input_includes_cache", "charges_writes", "output_includes_thinking"),
    [
        (openai, True, True, True),
        (azure, True, True, True),
        (anthropic, False, True, True),
        (gemini, True, False, False),
        (bedrock, False, True, True),
    ],
    ids=PROVIDERS,
)
def test_which_counter_includes_what(gateway, call, input_includes_cache, charges_writes, output_includes_thinking):
    for turn in ("write", "read"):
        given, read, written, made, thought = call(LONG)
        true = gateway.meter.log()[-1].usage
        assert (read, written) == (true.cache_read_tokens, true.cache_write_tokens)
        assert (read > 0, written > 0) == (turn == "read", turn == "write" and charges_writes)
        assert given == (true.input_tokens if input_includes_cache else true.uncached_tokens)
        assert made == true.output_tokens - (0 if output_includes_thinking else true.thinking_tokens)
        assert thought in (None, true.thinking_tokens)


def test_thinking_stands_beside_the_output_on_gemini_alone(gateway):
    hello = "Say hello in five words."
    for call in (openai, anthropic, gemini):
        *_, made, thought = call(hello)
        true = gateway.meter.log()[-1].usage
        assert thought == true.thinking_tokens > 0
        assert made == true.output_tokens - (thought if call is gemini else 0)


# ---- helpers.ask ---------------------------------------------------------------
@pytest.mark.parametrize("provider", [*PROVIDERS, "compatible"])
def test_ask_states_what_the_gateway_counted(gateway, provider):
    reply = calls.ask(provider, "Say hello in five words.")
    entry = gateway.meter.log()[-1]
    assert (entry.provider, entry.model, entry.source.kind) == (provider, reply.model, "scripted")
    assert reply.model == models.default(provider) and reply.text.startswith("Hello")
    # Converse counts thinking as output, and does not say how much of the output it was.
    hidden = entry.usage.thinking_tokens if provider == "bedrock" else 0
    assert reply.usage.thinking_tokens == entry.usage.thinking_tokens - hidden
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (entry.usage.input_tokens, entry.usage.output_tokens)
    assert 0 < reply.first_token_seconds <= reply.seconds
    if provider == "compatible":
        assert reply.cost is None
    else:
        assert reply.cost == costs.cost(entry.usage, reply.model, provider) > 0


@pytest.mark.parametrize("provider", ["openai", "azure", "gemini"])
def test_ask_counts_what_was_read_from_a_cache(gateway, provider):
    first, second = (calls.ask(provider, LONG) for _ in range(2))
    assert second.usage == gateway.meter.log()[-1].usage
    assert first.usage.cache_read_tokens == 0 < second.usage.cache_read_tokens < second.usage.input_tokens == first.usage.input_tokens
    assert second.cost < first.cost


@pytest.mark.parametrize("provider", [*PROVIDERS, "compatible"])
def test_ask_with_a_system_prompt_and_a_limit(gateway, provider):
    plain = calls.ask(provider, "Say hello in five words.")
    reply = calls.ask(provider, "Say hello in five words.", system="You are a friendly guide.", max_tokens=64)
    assert reply.usage.input_tokens > plain.usage.input_tokens and reply.usage.output_tokens <= 64


def test_ask_refuses_an_unknown_provider(gateway):
    with pytest.raises(ValueError, match="there is no provider 'acme'; there are openai, azure"):
        calls.ask("acme", "Hello?")


PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100).decode()


def openai_result(pictures):
    output = [{"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"}] * pictures
    call = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
    given = [{"role": "user", "content": "Look."}, call, {"type": "function_call_output", "call_id": "c", "output": output}]
    return OpenAI().responses.input_tokens.count(model="gpt-4o", input=given).input_tokens


def anthropic_result(pictures):
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}
    said = [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [picture] * pictures}]},
    ]
    tools = [{"name": "look", "input_schema": {"type": "object", "properties": {}}}]
    return Anthropic().messages.count_tokens(model="claude-haiku-4-5", messages=said, tools=tools).input_tokens


def gemini_result(pictures):
    client = genai.Client()
    files = [{"inline_data": {"mime_type": "image/png", "data": PICTURE}}] * pictures
    said = [
        {"role": "user", "parts": [{"text": "Look."}]},
        {"role": "model", "parts": [{"function_call": {"name": "look", "args": {}}}]},
        {"role": "user", "parts": [{"function_response": {"name": "look", "response": {}, "parts": files}}]},
    ]
    return client.models.count_tokens(model="gemini-2.5-flash", contents=said).total_tokens


def bedrock_result(pictures):
    picture = {"image": {"format": "png", "source": {"bytes": base64.b64decode(PICTURE)}}}
    said = [
        {"role": "user", "content": [{"text": "Look."}]},
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "look", "input": {}}}]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [picture] * pictures}}]},
    ]
    tools = {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}]}
    asked = {"converse": {"messages": said, "toolConfig": tools}}
    return boto3.client("bedrock-runtime").count_tokens(modelId="us.anthropic.claude-haiku-4-5-20251001-v1:0", input=asked)["inputTokens"]


@pytest.mark.parametrize("count", [openai_result, anthropic_result, gemini_result, bedrock_result])
def test_a_picture_in_a_tools_result_counts_as_one_in_a_message(gateway, count):
    assert [count(pictures) - count(0) for pictures in (1, 2)] == [IMAGE_TOKENS, 2 * IMAGE_TOKENS]
