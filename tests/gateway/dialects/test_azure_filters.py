"""What Azure's content filter says of prompts and answers, and what it stops, through the OpenAI SDK: chat on both routes, and Responses."""

import threading

import openai
import pytest
from openai import AzureOpenAI, OpenAI

from helpers.gateway import harm
from helpers.gateway.worker import SMALL

HELLO = "Say hello in five words."
HARMFUL = f"[[harm: harassment, medium]] {HELLO}"
IN_ANSWER = HARMFUL.replace("harm:", "harm in the answer:")
NAMES = {"harassment": "hate", "hate speech": "hate", "sexually explicit": "sexual", "dangerous content": "violence"}


@pytest.fixture(params=["deployment", "v1"])
def client(gateway, request):
    if request.param == "deployment":
        return AzureOpenAI(max_retries=0)
    return OpenAI(base_url=f"{gateway.base_url}/azure/openai/v1", max_retries=0)


def chat(client, text, **more):
    return client.chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": text}], **more)


def found(answer):
    return answer.model_extra["prompt_filter_results"][0]["content_filter_results"]


def refused(client, text, **more):
    with pytest.raises(openai.BadRequestError, match="content management policy") as caught:
        chat(client, text, **more)
    return caught.value


@pytest.mark.parametrize("level", harm.LEVELS)
@pytest.mark.parametrize("category", harm.CATEGORIES)
def test_what_is_medium_or_high_is_refused_and_what_is_low_is_named(client, category, level):
    text = f"[[harm: {category}, {level}]] {HELLO}"
    if level == "low":
        results = found(chat(client, text))
        assert results[NAMES[category]] == {"filtered": False, "severity": "low"}
        assert [one["severity"] for one in results.values() if "severity" in one].count("safe") == 3
        return
    error = refused(client, text)
    assert (error.status_code, error.code, error.param, error.type) == (400, "content_filter", "prompt", None)
    inner = error.body["innererror"]
    assert inner["code"] == "ResponsibleAIPolicyViolation"
    assert inner["content_filter_result"][NAMES[category]] == {"filtered": True, "severity": level}
    assert inner["content_filter_result"]["jailbreak"] == {"detected": False, "filtered": False}


def test_a_stream_is_refused_before_it_begins(client):
    assert refused(client, HARMFUL, stream=True).code == "content_filter"


def test_a_refused_prompt_is_not_billed_here_and_gives_its_quota_back(client, gateway):
    refused(client, HARMFUL)
    assert gateway.meter.log()[-1].usage is None


def test_an_answer_that_is_stopped_was_written_and_is_charged(client, gateway):
    answer = chat(client, IN_ANSWER)
    (choice,) = answer.choices
    assert (choice.finish_reason, choice.message.content or "") == ("content_filter", "")
    assert choice.model_extra["content_filter_results"]["hate"] == {"filtered": True, "severity": "medium"}
    assert found(answer)["hate"] == {"filtered": False, "severity": "safe"}
    assert answer.usage.completion_tokens == gateway.meter.log()[-1].usage.output_tokens > 0


def test_an_answer_that_is_hardly_harmful_passes(client):
    (choice,) = chat(client, IN_ANSWER.replace("medium", "low")).choices
    assert choice.finish_reason == "stop" and choice.message.content
    assert choice.model_extra["content_filter_results"]["hate"] == {"filtered": False, "severity": "low"}


def test_a_stream_of_a_stopped_answer_ends_with_the_reason(client):
    chunks = list(chat(client, IN_ANSWER, stream=True))
    ends = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert ends[-1] == "content_filter" and not any(chunk.choices[0].delta.content for chunk in chunks if chunk.choices)
    assert chunks[-1].choices[0].model_extra["content_filter_results"]["hate"]["filtered"]


def test_the_fault_refuses_any_prompt(client, gateway):
    gateway.fault("blocked", "azure", times=1)
    assert refused(client, HELLO).body["innererror"]["content_filter_result"]["violence"] == {"filtered": True, "severity": "high"}
    assert chat(client, HELLO).choices[0].finish_reason == "stop"


def test_only_a_users_turn_is_looked_at(client):
    turns = [{"role": "system", "content": HARMFUL}, {"role": "user", "content": HELLO}]
    assert client.chat.completions.create(model="gpt-6-luna", messages=turns).choices[0].finish_reason == "stop"


def test_a_text_is_looked_through_once_and_a_long_one_beside_the_event_loop(client, gateway, monkeypatch):
    looked, found_by = [], harm.found

    def spy(messages):
        looked.append(threading.current_thread().name)
        return found_by(messages)

    monkeypatch.setattr(harm, "found", spy)
    long = IN_ANSWER.replace("medium", "low") + " word" * (SMALL // 2)
    for call in (lambda: chat(client, long), lambda: list(chat(client, long, stream=True)), lambda: respond(client, long), lambda: list(respond(client, long, stream=True))):
        looked.clear()
        call()
        assert len(looked) == 1 and looked[0].startswith("llm-gateway-worker")


# ---- Responses ----------------------------------------------------------------------------------------------
def respond(client, text, **more):
    return client.responses.create(model="gpt-6-luna", input=text, **more)


def test_responses_are_served_and_say_what_the_filter_found(client):
    response = respond(client, HELLO)
    assert response.output_text == "Hello, it's nice meeting you."
    prompt, completion = response.model_extra["content_filters"]
    assert (prompt["source_type"], completion["source_type"]) == ("prompt", "completion")
    assert not prompt["blocked"] and prompt["content_filter_results"]["hate"]["severity"] == "safe"
    assert "protected_material_code" in completion["content_filter_results"] and "jailbreak" not in completion["content_filter_results"]
    again = respond(client, "Again, please.", previous_response_id=response.id)
    assert again.usage.input_tokens > response.usage.input_tokens


def test_responses_stream(client):
    events = list(respond(client, HELLO, stream=True))
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    assert events[-1].response.output_text == "Hello, it's nice meeting you."
    assert len(events[-1].response.model_extra["content_filters"]) == 2


def test_responses_refuse_a_harmful_prompt_and_withhold_a_harmful_answer(client):
    with pytest.raises(openai.BadRequestError) as caught:
        respond(client, HARMFUL)
    assert caught.value.code == "content_filter"
    response = respond(client, IN_ANSWER)
    assert (response.status, response.incomplete_details.reason, response.output_text) == ("incomplete", "content_filter", "")
    assert response.model_extra["content_filters"][1]["blocked"] and response.usage.output_tokens > 0


def test_responses_name_an_unknown_deployment_as_chat_does(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="no-such-deployment", input=HELLO)
    assert caught.value.code == "DeploymentNotFound"


def test_the_route_of_responses_without_a_deployment_needs_a_version(gateway):
    import httpx2

    path = f"{gateway.base_url}/azure/openai/responses"
    sent = [httpx2.post(path + query, json={"model": "gpt-6-luna", "input": HELLO}, headers={"api-key": "any"}).status_code for query in ("", "?api-version=2025-04-01-preview")]
    assert sent == [404, 200]
