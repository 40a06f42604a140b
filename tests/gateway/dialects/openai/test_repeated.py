"""What comes again byte for byte is read once, and is answered each time by what the gateway is like then."""

import pytest
from openai import NotFoundError, OpenAI

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
