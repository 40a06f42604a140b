"""Items of a Responses input that are named by their ids, as Vercel's AI SDK sends what is stored."""

import openai
import pytest
from openai import OpenAI

from tests.gateway.dialects.openai.samples import HELLO, HELLO_ANSWER

MODEL = "gpt-6-luna"
USER, NEXT = {"role": "user", "content": HELLO}, {"role": "user", "content": "And now?"}
ADD = {"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}}}
LOST = " Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input."


@pytest.fixture
def openai_client(gateway):
    return OpenAI(max_retries=0)


def reference(item):
    return {"type": "item_reference", "id": item.id}


def listed(client, id):
    return [(item.id, item.type) for item in client.responses.input_items.list(id, order="asc")]


@pytest.mark.parametrize("stream", [False, True])
def test_a_reference_stands_for_the_item_that_is_stored(client, stream):
    first = client.responses.create(model=MODEL, input=[USER], stream=stream)
    first = list(first)[-1].response if stream else first
    named = client.responses.create(model=MODEL, input=[USER, *map(reference, first.output), NEXT], max_output_tokens=16)
    inline = client.responses.create(model=MODEL, input=[USER, *first.output, NEXT], max_output_tokens=16)
    assert named.usage.input_tokens == inline.usage.input_tokens > first.usage.input_tokens + 5
    assert listed(client, named.id)[1:3] == [(item.id, item.type) for item in first.output]


def test_what_was_put_in_can_be_named_too(client):
    first = client.responses.create(model=MODEL, input=[USER])
    [put_in] = client.responses.input_items.list(first.id).data
    again = client.responses.create(model=MODEL, input=[reference(put_in)])
    assert again.output_text == HELLO_ANSWER and again.usage.input_tokens == first.usage.input_tokens


@pytest.mark.parametrize("kind", [{}, {"type": None}])
def test_an_id_alone_is_a_reference(client, kind):
    [put_in] = client.responses.input_items.list(client.responses.create(model=MODEL, input=[USER]).id).data
    assert client.responses.create(model=MODEL, input=[{**kind, "id": put_in.id}]).output_text == HELLO_ANSWER


def test_a_call_is_answered_by_its_id(client):
    first = client.responses.create(model=MODEL, input=[USER], tools=[ADD], tool_choice="required", max_output_tokens=200)
    done = {"type": "function_call_output", "call_id": first.output[-1].call_id, "output": "3"}
    assert client.responses.create(model=MODEL, input=[USER, *map(reference, first.output), done], max_output_tokens=16).output
    with pytest.raises(openai.BadRequestError, match="No tool output found"):
        client.responses.create(model=MODEL, input=[USER, *map(reference, first.output)], max_output_tokens=16)


def test_a_thought_may_be_named_and_its_call_repeated_without_its_id(client):
    """As Vercel's AI SDK 7 goes on after a call (tests/programs/javascript/ai-sdk.mjs)."""
    first = client.responses.create(model=MODEL, input=[USER], tools=[ADD], tool_choice="required", max_output_tokens=200)
    thought, made = first.output
    call = {"type": "function_call", "call_id": made.call_id, "name": made.name, "arguments": made.arguments}
    done = {"type": "function_call_output", "call_id": made.call_id, "output": "3"}
    assert client.responses.create(model=MODEL, input=[USER, reference(thought), call, done], max_output_tokens=16).output


def test_tokens_are_counted_of_what_is_named(client):
    first = client.responses.create(model=MODEL, input=[{"role": "user", "content": "word " * 500}], max_output_tokens=16)
    [put_in] = client.responses.input_items.list(first.id).data
    assert client.responses.input_tokens.count(model=MODEL, input=[reference(put_in)]).input_tokens == first.usage.input_tokens > 500


def test_a_compaction_reads_what_is_named(openai_client):
    first = openai_client.responses.create(model="gpt-4o", input=[USER])
    made = openai_client.responses.compact(model="gpt-4o", input=[USER, *map(reference, first.output)])
    assert made.usage.input_tokens > first.usage.input_tokens + 5
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.compact(model="gpt-4o", input=[{"type": "item_reference", "id": "msg_none"}])


def test_items_of_a_conversation_can_be_named(openai_client):
    said = openai_client.conversations.create(items=[USER])
    [item] = openai_client.conversations.items.list(said.id).data
    assert openai_client.responses.create(model=MODEL, input=[reference(item)], store=False).output_text == HELLO_ANSWER
    other = openai_client.conversations.create(items=[reference(item)])
    assert openai_client.conversations.items.list(other.id).data == [item]
    with pytest.raises(openai.NotFoundError):
        openai_client.conversations.items.create(other.id, items=[{"type": "item_reference", "id": "msg_none"}])
    with pytest.raises(openai.BadRequestError, match="Duplicate item found"):
        openai_client.conversations.items.create(other.id, items=[reference(item)])


# ---- what is not there -------------------------------------------------------
@pytest.mark.parametrize("call", ["create", "stream", "count"])
@pytest.mark.parametrize(("more", "tail"), [({}, ""), ({"store": True}, ""), ({"store": False}, LOST)])
def test_what_is_not_kept_is_not_found(client, call, more, tail):
    with pytest.raises(openai.NotFoundError) as caught:
        if call == "count":
            client.post("/responses/input_tokens", body={"model": MODEL, "input": [{"type": "item_reference", "id": "fc_none"}], **more}, cast_to=object)
        else:
            client.responses.create(model=MODEL, input=[USER, {"type": "item_reference", "id": "fc_none"}], stream=call == "stream", **more)
    assert caught.value.body == {"message": f"Item with id 'fc_none' not found.{tail}", "type": "invalid_request_error", "param": "input", "code": None}


def test_what_was_not_stored_or_is_deleted_is_gone(client):
    for made in (client.responses.create(model=MODEL, input=[USER], store=False), client.responses.create(model=MODEL, input=[USER])):
        if made.store:
            client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError, match=made.output[-1].id):
            client.responses.create(model=MODEL, input=[reference(made.output[-1])])


