"""Why a prompt was not found in the cache, as Anthropic's SDK is told."""

import threading

import pytest

from helpers.gateway import tokens
from tests.gateway.dialects.anthropic.samples import HELLO, LONG, THINKS, TOOL, ask, user

SYSTEM = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
OTHER_TOOL = {**TOOL, "name": "another"}


def reason(client, before, content=HELLO, **more):
    """What the diagnosis of a call says, None where nothing differs."""
    found = ask(client, content, diagnostics={"previous_message_id": before}, **more).diagnostics
    return found and found.cache_miss_reason


@pytest.fixture
def before(client):
    message = ask(client, system=SYSTEM, tools=[TOOL, OTHER_TOOL], diagnostics={"previous_message_id": None})
    assert message.diagnostics is None
    return message.id


def test_the_same_prompt_and_one_that_goes_on_have_no_reason(client, before):
    assert reason(client, before, system=SYSTEM, tools=[TOOL, OTHER_TOOL]) is None
    turns = [*user(HELLO), {"role": "assistant", "content": "Hello."}, *user("Go on.")]
    given = {"model": THINKS, "max_tokens": 1000, "system": SYSTEM, "tools": [TOOL, OTHER_TOOL], "messages": turns}
    assert client.messages.create(**given, diagnostics={"previous_message_id": before}).diagnostics is None


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"model": "claude-opus-5-5"}, "model_changed"),
        ({"tools": [OTHER_TOOL, TOOL]}, "tools_changed"),
        ({"system": "Anew. " + LONG}, "system_changed"),
        ({"content": "Another question."}, "messages_changed"),
        ({"tool_choice": {"type": "none"}}, "unavailable"),
    ],
)
def test_what_changed_is_named(client, before, changed, kind):
    found = reason(client, before, **{"system": SYSTEM, "tools": [TOOL, OTHER_TOOL], **changed})
    assert found.type == kind
    assert kind == "unavailable" or 0 < found.cache_missed_input_tokens


def test_a_change_late_in_the_prompt_misses_little(client, before):
    late = reason(client, before, "Another question.", system=SYSTEM, tools=[TOOL, OTHER_TOOL])
    early = reason(client, before, system=SYSTEM, tools=[OTHER_TOOL, TOOL])
    assert late.cache_missed_input_tokens < 30 < early.cache_missed_input_tokens


def test_a_call_that_did_not_ask_for_it_leaves_nothing_to_compare_with(client, gateway, before):
    silent = ask(client, system=SYSTEM)
    assert silent.diagnostics is None
    assert reason(client, silent.id, system=SYSTEM).type == "previous_message_not_found"
    gateway.reset()
    assert reason(client, before, system=SYSTEM).type == "previous_message_not_found"


def test_a_stream_says_it_where_it_starts(client, before):
    given = {"model": THINKS, "max_tokens": 1000, "messages": user(HELLO), "system": "Other.", "tools": [TOOL, OTHER_TOOL]}
    with client.messages.stream(**given, diagnostics={"previous_message_id": before}) as stream:
        started = next(event for event in stream if event.type == "message_start")
    assert started.message.diagnostics.cache_miss_reason.type == "system_changed"


def test_the_words_of_a_long_prompt_are_not_counted_where_others_wait(client, monkeypatch):
    """They take long, and the event loop serves everybody."""
    encode, where = tokens.encode, set()

    def watched(text):
        if len(text) > tokens.SLICE:
            where.add(threading.current_thread().name)
        return encode(text)

    monkeypatch.setattr(tokens, "encode", watched)
    long = "A server reads the whole prompt before it writes. " * 4000
    given = {"model": THINKS, "max_tokens": 50, "messages": user(long), "tools": [{**TOOL, "description": long}]}
    for _ in client.messages.create(**given, diagnostics={"previous_message_id": None}, stream=True):
        pass
    assert where and "llm-gateway" not in where
