"""The house model: its engine against the reference implementations, its answers, and how it behaves as a source."""

import asyncio
import datetime
import json
import os
import random
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jinja2
import jsonschema
import numpy as np
import openai
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as ReferenceTokenizer

import helpers
from helpers.house_model.constraint import JsonConstraint, SchemaError
from helpers.house_model.engine import FOLDER, Engine
from helpers.house_model.model import load_weights
from helpers.house_model.sampling import Sampling, probabilities
from helpers.house_model.scheduler import Scheduler
from helpers.house_model.sequence import Shown
from helpers.house_model.tokenizer import Tokenizer
from helpers.house_model.training import corpus, lists, score, styles, tasks
from helpers.house_model.training.naming import NUMBERS
from helpers.house_model.training.questions import says, topics

STORED = Path(__file__).parents[1] / "data" / "vllm_greedy.json"
QUESTION = "What is a token?"


@pytest.fixture(scope="module")
def engine():
    return Engine()


@pytest.fixture(scope="module")
def reference():
    return ReferenceTokenizer.from_file(str(FOLDER / "tokenizer.json"))


def text_of(tokens):
    return "".join(token.text for token in tokens if token)


def ask(engine, prompt, **sampling):
    ids = engine.chat([("user", prompt)])
    return [token for token in engine.generate(ids, Sampling(**{"temperature": 0, "max_tokens": 60, **sampling})) if token]


# ---- files -------------------------------------------------------------------------------------------------
def test_the_model_is_as_small_as_it_is_said_to_be(engine):
    parameters = sum(weights.size for weights in load_weights(FOLDER / "model.safetensors").values())
    assert 3_000_000 <= parameters <= 5_000_000
    assert (FOLDER / "model.safetensors").stat().st_size <= 10_000_000
    assert f"{parameters / 1e6:.2f} million parameters" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_training_text_is_in_order():
    keys = [topic.key for topic in topics()]
    assert len(keys) == len(set(keys)) >= 300
    asked = [wording.lower() for topic in topics() for wording in (*topic.ask, *topic.held_out)]
    assert len(asked) == len(set(asked)), "a wording stands twice, or is trained on and held out"
    for topic in topics():
        assert len(topic.ask) >= 6 and len(topic.held_out) == 2 and 2 <= len(topic.answers) <= 3, topic.key
        assert all(says(answer, topic.must_say) for answer in topic.answers), topic.key


def test_the_corpus_is_the_same_for_the_same_seed():
    once, again = (list(corpus.examples(random.Random(3), 300, 0.4)) for _ in range(2))
    assert once == again
    assert all(example.answer and example.messages[-1][0] == "user" for example in once)


def test_what_is_to_be_copied_stands_in_the_prompt():
    """Copying is learned first, from these examples alone, so each has to be one of copying."""
    for example in tasks.examples(random.Random(3), 300, ("repeat", "extract_person", "extract_order")):
        prompt = example.messages[-1][1]
        values = [example.answer] if example.kind == "repeat" else json.loads(example.answer).values()
        copied = [str(value) for value in values if value is not None]
        assert example.kind in tasks.COPYING and all(value in prompt for value in copied), example


@pytest.mark.parametrize("held_out", [False, True], ids=["trained on", "held out"])
def test_every_answer_that_is_taught_is_right_by_the_score(held_out):
    for example in tasks.examples(random.Random(3), 1500, held_out=held_out):
        case = score.Case(example.kind, example.messages, example.must_say, example.exact, example.listed, example.words)
        assert case.is_right(example.answer), example


def test_a_wrong_count_list_or_style_is_not_right():
    fruits = (("apple", "pear", "plum"), 2)
    assert score.Case("list", (), (), listed=fruits).is_right("plum, apple")
    assert not any(score.Case("list", (), (), listed=fruits).is_right(said) for said in ("apple", "apple, apple", "apple, pear, plum"))
    assert not score.Case("count", (), (("1, 2, 3",),), exact=True).is_right("1, 2, 3, 4")
    assert not score.Case("style", (), (), begins=("Arr, mat",), ends=(" to ye!",)).is_right("Arr, matey! A token is a piece of text.")


def test_what_is_held_out_is_never_trained_on():
    """Wordings of lists, counts, terms and instructions; nouns and values of facts."""
    known = {text for example in corpus.examples(random.Random(3), 6000, 0.5) for _, text in example.messages}
    for kind in ("facts", "yes_or_no", "extract_fields"):
        for example in tasks.examples(random.Random(4), 300, (kind,), held_out=True):
            assert example.messages[-1][1] not in known or "{" not in example.answer, example
    for kind in ("count", "list", "name_one", "shop", "greet", "talk", "python", "small_talk"):
        for example in tasks.examples(random.Random(4), 200, (kind,), held_out=True):
            assert example.messages[-1][1] not in known, example
    for case in score.cases(task_count=0):
        if case.kind in ("glossary", "question"):
            assert case.messages[-1][1] not in known, case


