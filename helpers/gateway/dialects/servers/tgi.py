"""Text Generation Inference 3.3, by the source of its router of January 2026, the last before it went into maintenance: 422 for most refusals."""

from __future__ import annotations

import time
from collections.abc import Sequence

from helpers import models
from helpers.gateway.answer import Answer, Choice, Piece, TokenScore
from helpers.gateway.dialects.openai import chat
from helpers.gateway.dialects.servers.server import HOUSE, Json, Server, named, words
from helpers.gateway.exchange import Question, Refusal
from helpers.gateway.quotas import Level
from helpers.gateway.wire import Call, Headers, Response, Route, compact, route

FINGERPRINT = "3.3.7-native"
IGNORED = ("n", "logit_bias", "user", "parallel_tool_calls")
ADDED = 1024  # tokens at most that a limit counts for, when the window is looked at
MOST_STOPS = 4
RUST = {"integer": "u32", "number": "f32", "boolean": "a boolean", "string": "a string", "array": "a sequence", "object": "a map"}


class TGI(Server):
    """It serves one model and takes any name for it; the answer repeats the name."""

    mount = "/tgi"

    def routes(self) -> list[Route]:
        return [*super().routes(), route("GET", "/info", "info", handle=self.info)]

    def understood(self, body: Json) -> Json:
        if isinstance(body.get("stop"), str):
            raise Refusal("wrong_type", param="stop", expected="array", value=body["stop"])
        kept = {name: value for name, value in body.items() if name not in IGNORED}
        if isinstance(body.get("response_format"), dict):
            kept["response_format"] = _grammar(body["response_format"])
        if body.get("tool_choice") not in (None, "auto", "none", "required") and isinstance(body["tool_choice"], str):
            kept["tool_choice"] = {"type": "function", "function": {"name": body["tool_choice"]}}
        return {"temperature": 1.0, **kept}

    def check(self, body: Json, model: models.Model) -> None:
        tools = body.get("tools") or []
        if tools and body.get("response_format"):
            raise Refusal("bad_value", "Tool error: Grammar and tools are mutually exclusive", type="tool_error")
        if isinstance(body.get("tool_choice"), dict) and tools:
            name = (body["tool_choice"].get("function") or {}).get("name")
            if name not in [tool["function"]["name"] for tool in tools]:
                raise Refusal("bad_value", f"Tool error: Tool with name {name} not found", type="tool_error")
        _check_sampling(body)

    def fitted(self, question: Question) -> Question:
        """Prompt and limit together have to fit the window, a limit counted as no more than 1,024."""
        added, window = min(question.limit or 0, ADDED), question.model.context
        if question.prompt_tokens + added > window:
            raise Refusal("too_long", model=question.model.id, tokens=question.prompt_tokens, maximum=window, limit=added)
        return question

    # ---- writing ---------------------------------------------------------
    def head(self, answer: Answer, kind: str) -> Json:
        model = answer.question.model.id if named(answer.question) == "tgi" else named(answer.question)
        return {"object": kind, "id": "", "created": int(time.time()), "model": model, "system_fingerprint": FINGERPRINT}

    def message(self, choice: Choice) -> Json:
        if choice.function and choice.finish == "call":
            call = {"id": "0", "type": "function", "function": {"description": None, "name": choice.function, "arguments": choice.text}}
            return {"role": "assistant", "tool_calls": [call]}
        return {"role": "assistant", "content": choice.text + (choice.stop_sequence or "")}  # what stopped it is part of it

    def finish(self, choice: Choice, question: Question) -> str:
        """A call ends as any answer does; a stop sequence has a word of its own."""
        return {"length": "length", "stop_sequence": "stop_sequence"}.get(choice.finish, "stop")

    def logprobs(self, scores: Sequence[TokenScore]) -> Json | None:
        found = super().logprobs(scores)
        for scored in [one for token in found["content"] for one in (token, *token["top_logprobs"])] if found else ():
            del scored["bytes"]
        return found

    # ---- streams ---------------------------------------------------------

    def opening(self, choice: Choice) -> list[Json]:
        return [self._call(choice, "")] if choice.function else []

    def delta(self, choice: Choice, piece: Piece) -> Json:
        return self._call(None, piece.text) if choice.function else {"role": "assistant", "content": piece.text}

    def _call(self, choice: Choice | None, arguments: str) -> Json:
        call = {"index": 0, "id": "0", "type": "function", "function": {"name": choice.function if choice else None, "arguments": arguments}}
        return {"role": "assistant", "tool_calls": [call]}

    def chunk(self, head: Json, index: int, delta: Json, scores: Sequence[TokenScore] = (), finish: str | None = None) -> Json:
        return {**super().chunk(head, index, delta, scores, finish), "usage": None}

    def end(self, head: Json, index: int, choice: Choice, question: Question) -> Json:
        """The token that ends it is no text; a stop sequence is."""
        delta = {"role": "assistant", "content": choice.stop_sequence or ""}
        return self.chunk(head, index, delta, finish=self.finish(choice, question))

    # ---- the rest --------------------------------------------------------
    async def list_models(self, call: Call) -> Response:
        return self._json({"object": "list", "data": [{"id": HOUSE, "object": "model", "created": 0, "owned_by": HOUSE}]})

    async def info(self, call: Call) -> Response:
        window = models.get(HOUSE, self.provider).context
        limits = {
            "max_concurrent_requests": 128,
            "max_best_of": 2,
            "max_stop_sequences": MOST_STOPS,
            "max_input_tokens": window - 1,
            "max_total_tokens": window,
        }
        return self._json(
            {"model_id": HOUSE, "model_sha": None, "model_pipeline_tag": "text-generation", **limits, "router": "text-generation-router", "version": "3.3.7"}
        )

    def headers(self, call: Call, question: Question, answer: Answer, levels: dict[str, Level]) -> Headers:
        if question.stream:
            return [("x-compute-type", "cpu"), ("x-accel-buffering", "no")]
        milliseconds = str(round(1000 * (time.monotonic() - answer.started)))
        counts = [("x-prompt-tokens", str(answer.usage.input_tokens)), ("x-generated-tokens", str(answer.usage.output_tokens))]
        return [("x-compute-type", "cpu"), ("x-total-time", milliseconds), ("x-inference-time", milliseconds), *counts]

    def error(self, refusal: Refusal, call: Call) -> Response:
        if refusal.kind in ("wrong_type", "missing", "unread", "bad_json"):
            status, text = (400, f"Failed to parse the request body as JSON: {refusal.message}") if refusal.kind == "bad_json" else (422, _unread(refusal))
            return Response(status, [("Content-Type", "text/plain; charset=utf-8")], text.encode())
        return super().error(refusal, call)

    def no_route(self, call: Call) -> Response:
        return Response(404, [])

    def refused(self, refusal: Refusal) -> tuple[int, Json]:
        status, message = words(refusal)
        if refusal.kind == "too_long":
            given, window, added = refusal.facts["tokens"], refusal.facts["maximum"], refusal.facts.get("limit") or 0
            text = f"`inputs` tokens + `max_new_tokens` must be <= {window}. Given: {given} `inputs` tokens and {added} `max_new_tokens`"
            return _invalid(text)
        if refusal.kind == "bad_value":
            kind = refusal.facts.get("type")
            return (422, {"error": message, "error_type": kind}) if kind else _invalid(message)
        if refusal.kind in ("overloaded", "rate_limited"):
            return 429, {"error": "Model is overloaded", "error_type": "overloaded"}
        if refusal.kind == "server_error":
            return 500, {"error": "Incomplete generation", "error_type": "incomplete_generation"}
        return status, {"error": message, "error_type": "validation"}

    def stream_error(self, refusal: Refusal, content_type: str, *, first: bool) -> bytes:
        """In a stream an error has a shape of its own, and this number whatever it is."""
        return chat.frame({"error": {"message": self.refused(refusal)[1]["error"], "http_status_code": 422}})


