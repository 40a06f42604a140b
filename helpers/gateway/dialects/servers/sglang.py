"""SGLang's server, by its request models and serving code of 2026: near to vLLM, with flat errors and `matched_stop`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from helpers import models
from helpers.gateway.answer import Answer, Choice, Piece, TokenScore
from helpers.gateway.dialects import vllm
from helpers.gateway.dialects.openai import chat
from helpers.gateway.dialects.servers.server import HOUSE, Json, Server, named, words
from helpers.gateway.exchange import Question, Refusal
from helpers.gateway.wire import Call, Headers, Response, hex_id

NO_DELTA = dict.fromkeys(("role", "content", "reasoning_content", "tool_calls"))


class SGLang(Server):
    """Any name is taken as the model's, and a name after a colon as an adapter's; the answer repeats what was asked for."""

    mount = "/sglang"

    def served(self, name: Any, call: Call) -> models.Model:
        base, _, adapter = (name or "").partition(":")
        if adapter:
            raise Refusal("bad_value", f"Got LoRA adapter that has never been loaded: {adapter}")
        return super().served(base, call)

    def check(self, body: Json, model: models.Model) -> None:
        if not body["messages"]:
            raise Refusal("bad_value", "Messages cannot be empty.")
        choice, tools = body.get("tool_choice"), body.get("tools") or []
        if choice == "required" and not tools:
            raise Refusal("bad_value", "Tools cannot be empty if tool choice is set to required.")
        if isinstance(choice, dict):
            name = (choice.get("function") or {}).get("name")
            if not tools:
                raise Refusal("bad_value", "Tools cannot be empty if tool choice is set to a specific tool.")
            if name not in [tool["function"]["name"] for tool in tools]:
                raise Refusal("bad_value", f"Tool '{name}' not found in tools list.")
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or 0
        if limit > model.context:
            raise Refusal("bad_value", f"max_completion_tokens is too large: {limit}.This model supports at most {model.context} completion tokens.")
        form = body.get("response_format") or {}
        if form.get("type") == "json_schema" and not (form.get("json_schema") or {}).get("schema"):
            raise Refusal("bad_value", "schema_ is required for json_schema response format request.")
        _check_sampling(body)

    # ---- writing ---------------------------------------------------------
    def head(self, answer: Answer, kind: str) -> Json:
        return {"id": hex_id("", 32), "object": kind, "created": int(time.time()), "model": named(answer.question)}

    def message(self, choice: Choice) -> Json:
        called = choice.function and choice.finish == "call"
        calls = [{**_call(choice.function), "function": {"name": choice.function, "arguments": choice.text}}] if called else None
        return {"role": "assistant", "content": "" if called else choice.text, "reasoning_content": None, "tool_calls": calls}

    def choice(self, index: int, choice: Choice, question: Question) -> Json:
        return {**super().choice(index, choice, question), "matched_stop": choice.stop_sequence}

    def finish(self, choice: Choice, question: Question) -> str:
        return {"call": "tool_calls", "length": "length"}.get(choice.finish, "stop")

    def usage_of(self, answer: Answer) -> Json:
        return {**super().usage_of(answer), "prompt_tokens_details": None, "reasoning_tokens": 0}

    def completed(self, body: Json, answer: Answer) -> Json:
        return {**body, "metadata": {"weight_version": "default"}} if body["object"] == "chat.completion" else body

    # ---- streams ---------------------------------------------------------
    def opening(self, choice: Choice) -> list[Json]:
        first = {"role": "assistant", "content": ""}
        if not choice.function:
            return [first]
        return [first, {"tool_calls": [{**_call(choice.function), "function": {"name": choice.function, "arguments": ""}}]}]

    def delta(self, choice: Choice, piece: Piece) -> Json:
        if choice.function:
            return {"tool_calls": [{"id": None, "index": 0, "type": "function", "function": {"name": None, "arguments": piece.text}}]}
        return {"content": piece.text}

    def chunk(self, head: Json, index: int, delta: Json, scores: Sequence[TokenScore] = (), finish: str | None = None) -> Json:
        choice = {"index": index, "delta": {**NO_DELTA, **delta}, "logprobs": self.logprobs(scores), "finish_reason": finish, "matched_stop": None}
        return {**head, "choices": [choice], "usage": None}

    def end(self, head: Json, index: int, choice: Choice, question: Question) -> Json:
        body = super().end(head, index, choice, question)
        body["choices"][0]["matched_stop"] = choice.stop_sequence
        return body

    # ---- the rest --------------------------------------------------------
    async def list_models(self, call: Call) -> Response:
        model = models.get(HOUSE, self.provider)
        row = {"id": HOUSE, "object": "model", "created": int(time.time()), "owned_by": "sglang", "root": HOUSE, "parent": None}
        return self._json({"object": "list", "data": [{**row, "max_model_len": model.context}]})

    def base_headers(self, milliseconds: int = 12) -> Headers:
        return [("server", "uvicorn")]

    def stream_error(self, refusal: Refusal, content_type: str, *, first: bool) -> bytes:
        """In a stream the flat error stands inside another, where clients look for it."""
        return chat.frame({"error": self.refused(refusal)[1]})

    def refused(self, refusal: Refusal) -> tuple[int, Json]:
        status, message, kind = *words(refusal), "BadRequestError"
        if refusal.kind == "too_long":
            message = f"The input ({refusal.facts['tokens']} tokens) is longer than the model's context length ({refusal.facts['maximum']} tokens)."
        elif refusal.kind in ("missing", "wrong_type"):
            _, kind, message = vllm.words(refusal)  # FastAPI's, as there
        elif status >= 500:
            kind = "InternalServerError"
        return status, {"object": "error", "message": message, "type": kind, "param": None, "code": status}


def _check_sampling(body: Json) -> None:
    """The ranges of its sampling parameters. A temperature has no upper end."""
    if (body.get("temperature") or 0) < 0:
        raise Refusal("bad_value", f"temperature must be non-negative, got {body['temperature']}.")
    top = body.get("top_p")
    if top is not None and not 0 < top <= 1:
        raise Refusal("bad_value", f"top_p must be in (0, 1], got {top}.")
    for name in ("frequency_penalty", "presence_penalty"):
        if not -2 <= (body.get(name) or 0) <= 2:
            raise Refusal("bad_value", f"{name} must be in [-2, 2], got {body[name]}.")
    if body.get("n") is not None and body["n"] < 1:
        raise Refusal("bad_value", f"n must be at least 1, got {body['n']}.")


def _call(name: str) -> Json:
    """A tool call without its function."""
    return {"id": hex_id("call_", 24), "index": 0, "type": "function"}
