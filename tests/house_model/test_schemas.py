"""Generated JSON schemas over every keyword of JSON Schema 2020-12: each is obeyed, or refused in words, and never answered wrong.

COURSE_CASES=3000 draws that many by chance alone; asked of the model itself are a fiftieth of them.
"""

import json
import os
import random

import httpx2
import jsonschema
import numpy as np
import pytest

from helpers.house_model.checking import fits, is_exact, is_valid
from helpers.house_model.constraint import JsonConstraint, SchemaError, bounded
from helpers.house_model.engine import FOLDER
from helpers.house_model.narrowing import without_lookaround

CASES = int(os.environ.get("COURSE_CASES", "200"))
WORDS = ["low", "medium", "high", "n/a", "", "é", "日本", 'a"b', "a\\b"]
NAMES = ["name", "age", "city", "tags", "unit", "items", "is_open", "note"]
NUMBERS = [0, 1, -1, 2.5, 0.1, 1e-7, 1e20, 2**53, 2**63, -(2**63) - 1, 123456789012345678]
LOWS = [0, -5, 0.1, 1.25, 1e-7, 100, 2**53, 2**63, -(2**63), 1e16, 0.30000000000000004, 123456.789]
FORMATS = ["date", "time", "date-time", "duration", "email", "uri", "uuid", "ipv4", "ipv6", "hostname", "binary"]
PATTERNS = ["^[a-z]+$", "^[A-Z]{2}-[0-9]{3}$", "x", "^a|b$", "^(a+)+$", "^[^a-z]*$", "^é+$", r"^(?!a)(?=.*\d)[a-z0-9]{3,8}$"]


def value(rng):
    return rng.choice([*WORDS, *NUMBERS, True, None, [], [1, "a"], {}, {"a": 1}])


def some(rng, **choices):
    """Each keyword with a chance of three in ten."""
    return {name: make() for name, make in choices.items() if rng.random() < 0.3}


def text(rng, depth):
    low = rng.randint(0, 4)
    bounds = some(rng, minLength=lambda: low, maxLength=lambda: low + rng.randint(0, 8))
    return {"type": "string", **bounds, **some(rng, pattern=lambda: rng.choice(PATTERNS), format=lambda: rng.choice(FORMATS))}


def number(rng, depth):
    low, wide = rng.choice(LOWS), rng.choice([0, 1, 0.5, 40, 1e-3, 1e9])
    bounds = {"minimum": low, "maximum": low + wide, "exclusiveMinimum": low, "exclusiveMaximum": low + wide + 1}
    found = some(rng, **{name: lambda bound=bound: bound for name, bound in bounds.items()})
    return {"type": rng.choice(["number", "integer"]), **found, **some(rng, multipleOf=lambda: rng.choice([1, 2, 5, 0.1, 0.01, 2.5, 7]))}


def array(rng, depth):
    low, one = rng.randint(0, 3), lambda: made_up(rng, depth + 1)
    lists = some(rng, items=one, contains=one, prefixItems=lambda: [one() for _ in range(rng.randint(1, 2))], unevaluatedItems=lambda: False)
    counts = some(rng, minItems=lambda: low, maxItems=lambda: low + rng.randint(0, 3), minContains=lambda: rng.randint(0, 2), maxContains=lambda: 2)
    return {"type": "array", **lists, **counts, **some(rng, uniqueItems=lambda: True)}


def record(rng, depth):
    names, one, name = rng.sample(NAMES, rng.randint(0, 4)), lambda: made_up(rng, depth + 1), lambda: rng.choice(NAMES)
    more = some(
        rng,
        required=lambda: rng.sample(names, rng.randint(0, len(names))),
        additionalProperties=lambda: rng.choice([False, True, {"type": "integer"}]),
        minProperties=lambda: rng.randint(0, 3),
        maxProperties=lambda: rng.randint(0, 3),
        propertyNames=lambda: rng.choice([{"pattern": "^[a-z]+$"}, {"maxLength": 4}, {"enum": NAMES}]),
        patternProperties=lambda: {rng.choice(["^n", "^x-", "e$"]): one()},
        dependentRequired=lambda: {name(): [name()]},
        dependentSchemas=lambda: {name(): {"required": [name()]}},
        unevaluatedProperties=lambda: False,
    )
    return {"type": "object", "properties": {name: one() for name in names}, **more}