@pytest.mark.parametrize("name, group", [("name_wordings", None), ("off_subject_prompts", None), ("shop_wordings", "one"), ("small_talk_prompts", "joke")])
def test_what_came_later_is_for_the_training_alone(name, group):
    """So that the score asks what it asked before."""
    trained, held_out = ((lists.group_part(name, group, held) if group else lists.part(name, held)) for held in (False, True))
    later = {row[-1] for row in lists.more(name) if not group or row[0] == group}
    assert later & {*trained} and not later & {*held_out}
    assert not {lists.plain(text) for text in trained} & {lists.plain(text) for text in held_out}


def test_later_wordings_of_a_question_are_not_held_out():
    for topic in topics():
        assert not {wording.lower() for wording in topic.more} & {wording.lower() for other in topics() for wording in other.held_out}, topic.key
    assert "Explain a 503." in next(topic.more for topic in topics() if topic.key == "status-503")


def test_every_piece_of_a_word_is_copied_now_and_then(engine):
    """A token that is never an answer's is never said: "farmer" was copied as "fcar"."""
    rng, seen = random.Random(3), Counter()
    for _ in range(20_000):
        seen.update(engine.tokenizer.encode(lists.new_word(rng).lower()))
    pieces = [id for id, text in engine.tokenizer.bytes.items() if text.isalpha() and text.islower() and 1 < len(text) < 9]
    assert sum(seen[id] > 0 for id in pieces) > 0.95 * len(pieces)


def test_a_person_of_the_training_may_lack_something():
    """So that "Linus is 54." gives no city."""
    people = [json.loads(example.answer) for example in tasks.examples(random.Random(3), 300, ("extract_person",))]
    assert {field for person in people for field, value in person.items() if value is None} == {"name", "age", "city"}


def test_a_role_has_its_article():
    """Jobs of the lists, and invented ones."""
    for number in range(400):
        instruction, answer = styles.style(random.Random(number), topics()[number % 50], "A token is a piece of text.", number % 2 == 0)
        assert not re.search(r"\ba [aeio]\w|\ban [^aeiou]", f"{instruction} {answer.split(',')[0]}", re.IGNORECASE), (instruction, answer)


def test_an_answer_of_so_many_words_has_as_many():
    for example in tasks.examples(random.Random(3), 300, ("greet",)):
        asked = re.search(r"\b(two|three|four|five|six|seven|[2-7]) words\b", example.messages[-1][1])
        if asked:
            assert example.words == len(example.answer.split()) == (NUMBERS.index(asked[1]) + 1 if asked[1] in NUMBERS else int(asked[1])), example


def test_a_count_holds_every_number_once():
    for example in tasks.examples(random.Random(3), 300, ("count",)):
        numbers = example.answer.replace("\n", ", ").split(", ")
        assert len(numbers) == len(set(numbers)) >= 2
        if numbers[0].isdigit():
            steps = {int(after) - int(before) for before, after in zip(numbers, numbers[1:], strict=False)}
            assert steps == {-1} or len(steps) == 1 and min(steps) > 0, example


# ---- tokenizer ---------------------------------------------------------------------------------------------
@given(st.text(max_size=60))
@settings(max_examples=150)
def test_any_text_is_encoded_as_the_reference_does_and_comes_back(engine, reference, text):
    ids = engine.tokenizer.encode(text)
    assert ids == reference.encode(text, add_special_tokens=False).ids
    assert engine.tokenizer.decode(ids) == text


def test_a_chat_is_laid_out_as_the_template_says(engine, reference):
    turns = [("system", "Be brief."), ("user", "Hi <|im_end|>"), ("assistant", "Hello."), ("user", "It's 429's  end\n")]
    template = jinja2.Template((FOLDER / "chat_template.jinja").read_text(encoding="utf-8"), keep_trailing_newline=True)
    laid_out = template.render(messages=[{"role": role, "content": text} for role, text in turns], add_generation_prompt=True)
    assert engine.chat(turns) == reference.encode(laid_out, add_special_tokens=False).ids


# ---- forward pass ------------------------------------------------------------------------------------------
def test_a_prompt_read_in_pieces_gives_the_scores_of_one_read_at_once(engine):
    ids = engine.chat([("user", "word " * 150)])
    at_once, cache = engine.next_token(ids), engine.model.cache()
    for start in range(0, len(ids), 37):
        [in_pieces] = engine.model.forward([(ids[start : start + 37], cache)])
    np.testing.assert_allclose(in_pieces, at_once, atol=2e-3)


