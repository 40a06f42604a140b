"""Anthropic's messages, streams, counts and prompt caching through its own SDK."""

import re
from itertools import groupby

import anthropic
import pytest

from tests.gateway.dialects.anthropic.samples import HELLO, HELLO_ANSWER, LONG, PLAIN, THINKS, ask, user

HELLO_THINKING = 32


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def test_message_that_thinks_by_default(client):
    message = ask(client)
    thought, said = message.content
    assert (thought.type, thought.thinking, said.text) == ("thinking", "", HELLO_ANSWER) and thought.signature
    assert (message.model, message.role, message.stop_reason, message.stop_sequence) == (THINKS, "assistant", "end_turn", None)
    assert re.fullmatch(r"msg_01[A-Za-z0-9]{22}", message.id)
    used = message.usage
    assert used.output_tokens_details.thinking_tokens == HELLO_THINKING < used.output_tokens
    assert (used.cache_read_input_tokens, used.cache_creation_input_tokens, used.service_tier) == (0, 0, "standard")


def test_older_model_thinks_only_when_asked(client):
    message = ask(client, model=PLAIN)
    assert [block.type for block in message.content] == ["text"] and message.model == "claude-haiku-4-5-20251001"
    asked = ask(client, model=PLAIN, max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024})
    assert [block.type for block in asked.content] == ["thinking", "text"]
    assert asked.usage.output_tokens == message.usage.output_tokens + HELLO_THINKING


@pytest.mark.parametrize(
    ("options", "thinking"),
    [({"thinking": {"type": "disabled"}}, 0), ({"output_config": {"effort": "high"}}, 2 * HELLO_THINKING)],
)
def test_thinking_can_be_turned_off_or_up(client, options, thinking):
    message = ask(client, **options)
    assert message.usage.output_tokens_details.thinking_tokens == thinking
    assert [block.type for block in message.content] == (["thinking", "text"] if thinking else ["text"])


def test_thinking_blocks_can_be_sent_back(client):
    first = ask(client)
    turns = [*user(HELLO), {"role": "assistant", "content": first.content}, *user("And goodbye.")]
    assert client.messages.create(model=THINKS, max_tokens=1000, messages=turns).usage.input_tokens > first.usage.input_tokens


def test_system_as_string_and_as_blocks_are_the_same(client, gateway):
    text = "Answer in at most eight words."
    plain = ask(client, "What is a list comprehension?", system=text)
    gateway.in_loop(gateway.house.forget)  # else it would draw another answer
    blocks = ask(client, "What is a list comprehension?", system=[{"type": "text", "text": text}])
    assert text_of(plain) == text_of(blocks) and plain.usage.input_tokens == blocks.usage.input_tokens
    assert plain.usage.input_tokens > ask(client, "What is a list comprehension?").usage.input_tokens


def test_stop_sequence_is_cut_and_named(client):
    message = ask(client, stop_sequences=["never said", ", lovely"])
    assert (text_of(message), message.stop_reason, message.stop_sequence) == ("Hello there", "stop_sequence", ", lovely")


def test_truncation(client):
    message = ask(client, model=PLAIN, max_tokens=3)
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 3) and text_of(message)


def test_thinking_can_eat_the_whole_budget(client):
    message = ask(client, max_tokens=20)
    assert ([block.type for block in message.content], message.stop_reason) == (["thinking"], "max_tokens")
    assert message.usage.output_tokens == message.usage.output_tokens_details.thinking_tokens == 20


def test_images(client):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    assert ask(client, [{"type": "text", "text": HELLO}, image]).usage.input_tokens > ask(client).usage.input_tokens + 250


@pytest.mark.parametrize("model", [THINKS, PLAIN])
def test_stream_events(client, model):
    events = list(ask(client, model=model, stream=True))
    thought = ["content_block_start", "content_block_delta", "content_block_stop"] if model == THINKS else []
    said = ["content_block_start", "content_block_delta", "content_block_stop"]
    assert [kind for kind, _ in groupby(e.type for e in events)] == ["message_start", *thought, *said, "message_delta", "message_stop"]
    assert "".join(e.delta.text for e in events if e.type == "content_block_delta" and e.delta.type == "text_delta") == HELLO_ANSWER
    started, last, plain = events[0].message.usage, events[-2], ask(client, model=model).usage
    assert started.input_tokens == last.usage.input_tokens == plain.input_tokens, "the input counts are repeated"
    assert started.output_tokens == 1 and last.usage.output_tokens == plain.output_tokens, "and the output count is cumulative"
    assert last.delta.stop_reason == "end_turn"


