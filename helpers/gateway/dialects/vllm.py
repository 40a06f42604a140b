"""What vLLM 0.32.0 takes and refuses, and in what words: its request model and validators, read in its source.

It takes more than OpenAI: any role, any name, tool messages that answer no call, both limits at once.
"""

from __future__ import annotations

from typing import Any

from helpers import models
from helpers.gateway.dialects import json_schema
from helpers.gateway.dialects.openai import errors
from helpers.gateway.dialects.schema import BOOLEAN, INTEGER, NUMBER, OBJECT, STRING, Schema, checker, list_of, nullable, one_of, shape
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import hex_id

CALLED = shape("name arguments", name=STRING, arguments=STRING)
MESSAGE = shape(
    "role",
    role=STRING,
    content={"type": ["string", "array", "null"], "items": {"type": ["object", "string"]}},
    tool_calls=nullable(list_of(shape("id function", id=STRING, function=CALLED))),
    tool_call_id=nullable(STRING),
    name=nullable(STRING),
)
TOOL = shape("function", type=one_of("function"), function=shape("name", name=STRING, parameters=nullable(OBJECT)))
FORMAT = shape("type", type=one_of("text", "json_object", "json_schema", "structural_tag"), json_schema=nullable(shape("name", name=STRING, schema=nullable(OBJECT))))
# Fields that vLLM does not know, it passes over.
FIELDS: dict[str, Schema] = {
    "messages": list_of(MESSAGE, minItems=1),
    **dict.fromkeys(("frequency_penalty", "presence_penalty", "temperature", "top_p", "min_p", "repetition_penalty"), nullable(NUMBER)),
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "n", "seed", "top_k", "top_logprobs"), nullable(INTEGER)),
    **dict.fromkeys(("logprobs", "stream", "parallel_tool_calls"), nullable(BOOLEAN)),
    "logit_bias": nullable(OBJECT),
    "reasoning_effort": nullable(one_of("none", "minimal", "low", "medium", "high", "xhigh", "max")),
    "response_format": nullable(FORMAT),
    "stop": {"type": ["string", "array", "null"], "items": STRING},
    "stream_options": nullable(shape(include_usage=nullable(BOOLEAN))),
    "tools": nullable(list_of(TOOL)),
    "user": nullable(STRING),
}
_check_fields = checker(shape("messages", **FIELDS))
# The ranges that vLLM writes into its errors, with the place where it has one.
RANGES = {"presence_penalty": (-2, 2), "frequency_penalty": (-2, 2), "temperature": (0, 2), "top_p": (0, 1), "min_p": (0, 1)}
PLACED = ("temperature", "top_p")
MOST_LOGPROBS, MOST_CHOICES = 20, 16_384
PARTS = (
    "audio_embeds", "audio_url", "image_embeds", "image_pil", "image_url", "input_audio", "input_image", "input_text", "output_text",
    "prompt_embeds", "refusal", "text", "thinking", "tool_reference", "video_embeds", "video_url",
)  # fmt: skip
UNSEEN = ("name", "function_call")
TEXTS = ("text", "input_text", "output_text", "refusal", "thinking")
USAGE = 'Correct usage: `{"type": "function", "function": {"name": "my_function"}}`'


def check(body: dict[str, Any]) -> None:
    """Raise a Refusal for a body that vLLM refuses before it looks at the model: its validators come before the types."""
    _check_combinations(body)
    _check_choice(body)
    _check_fields(body)
    check_sampling(body)
    check_schemas(body)


def invalid(text: str, param: str | None = None, value: Any = None) -> Refusal:
    """A refusal as vLLM's validators raise it: the place and the value stand at the end of the message."""
    places = [f"{name}={given}" for name, given in (("parameter", param), ("value", value)) if given is not None]
    return Refusal("bad_value", f"{text} ({', '.join(places)})" if places else text, param=param)