def test_greedy_answers_are_vllms(engine):
    """56 prompts that a real vLLM answered with these weights; tests/test_serving.py asks a live one where there is one."""
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    assert len(stored["answers"]) == 56
    for row in stored["answers"]:
        ids = engine.chat([(m["role"], m["content"]) for m in row["messages"]])
        tokens = list(engine.generate(ids, Sampling(temperature=0, max_tokens=stored["max_tokens"])))
        assert text_of(tokens) == row["text"], row["messages"]
        assert (len(ids), len(tokens), tokens[-1].finish) == (row["prompt_tokens"], row["completion_tokens"], row["finish_reason"])


@pytest.mark.parametrize("name", ["Mira", "Tokyo", "apple", "Wiebke"])
def test_a_name_is_cut_alike_after_a_space_and_a_quotation_mark(engine, name):
    """So that what is copied into JSON is the same tokens as in the sentence."""
    bare = [engine.tokenizer.bytes[id] for id in engine.tokenizer.encode(name)]
    for before in (" ", '"', "(", ": "):
        pieces = [engine.tokenizer.bytes[id] for id in engine.tokenizer.encode(before + name)]
        assert b"".join(pieces).strip(b' "(:') == name.encode()
        assert [piece.strip(b' "(:') for piece in pieces if piece.strip(b' "(:')] == bare


@pytest.mark.parametrize("value", ["orange", "lavender", "teal", "tents", "onion", "Isabel", "Wiebke", "forest"])
def test_what_is_copied_is_the_same_tokens_behind_a_space(engine, value):
    """Its beginning too: " or" of " orange" is no token of its own, or the model would have to translate it into "or"."""
    bare = engine.tokenizer.encode(value)
    for before in (" ", '"', "(", "a "):
        assert engine.tokenizer.encode(before + value)[-len(bare) :] == bare


def test_no_two_digits_share_a_token(engine):
    assert not [token for token in engine.tokenizer.bytes.values() if sum(48 <= byte < 58 for byte in token) > 1]


@pytest.mark.parametrize("word", ["acgt" * 40, "ab" * 99, "aaaaaaa", "banana" * 9, "x", ""])
def test_a_long_word_is_joined_as_the_reference_does(engine, reference, word):
    assert engine.tokenizer.encode(word) == reference.encode(word, add_special_tokens=False).ids


# ---- sampling ----------------------------------------------------------------------------------------------
LOGITS = np.log(np.array([0.5, 0.25, 0.125, 0.125]))


@pytest.mark.parametrize(
    "rules, expected",
    [
        ({}, [0.5, 0.25, 0.125, 0.125]),
        ({"temperature": 0}, [1, 0, 0, 0]),
        ({"temperature": 1e-310}, [1, 0, 0, 0]),
        ({"temperature": 0.5}, [16 / 22, 4 / 22, 1 / 22, 1 / 22]),
        ({"top_p": 0.6}, [2 / 3, 1 / 3, 0, 0]),
        ({"top_p": 0.01}, [1, 0, 0, 0]),
        ({"top_k": 2}, [2 / 3, 1 / 3, 0, 0]),
        ({"top_k": -1}, [0.5, 0.25, 0.125, 0.125]),
    ],
    ids=str,
)
def test_temperature_top_p_and_top_k_shape_the_distribution(rules, expected):
    np.testing.assert_allclose(probabilities(LOGITS, **rules), expected, atol=1e-9)


def test_the_model_learned_how_often_each_answer_was_trained(engine):
    """The weights of training/choices.txt can be read off the distribution, on the whole: how much of it would have to move?"""
    moved = []
    for _, wordings, weights in corpus.choices():
        likely = probabilities(engine.next_token(engine.chat([("user", wordings[0])])))
        trained = Counter()
        for answer, weight in weights.items():
            trained[engine.tokenizer.encode(answer)[0]] += weight / sum(weights.values())
        assert sum(likely[token] for token in trained) > 0.8
        moved.append(sum(max(0.0, share - likely[token]) for token, share in trained.items()))
    assert sum(moved) / len(moved) < 0.2


def test_log_probabilities_are_those_of_the_distribution(engine):
    token = ask(engine, QUESTION, top_logprobs=5)[0]
    likely = probabilities(engine.next_token(engine.chat([("user", QUESTION)])))
    assert token.logprob == pytest.approx(np.log(likely[token.id]))
    assert [id for id, _ in token.top] == list(np.argsort(-likely)[:5])
    assert [value for _, value in token.top] == pytest.approx(np.log(np.sort(likely)[::-1][:5]))