@pytest.mark.parametrize("model", [THINKS, PLAIN])
def test_stream_on_the_wire(client, model):
    raw = client.messages.with_raw_response.create(model=model, max_tokens=1000, messages=user(HELLO), stream=True)
    assert raw.headers["content-type"].startswith("text/event-stream")
    frames = raw.http_response.read().decode().strip().split("\n\n")
    names = [frame.splitlines()[0] for frame in frames]
    assert names[:3] == ["event: message_start", "event: content_block_start", "event: ping"] and names.count("event: ping") == 1
    assert frames[2] == 'event: ping\ndata: {"type": "ping"}' and "[DONE]" not in frames[-1]
    assert any(re.search(r" +}$", frame) for frame in frames), "real streams pad their JSON"


@pytest.mark.parametrize("options", [{}, {"max_tokens": 20}, {"max_tokens": 35}, {"model": PLAIN}])
def test_stream_helper_gives_the_same_message(client, options):
    more = {"model": THINKS, "max_tokens": 1000, **options}
    with client.messages.stream(messages=user(HELLO), **more) as stream:
        assert "".join(stream.text_stream) == text_of(ask(client, **options))
        message = stream.get_final_message()
    plain = ask(client, **options)
    assert (message.stop_reason, [b.type for b in message.content]) == (plain.stop_reason, [b.type for b in plain.content])
    assert message.usage.output_tokens == plain.usage.output_tokens


TOOL = {"name": "look", "description": "Look something up.", "input_schema": {"type": "object", "properties": {"what": {"type": "string"}}}}


@pytest.mark.parametrize("more", [{}, {"system": "Be brief."}, {"tools": [TOOL]}, {"model": PLAIN}])
def test_count_tokens_is_what_a_call_is_charged_for(client, more):
    more = {"model": THINKS, "messages": user(HELLO), **more}
    raw = client.messages.with_raw_response.count_tokens(**more)
    assert raw.parse().input_tokens == client.messages.create(max_tokens=1000, **more).usage.input_tokens
    assert not any(name.startswith("anthropic-ratelimit") for name in raw.headers)


def test_newer_tokenizer_makes_more_tokens(client):
    newer, older = (client.messages.count_tokens(model=model, messages=user(LONG)).input_tokens for model in (THINKS, PLAIN))
    assert newer == pytest.approx(1.3 * older, rel=0.01)


def block(text=LONG, ttl=None):
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral", **({"ttl": ttl} if ttl else {})}}


def counts(message):
    used = message.usage
    return used.input_tokens, used.cache_creation_input_tokens, used.cache_read_input_tokens


def test_cache_is_written_then_read_and_the_counters_are_disjoint(client, gateway):
    total = client.messages.count_tokens(model=THINKS, messages=user(HELLO), system=[block()]).input_tokens
    rest, written, read = counts(ask(client, system=[block()]))
    assert read == 0 < rest < 30 and rest + written == total
    assert counts(ask(client, system=[block()])) == (rest, 0, written)
    assert counts(ask(client, "Another question.", system=[block()]))[1:] == (0, written)
    gateway.advance(minutes=4)
    assert counts(ask(client, system=[block()]))[2] == written, "a read renews"
    gateway.advance(minutes=4)
    assert counts(ask(client, system=[block()]))[2] == written
    gateway.advance(minutes=6)
    assert counts(ask(client, system=[block()])) == (rest, written, 0)


def test_cache_for_an_hour(client, gateway):
    used = ask(client, system=[block(ttl="1h")]).usage
    assert used.cache_creation.ephemeral_1h_input_tokens == used.cache_creation_input_tokens > 0
    assert used.cache_creation.ephemeral_5m_input_tokens == 0
    gateway.advance(minutes=59)
    assert ask(client, system=[block(ttl="1h")]).usage.cache_read_input_tokens == used.cache_creation_input_tokens
    gateway.advance(minutes=61)
    assert ask(client, system=[block(ttl="1h")]).usage.cache_read_input_tokens == 0


@pytest.mark.parametrize(("model", "text"), [(THINKS, "Too short to be kept. "), (PLAIN, LONG)])
def test_too_short_is_silently_not_cached(client, model, text):
    for _ in range(2):
        assert counts(ask(client, model=model, system=[block(text)]))[1:] == (0, 0)


def test_second_breakpoint_writes_only_what_is_new(client):
    _, first, _ = counts(ask(client, system=[block()]))
    _, more, read = counts(ask(client, [block("Some more. " * 100)], system=[block()]))
    assert read == first and 0 < more < first


