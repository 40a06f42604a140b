"""What comes again byte for byte is read once, and is answered each time by what the gateway is like then."""

import json

import pytest
from openai import NotFoundError, OpenAI

from helpers.gateway.bounded import weight
from helpers.gateway.dialects import remembered
from helpers.gateway.wire import Call

HELLO = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Say hello in five words."}]}


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


def test_a_filter_that_stops_one_question_does_not_stop_it_again(client, gateway):
    gateway.fault("blocked", "openai")
    finishes = [client.chat.completions.create(**HELLO).choices[0].finish_reason for _ in range(3)]
    assert finishes == ["content_filter", "stop", "stop"]


def test_a_filter_may_stop_a_question_that_was_answered_before(client, gateway):
    client.chat.completions.create(**HELLO)
    gateway.fault("blocked", "openai")
    assert client.chat.completions.create(**HELLO).choices[0].finish_reason == "content_filter"


def test_a_model_that_has_ended_meanwhile_answers_no_more(client, gateway):
    asked = {**HELLO, "model": "gpt-5-mini"}
    client.chat.completions.create(**asked)
    gateway.advance(hours=24 * 60)
    with pytest.raises(NotFoundError, match="gpt-5-mini"):
        client.chat.completions.create(**asked)


def test_one_that_came_before_gets_an_answer_of_its_own(client, gateway):
    one, other = [client.chat.completions.create(**HELLO) for _ in range(2)]
    assert one.id != other.id
    assert [entry.usage.output_tokens for entry in gateway.log()] == [one.usage.completion_tokens, other.usage.completion_tokens]


def test_a_stream_and_a_whole_answer_to_the_same_words_stay_what_they_are(client):
    for _ in range(2):
        whole = client.chat.completions.create(**HELLO)
        pieces = [chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**HELLO, stream=True)]
        assert "".join(pieces) == whole.choices[0].message.content


def test_what_is_stored_of_one_is_not_changed_with_the_other(client):
    one, other = [client.chat.completions.create(**HELLO, store=True, metadata={"turn": "first"}) for _ in range(2)]
    client.chat.completions.update(one.id, metadata={"turn": "changed"})
    kept = [client.chat.completions.retrieve(each.id).metadata for each in (one, other)]
    assert kept == [{"turn": "changed"}, {"turn": "first"}]


FUNCTIONS = [{"type": "function", "function": {"name": f"f{n}", "parameters": {"type": "object", "properties": {}}}} for n in range(70)]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "many", "schema": {"type": "object", "properties": {str(n): {} for n in range(800)}}}}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"messages": [{"role": "user", "content": ""}] * 250},
        {"messages": [{"role": "user", "content": "word " * 1500}]},
        {"model": "gpt-4o-mini", "logit_bias": {str(n): 1 for n in range(900)}},
        {"tools": FUNCTIONS, "reasoning_effort": "none"},
        {"response_format": SCHEMA},
    ],
    ids=["short", "turns", "words", "bias", "tools", "schema"],
)
def test_a_question_takes_no_more_than_it_is_counted_as(gateway, more):
    body = json.dumps({**HELLO, **more}, separators=(",", ":")).encode()
    assert len(body) <= remembered.LONGEST
    dialect, routes = next((dialect, routes) for dialect, routes in gateway._dialects if dialect.mount == "/openai")
    read = next(route.read for route in routes if route.operation == "chat")
    question = read(Call("POST", "/v1/chat/completions", {}, {}, body, "/openai", gateway, {}))
    assert len(body) + weight({name: value for name, value in vars(question).items() if name != "model"}) <= remembered.held(body)
