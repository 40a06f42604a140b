"""OpenAI's Responses API through its own SDK."""

import re
from itertools import groupby

import openai
import pytest
from openai import OpenAI

from tests.gateway.dialects.openai.samples import HELLO, HELLO_ANSWER, HELLO_THINKING


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


def test_response(client):
    answer = client.responses.create(model="gpt-6-luna", input=HELLO)
    assert (answer.output_text, answer.status) == (HELLO_ANSWER, "completed")
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert [re.fullmatch(r"[a-z]+_[0-9a-f]{48}", id) is not None for id in (answer.id, *(item.id for item in answer.output))] == [True] * 3
    assert answer.usage.output_tokens_details.reasoning_tokens == HELLO_THINKING < answer.usage.output_tokens


def test_response_stream(client):
    events = list(client.responses.create(model="gpt-6-luna", input=HELLO, stream=True))
    assert [kind for kind, _ in groupby(event.type.removeprefix("response.") for event in events)] == [
        "created",
        "in_progress",
        *("output_item.added", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done", "output_item.done"),
        "completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].response.status == "in_progress" and events[0].response.output == []
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == HELLO_ANSWER
    assert events[-1].response.output_text == HELLO_ANSWER and events[-1].response.id == events[0].response.id


def test_response_stream_helper(client):
    with client.responses.stream(model="gpt-6-luna", input=HELLO) as stream:
        assert stream.get_final_response().output_text == HELLO_ANSWER


@pytest.mark.parametrize("stream", [False, True])
def test_response_goes_on_from_another(client, stream):
    first = client.responses.create(model="gpt-6-luna", input=HELLO, instructions="Be brief.")
    more = {"model": "gpt-6-luna", "input": "And now goodbye.", "previous_response_id": first.id}
    second = list(client.responses.create(**more, stream=True))[-1].response if stream else client.responses.create(**more)
    alone = client.responses.create(model="gpt-6-luna", input="And now goodbye.")
    assert second.previous_response_id == first.id
    assert second.usage.input_tokens > alone.usage.input_tokens + first.usage.output_tokens - HELLO_THINKING - 1


def test_response_that_was_not_stored_cannot_be_continued(client):
    first = client.responses.create(model="gpt-6-luna", input=HELLO, store=False)
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="gpt-6-luna", input="And now goodbye.", previous_response_id=first.id)
    assert (caught.value.param, caught.value.code) == ("previous_response_id", "previous_response_not_found")


@pytest.mark.parametrize("stream", [False, True])
def test_a_stored_response_can_be_fetched_again_and_deleted(client, stream):
    asked = {"model": "gpt-6-luna", "input": HELLO, "metadata": {"chapter": "2"}}
    made = list(client.responses.create(**asked, stream=True))[-1].response if stream else client.responses.create(**asked)
    assert client.responses.retrieve(made.id, include=["reasoning.encrypted_content"]) == made
    assert client.responses.with_raw_response.delete(made.id).http_response.json() == {"id": made.id, "object": "response.deleted", "deleted": True}
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="gpt-6-luna", input="And now goodbye.", previous_response_id=made.id)


@pytest.mark.parametrize("act", ["retrieve", "delete"])
def test_a_response_that_is_not_stored_is_not_found(client, act):
    made = client.responses.create(model="gpt-6-luna", input=HELLO, store=False)
    with pytest.raises(openai.NotFoundError, match=f"Response with id '{made.id}' not found"):
        getattr(client.responses, act)(made.id)


def test_what_goes_on_from_a_deleted_response_keeps_what_was_said(client):
    first = client.responses.create(model="gpt-6-luna", input=HELLO)
    second = client.responses.create(model="gpt-6-luna", input="And now goodbye.", previous_response_id=first.id)
    client.responses.delete(first.id)
    third = client.responses.create(model="gpt-6-luna", input="Again?", previous_response_id=second.id)
    assert third.usage.input_tokens > second.usage.input_tokens


@pytest.mark.parametrize("limit", [16, 52])
def test_response_truncation(client, limit):
    answer = client.responses.create(model="gpt-6-luna", input=HELLO, max_output_tokens=limit)
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert answer.usage.output_tokens == limit
    assert bool(answer.output_text) is (limit > HELLO_THINKING)


def test_response_stream_truncation_ends_incomplete(client):
    events = list(client.responses.create(model="gpt-6-luna", input=HELLO, max_output_tokens=16, stream=True))
    assert events[-1].type == "response.incomplete"


def test_input_tokens_are_what_a_call_is_charged_for(client):
    counted = client.responses.input_tokens.count(model="gpt-6-luna", input=HELLO, instructions="Be brief.")
    answer = client.responses.create(model="gpt-6-luna", input=HELLO, instructions="Be brief.")
    assert counted.object == "response.input_tokens"
    assert counted.input_tokens == answer.usage.input_tokens


@pytest.mark.parametrize(
    "change",
    [{"input": None}, {"max_output_tokens": 1}, {"colour": "red"}, {"reasoning": {"effort": "huge"}}, {"temperature": 0.1}],
)
def test_bad_response_request(client, change):
    body = {name: value for name, value in {"model": "gpt-6-luna", "input": HELLO, **change}.items() if value is not None}
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/responses", body=body, cast_to=object)
    assert caught.value.param.startswith(next(iter(change)))


def test_a_stored_conversation_keeps_what_was_in_its_input_and_drops_its_instructions(gateway):
    client = openai.OpenAI()
    rules = {"role": "developer", "content": "Be brief. " * 100}
    said = [rules, {"role": "user", "content": "Hi"}]
    first = client.responses.create(model="gpt-6-luna", input=said, instructions="Be kind. " * 100, max_output_tokens=16)
    after = client.responses.create(model="gpt-6-luna", input="And now?", previous_response_id=first.id)
    assert 300 < after.usage.input_tokens < first.usage.input_tokens


def test_a_tool_choice_of_the_wrong_type_is_refused_by_responses(gateway):
    choice = {"type": "allowed_tools", "mode": "required", "tools": 5}
    with pytest.raises(openai.BadRequestError):
        openai.OpenAI().responses.create(model="gpt-4o-mini", input="Hi", tools=[{"type": "function", "name": "a", "parameters": {}}], tool_choice=choice)


def test_what_was_set_is_repeated(client):
    given = {"truncation": "auto", "max_tool_calls": 3, "safety_identifier": "learner-7", "user": "ada", "metadata": {"chapter": "2"}}
    answer = client.responses.create(model="gpt-6-luna", input=HELLO, **given).to_dict()
    assert {name: answer[name] for name in given} == given


def test_null_is_as_good_as_absent(client):
    answer = client.responses.create(model="gpt-4o", input=HELLO, temperature=None, top_p=None, truncation=None)
    assert (answer.temperature, answer.top_p, answer.truncation) == (1.0, 1.0, "disabled")


def test_an_input_that_is_too_long_names_the_parameter(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="gpt-4o-mini", input="hello " * 140_000)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")
