"""llama.cpp's server, by its source and README of 2026: its own time of each answer, few checks, what it does not understand passed over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from helpers import models
from helpers.gateway.answer import Answer, Choice, Piece, TokenScore
from helpers.gateway.dialects.servers.server import HOUSE, Json, Server, words
from helpers.gateway.exchange import Question, Refusal
from helpers.gateway.wire import Call, Headers, Response, random_id

BUILD = "b9310-5c4e2f1a"
SLOTS = 4  # requests at once, and answers to one
DEFAULTS = {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05}
TYPES = {
    **dict.fromkeys(("temperature", "top_p", "min_p", "frequency_penalty", "presence_penalty"), (int, float)),
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "n", "seed", "top_k", "top_logprobs"), int),
    **dict.fromkeys(("logprobs", "stream", "parallel_tool_calls"), bool),
    **dict.fromkeys(("logit_bias", "response_format", "stream_options"), dict),
    "tools": list, "user": str, "reasoning_effort": str,
}  # fmt: skip
KINDS = {401: "authentication_error", 404: "not_found_error", 500: "server_error", 503: "unavailable_error"}


class LlamaCpp(Server):
    """Whatever model a request names, the one that is loaded answers, under its own name."""

    mount = "/llamacpp"

    def understood(self, body: Json) -> Json:
        """A field of the wrong type is taken for one that is not there, with a line in the server's own log."""
        kept = {name: value for name, value in body.items() if name not in TYPES or _is_a(value, TYPES[name])}
        return {**DEFAULTS, **kept}

    def check(self, body: Json, model: models.Model) -> None:
        for message in body["messages"]:
            if message["role"] != "assistant" and "content" not in message:
                raise Refusal("bad_value", "All non-assistant messages must contain 'content'")
            if message["role"] == "assistant" and "content" not in message and "tool_calls" not in message:
                raise Refusal("bad_value", "Assistant message must contain either 'content' or 'tool_calls'!")
        kind = (body.get("response_format") or {}).get("type")
        if kind not in (None, "text", "json_object", "json_schema"):
            raise Refusal("bad_value", f'response_format type must be one of "text" or "json_object", but got: {kind}')
        if not body.get("logprobs") and body.get("top_logprobs") is not None:
            raise Refusal("bad_value", "top_logprobs requires logprobs to be set to true")
        if body.get("logprobs") and body.get("tools") and body.get("stream"):
            raise Refusal("bad_value", "logprobs is not supported with tools + stream")
        if (body.get("n") or 1) > SLOTS:
            raise Refusal("bad_value", "n_cmpl cannot be greater than the number of slots, please increase -np")

    # ---- writing ---------------------------------------------------------
    def head(self, answer: Answer, kind: str) -> Json:
        id = random_id("chatcmpl-", 32)
        return {"created": int(time.time()), "model": answer.question.model.id, "system_fingerprint": BUILD, "object": kind, "id": id}

    def message(self, choice: Choice) -> Json:
        if not choice.function or choice.finish != "call":
            return {"role": "assistant", "content": choice.text}
        call = {"type": "function", "function": {"name": choice.function, "arguments": choice.text}, "id": random_id("", 32)}
        return {"role": "assistant", "content": None, "tool_calls": [call]}

    def choice(self, index: int, choice: Choice, question: Question) -> Json:
        body = {"finish_reason": self.finish(choice, question), "index": index, "message": self.message(choice)}
        logprobs = self.logprobs(choice.scores)
        return {**body, "logprobs": logprobs} if logprobs else body

    def finish(self, choice: Choice, question: Question) -> str:
        return {"call": "tool_calls", "length": "length"}.get(choice.finish, "stop")

    def usage_of(self, answer: Answer) -> Json:
        given, made = answer.usage.input_tokens, answer.usage.output_tokens
        return {"completion_tokens": made, "prompt_tokens": given, "total_tokens": given + made}

    def completed(self, body: Json, answer: Answer) -> Json:
        return {**body, "timings": _timings(answer)}

    # ---- streams ---------------------------------------------------------
    def opening(self, choice: Choice) -> list[Json]:
        first = {"role": "assistant", "content": None}
        if not choice.function:
            return [first]
        call = {"index": 0, "id": random_id("", 32), "type": "function", "function": {"name": choice.function, "arguments": ""}}
        return [first, {"tool_calls": [call]}]

    def delta(self, choice: Choice, piece: Piece) -> Json:
        return {"tool_calls": [{"index": 0, "function": {"arguments": piece.text}}]} if choice.function else {"content": piece.text}

    def chunk(self, head: Json, index: int, delta: Json, scores: Sequence[TokenScore] = (), finish: str | None = None) -> Json:
        choice = {"finish_reason": finish, "index": index, "delta": delta}
        logprobs = self.logprobs(scores)
        return {"choices": [{**choice, "logprobs": logprobs} if logprobs else choice], **head}

    # ---- the rest --------------------------------------------------------
    async def list_models(self, call: Call) -> Response:
        model = models.get(HOUSE, self.provider)
        meta = {"vocab_type": 2, "n_ctx": model.context, "n_ctx_train": model.context}
        row = {"id": HOUSE, "aliases": [], "tags": [], "object": "model", "created": int(time.time()), "owned_by": "llamacpp", "meta": meta}
        return self._json({"object": "list", "data": [row]})

    async def health(self, call: Call) -> Response:
        return self._json({"status": "ok"})

    def base_headers(self, milliseconds: int = 12) -> Headers:
        return [("server", "llama.cpp")]

    def no_route(self, call: Call) -> Response:
        return self._json({"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}, 404)

    def refused(self, refusal: Refusal) -> tuple[int, Json]:
        status, message = words(refusal)
        error: Json = {"code": status, "message": message, "type": KINDS.get(status, "invalid_request_error")}
        if refusal.kind == "too_long":
            given, window = refusal.facts["tokens"], refusal.facts["maximum"]
            error["message"] = f"request ({given} tokens) exceeds the available context size ({window} tokens), try increasing it"
            error |= {"type": "exceed_context_size_error", "n_prompt_tokens": given, "n_ctx": window}
        elif refusal.kind == "missing":
            error["message"] = f"'{refusal.param}' is required"
        elif refusal.kind == "overloaded":
            error["message"] = "Loading model"
        return status, {"error": error}


def _is_a(value: Any, kinds: Any) -> bool:
    """Whether JSON holds this type. True is no number."""
    return isinstance(value, kinds) and (kinds is bool or not isinstance(value, bool))


def _timings(answer: Answer) -> Json:
    """What the server says of its own work. How the time is shared between prompt and answer is not measured (see DEVIATIONS.md)."""
    given, made = answer.usage.uncached_tokens, answer.usage.output_tokens
    milliseconds = 1000 * (time.monotonic() - answer.started)
    reading = milliseconds * given / 8 / max(1, given / 8 + made)  # a prompt is read many times as fast as an answer is written
    writing = milliseconds - reading
    return {
        "cache_n": answer.usage.cache_read_tokens,
        **_pace("prompt", given, reading),
        **_pace("predicted", made, writing),
    }


def _pace(name: str, count: int, milliseconds: float) -> Json:
    each = milliseconds / count if count else 0.0
    return {f"{name}_n": count, f"{name}_ms": milliseconds, f"{name}_per_token_ms": each, f"{name}_per_second": 1000 / each if each else 0.0}
