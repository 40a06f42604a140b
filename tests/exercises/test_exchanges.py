"""The five exchanges of exercise 01: they are what the gateway sends, they tell no names, and each shows one dialect alone."""

import json
from dataclasses import dataclass

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
    met = {dialect: exchanges.met(exchanges.samples(dialect, course.gateway).values()) for dialect in exchanges.DIALECTS}

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
    with pytest.raises(ValueError, match="there is no dialect 'Openai'; there are openai, azure"):
        exchanges.question("Openai", "Hello")


def test_a_field_is_met_where_it_is_null_and_where_it_holds_others():
    made = {"response": {"body": {"usage": {"details": {"cached": 1}}, "list": [], "choices": [{"stop": None}]}}}
    assert {"response.body.usage.details", "response.body.list", "response.body.choices[]", "response.body.choices[].stop"} <= exchanges.met([made])
    assert "response.body.usage.detail" not in exchanges.met([made])


# ---- what a check says of a learner's functions ------------------------------------
@dataclass(frozen=True)
class Row:
    names: tuple[str, ...]
    status: int


GOOD = Row(("x",), 1)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "f() should return a dictionary, it returned None. Is there a return?"),
        ([], "f() should return a dictionary, it returned []"),
        ({}, "f() has no row for 'a', 'b'; rows for a, b were expected"),
        ({"b": GOOD}, "f() has no row for 'a'; rows for a, b were expected"),
        ({"a": GOOD, "b": GOOD, "c": GOOD}, "f() has a row for 'c' too; rows for a, b were expected"),
        ({"a": GOOD, "b": (("x",), 1)}, "b: a row of the class Row was expected, this is (('x',), 1)"),
        ({"a": GOOD, "b": Row("x", 1)}, "b: names should be of the type tuple of names, it is 'x'; a tuple with one name is written (name,), with a comma"),
        ({"a": GOOD, "b": Row((1,), 1)}, "b: names should be of the type tuple of names, it is (1,)"),
        ({"a": GOOD, "b": Row(("x",), "1")}, "b: status should be of the type int, it is '1'"),
        ({"a": GOOD, "b": Row(("x",), True)}, "b: status should be of the type int, it is True"),
    ],
)
def test_a_table_with_a_fault_gets_a_sentence(found, said):
    def f():
        return found

    with pytest.raises(AssertionError) as raised:
        exchanges.table(f, "ab", Row, "names", "status")
    assert raised.value.args == (said,)


def test_a_table_comes_in_order_and_columns_that_nobody_asks_for_may_be_empty():
    found = exchanges.table(lambda: {"b": GOOD, "a": Row((), None)}, "ab", Row, "names")
    assert list(found) == ["a", "b"]


def test_what_is_not_written_yet_is_told_from_what_a_function_needs():
    def inner():
        raise NotImplementedError

    def outer(*_):
        return inner()

    with pytest.raises(NotImplementedError):
        exchanges.table(inner, "ab", Row)
    with pytest.raises(AssertionError, match=r"^inner\(\) of step 2 is needed here, and is not written yet$"):
        exchanges.table(inner, "ab", Row, step=2)
    with pytest.raises(AssertionError, match=r"^outer\(\) calls inner\(\) of an earlier step, which is not written yet$"):
        exchanges.counted(outer, "a stream", {}, "openai")


@pytest.mark.parametrize("found", [(None, None), [1, 2], (1, 2, 3), (1.0, 2), 3, (True, 1)])
def test_counts_of_another_type_get_a_sentence(found):
    with pytest.raises(AssertionError, match="^a stream: a tuple of two whole numbers, or None, was expected; yours: "):
        exchanges.counted(lambda *_: found, "a stream", {}, "openai")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ({"seed": 1}, "the word MOST stands nowhere alone in the pattern"),
        ({"seed": "up to <most>"}, "the word MOST stands nowhere alone in the pattern"),
        ({"messages": {"role": "<most>"}}, "messages is a list in the body of a question and a dict in your pattern"),
    ],
)
def test_a_pattern_that_does_not_fit_gets_a_sentence(pattern, said):
    with pytest.raises(AssertionError, match=f"^openai: {said}"):
        exchanges.fitting("openai", pattern, MOST="<most>")


def test_a_name_that_is_no_field_is_told():
    exchange = {"response": {"body": {"choices": [{"text": None}]}}}
    assert exchanges.absent("response.body.choices[].text", exchange) == ""
    assert exchanges.absent("response.body.text", exchange) == ". There is no field of this name"
    assert exchanges.absent("response.body.choices[0].text", exchange) == ". There is no field of this name: a list is named with [], without a number"