def test_changed_beginning_is_written_anew(client):
    _, written, _ = counts(ask(client, system=[block()]))
    assert counts(ask(client, system=[block("First. " + LONG)]))[2] == 0
    assert counts(ask(client, system=[block()], tools=[TOOL]))[2] == 0, "tools come before the system prompt"
    assert counts(ask(client, system=[block()]))[2] == written


def test_automatic_caching_moves_with_the_conversation(client):
    auto = {"cache_control": {"type": "ephemeral"}}
    _, written, read = counts(ask(client, LONG, **auto))
    assert written > 0 == read
    turns = [*user(LONG), {"role": "assistant", "content": "I see."}, *user("Go on, please.")]
    _, more, again = counts(client.messages.create(model=THINKS, max_tokens=1000, messages=turns, **auto))
    assert again == written and 0 < more < 30


def test_a_mark_for_an_hour_on_what_is_kept_for_five_minutes_makes_no_hour_of_them(client, gateway):
    _, written, _ = counts(ask(client, system=[block()]))
    assert counts(ask(client, system=[block(ttl="1h")]))[1:] == (0, written)
    gateway.advance(minutes=6)
    assert counts(ask(client, system=[block(ttl="1h")]))[1:] == (written, 0)


def test_what_stands_around_the_turns_of_a_conversation_is_kept_with_them(client):
    turns, rests = user(LONG), []
    for said in ("Why?", "How?", "When?"):
        auto = client.messages.create(model=THINKS, max_tokens=1000, messages=turns, cache_control={"type": "ephemeral"})
        rests.append(auto.usage.input_tokens)
        turns = [*turns, {"role": "assistant", "content": "I see."}, *user(said)]
    assert max(rests) - min(rests) <= 1


def test_a_mark_on_the_last_tool_keeps_the_tools_when_the_system_prompt_changes(client):
    tools = [{**TOOL, "description": LONG, "cache_control": {"type": "ephemeral"}}]
    _, written, _ = counts(ask(client, system="Be brief.", tools=tools))
    assert written > 512
    assert counts(ask(client, system="Be long.", tools=tools))[1:] == (0, written)


def test_an_entry_is_found_up_to_twenty_blocks_before_a_mark(client):
    def grown(more):
        return ask(client, [{"type": "text", "text": LONG}, *({"type": "text", "text": f"Part {n}."} for n in range(more)), block("The end.")])

    ask(client, [block()])
    assert counts(grown(18))[2] > 0, "the mark is the first of twenty"
    ask(client, [block("Anew. " + LONG)])
    said = [{"type": "text", "text": "Anew. " + LONG}, *({"type": "text", "text": f"Part {n}."} for n in range(19)), block("The end.")]
    assert counts(ask(client, said))[2] == 0


def test_five_breakpoints_are_too_many(client):
    with pytest.raises(anthropic.BadRequestError, match="maximum of 4 blocks"):
        ask(client, [block("one") for _ in range(5)])


def test_cached_input_does_not_count_for_the_limit(client, still):
    def left():
        raw = client.messages.with_raw_response.create(model=THINKS, max_tokens=1000, messages=user(HELLO), system=[block(LONG * 5)])
        return int(raw.headers["anthropic-ratelimit-input-tokens-remaining"]), counts(raw.parse())[1]

    (first, written), (second, _) = left(), left()
    assert first <= 2_000_000 - written and second >= first - 1000


def test_marks_on_tools_and_the_one_at_the_top_count_too(client):
    tools = [{"name": "look", "input_schema": {"type": "object", "properties": {}}, "cache_control": {"type": "ephemeral"}}]
    said = [{"role": "user", "content": [block(f"Part {number}") for number in range(3)]}]
    assert client.messages.create(model="claude-haiku-5-5", max_tokens=5, messages=said, tools=tools).content
    with pytest.raises(anthropic.BadRequestError, match="A maximum of 4 blocks with cache_control may be provided. Found 5."):
        client.messages.create(model="claude-haiku-5-5", max_tokens=5, messages=said, tools=tools, cache_control={"type": "ephemeral"})


def test_a_mark_for_an_hour_after_one_for_five_minutes(client):
    system, said = [block("Be kind.")], [{"role": "user", "content": [block("Hello", ttl="1h")]}]
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(model="claude-haiku-5-5", max_tokens=5, system=system, messages=said)
    assert caught.value.body["error"]["message"] == (
        "messages.0.content.0.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. "
        "Note that blocks are processed in the following order: `tools`, `system`, `messages`."
    )
    system[0]["cache_control"]["ttl"], said[0]["content"][0]["cache_control"]["ttl"] = "1h", "5m"
    assert client.messages.create(model="claude-haiku-5-5", max_tokens=5, system=system, messages=said).content