def test_a_seed_repeats_an_answer(engine):
    rules = {"temperature": 1.3, "seed": 5}
    assert ask(engine, QUESTION, **rules) == ask(engine, QUESTION, **rules)
    assert len({text_of(ask(engine, QUESTION, temperature=1.3, seed=seed)) for seed in range(5)}) > 1


@given(st.lists(st.text("abcdefghijklmnopqrstuvwxyz ", min_size=1, max_size=4), min_size=1, max_size=3))
@settings(max_examples=10)
def test_a_stop_text_ends_the_answer_and_never_shows(engine, stops):
    whole = text_of(ask(engine, QUESTION))
    tokens = ask(engine, QUESTION, stop=tuple(stops))
    places = [whole.find(stop) for stop in stops if stop in whole]
    if places:
        assert text_of(tokens) == whole[: min(places)]
        assert tokens[-1].finish == "stop_sequence" and tokens[-1].stopped_by in stops
    else:
        assert text_of(tokens) == whole


def test_a_character_of_several_tokens_is_shown_whole():
    shown = Shown(())
    assert [shown.add(byte)[0] for byte in (b"\xe2", b"\x82", b"\xac!")] == ["", "", "€!"]
    assert (shown.add(b"\xe2")[0], shown.rest()) == ("", "\ufffd")


def test_a_prompt_that_fills_the_context_is_refused(engine):
    with pytest.raises(ValueError, match="2048"):
        next(engine.generate([5] * 2048, Sampling()))


def test_special_tokens_are_never_shown(engine):
    class OnlySpecial:
        def allowed(self):
            return np.isin(np.arange(engine.model.config["vocab_size"]), list(set(engine.tokenizer.special.values()) - {engine.end}))

        def accept(self, token):
            pass

    tokens = ask(engine, QUESTION, max_tokens=3, constraint=OnlySpecial())
    assert len(tokens) == 3 and text_of(tokens) == ""


# ---- what it knows -----------------------------------------------------------------------------------------
def test_held_out_wordings_are_answered(engine):
    """A sample; the whole score is in the model card, and comes from the same function."""
    cases = list(score.cases())
    questions = random.Random(1).sample([case for case in cases if case.kind == "question"], 20)
    off_subject = [case for case in cases if case.kind == "off_subject"][:10]
    for chosen, least in ((questions, 0.75), (off_subject, 0.8)):
        right = [says(said, case.must_say) for case, said in score.answers(engine, chosen)]
        assert sum(right) / len(right) >= least


# ---- JSON by constraint ------------------------------------------------------------------------------------
def made_up(rng, depth=0):
    """A random JSON schema: nested objects, arrays, enums, bounds."""
    kind = rng.choice(["object", "array", "enum", "string", "integer", "number", "boolean", "nullable"] if depth < 3 else ["enum", "integer", "string"])
    if kind == "object" or depth == 0:
        names = rng.sample(["name", "age", "city", "tags", "unit", "items", "is_open", "note"], rng.randint(1, 4))
        schema = {"type": "object", "properties": {name: made_up(rng, depth + 1) for name in names}, "required": names}
        return schema | ({"additionalProperties": False} if rng.random() < 0.7 else {})
    low = rng.randint(0, 3)
    return {
        "array": lambda: {"type": "array", "items": made_up(rng, depth + 1), "minItems": low, "maxItems": low + rng.randint(0, 3)},
        "enum": lambda: {"enum": rng.sample(["low", "medium", "high", 1, 2, None, True], 3)},
        "string": lambda: {"type": "string", **rng.choice([{}, {"maxLength": 12}, {"minLength": 3}, {"pattern": "^[A-Z]{2}-[0-9]{3}$"}])},
        "integer": lambda: {"type": "integer", "minimum": low, "maximum": low + 40},
        "number": lambda: {"type": "number"},
        "boolean": lambda: {"type": "boolean"},
        "nullable": lambda: {"anyOf": [made_up(rng, depth + 1), {"type": "null"}]},
    }[kind]()


