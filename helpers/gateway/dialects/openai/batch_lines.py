"""The lines of an OpenAI batch file: the requests, or what is wrong with them, in OpenAI's words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from helpers.gateway.batches import Item
from helpers.gateway.dialects.openai.errors import words
from helpers.gateway.dialects.schema import OBJECT, STRING, checker, shape
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import parse_json

MOST_LINES = 50_000
MOST_PROBLEMS = 1_000  # that a batch names; more would only make every answer about it long
FIELDS = ("custom_id", "method", "url", "body")
NAMES = {"/v1/chat/completions": "Chat Completions", "/v1/responses": "Responses", "/v1/embeddings": "Embeddings"}
NEEDED = {"/v1/chat/completions": ("model", "messages"), "/v1/responses": ("model",), "/v1/embeddings": ("model", "input")}  # what a body cannot be without
check_line = checker(shape(custom_id=STRING, method=STRING, url=STRING, body=OBJECT))
# The codes are those of OpenAI's guide; where it has none, and for the words, those that users were shown in 2025 and 2026.
MODEL_DIFFERS = "The model '{}' for this request does not match the rest of the batch. Each batch must contain requests for a single model."
ID_TWICE = "The custom_id '{}' for this request is a duplicate of another request. The custom_id parameter must be unique for each request in a batch."
URL_DIFFERS = "The URL provided for this request does not match the batch endpoint."


@dataclass
class Lines:
    """What was read of a file: `items` keep their line as text, which takes a tenth of the memory."""

    items: list[Item] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    model: str | None = None


def read(content: bytes, endpoint: str, knows: Callable[[str], bool]) -> Lines:
    """The requests of a file whose lines end with a line feed and with nothing else. `knows` says whether a model exists."""
    found, ids = Lines(), set()
    for number, text in enumerate(content.decode("utf-8", "replace").split("\n"), start=1):
        if len(found.problems) >= MOST_PROBLEMS:
            break
        if not text.strip(" \t\r"):
            continue
        if len(found.items) == MOST_LINES:
            found.problems.append(problem("too_many_tasks", f"A batch has at most {MOST_LINES} requests."))
            break
        line, wrong = _parsed(text)
        found.items.append(Item("", text))
        if not wrong:
            wrong = _wrong(line, endpoint, knows, found, ids)
        found.problems += [{**one, "line": number} for one in wrong]
    if not found.items:
        found.problems.append(problem("empty_file", "The input file has no requests."))
    return found


def problem(code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """An error of a batch, without a line."""
    return {"code": code, "message": message, "param": param, "line": None}


def _parsed(text: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        line = parse_json(text)
    except ValueError:  # also for a byte order mark at the beginning of the file
        return {}, [problem("invalid_json_line", "This line is not parseable as valid JSON.")]
    if not isinstance(line, dict):
        return {}, [problem("invalid_request", "Each line must be a JSON object.")]
    missing = [problem("missing_required_parameter", f"Missing required parameter: '{name}'.", name) for name in FIELDS if name not in line]
    if missing:
        return line, missing
    try:
        check_line(line)
    except Refusal as refusal:
        _, _, code, message = words(refusal, "")
        return line, [problem(code or "invalid_request", message, refusal.param)]
    return line, []


def _wrong(line: dict[str, Any], endpoint: str, knows: Callable[[str], bool], found: Lines, ids: set[str]) -> list[dict[str, Any]]:
    """What is wrong with a line that has all its fields. Takes note of its id and its model."""
    id, body, out = line["custom_id"], line["body"], []
    found.items[-1].custom_id = id
    if id in ids:
        out.append(problem("duplicate_custom_id", ID_TWICE.format(id), "custom_id"))
    ids.add(id)
    if line["method"] != "POST":
        out.append(problem("invalid_value", f"Invalid value for 'method': '{line['method']}'. Supported values are: 'POST'.", "method"))
    if line["url"] != endpoint:
        return [*out, problem("url_mismatch", URL_DIFFERS, "url")]
    if body.get("stream"):
        out.append(problem("streaming_unsupported", f"{NAMES[endpoint]}: Streaming is not supported in the Batch API.", "body.stream"))
    out += [problem("invalid_request", f"{name.title()} parameter is required.", f"body.{name}") for name in NEEDED[endpoint] if name not in body]
    model = body.get("model")
    if not isinstance(model, str):
        return out
    if not knows(model):
        return [*out, problem("model_not_found", f"The provided model '{model}' is not supported by the Batch API.", "body.model")]
    found.model = found.model or model
    if model != found.model:
        out.append(problem("model_mismatch", MODEL_DIFFERS.format(model), "body.model"))
    return out