def mixed(rng, depth):
    one = lambda: made_up(rng, depth + 1)  # noqa: E731
    return rng.choice(
        [
            lambda: {"enum": [value(rng) for _ in range(rng.randint(1, 4))]},
            lambda: {"const": value(rng)},
            lambda: {"type": rng.sample(["boolean", "null", "string", "integer"], 2)},
            lambda: {rng.choice(["anyOf", "oneOf", "allOf"]): [one(), one()]},
            lambda: {"allOf": [record(rng, depth + 1), record(rng, depth + 1)]},
            lambda: {**one(), "not": rng.choice([{"const": value(rng)}, {"type": "null"}, {"required": ["name"]}, {"enum": ["low", 1]}])},
            lambda: {**record(rng, depth + 1), "if": {"properties": {"name": {"type": "string"}}}, "then": {"required": ["name"]}, "else": {"required": ["age"]}},
        ]
    )()


def made_up(rng, depth=0):
    """A random schema, not always one that anything fits."""
    return record(rng, depth) if depth == 0 else rng.choice([text, number, array, record, mixed] if depth < 3 else [text, number])(rng, depth)


def drawn(schema, rng):
    """JSON of tokens drawn by chance alone, which knows no schema that is easy; None where it does not end."""
    constraint, tokens = JsonConstraint(schema, FOLDER / "tokenizer.json"), []
    while (token := int(rng.choice(np.flatnonzero(constraint.allowed())))) != constraint._tokenizer.eos_token:
        tokens.append(token)
        constraint.accept(token)
        if len(tokens) > 600:
            return None
    return constraint._tokenizer.decode_str(tokens)


def test_whatever_is_drawn_fits_or_is_not_said():
    said = 0
    for seed in range(CASES):
        schema, rng = made_up(random.Random(seed)), np.random.default_rng(seed)
        try:
            found = drawn(schema, rng)
        except SchemaError:
            continue
        if found is not None and (is_exact(schema) or fits(found, schema)):
            jsonschema.Draft202012Validator(schema).validate(json.loads(found))
            said += 1
    assert said > CASES / 4, "most schemas can be followed"


BODIES = {
    "/openai/v1/chat/completions": lambda schema: {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Give me an example."}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "r", "schema": schema}},
    },
    "/compatible/v1/chat/completions": lambda schema: BODIES["/openai/v1/chat/completions"](schema) | {"model": "house"},
    "/anthropic/v1/messages": lambda schema: {
        "model": "claude-haiku-4-5",
        "max_tokens": 2000,
        "messages": [{"role": "user", "content": "Give me an example."}],
        "tools": [{"name": "f", "input_schema": schema}],
        "tool_choice": {"type": "any"},
    },
    "/gemini/v1beta/models/gemini-3.5-flash-lite:generateContent": lambda schema: {
        "contents": [{"parts": [{"text": "Give me an example."}]}],
        "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema},
    },
}
HEADERS = {"authorization": "Bearer any", "x-api-key": "any", "x-goog-api-key": "any", "anthropic-version": "2023-06-01"}


def said(answer):
    """The JSON in an answer; None where it was cut short."""
    if "choices" in answer:
        choice = answer["choices"][0]
        return json.loads(choice["message"]["content"]) if choice["finish_reason"] == "stop" else None
    if "candidates" in answer:
        candidate = answer["candidates"][0]
        return json.loads(candidate["content"]["parts"][0]["text"]) if candidate["finishReason"] == "STOP" else None
    return answer["content"][0]["input"] if answer["stop_reason"] == "tool_use" else None