@pytest.mark.parametrize("seed", range(12))
def test_json_fits_its_schema(engine, seed):
    schema = made_up(random.Random(seed))
    constraint = JsonConstraint(schema, FOLDER / "tokenizer.json")
    tokens = ask(engine, "Give me an example.", temperature=1.0, seed=seed, max_tokens=1500, constraint=constraint)
    assert tokens[-1].finish == "stop"
    jsonschema.validate(json.loads(text_of(tokens)), schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {},
        {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "v": {"type": "number"}}, "required": ["v"]}}},
        {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}, "v": {"type": "number"}}, "required": ["next", "v"]}}},
        {"$ref": "#/definitions/tree", "definitions": {"tree": {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/definitions/tree"}}, "leaf": {"$ref": "#/definitions/leaf"}}, "required": ["children", "leaf"]}, "leaf": {"enum": ["a", "b"]}}},
        {"type": "string", "pattern": "^[a-z ]+$"},
        {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
    ],
    ids=str,
)
def test_json_that_could_go_on_for_ever_ends(engine, schema):
    for seed in range(3):
        constraint = JsonConstraint(schema, FOLDER / "tokenizer.json")
        tokens = ask(engine, "Go on.", temperature=1.5, seed=seed, max_tokens=600, constraint=constraint)
        assert tokens[-1].finish == "stop"
        jsonschema.validate(json.loads(text_of(tokens)), schema)


NUMBER, TEXT = {"type": "integer", "minimum": 0, "maximum": 9}, {"enum": ["x", "y"]}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"x": {"$ref": "#/$defs/a/properties/b"}}, "$defs": {"a": {"properties": {"b": NUMBER}}}},
        {"properties": {"x": {"$ref": "#/properties/y"}, "y": NUMBER}, "$defs": {"a": TEXT}},
        {"properties": {"$ref": NUMBER, "enum": {"$ref": "#/$defs/a"}, "required": NUMBER, "properties": {"$ref": "#/$defs/a"}}, "$defs": {"a": TEXT}},
        {"properties": {"x": {"$ref": "#/definitions/a~1b"}, "y": {"$ref": "#/definitions/c%20d"}}, "definitions": {"a/b": NUMBER, "c d": TEXT}},
        {"properties": {"x": {"$ref": "#/$defs/a"}}, "$defs": {f"{a}": {"$ref": f"#/$defs/{b}"} for a, b in zip("abcde", "bcdef", strict=True)} | {"f": NUMBER}},
        {"properties": {"x": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/b", "properties": {"n": {"$ref": "#/$defs/c"}}}, "b": {"type": "object"}, "c": NUMBER}},
    ],
    ids=["deeper", "elsewhere", "keywords", "escapes", "chain", "siblings"],
)
def test_references_of_every_kind_are_followed(engine, schema):
    schema = {"type": "object", "required": list(schema["properties"])} | schema
    for seed in range(3):
        constraint = JsonConstraint(schema, FOLDER / "tokenizer.json")
        tokens = ask(engine, "Go on.", temperature=1, seed=seed, max_tokens=300, constraint=constraint)
        jsonschema.validate(json.loads(text_of(tokens)), schema)


def link(name):
    return {"$ref": f"#/$defs/{name}"}


def record(properties, **more):
    return {"type": "object", "properties": properties, "required": list(properties), **more}


COUNTRY = {**link("Order"), "$defs": {"Order": record({"by": link("By")}), "By": record({"at": link("At")}), "At": record({"country": link("Country")}, required=[]), "Country": TEXT}}
NODE = {**link("n"), "$defs": {"n": record({"next": link("n")}, required=[])}}
OPEN_NODE = {**link("n"), "$defs": {"n": record({"v": NUMBER, "next": link("n")}, required=["v"], additionalProperties=True)}}
LISTS = {**link("a"), "$defs": {"a": record({"b": link("b")}), "b": record({"c": link("c")}), "c": {"type": "array", "items": link("d")}, "d": NUMBER}}
SUMS = {**link("Add"), "$defs": {"Add": record({"l": {"anyOf": [link("Add"), link("Num")]}, "r": {"anyOf": [link("Add"), link("Num")]}}), "Num": record({"v": NUMBER})}}
SPELLED = {"$id": "https://e.example/s", "$ref": "https://e.example/s#/$defs/a", "$defs": {"a": NUMBER}}
HEIR = record({"x": {"allOf": [record({"a": NUMBER}), record({"b": TEXT})]}})
BESIDE = record({"x": {**link("base"), **record({"b": TEXT})}}, **{"$defs": {"base": record({"a": NUMBER})}})
OWN_ID = record({"x": {"$id": "urn:q", **record({"y": link("a")}), "$defs": {"a": NUMBER}}}, **{"$defs": {"z": NUMBER}})


def takes(schema, text):
    """Whether the constraint allows a text, token by token, and lets it end there."""
    constraint = JsonConstraint(schema, FOLDER / "tokenizer.json")
    for token in constraint._tokenizer.tokenize_str(text):
        if not constraint.allowed()[token]:
            return False
        constraint.accept(token)
    return bool(constraint.allowed()[constraint._tokenizer.eos_token])