def _check_combinations(body: dict[str, Any]) -> None:
    check_form(body)
    top = body.get("top_logprobs")
    if top is not None and not isinstance(top, int | float):
        raise invalid("`top_logprobs` must be an integer.", "top_logprobs", top)
    if top is not None and top < 0 and top != -1:
        raise invalid("`top_logprobs` must be a positive value or -1.", "top_logprobs", top)
    if top and not body.get("logprobs"):
        raise invalid("when using `top_logprobs`, `logprobs` must be set to true.", "top_logprobs")
    if body.get("tools") == []:
        raise invalid("`tools` must not be an empty array. Either provide at least one tool or omit the field entirely.", "tools")


def check_form(body: dict[str, Any]) -> None:
    """Raise a Refusal for a form of the answer that lacks its schema, and for options of a stream where there is none."""
    form = body.get("response_format")
    if isinstance(form, dict) and form.get("type") == "json_schema" and form.get("json_schema") is None:
        raise invalid("When response_format type is 'json_schema', the 'json_schema' field must be provided.", "response_format")
    if body.get("stream_options") and not body.get("stream"):
        raise invalid("Stream options can only be defined when `stream=True`.", "stream_options")


def _check_choice(body: dict[str, Any]) -> None:
    """tool_choice: none, auto, required, or a tool by its name, which must be there."""
    choice = body.get("tool_choice")
    if choice in (None, "none"):
        return
    if body.get("tools") is None:
        raise invalid("When using `tool_choice`, `tools` must be set.", "tool_choice")
    if choice in ("auto", "required"):
        return
    if not isinstance(choice, dict):
        text = f'Invalid value for `tool_choice`: {choice}! Only named tools, "none", "auto" or "required" are supported.'
        raise invalid(text, "tool_choice")
    function = choice.get("function")
    if not isinstance(function, dict):
        raise invalid(f"Invalid value for `function`: `{function}` in `tool_choice`! {USAGE}", "tool_choice.function")
    if "name" not in function:
        raise invalid(f"Expected field `name` in `function` in `tool_choice`! {USAGE}", "tool_choice.function.name")
    name = function["name"]
    if not isinstance(name, str) or not name:
        raise invalid(f"Invalid `name` in `function`: `{name}` in `tool_choice`! {USAGE}", "tool_choice.function.name")
    _check_fields(body)
    if name not in [tool["function"]["name"] for tool in body["tools"]]:
        raise invalid("The tool specified in `tool_choice` does not match any of the specified `tools`", "tool_choice")


def check_schemas(body: dict[str, Any]) -> None:
    """Raise a Refusal for the schemas of functions and of the answer, where they are none; the words are those of the library that OpenAI uses too."""
    asked = (body.get("response_format") or {}).get("json_schema") or {}
    for schema in (asked.get("schema"), *(tool["function"].get("parameters") for tool in body.get("tools") or [])):
        wrong = json_schema.fault(schema, patterns=False) if schema else None
        if wrong:
            raise invalid(f"Invalid JSON schema: {wrong}")


