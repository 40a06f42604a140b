"""An OpenAI-compatible server as vLLM answers: no limits, a few fields more, errors with a number for a code."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from helpers import models
from helpers.gateway.dialects import openai_chat as chat
from helpers.gateway.wire import Call, Headers, Response, Route, compact, hex_id, route
from helpers.gateway.dialects.openai import OpenAI, words
from helpers.gateway.dialects.schema import INTEGER, NUMBER, between, checker, nullable, shape
from helpers.gateway.exchange import Answer, Question, Refusal
from helpers.gateway.quotas import Level

# vLLM takes these beside OpenAI's fields, and passes over fields that it does not know.
EXTRAS = {"top_k": nullable(INTEGER), "min_p": nullable(between("number", 0, 1)), "repetition_penalty": nullable(NUMBER)}
check = checker(shape("messages", **chat.FIELDS, **EXTRAS))


class Compatible(OpenAI):
    provider = "compatible"
    mount = "/compatible"

    def routes(self) -> list[Route]:
        return [
            route("POST", "/v1/chat/completions", "chat", read=self.read_chat, write=self.write_chat, stream=self.stream_chat),
            route("GET", "/v1/models", "models", handle=self.list_models),
            route("GET", "/health", "health", handle=self.health),
        ]

    def key(self, call: Call) -> str | None:
        """A server of one's own takes any key, or none."""
        return super().key(call) or "none needed"

    def read_chat(self, call: Call) -> Question:
        if "model" not in call.json:
            raise Refusal("missing", param="model")
        check(call.json)
        question = chat.question(call.json, self.model(call.json["model"], call), self.provider)
        return self.check_length(question)

    # ---- writing ---------------------------------------------------------
    def write_chat(self, question: Question, answer: Answer) -> bytes:
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": choice.text, "refusal": None, "reasoning": None, "tool_calls": []},
                "logprobs": None,
                "finish_reason": chat.finish_reason(choice),
                "stop_reason": choice.stop_sequence,
            }
            for index, choice in enumerate(answer.choices)
        ]
        body = {**self._head(answer, "chat.completion"), "choices": choices, "usage": _usage(answer), "prompt_logprobs": None}
        return compact(body)

    async def stream_chat(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        head = self._head(answer, "chat.completion.chunk")
        async for chunk in chat.chunks(answer, head, {"role": "assistant", "content": ""}):
            chunk.pop("usage", None)
            if not chunk["choices"]:
                chunk["usage"] = _usage(answer)
            for choice in chunk["choices"]:
                if choice["finish_reason"]:
                    choice["stop_reason"] = answer.choices[choice["index"]].stop_sequence
            yield chat.frame(chunk)
        yield chat.DONE

    def _head(self, answer: Answer, kind: str) -> dict[str, Any]:
        return {"id": "chatcmpl-" + secrets.token_hex(16), "object": kind, "created": int(time.time()), "model": answer.question.model.id}

    # ---- the rest --------------------------------------------------------
    async def list_models(self, call: Call) -> Response:
        rows = [
            {"id": m.id, "object": "model", "created": int(time.time()), "owned_by": "vllm", "root": m.id, "max_model_len": m.context}
            for m in models.of(self.provider)
        ]
        return Response(200, [("Content-Type", "application/json"), *self.base_headers()], compact({"object": "list", "data": rows}))

    async def health(self, call: Call) -> Response:
        return Response(200, self.base_headers())

    def base_headers(self, milliseconds: int = 12) -> Headers:
        return [("server", "uvicorn")]

    def headers(self, call: Call, question: Question, answer: Answer, levels: dict[str, Level]) -> Headers:
        return self.base_headers()

    def error(self, refusal: Refusal, call: Call) -> Response:
        status, kind, message = _words(refusal)
        body = {"error": {"message": message, "type": kind, "param": refusal.param, "code": status}}
        headers = [("Content-Type", "application/json"), *self.base_headers()]
        if refusal.kind == "no_recording":
            headers.append(("x-should-retry", "false"))
        return Response(status, headers, compact(body))

    def stream_error(self, refusal: Refusal) -> bytes:
        status, kind, message = _words(refusal)
        return chat.frame({"error": {"message": message, "type": kind, "param": None, "code": status}})


def _usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    return {
        "prompt_tokens": usage.input_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "completion_tokens": usage.output_tokens,
        "prompt_tokens_details": None,
    }


def _words(refusal: Refusal) -> tuple[int, str, str]:
    facts = refusal.facts
    if refusal.kind == "unknown_model":
        return 404, "NotFoundError", f"The model `{facts['model']}` does not exist."
    if refusal.kind == "too_long":
        text = f"This model's maximum context length is {facts['maximum']} tokens. However, your request has {facts['tokens']} input tokens."
        return 400, "BadRequestError", text
    status, _, _, message = words(refusal, hex_id("", 8))
    names = {400: "BadRequestError", 401: "UnauthorizedError", 404: "NotFoundError", 429: "TooManyRequestsError", 503: "ServiceUnavailableError"}
    return status, names.get(status, "InternalServerError"), message