@pytest.mark.parametrize(
    ("schema", "text", "valid"),
    [
        (NODE, '{"next": {"next": {"next": "oops"}}}', False),
        (NODE, '{"next": {"next": {}}}', True),
        (OPEN_NODE, '{"v": 1, "next": {"v": 1, "next": {"v": 1, "next": 5}}}', False),
        (COUNTRY, '{"by": {"at": {"country": 5}}}', False),
        (COUNTRY, '{"by": {"at": {"country": "x"}}}', True),
        (LISTS, '{"b": {"c": [1, 2]}}', True),
    ],
)
def test_an_end_to_recursion_allows_nothing_new_and_leaves_the_rest_alone(schema, text, valid):
    assert takes(schema, text) is valid


def drawn(schema, seed):
    """JSON of tokens drawn by chance alone: a harder test than any model."""
    constraint, rng, tokens = JsonConstraint(schema, FOLDER / "tokenizer.json"), random.Random(seed), []
    while (token := int(rng.choice(np.flatnonzero(constraint.allowed())))) != constraint._tokenizer.eos_token:
        assert len(tokens) < 500
        tokens.append(token)
        constraint.accept(token)
    return constraint._tokenizer.decode_str(tokens)


@pytest.mark.parametrize(
    "schema",
    [NODE, OPEN_NODE, COUNTRY, LISTS, SUMS, SPELLED, OWN_ID, HEIR, BESIDE],
    ids=["node", "open", "country", "lists", "sums", "spelled", "id", "heir", "beside"],
)
def test_whatever_is_drawn_is_valid_and_ends(schema):
    for seed in range(10):
        jsonschema.validate(json.loads(drawn(schema, seed)), schema)


class Booking(pydantic.BaseModel):
    day: datetime.date
    at: datetime.time
    made: datetime.datetime
    takes: datetime.timedelta
    email: str = pydantic.Field(json_schema_extra={"format": "email"})
    page: pydantic.HttpUrl


def test_texts_with_a_format_end_and_can_be_read():
    for seed in range(20):
        Booking.model_validate_json(drawn(Booking.model_json_schema(), seed))


def test_a_number_alone_ends():
    constraint = JsonConstraint({"type": "number"}, FOLDER / "tokenizer.json")
    for _ in range(20):
        digits = [id for id in np.flatnonzero(constraint.allowed()) if constraint._tokenizer.decode_str([int(id)]).isdigit()]
        if not digits:
            break
        constraint.accept(int(digits[0]))
    assert constraint.allowed()[constraint._tokenizer.eos_token] and not digits


def test_a_number_among_others_ends(engine):
    """Digits could go on for ever, and what comes after them is neither a bracket nor a quotation mark."""
    names = [f"n{number}" for number in range(6)]
    schema = {"type": "object", "properties": {name: {"type": "number"} for name in names}, "required": names, "additionalProperties": False}
    for seed in range(10):
        constraint = JsonConstraint(schema, FOLDER / "tokenizer.json")
        tokens = ask(engine, "Take my order: a latte.", temperature=1.5, seed=seed, max_tokens=200, constraint=constraint)
        assert tokens[-1].finish == "stop"
        jsonschema.validate(json.loads(text_of(tokens)), schema)


def deep(levels):
    return {"type": "array", "items": deep(levels - 1)} if levels else {"type": "string"}


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"$ref": "#/nowhere"}, {"enum": []}, deep(200), {"type": "string", "minLength": "x"}, {"type": [{}]}], ids=["type", "ref", "enum", "deep", "bound", "types"])
def test_a_schema_that_cannot_be_followed_is_refused(schema):
    with pytest.raises(SchemaError):
        JsonConstraint(schema, FOLDER / "tokenizer.json").allowed()


@pytest.mark.parametrize("more", [{"type": "array", "uniqueItems": True, "items": {"type": "string"}}, {"type": "string", "format": "binary"}, {"not": {"type": "null"}, "type": "integer"}], ids=str)
def test_keywords_that_decoding_does_not_know_are_no_reason_to_refuse(engine, more):
    schema = {"type": "object", "properties": {"a": more}, "required": ["a"]}
    constraint = JsonConstraint(schema, FOLDER / "tokenizer.json")
    found = json.loads(text_of(ask(engine, "Go on.", temperature=1, seed=1, max_tokens=600, constraint=constraint)))
    assert type(found["a"]).__name__ == {"array": "list", "string": "str", "integer": "int"}[more["type"]]


# ---- as a source -------------------------------------------------------------------------------------------
def chat(prompt, *, house=True, **more):
    client = openai.OpenAI(base_url=os.environ["COMPATIBLE_BASE_URL"]) if house else openai.OpenAI()
    return client.chat.completions.create(model="house" if house else "gpt-6-luna", messages=[{"role": "user", "content": prompt}], **more)