def _invalid(text: str) -> tuple[int, Json]:
    return 422, {"error": f"Input validation error: {text}", "error_type": "validation"}


def _unread(refusal: Refusal) -> str:
    """What serde says of a field; the real one also says at which column it stands."""
    text = "Failed to deserialize the JSON body into the target type: "
    if refusal.kind == "missing":
        return f"{text}{refusal.facts.get('inside', '')}missing field `{refusal.param}`"
    if refusal.kind == "unread":
        return text + refusal.message
    value = refusal.facts.get("value")
    kind = {bool: "boolean", int: "integer", float: "floating point", str: "string", list: "sequence", dict: "map", type(None): "null"}[type(value)]
    shown = f" {compact(value).decode()}" if isinstance(value, str) else f" `{compact(value).decode()}`" if isinstance(value, int | float) else ""
    return f"{text}{refusal.param}: invalid type: {kind}{shown}, expected {RUST.get(refusal.facts['expected'], refusal.facts['expected'])}"


def _grammar(given: Json) -> Json:
    """A response format of TGI's, whose schema stands under `value`, as OpenAI writes it. OpenAI's own form is refused."""
    kind, value = given.get("type"), given.get("value")
    if kind not in ("json", "json_object", "json_schema", "regex"):
        raise Refusal("unread", f"response_format.type: unknown variant `{kind}`, expected one of `json`, `json_object`, `regex`, `json_schema`")
    if "value" not in given:
        raise Refusal("missing", param="value", inside="response_format: ")
    if kind == "regex":
        raise Refusal("bad_value", "grammar is not supported")
    schema = value.get("schema") if kind == "json_schema" and isinstance(value, dict) else value
    if not isinstance(schema, dict):
        raise Refusal("bad_value", "grammar is not valid: invalid json object")
    return {"type": "json_schema", "json_schema": {"name": "schema", "schema": schema}}


def _check_sampling(body: Json) -> None:
    """The ranges that the router looks at: what is between two ends has to lie strictly between them."""
    if body["temperature"] is not None and body["temperature"] < 0:
        raise Refusal("bad_value", "`temperature` must be strictly positive")
    top = body.get("top_p")
    if top is not None and not 0 < top < 1:
        raise Refusal("bad_value", "`top_p` must be > 0.0 and < 1.0")
    if not -2 <= (body.get("frequency_penalty") or 0) <= 2:
        raise Refusal("bad_value", "`frequency_penalty` must be >= -2.0 and <= 2.0")
    if (body.get("presence_penalty") or 0) <= -2:
        raise Refusal("bad_value", "`repetition_penalty` must be strictly positive")
    limit = body.get("max_tokens") if body.get("max_tokens") is not None else body.get("max_completion_tokens")
    if limit == 0:
        raise Refusal("bad_value", "`max_new_tokens` must be strictly positive")
    if len(body.get("stop") or ()) > MOST_STOPS:
        raise Refusal("bad_value", f"`stop` supports up to {MOST_STOPS} stop sequences. Given: {len(body['stop'])}")
    if (body.get("top_logprobs") or 0) > 5:
        raise Refusal("bad_value", f"`top_n_tokens` must be >= 0 and <= 5. Given: {body['top_logprobs']}")
