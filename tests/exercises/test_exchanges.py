"""The five exchanges of exercise 01: they are what the gateway sends, they tell no names, and each shows one dialect alone."""

import json

import pytest

import helpers
from helpers.exercises import exchanges
from helpers.exercises.exchanges import fields, load, record, values

DIALECTS = {"a": "vllm", "b": "invoke", "c": "gemini", "d": "azure", "e": "anthropic"}


def test_the_files_are_what_the_gateway_sends_when_real_sdks_ask():
    for name, made in record.recorded().items():
        kept = json.loads((exchanges.FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        assert kept["note"] == made["note"] == record.NOTE
        assert json.loads(kept["request"]["body"]) == json.loads(made["request"]["body"])
        now = exchanges.made(made["request"]["headers"], made["request"]["body"], *_parts(made))
        assert load(name)["response"]["status"] == now["response"]["status"]
        assert fields(load(name)) == fields(now), name


def _parts(made):
    return made["response"]["status"], made["response"]["headers"], made["response"]["body"].encode()


@pytest.mark.parametrize("name", DIALECTS)
def test_no_host_no_key_and_no_name_stands_in_a_file(name):
    text = (exchanges.FOLDER / f"{name}.json").read_text(encoding="utf-8").lower()
    for word in ("127.0.0.1", "localhost", "http:", "the-gateway-needs-no-key", "credential=", "signature=", "gpt-", "claude-", "llama", "x-course-", "vllm-"):
        assert word not in text.replace('\\"signature\\":', ""), word


def test_each_file_can_be_shown_to_be_in_one_dialect_and_in_no_other():
    course = helpers.start(show=False, pace=0)
    met = {dialect: set().union(*map(fields, exchanges.samples(dialect, course.gateway).values())) for dialect in exchanges.DIALECTS}

    def can_be_shown(name, dialect):
        shown = fields(load(name)) & met[dialect]
        against = [shown - met[other] for other in met if other != dialect]
        return all(len(found) >= 2 and any(".headers." not in field for field in found) for found in against)

    assert {name: [dialect for dialect in met if can_be_shown(name, dialect)] for name in DIALECTS} == {name: [own] for name, own in DIALECTS.items()}


@pytest.mark.parametrize("dialect", exchanges.DIALECTS)
def test_each_dialect_answers_streams_breaks_and_refuses(dialect):
    course = helpers.start(show=False, pace=0)
    found = exchanges.samples(dialect, course.gateway)
    assert [found[name]["response"]["status"] for name in ("plain", "stream", "older", "broken")] == [200] * 4
    assert found["refused"]["response"]["status"] in (400, 401, 403)
    assert all("any-key-will-do" not in str(exchange) for exchange in found.values())


def test_values_are_found_by_the_name_of_their_field():
    exchange = {"response": {"events": [{"a": [{"b": 1}, {"b": None}, {}]}, "[DONE]", {"a": [{"b": 2}]}, {"a": None}]}}
    assert values(exchange, "response.events[].a[].b") == [1, 2]
    assert values(exchange, "response.body.b") == []
    assert fields(exchange) == {"response.events[].a[].b", "response.events[].a[]", "response.events[]", "response.events[].a"}


def test_bodies_are_merged_and_patterns_filled_without_a_change_to_either():
    first, second = {"a": [1], "b": {"c": 1}}, {"a": [2], "b": {"d": "<x>"}, "e": "<x> not alone"}
    assert exchanges.merged(first, exchanges.filled(second, {"<x>": 3})) == {"a": [1, 2], "b": {"c": 1, "d": 3}, "e": "<x> not alone"}
    assert (first, second) == ({"a": [1], "b": {"c": 1}}, {"a": [2], "b": {"d": "<x>"}, "e": "<x> not alone"})


def test_an_unknown_dialect_gets_a_sentence():
    with pytest.raises(ValueError, match="there is no dialect 'mistral'; there are openai, azure"):
        exchanges.send("mistral", {}, model="m")