@pytest.mark.parametrize("provider", ["openai", "azure", "compatible", "anthropic", "gemini", "bedrock"])
def test_a_prompt_that_nobody_recorded_is_answered_by_the_house_model(gateway, provider):
    reply = helpers.ask(provider, "Please explain what a token is.", max_tokens=400)
    [entry] = gateway.meter.log()
    assert reply.text.strip()
    assert entry.source.kind == "house" and entry.usage.output_tokens == reply.usage.output_tokens > 5


def test_the_answer_and_its_counts_are_the_engines(gateway, engine):
    done = chat(QUESTION, temperature=0)
    tokens = ask(engine, QUESTION, max_tokens=512)
    assert done.choices[0].message.content == text_of(tokens)
    assert (done.usage.prompt_tokens, done.usage.completion_tokens) == (len(engine.chat([("user", QUESTION)])), len(tokens))


@pytest.mark.parametrize("house", [True, False])
def test_max_tokens_cuts_a_real_answer(gateway, house):
    limit = {"max_tokens": 10} if house else {"max_completion_tokens": 10}
    done = chat("Please explain what a token is.", house=house, **limit)
    assert done.choices[0].finish_reason == "length" and done.usage.completion_tokens == 10


@pytest.mark.parametrize("prompt", ["JSON, please.", "JSON, please. " * 600], ids=["short", "long"])
def test_an_answer_without_a_limit_comes_whole(gateway, prompt):
    """As long as it fits the house model's context; what does not fit says so."""

    def asked(count):
        properties = {f"field_{number}": {"type": "boolean"} for number in range(count)}
        schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
        format = {"type": "json_schema", "json_schema": {"name": "r", "schema": schema, "strict": True}}
        return chat(prompt, house=False, response_format=format).choices[0]

    whole, cut = asked(60), asked(400)
    assert whole.finish_reason == "stop" and len(json.loads(whole.message.content)) == 60
    assert cut.finish_reason == "length" and cut.message.content.startswith('{"field_0":')


def test_log_probabilities_come_with_every_token(gateway):
    done = chat(QUESTION, temperature=0, logprobs=True, top_logprobs=3)
    scored = done.choices[0].logprobs.content
    assert "".join(token.token for token in scored) == done.choices[0].message.content + "<|im_end|>", "as vLLM, it shows the last one too"
    assert all(token.logprob == token.top_logprobs[0].logprob and len(token.top_logprobs) == 3 for token in scored)
    streamed = [c.choices[0].logprobs for c in chat(QUESTION, temperature=0, logprobs=True, top_logprobs=3, stream=True) if c.choices]
    assert [token for part in streamed if part for token in part.content] == scored


def test_the_same_prompt_is_answered_anew_and_a_kernel_repeats_itself(gateway):
    first = [chat("Name a color.", temperature=1).choices[0].message.content for _ in range(8)]
    gateway.reset()
    assert [chat("Name a color.", temperature=1).choices[0].message.content for _ in range(8)] == first
    assert len(set(first)) > 1
    several = chat("Name a color.", n=8, seed=3)
    assert len({choice.message.content for choice in several.choices}) > 1
    assert several.choices == chat("Name a color.", n=8, seed=3).choices


def test_a_request_that_names_no_temperature_is_drawn_at_the_models_own(gateway, engine):
    """The one of generation_config.json, which a real vLLM reads too."""
    assert 0 < engine.usual_temperature < 1
    asked = {"seed": 4, "max_tokens": 30}
    drawn = {t: chat(QUESTION, temperature=t, n=8, **asked).choices for t in (engine.usual_temperature, 2.0)}
    assert chat(QUESTION, n=8, **asked).choices == drawn[engine.usual_temperature] != drawn[2.0]


def test_many_at_once_are_all_answered_and_none_waits_for_another_to_end(gateway):
    def first_and_last(number):
        times = [time.monotonic() for chunk in chat(f"{QUESTION} {number}", stream=True, temperature=0) if chunk.choices]
        return times[0], times[-1]

    with ThreadPoolExecutor(24) as pool:
        spans = list(pool.map(first_and_last, range(24)))
    assert len(gateway.meter.log().only(status=200)) == 24
    assert max(begin for begin, _ in spans) < max(end for _, end in spans)
    assert sum(begin < min(end for _, end in spans) for begin, _ in spans) > 12, "most have begun before the first has ended"


def test_who_asks_while_the_model_is_loaded_is_answered_too(gateway, monkeypatch):
    whole, loading, go_on = Scheduler.__init__, threading.Event(), threading.Event()

    def held(self, *arguments):
        loading.set()
        go_on.wait(30)
        whole(self, *arguments)

    monkeypatch.setattr(Scheduler, "__init__", held)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(chat, QUESTION, temperature=0)
        assert loading.wait(30)
        second = pool.submit(chat, QUESTION, temperature=0)
        time.sleep(0.3)  # until it has reached the gateway
        go_on.set()
        assert first.result().choices[0].message.content == second.result().choices[0].message.content
    assert [entry.status for entry in gateway.meter.log()] == [200, 200], "the SDK would ask again where the gateway failed"


