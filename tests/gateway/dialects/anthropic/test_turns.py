"""Who speaks last to Claude, and calls and their results in pairs, through the SDK."""

import re

import anthropic
import pytest

from tests.gateway.dialects.anthropic.samples import TOOL

NEW, ALWAYS, OLD = "claude-haiku-5-5", ["claude-sonnet-5-5", "claude-opus-5-5", "claude-fable-5-2"], "claude-haiku-4-5"
PREFILL = "This model does not support assistant message prefill. The conversation must end with a user message."
ORPHANED = "unexpected `tool_use_id` found in `tool_result` blocks: {}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
UNANSWERED = (
    "messages.{}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. "
    "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
)


def user(*content):
    return {"role": "user", "content": list(content) or "Say hello."}


def assistant(*content):
    return {"role": "assistant", "content": list(content)}


def text(said="Look."):
    return {"type": "text", "text": said}


def call(name="toolu_a"):
    return {"type": "tool_use", "id": name, "name": "look", "input": {}}


def result(name="toolu_a"):
    return {"type": "tool_result", "tool_use_id": name, "content": "7"}


def ask(client, *messages, model=OLD, **more):
    return client.messages.create(model=model, max_tokens=3000, messages=list(messages), **{"tools": [TOOL], **more})


def refused(client, *messages, **more):
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(client, *messages, **more)
    assert caught.value.type == "invalid_request_error"
    return caught.value.body["error"]["message"]


@pytest.mark.parametrize("model", [NEW, *ALWAYS])
@pytest.mark.parametrize("last", ["{", "", [text()]])
def test_newer_models_take_no_last_turn_of_claudes(client, model, last):
    assert refused(client, user(), {"role": "assistant", "content": last}, model=model) == PREFILL


def test_older_models_go_on_with_what_was_begun(client):
    assert ask(client, user(), assistant(text("{"))).content


@pytest.mark.parametrize("last", ["Hello ", [text("Hello"), text("you\n")], " "])
def test_what_was_begun_does_not_end_in_white_space(client, last):
    message = refused(client, user(), {"role": "assistant", "content": last})
    assert message.startswith("messages: ") and "whitespace" in message


def test_a_turn_that_paused_for_anthropics_own_tools_is_sent_back_as_it_came(client):
    search = {"type": "server_tool_use", "id": "srvtoolu_a", "name": "web_search", "input": {"query": "x"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_a", "content": []}
    for last in ([text(), search], [search, found]):
        assert ask(client, user(), assistant(*last), model=NEW).content


def test_pairs_are_taken(client):
    two = [call("toolu_a"), call("toolu_b")]
    for messages in (
        [user(), assistant(text(), call()), user(result())],
        [user(), assistant(*two), user(result("toolu_b"), result("toolu_a"), text("Go on."))],
        [user(), assistant(*two), user(result("toolu_a")), user(result("toolu_b"))],  # turns of one role in a row are one
        [user(), assistant(text()), assistant(call()), user(result()), assistant(text("Seven.")), user()],
    ):
        for model in (OLD, NEW):
            assert ask(client, *messages, model=model).content


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([user(result())], "messages.0.content.0: " + ORPHANED.format("toolu_a")),
        ([user(), assistant(text()), user(text(), result())], "messages.2.content.1: " + ORPHANED.format("toolu_a")),
        ([user(), assistant(call()), user(result(), result("toolu_b"))], "messages.2.content.1: " + ORPHANED.format("toolu_b")),
        ([user(), assistant(call()), user(result()), assistant(text()), user(result())], "messages.4.content.0: " + ORPHANED.format("toolu_a")),
        ([user(), assistant(call()), user()], UNANSWERED.format(1, "toolu_a")),
        ([user(), assistant(call(), call("toolu_b")), user(result())], UNANSWERED.format(1, "toolu_b")),
        ([user(), assistant(call(), call("toolu_b")), user()], UNANSWERED.format(1, "toolu_a, toolu_b")),
        ([user(), assistant(call()), user(text(), result())], UNANSWERED.format(1, "toolu_a")),
        ([user(), assistant(call())], UNANSWERED.format(1, "toolu_a")),
        (
            [user(), assistant(call()), user(result(), result())],
            "messages.2.content.1: each tool_use must have a single result. Found multiple `tool_result` blocks with id: toolu_a",
        ),
        ([user(), assistant(call(), call()), user(result())], "messages: `tool_use` ids must be unique"),
        ([user(call())], "messages.0: `tool_use` blocks can only be in `assistant` messages"),
        ([user(), assistant(call(), result()), user(result())], "messages.1: `tool_result` blocks can only be in `user` messages"),
    ],
)
@pytest.mark.parametrize("model", [OLD, NEW])
def test_what_is_no_pair(client, messages, message, model):
    assert refused(client, *messages, model=model) == message


def test_calls_and_results_need_tools(client):
    message = refused(client, user(), assistant(call()), user(result()), tools=[])
    assert message == "Requests which include `tool_use` or `tool_result` blocks must define tools."


def test_the_count_of_tokens_refuses_what_the_call_would(client):
    with pytest.raises(anthropic.BadRequestError, match=re.escape(ORPHANED.format("toolu_a"))):
        client.messages.count_tokens(model=OLD, messages=[user(result())], tools=[TOOL])


THINKING = {"type": "enabled", "budget_tokens": 1024}


def test_a_model_that_thinks_by_a_budget_wants_its_thoughts_back(client):
    thought = {"type": "thinking", "thinking": "", "signature": "c2lnbmVk"}
    assert ask(client, user(), assistant(thought, call()), user(result()), thinking=THINKING).content
    assert ask(client, user(), assistant(call()), user(result()), assistant(text()), user(), thinking=THINKING).content
    for messages, place in (([user(), assistant(call()), user(result())], "1"), ([user(), assistant(text("{"))], "1")):
        message = refused(client, *messages, thinking=THINKING)
        assert message.startswith(f"messages.{place}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `")
        assert "a final `assistant` message must start with a thinking block" in message
