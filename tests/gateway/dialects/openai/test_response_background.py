"""Responses in the background: queued, fetched, streamed from any place, cancelled."""

import threading
import time
from contextlib import suppress

import httpx2
import openai
import pytest
from openai import AzureOpenAI, OpenAI

from helpers.gateway.dialects.openai import response_background
from tests.gateway.dialects.openai.samples import HELLO, HELLO_ANSWER

ASKED = {"model": "gpt-6-luna", "input": HELLO, "background": True}
PLAIN = {**ASKED, "model": "gpt-4o"}


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


@pytest.fixture
def paced(gateway, client):
    """A client whose answers take their time."""
    gateway.pace = 1.0
    yield client
    gateway.pace = 0


def finished(client, id):
    for _ in range(200):
        made = client.responses.retrieve(id)
        if made.status not in ("queued", "in_progress"):
            return made
        time.sleep(0.05)
    raise AssertionError(made.status)


def test_a_response_is_queued_written_and_completed(paced):
    made = paced.responses.create(**ASKED)
    assert (made.status, made.background, made.output, made.usage, made.service_tier) == ("queued", True, [], None, "auto")
    seen = [paced.responses.retrieve(made.id).status]
    while seen[-1] in ("queued", "in_progress"):
        time.sleep(0.02)
        seen.append(paced.responses.retrieve(made.id).status)
    assert list(dict.fromkeys(seen)) in (["queued", "in_progress", "completed"], ["in_progress", "completed"])
    whole = paced.responses.retrieve(made.id)
    assert (whole.output_text, whole.id, whole.service_tier) == (HELLO_ANSWER, made.id, "default")


def test_it_is_in_the_bill_once(client, gateway):
    whole = finished(client, client.responses.create(**ASKED).id)
    logged = [entry.usage.output_tokens for entry in gateway.meter.log() if entry.usage]
    assert logged == [whole.usage.output_tokens]


def test_the_house_model_writes_in_the_background(client, gateway):
    whole = finished(client, client.responses.create(model="gpt-4o", input="Whose cat is it?", background=True, max_output_tokens=20).id)
    assert whole.status in ("completed", "incomplete") and whole.output_text
    assert gateway.meter.log()[0].usage.output_tokens == whole.usage.output_tokens > 0


def test_a_stream_in_the_background_is_queued_first(client):
    events = list(client.responses.create(**PLAIN, stream=True))
    assert [event.type.removeprefix("response.") for event in events[:4]] == ["created", "queued", "in_progress", "output_item.added"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].response.status, events[-1].response.output_text) == ("queued", HELLO_ANSWER)


def test_a_lost_stream_is_taken_up_again_where_it_broke_off(paced):
    with paced.responses.create(**PLAIN, stream=True) as stream:
        first = [next(iter(stream)) for _ in range(3)]
    id, last = first[0].response.id, first[-1].sequence_number
    rest = list(paced.responses.retrieve(id, stream=True, starting_after=last))
    assert [event.sequence_number for event in rest] == list(range(last + 1, last + 1 + len(rest)))
    assert rest[-1].type == "response.completed" and rest[-1].response.output_text == HELLO_ANSWER
    again = list(paced.responses.retrieve(id, stream=True))
    assert [event.sequence_number for event in again] == list(range(last + 1 + len(rest)))


def test_a_fault_that_cuts_the_stream_does_not_cut_the_answer(client, gateway):
    gateway.fault("stream_cut", provider="openai", chunk=2)
    seen = []
    with suppress(openai.APIConnectionError, httpx2.HTTPError):
        for event in client.responses.create(**PLAIN, stream=True):
            seen.append(event)
    assert [event.type for event in seen] == ["response.created", "response.queued"]
    assert finished(client, seen[0].response.id).output_text == HELLO_ANSWER


def test_a_response_is_cancelled_once_and_stays_so(paced, gateway):
    made = paced.responses.create(**ASKED)
    for _ in range(2):
        assert (paced.responses.cancel(made.id).status, paced.responses.retrieve(made.id).status) == ("cancelled", "cancelled")
    time.sleep(0.1)
    assert paced.responses.retrieve(made.id).output == []
    whole = sum(entry.usage.output_tokens for entry in gateway.meter.log() if entry.usage)
    assert whole < 20, "what was not written is not charged"


def test_one_that_is_over_is_not_cancelled(client):
    whole = finished(client, client.responses.create(**ASKED).id)
    assert client.responses.cancel(whole.id).status == "completed"


def test_a_stream_ends_where_its_response_is_cancelled_or_deleted(paced):
    for act in (paced.responses.cancel, paced.responses.delete):
        with paced.responses.create(**ASKED, stream=True) as stream:
            events = iter(stream)
            act(next(events).response.id)
            assert "response.completed" not in [event.type for event in events]


def test_nothing_goes_on_from_what_is_not_finished(paced):
    made = paced.responses.create(**ASKED)
    with pytest.raises(openai.BadRequestError, match="is still"):
        paced.responses.create(model="gpt-6-luna", input="And now?", previous_response_id=made.id)


def test_what_was_written_in_the_background_can_be_continued(client):
    made = finished(client, client.responses.create(**ASKED).id)
    after = client.responses.create(model="gpt-6-luna", input="And now?", previous_response_id=made.id)
    assert after.usage.input_tokens > made.usage.input_tokens


def test_what_is_not_to_be_stored_is_kept_for_ten_minutes(client, gateway):
    made = client.responses.create(**ASKED, store=False)
    assert finished(client, made.id).store is False
    gateway.advance(minutes=11)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_a_reset_ends_what_is_being_written(paced, gateway):
    made = paced.responses.create(**ASKED)
    gateway.reset()
    with pytest.raises(openai.NotFoundError):
        paced.responses.retrieve(made.id)
    assert [entry.usage for entry in gateway.meter.log() if entry.usage] == []


def test_no_more_are_written_at_once_than_there_is_room_for(paced, monkeypatch):
    monkeypatch.setattr(response_background, "MOST", 1)
    paced.responses.create(**ASKED)
    with pytest.raises(openai.RateLimitError):
        paced.responses.create(**ASKED)


def test_azure_answers_in_the_background_too(gateway):
    client = AzureOpenAI(api_version="2025-04-01-preview", max_retries=0)
    whole = finished(client, client.responses.create(**ASKED).id)
    assert whole.output_text == HELLO_ANSWER and whole.to_dict()["content_filters"]


def test_a_long_response_is_cancelled_where_it_is_written(paced, gateway, monkeypatch):
    """Its size sends other work to another thread; a task ends in the thread that it runs in alone."""
    told = []
    monkeypatch.setattr(response_background.Job, "cancel", lambda job, cancel=response_background.Job.cancel: told.append(threading.current_thread().name) or cancel(job))
    made = paced.responses.create(model="gpt-4o", input="word " * 20_000, background=True)
    assert paced.responses.cancel(made.id).status == "cancelled" and finished(paced, made.id).status == "cancelled"
    assert told == ["llm-gateway"]
