"""Conversations that Anthropic holds (beta message-threads-2026-08-12): the SDK's tool runner sends them unasked."""

import httpx2
import pytest
from anthropic import BadRequestError, NotFoundError, beta_tool
from anthropic.types import ThreadAlreadyContinuedError, ThreadNotFoundError

from tests.gateway.dialects.anthropic.samples import HELLO, PLAIN, THINKS, user

BETA = "message-threads-2026-08-12"
SYSTEM = "You answer like a pirate. " * 20


@beta_tool
def stock(product: str) -> str:
    """How many pieces of a product are there.

    Args:
        product: its name
    """
    return f"There are 12 pieces of {product}."


def create(client, content=HELLO, **more):
    return client.beta.messages.create(model=PLAIN, max_tokens=40, messages=user(content), betas=[BETA], thread={"type": "create"}, **more)


def go_on(client, before, content="And now?", **more):
    thread = {"type": "continue", "previous_message_id": before.id}
    return client.beta.messages.create(**{"model": PLAIN, "max_tokens": 40, "messages": user(content), "betas": [BETA], "thread": thread, **more})


def count(client, *messages, **more):
    return client.messages.count_tokens(model=PLAIN, messages=[*messages], **more).input_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_the_tool_runner_with_its_defaults(gateway, client, stream):
    """Its first turn creates a thread, its second sends the result of the tool alone."""
    more = {"tool_choice": {"type": "any"}, "max_iterations": 2, "stream": stream}
    runner = client.beta.messages.tool_runner(model=PLAIN, max_tokens=300, tools=[stock], messages=user("How many kettles?"), **more)
    replies = [reply.get_final_message() if stream else reply for reply in runner]
    assert [reply.stop_reason for reply in replies] == ["tool_use", "tool_use"]
    first, second = gateway.meter.entries
    assert second.usage.input_tokens > first.usage.input_tokens and (first.status, second.status) == (200, 200)


def test_a_turn_that_goes_on_counts_all_that_was_said(client):
    first = create(client, "My name is Ada.", system=SYSTEM)
    second = go_on(client, first, "What is my name?")
    said = [*user("My name is Ada."), {"role": "assistant", "content": first.content[0].text}, *user("What is my name?")]
    assert second.usage.input_tokens == count(client, *said, system=SYSTEM)


def test_a_streamed_answer_can_be_continued(client):
    thread = client.beta.messages.thread(model=PLAIN, max_tokens=40)
    with thread.stream(*user("My name is Ada.")) as stream:
        stream.until_done()
    assert "Ada" in thread.send(*user("What is my name?")).content[0].text


def test_each_answer_is_continued_once(client):
    first = create(client)
    second = go_on(client, first)
    with pytest.raises(ThreadAlreadyContinuedError):
        go_on(client, first)
    assert go_on(client, second).content


def test_an_unknown_or_unthreaded_answer_is_not_found(client):
    plain = client.messages.create(model=PLAIN, max_tokens=40, messages=user(HELLO))
    with pytest.raises(ThreadNotFoundError):
        go_on(client, plain)


def test_a_refused_turn_can_be_sent_again(gateway, client):
    first = create(client)
    gateway.fault("rate_limited", provider="anthropic")
    with pytest.raises(Exception, match="rate limit"):
        go_on(client, first)
    assert go_on(client, first).content


@pytest.mark.parametrize("field", ["system", "tools"])
def test_what_the_thread_was_created_with_is_not_repeated(client, field):
    tools = [{"name": "stock", "input_schema": {"type": "object", "properties": {}}}]
    with pytest.raises(BadRequestError, match=field):
        go_on(client, create(client, system=SYSTEM, tools=tools), **{field: {"system": SYSTEM, "tools": tools}[field]})


def test_what_cannot_be_threaded_names_the_feature_and_the_sdk_goes_on_without(gateway, client):
    marked = {"type": "ephemeral"}
    with pytest.raises(BadRequestError) as refused:
        create(client, cache_control=marked)
    assert refused.value.body["error"]["details"] == {"error_code": "thread_unsupported_request", "unsupported": ["cache_control"]}
    thread = client.beta.messages.thread(model=PLAIN, max_tokens=40, cache_control=marked, unsupported_request_behavior="continue_unthreaded")
    assert thread.send(*user(HELLO)).content and thread.previous_message_id is None


def test_after_a_reset_the_sdk_sends_everything_anew(gateway, client):
    thread = client.beta.messages.thread(model=PLAIN, max_tokens=40)
    thread.send(*user("My name is Ada."))
    gateway.reset()
    assert "Ada" in thread.send(*user("What is my name?")).content[0].text


@pytest.mark.parametrize(
    "thread", [{"type": "other"}, {"type": "continue"}, {"type": "continue", "previous_message_id": 3}, {}, [], "create", {"type": "create", "x": 1}]
)
def test_a_malformed_thread_is_refused(gateway, thread):
    headers = {"x-api-key": "any", "anthropic-version": "2023-06-01", "anthropic-beta": BETA}
    body = {"model": PLAIN, "max_tokens": 40, "messages": user(HELLO), "thread": thread}
    reply = httpx2.post(f"{gateway.base_url}/anthropic/v1/messages", headers=headers, json=body)
    assert reply.status_code == 400 and "thread" in reply.json()["error"]["message"]


def test_without_the_beta_header_there_are_no_threads(client):
    with pytest.raises(BadRequestError, match="thread: Extra inputs are not permitted"):
        client.messages.create(model=THINKS, max_tokens=40, messages=user(HELLO), extra_body={"thread": {"type": "create"}})
    with pytest.raises(NotFoundError):
        client.beta.messages.create(
            model=PLAIN, max_tokens=40, messages=[], betas=[BETA], thread={"type": "continue", "previous_message_id": "msg_none"}
        )