def check_sampling(body: dict[str, Any]) -> None:
    """Raise a Refusal for what is out of its range, in the order in which vLLM looks at them."""
    n = body.get("n")
    if n is not None and not 1 <= n <= MOST_CHOICES:
        raise invalid(f"n must be at least 1, got {n}." if n < 1 else _too_many(n))
    for name, (low, high) in RANGES.items():
        value = body.get(name)
        if value is None or (low <= value <= high and (name, value) != ("top_p", 0)):
            continue
        text = f"{name} must be in {'(' if name == 'top_p' else '['}{low}, {high}], got {float(value)}."
        text = f"temperature must be non-negative, got {float(value)}." if name == "temperature" and value < 0 else text
        raise invalid(text, *((name, float(value)) if name in PLACED else ()))
    if body.get("repetition_penalty") is not None and body["repetition_penalty"] <= 0:
        raise invalid(f"repetition_penalty must be greater than zero, got {float(body['repetition_penalty'])}.")
    for name in ("max_completion_tokens", "max_tokens"):
        if body.get(name) is not None and body[name] < 1:
            raise invalid(f"max_tokens must be at least 1, got {body[name]}.", "max_tokens", body[name])
    if (body.get("top_k") or 0) < -1:
        raise invalid(f"top_k must be 0 (disable), or at least 1, got {body['top_k']}.")
    if "" in ([body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop") or []):
        raise invalid("stop cannot contain an empty string.")
    top = body.get("top_logprobs") or 0
    if top < -1:
        raise invalid(f"logprobs must be non-negative or -1, got {top}.", "logprobs", top)
    if not 0 <= top <= MOST_LOGPROBS:
        raise invalid(f"Requested sample logprobs of {top}, which is greater than max allowed: {MOST_LOGPROBS}", "logprobs", top)


def _too_many(n: int) -> str:
    return f"n must be at most {MOST_CHOICES}, got {n}. To increase this limit, set the VLLM_MAX_N_SEQUENCES environment variable."


_check_embeddings = checker(
    shape(
        "input",
        input={"type": ["string", "array"], "items": STRING, "minItems": 1},
        dimensions=nullable(INTEGER),
        encoding_format=nullable(one_of("float", "base64")),
        user=nullable(STRING),
    )
)


def embeddings(body: dict[str, Any], model: models.Model) -> tuple[list[str], int, str]:
    """The texts of a request for vectors, the length of these and their form. Raises Refusal."""
    _check_embeddings(body)
    asked = model.dimensions if body.get("dimensions") is None else body["dimensions"]
    if not 0 < asked <= model.dimensions:
        raise Refusal("bad_value", f"Dimensions must be between 1 and {model.dimensions}; got {asked}", param="dimensions")
    given = body["input"]
    return [given] if isinstance(given, str) else given, asked, body.get("encoding_format") or "float"


def as_texts(messages: list[dict[str, Any]], model: models.Model) -> list[dict[str, Any]]:
    """The messages as the chat templates of this mount show them: texts, without names and the calls of old. Raises Refusal for what is no text."""
    return [{**{k: v for k, v in message.items() if k not in UNSEEN}, "content": _text_of(message.get("content"), model)} for message in messages]


def as_strings(messages: list[dict[str, Any]], model: models.Model) -> list[dict[str, Any]]:
    """The same, the parts of each as one text: vLLM sets them in lines of their own where a template asks for a text. Raises Refusal."""
    return [{**message, "content": _in_lines(message["content"])} for message in as_texts(messages, model)]


def _in_lines(content: Any) -> Any:
    return "\n".join([part["text"] for part in content]) if isinstance(content, list) else content


def _text_of(content: Any, model: models.Model) -> Any:
    if not isinstance(content, list):
        return content
    return [{"type": "text", "text": text} for text in (_part(part, model) for part in content) if text is not None]


def _part(part: Any, model: models.Model) -> str | None:
    """The text of a part, None where it has none."""
    if isinstance(part, str):
        return part
    kind = part.get("type")
    if kind is None:
        raise invalid("Missing 'type' field in multimodal part.", "type")
    if not isinstance(kind, str):
        raise invalid("Invalid 'type' field in multimodal part.", "type")
    if kind not in PARTS:
        raise invalid(f"Unsupported chat content part type: {kind!r}. Supported types: {', '.join(PARTS)}.", "type", kind)
    if kind not in TEXTS:
        raise invalid(f"{model.id} is not a multimodal model")
    name = kind if kind in ("refusal", "thinking") else "text"
    if part.get(name) is not None and not isinstance(part[name], str):
        raise Refusal("wrong_type", param=name, expected="string", value=part[name])
    return part.get(name)


def words(refusal: Refusal) -> tuple[int, str, str]:
    """Status, type and message of a refusal."""
    facts, param = refusal.facts, refusal.param
    if "type" in facts:
        return 404 if refusal.kind == "not_found" else 400, facts["type"], str(refusal)
    if refusal.kind == "unknown_model":
        served = ", ".join(model.id for model in models.of("compatible"))
        return 404, "NotFoundError", f"The model `{facts['model']}` does not exist. Valid aliases: {served}."
    if refusal.kind == "wrong_kind":
        operation = "Embeddings" if facts["wanted"] == "embedding" else "Chat Completions"
        return 501, "NotImplementedError", f"The model does not support {operation} API"
    if refusal.kind == "too_long":
        least = facts["maximum"] + 1
        text = (
            f"This model's maximum context length is {facts['maximum']} tokens. However, your prompt contains at least {least} input tokens, "
            "which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. "
            f"(parameter=input_tokens, value={least})"
        )
        return 400, "BadRequestError", text
    if refusal.kind == "missing":
        return 400, "Bad Request", f"1 validation error:\n  {{'type': 'missing', 'loc': '{_place(param)}', 'msg': 'Field required'}}"
    if refusal.kind == "wrong_type":
        kind, text = _wrong_type(facts)
        return 400, "Bad Request", f"1 validation error:\n  {{'type': '{kind}', 'loc': '{_place(param)}', 'msg': '{text}'}}"
    if refusal.kind == "bad_value" and facts.get("rule") == "enum":
        *most, last = [f"'{value}'" for value in facts["bound"] if value is not None]
        text = f"Input should be {', '.join(most)} or {last}" if most else f"Input should be {last}"
        return 400, "Bad Request", f"1 validation error:\n  {{'type': 'literal_error', 'loc': '{_place(param)}', 'msg': \"{text}\"}}"
    if refusal.kind == "bad_value" and facts.get("rule") in BOUNDS:
        word = BOUNDS[facts["rule"]]
        text = f"Input should be {word} than or equal to {facts['bound']}"
        return 400, "Bad Request", f"1 validation error:\n  {{'type': '{word}_than_equal', 'loc': '{_place(param)}', 'msg': '{text}'}}"
    if refusal.kind == "above_window":
        text = f"{param}={facts['value']} cannot be greater than max_model_len={facts['maximum']}. Please request fewer output tokens."
        return 400, "BadRequestError", f"{text} (parameter={param}, value={facts['value']})"
    status, _, _, message = errors.words(refusal, hex_id("", 8))
    names = {400: "BadRequestError", 401: "UnauthorizedError", 404: "NotFoundError", 429: "TooManyRequestsError", 503: "ServiceUnavailableError"}
    return status, names.get(status, "InternalServerError"), message


BOUNDS = {"minimum": "greater", "maximum": "less"}
# A type of JSON as pydantic names it, and what it says where a text stands in its place.
PYDANTIC = {
    "integer": ("int", "integer", ", unable to parse string as an integer"),
    "number": ("float", "number", ", unable to parse string as a number"),
    "boolean": ("bool", "boolean", ", unable to interpret input"),
    "string": ("string", "string", ""),
    "array": ("list", "list", ""),
    "object": ("dict", "dictionary", ""),
}


CLASS = "class"  # the title of an object that pydantic reads into a class of its own


def _wrong_type(facts: dict[str, Any]) -> tuple[str, str]:
    name, word, unread = PYDANTIC[facts["expected"]]
    if (facts.get("schema") or {}).get("title") == CLASS:
        return "model_attributes_type", "Input should be a valid dictionary or object to extract fields from"
    if isinstance(facts.get("value"), str) and unread:
        return f"{name}_parsing", f"Input should be a valid {word}{unread}"
    if name == "int" and isinstance(facts.get("value"), float) and not facts["value"].is_integer():
        return "int_from_float", "Input should be a valid integer, got a number with a fractional part"
    return f"{name}_type", f"Input should be a valid {word}"


def param(refusal: Refusal) -> str | None:
    """The param field: the place in the body for what is missing, input_tokens for a long prompt."""
    if refusal.kind in ("unknown_model", "too_long"):
        return "model" if refusal.kind == "unknown_model" else "input_tokens"
    by_pydantic = refusal.kind in ("missing", "wrong_type") or refusal.facts.get("rule") in ("enum", *BOUNDS)
    return _place(refusal.param) if by_pydantic else refusal.param


def _place(param: str | None) -> str:
    """A path such as messages[0].role as pydantic writes it: body.messages.0.role. One of the query has its place already."""
    place = (param or "").replace("[", ".").replace("]", "")
    return place if place.startswith("query.") else "body." + place
