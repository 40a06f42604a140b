"""OpenAI's embeddings: what a body may hold, in which words it is refused, and the vectors as JSON, in base64 where that is asked for.

The limits and most of the words are those that users measured in September 2026 (an empty string, 2,049 inputs, 8,193 tokens, 1,537
dimensions) or were shown in 2024 to 2026.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from helpers.gateway import tokens
from helpers.gateway.answer import Answer
from helpers.gateway.dialects.openai.errors import refused
from helpers.gateway.dialects.schema import INTEGER, STRING, between, checker, nullable, one_of, shape
from helpers.gateway.exchange import Message, Part, Question, Refusal, Vectors
from helpers.gateway.wire import compact
from helpers.models import Model

if TYPE_CHECKING:
    import numpy as np

MOST_INPUTS, MOST_TOKENS = 2048, 300_000
FIXED = ("text-embedding-ada-002",)  # models whose vectors cannot be shortened
check = checker(
    shape(
        "input",
        closed=True,
        model=STRING,
        input={"type": ["string", "array"], "title": "a string or an array of strings or of tokens"},
        dimensions=nullable(between("integer", 1)),
        encoding_format=nullable(one_of("float", "base64")),
        user=nullable(STRING),
    )
)
check_token = checker(INTEGER)


def question(body: dict[str, Any], model: Model, provider: str) -> Question:
    """The question of a checked body. Raises Refusal."""
    texts, counts = _inputs(body["input"], model)
    if sum(counts) > MOST_TOKENS:
        raise refused(f"Invalid 'input': maximum request size is {MOST_TOKENS} tokens per request.")
    form = (("encoding_format", body.get("encoding_format") or "float"),)
    return Question(provider, model, messages(texts), vectors=Vectors(dimensions(body, model), form=form, tokens=tuple(counts)))


def messages(texts: Sequence[str]) -> tuple[Message, ...]:
    """Texts that each get a vector, as a question holds them."""
    return tuple(Message("input", (Part(text),)) for text in texts)


def dimensions(body: dict[str, Any], model: Model) -> int:
    """How long the vectors are to be. Raises Refusal."""
    asked = body.get("dimensions")
    if asked is None:
        return model.dimensions
    if model.id in FIXED:
        raise refused("This model does not support specifying dimensions.")
    if asked > model.dimensions:
        raise refused(f"Invalid value for 'dimensions' = {asked}. Must be less than or equal to {model.dimensions}.")
    return asked


def _inputs(given: str | list[Any], model: Model) -> tuple[list[str], list[int]]:
    """The texts and their tokens: one text, several, the tokens of one, or those of several. Raises Refusal."""
    if isinstance(given, str):
        return _texts([given], model, single=True)
    if not given:
        raise refused("Invalid 'input': input cannot be an empty array.")
    if isinstance(given[0], int) and not isinstance(given[0], bool):
        return _texts([given], model, single=True)
    if len(given) > MOST_INPUTS:
        raise refused(f"Invalid 'input': array length must be {MOST_INPUTS} or less.")
    return _texts(given, model)


def _texts(given: list[Any], model: Model, single: bool = False) -> tuple[list[str], list[int]]:
    found = [_text(one, "input" if single else f"input[{index}]") for index, one in enumerate(given)]
    for index, (_, count) in enumerate(found):
        if count > model.context:
            raise refused(f"Invalid 'input[{index}]': maximum input length is {model.context} tokens.")
    return [text for text, _ in found], [count for _, count in found]


def _text(one: Any, param: str) -> tuple[str, int]:
    """A text and how many tokens it has; of tokens, the text that they stand for."""
    if isinstance(one, str):
        if not one:
            raise refused(f"Invalid '{param}': input cannot be an empty string.")
        return one, tokens.count_older(one)
    if not isinstance(one, list):
        raise Refusal("wrong_type", param=param, expected="string", value=one)
    if not one:
        raise refused(f"Invalid '{param}': input cannot be an empty array.")
    for index, token in enumerate(one):
        check_token(token, f"{param}[{index}]")
    try:
        return tokens.text_of_older(one), len(one)
    except ValueError as error:
        raise refused(f"Invalid '{param}': {error}.") from None


def body(answer: Answer) -> bytes:
    """The answer, laid out as OpenAI does it, vector by vector: so the thread that writes a large one lets others in between."""
    used = answer.usage.input_tokens
    in_base64 = dict(answer.question.vectors.form)["encoding_format"] == "base64"
    rows = b",\n".join(_row(index, vector, in_base64) for index, vector in enumerate(answer.vectors))
    tail = f'  ],\n  "model": "{answer.question.model.served_as}",\n  "usage": {{\n    "prompt_tokens": {used},\n    "total_tokens": {used}\n  }}\n}}\n'
    return b'{\n  "object": "list",\n  "data": [\n' + rows + b"\n" + tail.encode()


def _row(index: int, vector: np.ndarray, in_base64: bool) -> bytes:
    numbers = compact(in_base64_form(vector) if in_base64 else floats(vector))
    return b'    {\n      "object": "embedding",\n      "index": %d,\n      "embedding": %b\n    }' % (index, numbers)


def in_base64_form(vector: np.ndarray) -> str:
    """The numbers as four bytes each, the lowest first, in base64."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def floats(vector: np.ndarray) -> list[float]:
    """The numbers with nine places, about as many as four bytes hold."""
    return [round(number, 9) for number in vector.tolist()]
