"""The reasoning item of OpenAI's Responses, and the usage that says how much was thought."""

import json

import pytest
from openai import AzureOpenAI, OpenAI

from tests.gateway.dialects.openai.samples import HELLO

UNKNOWN = "What is the middle name of my neighbour's cat?"  # nobody recorded that
ENCRYPTED = ["reasoning.encrypted_content"]


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


def kinds(answer):
    return [item.type for item in answer.output]


@pytest.mark.parametrize("prompt", [HELLO, UNKNOWN])
@pytest.mark.parametrize(
    ("model", "more", "first"),
    [
        ("gpt-6-luna", {}, "reasoning"),
        ("gpt-6-luna", {"reasoning": {"effort": "low"}}, "reasoning"),
        ("gpt-6-luna", {"reasoning": {"effort": "none"}}, "message"),
        ("gpt-6.1-sol", {}, "reasoning"),
        ("gpt-5-mini", {"reasoning": {"effort": "minimal"}}, "reasoning"),
        ("gpt-4o", {}, "message"),
    ],
)
def test_what_stands_first_is_a_thought_where_the_model_thinks(client, prompt, model, more, first):
    answer = client.responses.create(model=model, input=prompt, max_output_tokens=200, **more)
    assert kinds(answer)[0] == first and kinds(answer)[-1] == "message"
    if first == "reasoning":
        assert answer.output[0].content == [], "whoever takes the first item for the message finds no text in it"


def test_a_thought_has_the_recorded_shape(client):
    thought = client.responses.create(model="gpt-6-luna", input=HELLO).to_dict()["output"][0]
    assert sorted(thought) == ["content", "encrypted_content", "id", "summary", "type"]
    assert thought["id"].startswith("rs_") and thought["encrypted_content"].startswith("gAAAAAB") and thought["summary"] == []


def test_a_streamed_thought_is_encrypted_in_part_and_then_whole(client):
    events = list(client.responses.create(model="gpt-6-luna", input=HELLO, stream=True))
    added, done = (next(e for e in events if e.type == f"response.output_item.{kind}") for kind in ("added", "done"))
    assert (added.item.type, added.output_index, added.item.id) == ("reasoning", 0, done.item.id)
    assert len(added.item.encrypted_content) < len(done.item.encrypted_content)
    assert events[-1].response.output[0] == done.item
    assert {e.output_index for e in events if e.type.startswith(("response.output_text", "response.content_part"))} == {1}


def test_a_stored_thought_is_shown_where_it_is_asked_for(client):
    made = client.responses.create(model="gpt-6-luna", input=HELLO)
    plain, whole = client.responses.retrieve(made.id), client.responses.retrieve(made.id, include=ENCRYPTED)
    assert sorted(plain.to_dict()["output"][0]) == ["id", "summary", "type"]
    assert whole.output == made.output


def test_thoughts_come_back_without_a_change_of_what_is_asked(client):
    said = [{"role": "user", "content": HELLO}]
    first = client.responses.create(model="gpt-6-luna", input=said, store=False, include=ENCRYPTED)
    again = [client.responses.create(model="gpt-6-luna", input=[*said, *first.output, {"role": "user", "content": HELLO}]) for _ in range(2)]
    assert again[0].usage.input_tokens == again[1].usage.input_tokens < 200


def test_a_batch_has_thoughts_too(client, gateway):
    line = json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {"model": "gpt-6-luna", "input": HELLO}}).encode()
    file = client.files.create(file=("in.jsonl", line), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
    gateway.advance(hours=24)
    row = json.loads(client.files.content(client.batches.retrieve(batch.id).output_file_id).text)
    assert [item["type"] for item in row["response"]["body"]["output"]] == ["reasoning", "message"]


def test_azure_has_thoughts_too(gateway):
    client = AzureOpenAI(api_version="2025-04-01-preview", max_retries=0)
    assert kinds(client.responses.create(model="gpt-6-luna", input=HELLO)) == ["reasoning", "message"]


@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-5-mini", "gpt-4o"])
def test_what_was_written_to_the_cache_is_stated_for_every_model(client, model):
    usage = client.responses.create(model=model, input=HELLO).usage.to_dict()
    assert usage["input_tokens_details"] == {"cache_write_tokens": 0, "cached_tokens": 0}


def test_a_response_has_the_fields_of_the_recordings(client):
    answer = client.responses.create(model="gpt-6-luna", input=HELLO).to_dict()
    assert (answer["frequency_penalty"], answer["presence_penalty"], answer["moderation"]) == (0.0, 0.0, None)
    assert answer["reasoning"] == {"context": "all_turns", "effort": "medium", "mode": "standard", "summary": None}


@pytest.mark.parametrize(("model", "phase"), [("gpt-4o", None), ("gpt-5-mini", None), ("gpt-5.2", None), ("gpt-5.4", "final_answer"), ("gpt-6-luna", "final_answer")])
def test_a_message_has_a_phase_from_gpt_5_4_on(client, model, phase):
    """Recorded of ten models in 2026, of none before."""
    events = list(client.responses.create(model=model, input=HELLO, stream=True))
    messages = [e.item for e in events if e.type.startswith("response.output_item") and e.item.type == "message"]
    messages.append(client.responses.create(model=model, input=HELLO).output[-1])
    assert [message.to_dict().get("phase") for message in messages] == [phase] * 3
    assert all(("phase" in message.to_dict()) is bool(phase) for message in messages)


def test_azures_message_has_a_phase_as_openais(gateway):
    azure = AzureOpenAI(max_retries=0)
    assert "phase" not in azure.responses.create(model="gpt-5-mini", input=HELLO).output[-1].to_dict()