@pytest.mark.parametrize("path", BODIES)
def test_an_answer_fits_its_schema_or_is_refused_in_words(gateway, path):
    for seed in range(max(1, CASES // 50)):
        schema = made_up(random.Random(seed))
        reply = httpx2.post(gateway.base_url + path, json=BODIES[path](schema), headers=HEADERS, timeout=60)
        assert reply.status_code in (200, 400), (schema, reply.text)
        if reply.status_code == 400:
            assert len(json.dumps(reply.json())) > 60 and "internal" not in reply.headers.get("x-course-error", "")
        elif (found := said(reply.json())) is not None:
            jsonschema.Draft202012Validator(schema).validate(found)


# ---- what broke once -----------------------------------------------------------------------------------------
INTEGER = {"type": "integer"}


def of(**properties):
    return {"type": "object", "properties": properties, "required": list(properties)}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "maxProperties": 0},
        {"type": "object", "properties": {"a": INTEGER, "b": INTEGER}, "maxProperties": 1},
        {"type": "object", "properties": {"a": INTEGER, "b": INTEGER}, "minProperties": 2},
        {"type": "object", "properties": {"a": INTEGER, "b": INTEGER}, "dependentRequired": {"a": ["b"]}},
        {**of(a=INTEGER), "dependentRequired": {"a": ["b"], "b": ["c"]}, "properties": {"a": INTEGER, "b": INTEGER, "c": INTEGER}},
        {**of(a=INTEGER), "propertyNames": {"maxLength": 1}, "properties": {"a": INTEGER, "long": INTEGER}},
        {**of(kind={"enum": ["x", "y"]}), "if": {"properties": {"kind": {"const": "x"}}}, "then": {"properties": {"n": INTEGER}, "required": ["n"]}},
        {**of(kind={"const": "y"}), "if": {"properties": {"kind": {"const": "x"}}}, "then": {"required": ["n"]}, "else": {"required": ["m"], "properties": {"m": INTEGER}}},
        of(a={"type": "array", "items": {"enum": ["x", "y", "z"]}, "minItems": 2, "uniqueItems": True}),
        of(a={"type": "array", "items": {"type": "string"}, "contains": {"const": "x"}}),
        of(a={"enum": ["x", "y"], "not": {"const": "x"}}),
        of(a={"not": {"type": ["object", "array", "string"]}}),
        of(a={"oneOf": [INTEGER, {"type": "number"}]}),
        of(a={"type": "number", "minimum": 0.1, "maximum": 0.3, "multipleOf": 0.1}),
        of(a={"type": "integer", "minimum": -(2**63), "maximum": 2**63}),
        of(a={"enum": [2**63, "x"]}),
        of(a={"type": "string", "pattern": r"^(?=.*\d)(?!0)[a-z0-9]{4,8}$"}),
        of(a={"type": "string", "format": "email", "pattern": r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$"}),
    ],
    ids=str,
)  # fmt: skip
def test_a_keyword_is_obeyed(gateway, schema):
    path = "/anthropic/v1/messages"
    for _ in range(2):
        reply = httpx2.post(gateway.base_url + path, json=BODIES[path](schema), headers=HEADERS, timeout=60)
        assert reply.status_code == 200, reply.text
        jsonschema.Draft202012Validator(schema).validate(said(reply.json()))


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (of(a={"const": 2**63 - 1}), "cannot write exactly: 9223372036854775807"),
        (of(a={"enum": [2**53 + 1]}), "enum has only numbers that the house model cannot write exactly"),
        (of(a={"type": "integer", "minimum": 2**63}), "minimum 9223372036854775808 leaves only numbers beyond 1,000,000,000,000,000"),
        (of(a={"type": "integer", "minimum": -(2**63), "maximum": -(2**63)}), "maximum -9223372036854775808 leaves only numbers beyond"),
        (of(a={"type": "string", "not": {}}), "found no answer to it in 8 tries"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_before_a_word_is_said(gateway, schema, words):
    for more in ({}, {"stream": True}):
        body = BODIES["/anthropic/v1/messages"](schema) | more
        reply = httpx2.post(gateway.base_url + "/anthropic/v1/messages", json=body, headers=HEADERS, timeout=60)
        assert reply.status_code == 400 and words in reply.json()["error"]["message"], reply.text


def test_a_schema_that_takes_for_ever_to_check_is_given_up():
    ring = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)}
    assert not is_valid(1, {"$ref": "#/$defs/a0", "$defs": {**ring, "a40": {"type": "string"}}})
    assert not is_valid({"a" * 40 + "!": 1}, {"patternProperties": {"^(a+)+$": {}}})
    assert not is_valid("a" * 40 + "!", {"pattern": "^(a|a)*$"})
    assert not is_valid(1, {"$ref": "https://example.com/schema"}), "nothing is fetched"


@pytest.mark.parametrize(
    "around",
    [
        lambda inner: {"type": "array", "items": inner, "contains": inner, "minContains": 10**9},
        lambda inner: {"type": "object", "if": {"properties": {"a": inner}}, "then": {"required": ["a"]}},
        lambda inner: {"type": "object", "required": ["a"], "dependentSchemas": {"a": {"properties": {"a": inner}}}},
    ],
    ids=["contains", "if", "dependentSchemas"],
)
def test_schemas_inside_one_another_do_not_multiply(around):
    schema = {"type": "integer"}
    for _ in range(8):
        schema = around(schema)
    assert len(json.dumps(bounded(schema))) < 60 * len(json.dumps(schema))


def test_a_pattern_of_any_length_is_read_in_a_moment():
    assert without_lookaround("[" * 300_000) == "[" * 300_000
    assert not is_exact({"pattern": "(?=a)" * 50_000}) and is_exact({"pattern": "[" * 300_000})


@pytest.mark.parametrize(
    ("pattern", "left"),
    [(r"^(?=.*\d)[a-z]+$", "^[a-z]+$"), (r"^(?!a(b|[)]))x(?<!\))y", "^xy"), (r"\(?=a", r"\(?=a"), ("(?=(a", ""), (r"[(?=]\\(?!x)[^)(?=]", r"[(?=]\\[^)(?=]")],
)
def test_a_pattern_without_its_lookaround(pattern, left):
    assert without_lookaround(pattern) == left
