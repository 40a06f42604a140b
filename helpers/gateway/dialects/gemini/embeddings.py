"""Gemini's embedContent and batchEmbedContents. google-genai always calls the second, with a request for each content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from helpers.gateway.answer import Answer
from helpers.gateway.dialects.gemini.fields import CONTENT, normalised
from helpers.gateway.dialects.schema import BOOLEAN, INTEGER, STRING, checker, list_of, shape
from helpers.gateway.exchange import Message, Part, Question, Refusal, Vectors
from helpers.gateway.wire import compact
from helpers.models import Model

if TYPE_CHECKING:
    import numpy as np

MOST_REQUESTS = 100  # in a batch
TASKS = (
    "TASK_TYPE_UNSPECIFIED", "RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT", "SEMANTIC_SIMILARITY", "CLASSIFICATION", "CLUSTERING", "QUESTION_ANSWERING",
    "FACT_VERIFICATION", "CODE_RETRIEVAL_QUERY",
)  # fmt: skip
SETTINGS = {"taskType": STRING, "title": STRING, "outputDimensionality": INTEGER}
CONFIG = shape(closed=True, autoTruncate=BOOLEAN, documentOcr=BOOLEAN, audioTrackExtraction=BOOLEAN, **SETTINGS)
REQUEST = shape(closed=True, model=STRING, content=CONTENT, embedContentConfig=CONFIG, **SETTINGS)
BATCH = shape(closed=True, requests=list_of(REQUEST))
_check, _check_batch = checker(REQUEST), checker(BATCH)


def one(body: dict[str, Any], model: Model) -> Question:
    """The question of an embedContent body. Raises Refusal."""
    body = normalised(body, REQUEST)
    _check(body)
    return _question([body], [""], model, is_batch=False)


def several(body: dict[str, Any], model: Model) -> Question:
    """The question of a batchEmbedContents body; towards the limits each of its requests counts as one. Raises Refusal."""
    body = normalised(body, BATCH)
    _check_batch(body)
    requests = body.get("requests") or []
    if not requests:
        raise Refusal("bad_value", "* BatchEmbedContentsRequest.requests: requests is not specified\n")
    if len(requests) > MOST_REQUESTS:
        raise Refusal("bad_value", f"* BatchEmbedContentsRequest.requests: at most {MOST_REQUESTS} requests can be in one batch\n")
    for index, request in enumerate(requests):
        if request.get("model", "").removeprefix("models/") != model.id:
            raise Refusal("bad_value", f"* BatchEmbedContentsRequest.requests[{index}].model: unexpected model name format\n")
    return _question(requests, [f"requests[{index}]." for index in range(len(requests))], model, is_batch=True)


def _question(requests: list[dict[str, Any]], places: list[str], model: Model, is_batch: bool) -> Question:
    settings = [_settings(request, place, model) for request, place in zip(requests, places, strict=True)]
    messages = tuple(Message("input", (Part(_text(request, place)),)) for request, place in zip(requests, places, strict=True))
    lengths = tuple(length for length, _ in settings)
    form = (("lengths", lengths), ("tasks", tuple(task for _, task in settings)), ("batch", is_batch))
    return Question("gemini", model, messages, vectors=Vectors(max(lengths), is_unit=False, form=form), counts_as=len(requests))


def _settings(request: dict[str, Any], place: str, model: Model) -> tuple[int, str]:
    """How long the vector is to be, and the task, which ours is the same for."""
    given = {**request.get("embedContentConfig", {}), **{name: request[name] for name in SETTINGS if name in request}}
    task, length = given.get("taskType", ""), given.get("outputDimensionality", model.dimensions)
    if task and task not in TASKS:
        raise Refusal("wrong_type", param=f"{place}taskType", expected="task", value=task)
    if not 1 <= length <= model.dimensions:
        raise Refusal("bad_value", f"* EmbedContentRequest.output_dimensionality: output_dimensionality must be in the range [1, {model.dimensions}]\n")
    return length, task


def _text(request: dict[str, Any], place: str) -> str:
    """The text of a content. Its parts make one vector together."""
    parts = request.get("content", {}).get("parts") or []
    if not parts:
        raise Refusal("missing", "* EmbedContentRequest.content: contents is not specified\n", param=f"{place}content")
    if any(set(part) - {"text"} for part in parts):
        raise Refusal("unsupported", "The course's gateway makes vectors of texts alone.", param=f"{place}content")
    text = "\n".join(part.get("text", "") for part in parts)
    if not text.strip("\n"):
        raise Refusal("bad_value", "The text content is empty.", param=f"{place}content")
    return text


def body(question: Question, answer: Answer) -> bytes:
    """The answer, vector by vector. The newer model says how many tokens it read."""
    import numpy as np

    form, used = dict(question.vectors.form), answer.usage.input_tokens
    normalises = question.model.id != "gemini-embedding-001"  # which leaves to its clients what is shorter than 3,072
    rows = [vector[:length] for vector, length in zip(answer.vectors, form["lengths"], strict=True)]
    rows = [row / np.linalg.norm(row) for row in rows] if normalises else rows
    usage = compact({"promptTokenCount": used, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": used}]})
    tail = b',\n  "usageMetadata": ' + usage + b"\n}\n" if normalises else b"\n}\n"
    if form["batch"]:
        return b'{\n  "embeddings": [\n' + b",\n".join(map(_row, rows)) + b"\n  ]" + tail
    return b'{\n  "embedding": ' + _row(rows[0]).strip() + tail


def _row(vector: np.ndarray) -> bytes:
    return b'    {\n      "values": ' + compact([round(number, 9) for number in vector.tolist()]) + b"\n    }"
