"""A stream of Responses that fails: an event `error` and the response that failed, as recorded, and what the SDK makes of them."""

import json

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.gateway.dialects.openai.samples import HELLO

MODEL = "gpt-6-luna"
OVERLOADED = "The server is currently overloaded with other requests. Please try again later."


def frames(client, **more):
    """The events as they are sent, each with its name."""
    with client.responses.with_streaming_response.create(model=MODEL, input=HELLO, stream=True, **more) as response:
        found = [frame.split("\n", 1) for frame in response.read().decode().split("\n\n") if frame]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in found]


@pytest.mark.parametrize("chunk", [1, 5, 500])
def test_a_stream_that_fails_ends_with_an_error_and_the_failed_response(client, gateway, chunk):
    gateway.fault("overloaded_in_stream", chunk=chunk)
    events = frames(client)
    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    assert all(name == data["type"] for name, data in events)
    (_, error), (_, failed) = events[-2:]
    assert error == {"type": "error", "error": {"type": "service_unavailable_error", "code": "server_is_overloaded", "message": OVERLOADED, "param": None}, "sequence_number": len(events) - 2}
    assert failed["type"] == "response.failed" and failed["response"]["id"] == events[0][1]["response"]["id"]
    assert failed["response"]["status"] == "failed" and failed["response"]["error"] == {"code": "server_is_overloaded", "message": OVERLOADED}
    assert failed["response"].keys() == events[0][1]["response"].keys()


def test_a_stream_of_a_response_in_the_background_breaks_off_and_the_response_goes_on(client, gateway):
    gateway.fault("overloaded_in_stream", chunk=4)
    events = frames(client, background=True)
    assert len(events) == 5 and events[-1][0] == "error" and not any(name == "response.failed" for name, _ in events)
    begun = events[0][1]["response"]["id"]
    again = list(client.responses.retrieve(begun, stream=True, starting_after=events[-1][1]["sequence_number"] - 1))
    assert again[-1].type == "response.completed" and client.responses.retrieve(begun).status == "completed"


def test_where_nothing_was_sent_the_error_comes_alone(client, gateway):
    gateway.fault("overloaded_in_stream", chunk=0)
    [(name, error)] = frames(client)
    assert (name, error["type"], error["sequence_number"], error["error"]["code"]) == ("error", "error", 0, "server_is_overloaded")


@pytest.mark.parametrize("way", ["create", "stream"])
def test_the_sdk_raises_what_it_says(client, gateway, way):
    gateway.fault("overloaded_in_stream", chunk=5)
    with pytest.raises(openai.APIError, match="currently overloaded") as caught:
        if way == "create":
            list(client.responses.create(model=MODEL, input=HELLO, stream=True))
        else:
            with client.responses.stream(model=MODEL, input=HELLO) as stream:
                list(stream)
    assert (caught.value.code, caught.value.type, caught.value.param) == ("server_is_overloaded", "service_unavailable_error", None)


def test_what_the_model_says_is_no_number_of_an_event(gateway):
    """The number that goes on is that of the last event, whatever stands in its text."""
    gateway.script('{"sequence_number": 77} "sequence_number": 88')
    gateway.fault("overloaded_in_stream", chunk=500)
    answer = httpx2.post(gateway.base_url + "/openai/v1/responses", json={"model": MODEL, "input": HELLO, "stream": True}, headers={"authorization": "Bearer any"})
    assert "77" in answer.text and "88" in answer.text
    numbers = [json.loads(line[6:])["sequence_number"] for line in answer.text.split("\n") if line.startswith("data: ")]
    assert numbers == list(range(len(numbers)))


def test_chat_keeps_its_own_form(gateway):
    gateway.fault("overloaded_in_stream", chunk=2)
    with OpenAI(max_retries=0).chat.completions.with_streaming_response.create(model=MODEL, messages=[{"role": "user", "content": HELLO}], stream=True) as response:
        last = response.read().decode().strip().split("\n\n")[-1]
    assert last.startswith('data: {"error":') and "sequence_number" not in last