def test_a_client_that_leaves_stops_its_generation(gateway):
    stream = chat("Count from one to ten in words.", stream=True, max_tokens=2000)
    next(iter(stream))
    stream.close()
    chat(QUESTION)
    left = gateway.meter.log()[0]
    assert left.note == "the client went away"


def test_strict_refuses_it_but_by_its_own_name(gateway):
    gateway.strict = True
    with pytest.raises(openai.NotFoundError):
        chat("Please explain what a token is.", house=False)
    assert chat(QUESTION).choices[0].message.content


def test_a_prompt_longer_than_its_context(gateway):
    with pytest.raises(openai.BadRequestError, match="2048"):
        chat("word " * 2100)
    assert chat("word " * 2100 + QUESTION, house=False).choices[0].message.content, "under another name the oldest words are left out"


def test_json_mode_gives_an_object(gateway):
    for house in (True, False):
        done = chat("Name a color as JSON.", house=house, response_format={"type": "json_object"})
        assert isinstance(json.loads(done.choices[0].message.content), dict)


def test_a_property_may_have_the_name_of_a_keyword(engine):
    schema = {"type": "object", "properties": {"default": {"type": "string"}, "enum": {"type": "array", "items": {"type": "string"}}}, "required": ["default", "enum"]}
    constraint = JsonConstraint(schema, FOLDER / "tokenizer.json")
    tokens = ask(engine, "Go on.", temperature=1.5, seed=1, max_tokens=600, constraint=constraint)
    jsonschema.validate(json.loads(text_of(tokens)), schema)


# ---- tools -------------------------------------------------------------------------------------------------
def tool(name, parameters=None):
    return {"type": "function", "function": {"name": name, **({"parameters": parameters} if parameters else {})}}


def test_one_of_several_tools_is_chosen_even_where_the_prompt_fills_the_context(gateway, engine):
    """The prompt leaves less room than the names take."""
    given = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = [tool(name, given) for name in ("get_weather_in_the_city_now_please", "b_other_function_name_quite_long")]
    word = len(engine.tokenizer.encode(" Paris"))
    prompt = " Paris" * ((2045 - len(engine.chat([("user", "")]))) // word)
    done = chat(prompt, tools=tools, tool_choice="required", max_tokens=5)
    assert done.choices[0].finish_reason == "length"


def test_a_long_conversation_is_encoded_once_and_not_in_the_gateways_thread(gateway, monkeypatch):
    """It used to be encoded again for every turn that was left out, while all other requests waited."""
    encode, seen = Tokenizer.encode, []

    def noted(self, text):
        seen.append((len(text), threading.current_thread().name))
        return encode(self, text)

    turns = [{"role": ("user", "assistant")[n % 2], "content": f"Turn {n}: the model answers about tokens and cost of a call."} for n in range(401)]
    monkeypatch.setattr(Tokenizer, "encode", noted)
    done = openai.OpenAI().chat.completions.create(model="gpt-6-luna", messages=turns, max_completion_tokens=5)
    assert done.usage.completion_tokens > 0
    assert sum(length for length, _ in seen) < 2 * sum(len(turn["content"]) + 40 for turn in turns)
    assert {name.partition("_")[0] for _, name in seen} == {"house-model", "llm-gateway-worker"}, "the first loads it, the second encodes"


TOO_LARGE = {"type": "object", "properties": {"a": {"type": "integer", "multipleOf": 9973}}, "required": ["a"]}


def test_a_schema_that_gets_too_large_to_follow_is_the_requests_fault(gateway):
    asked = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": TOO_LARGE}}}
    with pytest.raises(openai.BadRequestError, match="cannot be followed"):
        chat("Hi", **asked)
    with pytest.raises(openai.APIError, match="cannot be followed"):
        list(chat("Hi", stream=True, **asked))


def test_a_client_that_leaves_before_the_answer_begins_gets_its_tokens_back(gateway):
    gateway.limit("openai", tokens=60_000)
    client, asked = openai.OpenAI(max_retries=0), {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Zork"}]}
    free = threading.Event()
    gateway.in_loop(lambda: asyncio.ensure_future(gateway.house.in_turn(free.wait, 30)))  # the engine is busy
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(**asked, max_completion_tokens=16_000, timeout=0.3)
    free.set()
    raw = client.chat.completions.with_raw_response.create(**asked, max_completion_tokens=10)
    assert int(raw.headers["x-ratelimit-remaining-tokens"]) > 50_000
