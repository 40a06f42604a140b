"""Conversations and compaction through OpenAI's SDK: what is kept under a name, and what becomes of it in fewer tokens."""

import httpx2
import openai
import pytest
from openai import OpenAI

from helpers.gateway.dialects.openai import response_conversations
from tests.gateway.dialects.openai.samples import HELLO, HELLO_ANSWER

MODEL = "gpt-6-luna"
USER = {"role": "user", "content": HELLO}


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


def texts(client, id):
    items = client.conversations.items.list(id, order="asc")
    return [(item.role, item.content[0].text) if item.type == "message" else item.type for item in items]


# ---- conversations -----------------------------------------------------------
def test_a_conversation_is_made_changed_and_deleted(client):
    made = client.conversations.create(metadata={"topic": "a"})
    assert made.id.startswith("conv_") and len(made.id) == 53 and (made.object, made.metadata) == ("conversation", {"topic": "a"})
    assert client.conversations.retrieve(made.id) == made
    assert client.conversations.update(made.id, metadata={"topic": "b"}).metadata == {"topic": "b"}
    gone = client.conversations.delete(made.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "conversation.deleted", True)
    with pytest.raises(openai.NotFoundError, match=f"Conversation with id '{made.id}' not found"):
        client.conversations.retrieve(made.id)


def test_its_items_are_added_listed_and_deleted(client):
    made = client.conversations.create(items=[USER])
    added = client.conversations.items.create(made.id, items=[{"role": "assistant", "content": "Hi."}, {"role": "user", "content": "And now?"}])
    assert [item.content[0].text for item in added.data] == ["Hi.", "And now?"]
    assert texts(client, made.id) == [("user", HELLO), ("assistant", "Hi."), ("user", "And now?")]
    first = added.data[0]
    assert client.conversations.items.retrieve(first.id, conversation_id=made.id) == first
    assert client.conversations.items.delete(first.id, conversation_id=made.id).id == made.id
    assert texts(client, made.id) == [("user", HELLO), ("user", "And now?")]
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.retrieve(first.id, conversation_id=made.id)


@pytest.mark.parametrize("way", ["plain", "stream", "background"])
def test_a_response_adds_what_was_said(client, way):
    made = client.conversations.create()
    more = {} if way == "plain" else {"stream": True, "background": way == "background"}
    answer = client.responses.create(model=MODEL, input=HELLO, conversation=made.id, **more)
    answer = answer if way == "plain" else list(answer)[-1].response
    assert answer.conversation.id == made.id
    assert texts(client, made.id) == [("user", HELLO), "reasoning", ("assistant", HELLO_ANSWER)]
    after = client.responses.create(model=MODEL, input="And now?", conversation={"id": made.id})
    assert after.usage.input_tokens > answer.usage.input_tokens + 5
    assert len(texts(client, made.id)) == 6


def test_a_call_waits_for_its_output_in_a_conversation(client):
    made = client.conversations.create(items=[USER, {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{}"}])
    with pytest.raises(openai.BadRequestError, match="No tool output found for function call call_1"):
        client.responses.create(model=MODEL, input="And now?", conversation=made.id)
    output = {"type": "function_call_output", "call_id": "call_1", "output": "3"}
    assert client.responses.create(model=MODEL, input=[output], conversation=made.id, max_output_tokens=16).output


@pytest.mark.parametrize(
    ("body", "param"),
    [({"items": 5}, "items"), ({"items": [USER] * 21}, "items"), ({"items": [{"role": "king"}]}, "items[0].role"), ({"colour": "red"}, "colour"), ({"metadata": 5}, "metadata")],
)
def test_what_no_conversation_can_be_made_of_is_refused(client, body, param):
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/conversations", body=body, cast_to=object)
    assert caught.value.param == param


def test_a_response_goes_on_from_one_place(client):
    made = client.conversations.create()
    first = client.responses.create(model=MODEL, input=HELLO)
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, input=HELLO, conversation=made.id, previous_response_id=first.id)
    assert caught.value.code == "mutually_exclusive_parameters"
    for unknown in ("conv_none", {"id": "conv_none"}, {}, 5):
        with pytest.raises(openai.NotFoundError):
            client.responses.create(model=MODEL, input=HELLO, conversation=unknown)


# ---- compaction --------------------------------------------------------------
LONG = [USER, {"role": "assistant", "content": "Well. " * 900}, {"role": "user", "content": "And 3 + 3?"}]


def test_a_compaction_keeps_what_users_said_and_a_summary(client, gateway):
    made = client.responses.compact(model="gpt-4o", input=LONG, instructions="Be brief.")
    assert (made.object, [item.type for item in made.output]) == ("response.compaction", ["message", "message", "compaction"])
    assert [item.content[0].text for item in made.output[:2]] == [HELLO, "And 3 + 3?"]
    assert made.output[2].id.startswith("cmp_") and made.output[2].encrypted_content.startswith("gAAAAAB")
    assert gateway.meter.log()[-1].usage.output_tokens == made.usage.output_tokens > 0


def test_what_goes_on_from_a_compaction_has_less_to_read(client):
    made = client.responses.compact(model="gpt-4o", input=LONG)
    items = [item.to_dict() for item in made.output]
    ask = {"role": "user", "content": "And now?"}
    short = client.responses.create(model="gpt-4o", input=[*items, ask], max_output_tokens=16)
    whole = client.responses.create(model="gpt-4o", input=[*LONG, ask], max_output_tokens=16)
    bare = client.responses.create(model="gpt-4o", input=[*items[:-1], ask], max_output_tokens=16)
    assert bare.usage.input_tokens < short.usage.input_tokens < whole.usage.input_tokens


def test_a_stored_response_is_compacted_by_its_name(client):
    first = client.responses.create(model="gpt-4o", input=HELLO)
    made = client.responses.compact(model="gpt-4o", input=[], previous_response_id=first.id)
    assert [item.type for item in made.output] == ["message", "compaction"]


def test_what_was_not_made_here_is_no_compaction(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="gpt-4o", input=[USER, {"type": "compaction", "encrypted_content": "gAAAAABx", "id": "cmp_1"}])
    assert caught.value.code == "invalid_encrypted_content"


@pytest.mark.parametrize(("change", "param"), [({"model": None}, "model"), ({"colour": "red"}, "colour"), ({"input": 5}, "input"), ({"previous_response_id": "resp_1"}, "previous_response_id")])
def test_what_cannot_be_compacted_is_refused(client, change, param):
    body = {name: value for name, value in {"model": "gpt-4o", "input": HELLO, **change}.items() if value is not None}
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/responses/compact", body=body, cast_to=object)
    assert caught.value.param == param


def test_a_conversation_has_a_size_and_the_one_in_use_stays(client, monkeypatch):
    made = client.conversations.create()
    monkeypatch.setattr(response_conversations, "MOST_KEPT", 50_000)
    client.conversations.items.create(made.id, items=[{"role": "user", "content": "x" * 30_000}])
    for grow in (lambda text: client.conversations.items.create(made.id, items=[text]), lambda text: client.responses.create(model=MODEL, input=[text], conversation=made.id)):
        with pytest.raises(openai.BadRequestError, match="conversations of at most 50,000 bytes"):
            grow({"role": "user", "content": "y" * 30_000})
    assert len(texts(client, made.id)) == 1


@pytest.mark.parametrize("content", [["x"], {}, 7, None, "x"])
def test_a_compaction_that_was_not_made_here_is_refused(client, content):
    item = {"type": "compaction", "encrypted_content": content}
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model=MODEL, input=[item, USER])
    with pytest.raises(openai.BadRequestError):
        client.conversations.create(items=[item])
