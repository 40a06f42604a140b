"""Scripted answers that call a function or are broken off, and instructions amid a conversation, with Anthropic's own SDK."""

import json

import openai
import pytest
from anthropic import Anthropic, BadRequestError

from helpers import environment
from helpers.gateway.server import Gateway

NEW, OLD = "claude-haiku-5-5", "claude-haiku-4-5"
TOOL = {"name": "get_stock", "input_schema": {"type": "object", "properties": {"product": {"type": "string"}}}}
FUNCTION = {"type": "function", "function": {"name": "get_stock", "parameters": TOOL["input_schema"]}}
CALL = {"text": '{"product": "kettle"}', "thinking_tokens": 20, "function": "get_stock"}
REFUSED = {"text": "Certainly, here", "thinking_tokens": 10, "refusal": "reasoning_extraction"}
USER = {"role": "user", "content": "Hello"}


def line(provider, model, prompt, answer, **more):
    start = {"kind": "scripted", "date": "2026-11-23", "provider": provider, "models": [model]}
    return json.dumps({**start, "messages": [["user", prompt]], "answers": [answer], **more})


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client of a gateway that knows a call, for two providers, and a refusal."""
    folder = tmp_path_factory.mktemp("recordings")
    lines = [
        line("anthropic", NEW, "A kettle?", CALL, tools=[json.dumps(TOOL, sort_keys=True)]),
        line("openai", "gpt-6-luna", "A kettle?", CALL, tools=[json.dumps(FUNCTION, sort_keys=True)]),
        line("anthropic", NEW, "Your thoughts?", REFUSED),
        line("anthropic", NEW, "Hello", {"text": "Hello."}),
    ]
    (folder / "lines.jsonl").write_text("\n".join(lines) + "\n")
    running = Gateway(pace=0, recordings=folder).start()
    with pytest.MonkeyPatch.context() as patch:
        for name in environment.REMOVED:
            patch.delenv(name, raising=False)
        for name, value in environment.variables(running.base_url).items():
            patch.setenv(name, value)
        yield Anthropic(max_retries=0)
    running.stop()


def ask(client, content, **more):
    return client.messages.create(**{"model": NEW, "max_tokens": 500, "messages": [{"role": "user", "content": content}], **more})


def test_a_scripted_call_is_a_tool_use_block(client):
    message = ask(client, "A kettle?", tools=[TOOL])
    assert message.stop_reason == "tool_use"
    assert [block.type for block in message.content] == ["thinking", "tool_use"]
    assert (message.content[1].name, message.content[1].input) == ("get_stock", {"product": "kettle"})


def test_a_scripted_call_is_streamed_too(client):
    with client.messages.stream(model=NEW, max_tokens=500, messages=[{"role": "user", "content": "A kettle?"}], tools=[TOOL]) as stream:
        message = stream.get_final_message()
    assert (message.stop_reason, message.content[-1].input) == ("tool_use", {"product": "kettle"})


def test_a_limit_that_goes_on_thinking_leaves_no_call(client):
    message = ask(client, "A kettle?", tools=[TOOL], max_tokens=20)
    assert (message.stop_reason, [block.type for block in message.content]) == ("max_tokens", ["thinking"])


def test_another_provider_writes_the_same_call_in_its_words(client):
    response = openai.OpenAI(max_retries=0).chat.completions.create(
        model="gpt-6-luna", reasoning_effort="none", messages=[{"role": "user", "content": "A kettle?"}], tools=[FUNCTION]
    )
    (call,) = response.choices[0].message.tool_calls
    assert (response.choices[0].finish_reason, call.function.arguments) == ("tool_calls", CALL["text"])


def test_a_refusal_names_its_category(client):
    message = ask(client, "Your thoughts?")
    assert (message.stop_reason, message.stop_details.category) == ("refusal", "reasoning_extraction")
    assert ask(client, "Hello").stop_details is None


def test_a_refusal_in_a_stream_comes_with_the_last_event(client):
    events = list(ask(client, "Your thoughts?", stream=True))
    (last,) = [event.delta for event in events if event.type == "message_delta"]
    assert (last.stop_reason, last.stop_details.category) == ("refusal", "reasoning_extraction")


@pytest.mark.parametrize(
    "roles",
    [("system", "user"), ("user", "assistant", "system"), ("user", "system", "user"), ("user", "assistant", "system", "assistant", "user")],
)
def test_instructions_amid_a_conversation_have_their_place(client, roles):
    with pytest.raises(BadRequestError, match="must come immediately after a `user` message"):
        client.messages.create(model=NEW, max_tokens=500, messages=[{"role": role, "content": "Hello"} for role in roles])


@pytest.mark.parametrize("roles", [("user", "system"), ("user", "assistant", "user", "system"), ("user", "system", "assistant", "user")])
def test_instructions_after_a_users_turn_are_taken(client, roles):
    turns = [{"role": role, "content": "Hello"} for role in roles]
    assert client.messages.create(model=NEW, max_tokens=50, messages=turns).stop_reason in ("end_turn", "max_tokens")