def test_a_thought_without_its_content_is_named_by_its_id(client):
    """So users of `store: false` were shown it: an id without the encrypted content is looked up."""
    made = client.responses.create(model=MODEL, input=[USER], store=False)
    bare = {"type": "reasoning", "id": made.output[0].id, "summary": [], "encrypted_content": None}
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model=MODEL, input=[USER, bare, NEXT], store=False)
    assert caught.value.body["message"] == f"Item with id '{made.output[0].id}' not found.{LOST}"
    assert client.responses.create(model=MODEL, input=[USER, made.output[0], NEXT], store=False, max_output_tokens=16).output
    kept = client.responses.create(model=MODEL, input=[USER])
    bare["id"] = kept.output[0].id
    assert client.responses.create(model=MODEL, input=[USER, bare, kept.output[-1], NEXT], max_output_tokens=16).output


def test_an_item_stands_once(client):
    first = client.responses.create(model=MODEL, input=[USER])
    [put_in] = client.responses.input_items.list(first.id).data
    twice = ({"input": [reference(put_in), reference(put_in)]}, {"input": [reference(put_in)], "previous_response_id": first.id}, {"input": [put_in.to_dict()] * 2})
    for body in twice:
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model=MODEL, **body)
        words = f"Duplicate item found with id {put_in.id}. Remove duplicate items from your input and try again."
        assert (caught.value.body["message"], caught.value.param, caught.value.code) == (words, "input", None)


@pytest.mark.parametrize(("item", "code", "param"), [({}, "missing_required_parameter", "input[0].id"), ({"id": None}, "missing_required_parameter", "input[0].id"), ({"id": 5}, "invalid_type", "input[0].id")])
def test_a_reference_without_an_id_is_refused(client, item, code, param):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, input=[{"type": "item_reference", **item}])
    assert (caught.value.code, caught.value.param) == (code, param)
