"""OpenAI's stored chat completions through its own SDK: kept where `store` is true, listed, marked, deleted, bounded."""

import openai
import pytest
from openai import OpenAI

from helpers.gateway.bounded import Bounded, weight
from helpers.gateway.dialects.openai.stored import StoredChats
from tests.gateway.dialects.openai.samples import HELLO, HELLO_ANSWER, PIXEL, user

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


def chat(client, model="gpt-4o", **more):
    return client.chat.completions.create(**{"model": model, "messages": user(HELLO), "store": True, **more})


def test_a_completion_is_kept_where_that_is_asked_for(client):
    kept, other = chat(client, temperature=0.2, metadata={"a": "b"}), chat(client, store=False)
    found = client.chat.completions.retrieve(kept.id)
    assert (found.choices, found.usage, found.created, found.model) == (kept.choices, kept.usage, kept.created, kept.model)
    assert found.to_dict()["metadata"] == {"a": "b"} and found.to_dict()["temperature"] == 0.2
    for id in (other.id, "chatcmpl-none"):
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.retrieve(id)
        assert caught.value.type == "invalid_request_error" and id in caught.value.message


def test_a_streamed_completion_is_kept_when_it_has_ended(client):
    *_, last = chat(client, stream=True)
    found = client.chat.completions.retrieve(last.id)
    assert found.object == "chat.completion" and found.choices[0].message.content == HELLO_ANSWER and found.created == last.created


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_is_kept_under_its_id(client, stream):
    answer = chat(client, tools=[TOOL], tool_choice="required", stream=stream)
    if stream:
        chunks = list(answer)
        id, called = chunks[0].id, next(chunk.choices[0].delta.tool_calls[0].id for chunk in chunks if chunk.choices[0].delta.tool_calls)
    else:
        id, called = answer.id, answer.choices[0].message.tool_calls[0].id
    assert client.chat.completions.retrieve(id).choices[0].message.tool_calls[0].id == called


def test_the_list_has_pages_and_filters(client):
    first, second, third = chat(client, metadata={"team": "a"}), chat(client, "gpt-6-luna", metadata={"team": "a"}), chat(client)
    ids = [first.id, second.id, third.id]
    assert [one.id for one in client.chat.completions.list()] == ids
    assert [one.id for one in client.chat.completions.list(order="desc", limit=1)] == ids[::-1], "page after page"
    page = client.chat.completions.list(limit=2)
    assert [one.id for one in page.data] == ids[:2] and page.has_more
    assert [one.id for one in client.chat.completions.list(after=ids[1])] == ids[2:]
    assert [one.id for one in client.chat.completions.list(metadata={"team": "a"})] == ids[:2]
    assert [one.id for one in client.chat.completions.list(metadata={"team": "a", "x": "y"})] == []
    for name in ("gpt-4o", "gpt-4o-2024-08-06"):
        assert [one.id for one in client.chat.completions.list(model=name)] == [ids[0], ids[2]]


@pytest.mark.parametrize(
    ("wrong", "code"), [({"limit": 101}, "integer_above_max_value"), ({"limit": -1}, "integer_below_min_value"), ({"limit": "--5"}, "invalid_type"), ({"order": "up"}, "invalid_value"), ({"after": "none"}, None)]
)
def test_a_list_that_is_asked_wrongly_is_refused(client, wrong, code):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.list(**wrong)
    assert (caught.value.code, caught.value.param) == (code, next(iter(wrong)))


def test_metadata_are_replaced_and_nothing_else(client):
    kept = chat(client, metadata={"a": "b"})
    assert client.chat.completions.update(kept.id, metadata={"foo": "bar"}).to_dict()["metadata"] == {"foo": "bar"}
    assert client.chat.completions.list(metadata={"foo": "bar"}).data[0].choices == kept.choices
    assert client.chat.completions.update(kept.id, metadata=None).to_dict()["metadata"] == {}
    for wrong, code in (({"metadata": {"a": 1}}, "invalid_type"), ({}, "missing_required_parameter"), ({"metadata": {}, "model": "x"}, "unknown_parameter")):
        with pytest.raises(openai.BadRequestError) as caught:
            client.post(f"/chat/completions/{kept.id}", body=wrong, cast_to=object)
        assert caught.value.code == code
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.update("chatcmpl-none", metadata={})


def test_the_messages_that_were_asked_are_listed(client):
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    kept = chat(client, messages=[{"role": "developer", "content": "Be short."}, {"role": "user", "content": parts, "name": "Ada"}])
    first, second = client.chat.completions.messages.list(kept.id)
    assert (first.id, first.role, first.content, first.content_parts) == (f"{kept.id}-0", "developer", "Be short.", None)
    assert (second.id, second.content, len(second.content_parts), second.to_dict()["name"]) == (f"{kept.id}-1", None, 2, "Ada")
    assert [one.id for one in client.chat.completions.messages.list(kept.id, order="desc", limit=1)] == [second.id, first.id]
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.messages.list("chatcmpl-none")


def test_what_is_deleted_is_gone(client, gateway):
    kept = chat(client)
    gone = client.chat.completions.delete(kept.id)
    assert (gone.deleted, gone.id, gone.object) == (True, kept.id, "chat.completion.deleted")
    for act in (client.chat.completions.retrieve, client.chat.completions.delete):
        with pytest.raises(openai.NotFoundError):
            act(kept.id)
    again = chat(client)
    gateway.reset()
    assert client.chat.completions.list().data == [] and again.id


def test_the_oldest_go_when_there_are_too_many(monkeypatch):
    store = StoredChats(None)
    monkeypatch.setattr(store, "_kept", Bounded(100_000, lambda _, kept: weight(kept)))
    question = type("Question", (), {"echo": {"messages": user("x" * 40_000), "model": "gpt-4o"}})
    for number in range(5):
        store.keep(question, {"id": str(number), "model": "gpt-4o"})
    assert list(store._kept) == ["3", "4"] and store._kept.held <= 100_000
