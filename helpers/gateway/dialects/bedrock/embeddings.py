"""Vectors by InvokeModel: the bodies of Amazon's Titan and of Cohere's models, by AWS's pages as litellm 1.110.2 follows them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from helpers.gateway.answer import Answer
from helpers.gateway.dialects.bedrock.makers import is_cohere, is_titan
from helpers.gateway.dialects.schema import BOOLEAN, INTEGER, checker, list_of, one_of, shape
from helpers.gateway.exchange import Message, Part, Question, Refusal, Usage, Vectors
from helpers.gateway.wire import compact
from helpers.models import Model

if TYPE_CHECKING:
    import numpy as np

TEXT = {"type": "string", "minLength": 1}
TITAN = {
    "inputText": {**TEXT, "maxLength": 50_000},
    "dimensions": {"enum": [256, 512, 1024]},
    "normalize": BOOLEAN,
    "embeddingTypes": list_of(one_of("float", "binary"), minItems=1),
}
COHERE = {
    "input_type": one_of("search_document", "search_query", "classification", "clustering", "image"),
    "texts": list_of(TEXT, minItems=1, maxItems=96),
    "truncate": one_of("NONE", "START", "LEFT", "END", "RIGHT"),
    "embedding_types": list_of(one_of("float", "int8", "uint8", "binary", "ubinary"), minItems=1),
    **dict.fromkeys(("images", "inputs"), {}),  # only known so that the refusal can say what is served
}
_check_titan = checker(shape("inputText", closed=True, **TITAN))
_check_cohere_3 = checker(shape("input_type", closed=True, **COHERE | {"texts": list_of({**TEXT, "maxLength": 2048}, minItems=1, maxItems=96)}))
_check_cohere_4 = checker(shape("input_type", closed=True, **COHERE, output_dimension={"enum": [256, 512, 1024, 1536]}, max_tokens=INTEGER))


def question(body: dict[str, Any], model: Model) -> Question:
    """The question of a body. Raises Refusal."""
    return _titan(body, model) if is_titan(model) else _cohere(body, model)


def _titan(body: dict[str, Any], model: Model) -> Question:
    _check_titan(body)
    form = (("types", tuple(dict.fromkeys(body.get("embeddingTypes", ("float",))))),)
    wanted = Vectors(body.get("dimensions", model.dimensions), is_unit=body.get("normalize", True), form=form)
    asked = Question("bedrock", model, _messages([body["inputText"]]), vectors=wanted)
    if asked.prompt_tokens > model.context:
        text = f"400 Bad Request: Too many input tokens. Max input tokens: {model.context}, request input token count: {asked.prompt_tokens} "
        raise Refusal("bad_value", text, param="inputText")
    return asked


def _cohere(body: dict[str, Any], model: Model) -> Question:
    (_check_cohere_4 if "embed-v4" in model.id else _check_cohere_3)(body)
    if "images" in body or "inputs" in body:
        raise Refusal("unsupported", "The course's gateway makes vectors of texts alone.", param="texts")
    if "texts" not in body:
        raise Refusal("missing", param="texts")
    form = (("types", tuple(dict.fromkeys(body.get("embedding_types", ())))), ("input_type", body["input_type"]))
    wanted = Vectors(body.get("output_dimension", model.dimensions), form=form)
    return Question("bedrock", model, _messages(body["texts"]), vectors=wanted)


def _messages(texts: list[str]) -> tuple[Message, ...]:
    return tuple(Message("input", (Part(text),)) for text in texts)


# ---- writing -----------------------------------------------------------------
def body(question: Question, answer: Answer) -> bytes:
    types = dict(question.vectors.form)["types"]
    if is_cohere(question.model):
        return _cohere_body(question, answer, types)
    vector = answer.vectors[0]
    by_type = {kind: _numbers(vector) if kind == "float" else [int(number > 0) for number in vector] for kind in types}
    first = {"embedding": by_type["float"]} if "float" in by_type else {}
    return compact({**first, "embeddingsByType": by_type, "inputTextTokenCount": answer.usage.input_tokens})


def _cohere_body(question: Question, answer: Answer, types: tuple[str, ...]) -> bytes:
    """A list of vectors; where types are named, one for each of them. Vector by vector, so that others get their turn."""
    if types:
        lists = (compact(kind) + b":" + _list([_typed(vector, kind) for vector in answer.vectors]) for kind in types)
        found, kind = b"{" + b",".join(lists) + b"}", "embeddings_by_type"
    else:
        found, kind = _list([_numbers(vector) for vector in answer.vectors]), "embeddings_floats"
    rest = {"id": str(uuid.uuid4()), "response_type": kind, "texts": [message.text for message in question.messages]}
    return b'{"embeddings":' + found + b"," + compact(rest)[1:]


def _list(rows: list[list[Any]]) -> bytes:
    return b"[" + b",".join(map(compact, rows)) + b"]"


def _numbers(vector: np.ndarray) -> list[float]:
    return [round(number, 9) for number in vector.tolist()]


def _typed(vector: np.ndarray, kind: str) -> list[Any]:
    """Whole numbers: in a byte each, the largest as 127 (Cohere's own scale is not public), or the signs alone, eight in a byte."""
    import numpy as np

    if kind == "float":
        return _numbers(vector)
    if kind in ("int8", "uint8"):
        scaled = np.rint(vector / np.abs(vector).max() * 127).astype(int)
        return (scaled + 128 if kind == "uint8" else scaled).tolist()
    packed = np.packbits(vector > 0).astype(int)
    return (packed if kind == "ubinary" else packed - 128).tolist()


def parse_usage(payloads: list[dict[str, Any]]) -> Usage | None:
    """The usage in Titan's body. Cohere's says nothing: it stands in a header."""
    return Usage(input_tokens=payloads[-1]["inputTextTokenCount"]) if payloads and "inputTextTokenCount" in payloads[-1] else None
