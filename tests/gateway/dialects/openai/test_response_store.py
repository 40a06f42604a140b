"""What can be done with a stored response: its input listed page by page, its end, and what there is to refuse."""

import openai
import pytest

from tests.gateway.dialects.openai.samples import HELLO, PIXEL

MODEL = "gpt-6-luna"
CALL = {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{}"}
DONE = {"type": "function_call_output", "call_id": "call_1", "output": "3"}


def test_what_was_put_in_is_listed(client):
    made = client.responses.create(model=MODEL, input=HELLO)
    page = client.responses.input_items.list(made.id)
    [item] = page.data
    assert (item.type, item.role, item.status, item.content[0].type, item.content[0].text) == ("message", "user", "completed", "input_text", HELLO)
    assert item.id.startswith("msg_") and (page.first_id, page.last_id, page.has_more) == (item.id, item.id, False)


def test_the_newest_item_comes_first_and_pages_go_on(client):
    said = [{"role": "user", "content": str(number)} for number in range(7)]
    made = client.responses.create(model=MODEL, input=said)
    assert [item.content[0].text for item in client.responses.input_items.list(made.id, limit=3)] == list("6543210")
    page = client.responses.input_items.list(made.id, limit=3, order="asc")
    assert [item.content[0].text for item in page.data] == list("012") and page.has_more
    assert [item.content[0].text for item in client.responses.input_items.list(made.id, order="asc", after=page.last_id).data] == list("3456")


def test_a_response_that_goes_on_lists_what_it_goes_on_from(client):
    first = client.responses.create(model=MODEL, input=HELLO)
    second = client.responses.create(model=MODEL, input="And now?", previous_response_id=first.id)
    assert [item.type for item in client.responses.input_items.list(second.id, order="asc")] == ["message", "reasoning", "message", "message"]


def test_calls_their_outputs_and_pictures_are_items(client):
    picture = {"role": "user", "content": [{"type": "input_image", "image_url": PIXEL}]}
    made = client.responses.create(model=MODEL, input=[picture, CALL, DONE])
    items = client.responses.input_items.list(made.id, order="asc").data
    assert [item.type for item in items] == ["message", "function_call", "function_call_output"]
    assert [item.id.split("_")[0] for item in items] == ["msg", "fc", "fc"]
    assert items[0].content[0].image_url is None
    shown = client.responses.input_items.list(made.id, order="asc", include=["message.input_image.image_url"]).data[0]
    assert shown.content[0].image_url == PIXEL


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": 0}, "integer_below_min_value"),
        ({"limit": "--5"}, "invalid_type"),
        ({"limit": 101}, "integer_above_max_value"),
        ({"limit": "many"}, "invalid_type"),
        ({"order": "up"}, "invalid_value"),
        ({"after": "msg_1"}, None),
    ],
)
def test_a_page_that_is_none_is_refused(client, query, code):
    made = client.responses.create(model=MODEL, input=HELLO)
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.input_items.list(made.id, **query)
    assert (caught.value.code, caught.value.param) == (code, next(iter(query)))


@pytest.mark.parametrize("act", ["retrieve", "delete", "cancel"])
def test_what_is_not_there_is_not_found(client, act):
    with pytest.raises(openai.NotFoundError, match="Response with id 'resp_none' not found"):
        getattr(client.responses, act)("resp_none")
    with pytest.raises(openai.NotFoundError):
        client.responses.input_items.list("resp_none")


def test_what_was_answered_at_once_cannot_be_cancelled(client):
    made = client.responses.create(model=MODEL, input=HELLO)
    with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
        client.responses.cancel(made.id)


@pytest.mark.parametrize("query", [{"stream": True}, {"starting_after": 3}, {"stream": "maybe"}])
def test_only_what_was_begun_as_a_stream_in_the_background_is_fetched_as_one(client, query):
    made = client.responses.create(model=MODEL, input=HELLO)
    with pytest.raises(openai.BadRequestError) as caught:
        client.get(f"/responses/{made.id}", cast_to=object, options={"params": query})
    assert caught.value.param == next(iter(query))
