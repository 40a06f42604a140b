"""Google's own OpenAI-compatible endpoint for Gemini: chat completions and embeddings under v1beta/openai, by its page on OpenAI compatibility."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from helpers import models
from helpers.gateway.answer import Answer, Choice
from helpers.gateway.dialects.gemini import embeddings, turns
from helpers.gateway.dialects.gemini.contents import thinking
from helpers.gateway.dialects.gemini.errors import error_body
from helpers.gateway.dialects.openai import chat
from helpers.gateway.dialects.openai import embeddings as openai_embeddings
from helpers.gateway.dialects.schema import INTEGER, OBJECT, STRING, checker, nullable, one_of, shape
from helpers.gateway.exchange import Question, Refusal, Usage
from helpers.gateway.quotas import Level
from helpers.gateway.wire import LETTERS, Call, Dialect, Headers, Response, Route, compact, pretty, random_id, route

FIELDS = {**chat.READ_ELSEWHERE, "reasoning_effort": nullable(STRING), "response_format": nullable(OBJECT)}
_check = checker(shape("model messages", **FIELDS))
_check_embeddings = checker(
    shape(
        "model input",
        model=STRING,
        input={"type": ["string", "array"], "items": STRING},
        dimensions=nullable(INTEGER),
        encoding_format=nullable(one_of("float", "base64")),
    )
)


class GeminiCompatible(Dialect):
    """Under Gemini's own mount, so that the base URL is Google's with another host."""

    provider = "gemini"
    mount = "/gemini/v1beta/openai"
    stream_type = "text/event-stream"
    has_upstream = False
    stops_when_left = False

    def routes(self) -> list[Route]:
        return [
            route("POST", "/chat/completions", "chat", read=self.read, write=self.write, stream=self.stream),
            route("POST", "/embeddings", "embeddings", read=self.read_embeddings, write=self.write_embeddings),
            route("GET", "/models", "models", handle=self.list_models),
            route("GET", "/models/(?:models(?:/|%2[fF]))?(?P<model>[^/:]+)", "model", handle=self.get_model),
        ]

    def key(self, call: Call) -> str | None:
        return call.headers.get("authorization", "").removeprefix("Bearer ").strip() or None

    def read(self, call: Call) -> Question:
        _check(call.json)
        body = {name: value for name, value in call.json.items() if name in FIELDS}
        model = self.model(body["model"].removeprefix("models/"), call)
        effort = body.pop("reasoning_effort", None)
        asked = {"thinkingBudget": 0} if effort == "none" else {"thinkingLevel": effort} if effort else {}
        level, budget = thinking(asked, model)
        question = chat.question(body, model, self.provider)
        if question.messages[-1].role == "assistant":
            turns.check_prefill(model)
        return self.check_length(replace(question, effort=level, thinking_limit=budget))

    def read_embeddings(self, call: Call) -> Question:
        """By way of batchEmbedContents, whose limits and words users are shown."""
        _check_embeddings(call.json)
        body, given = call.json, call.json["input"]
        model = self.model(body["model"].removeprefix("models/"), call, kind="embedding")
        length = {} if body.get("dimensions") is None else {"outputDimensionality": body["dimensions"]}
        texts = [given] if isinstance(given, str) else given
        question = embeddings.several({"requests": [{"model": model.id, "content": {"parts": [{"text": text}]}, **length} for text in texts]}, model)
        form = (("encoding_format", body.get("encoding_format") or "float"),)
        return replace(question, vectors=replace(question.vectors, is_unit=model.id != "gemini-embedding-001", form=form))

    def write_embeddings(self, question: Question, answer: Answer) -> bytes:
        as_text = dict(question.vectors.form)["encoding_format"] == "base64"
        rows = (
            b'{"embedding":%b,"index":%d,"object":"embedding"}' % (compact(openai_embeddings.in_base64_form(one) if as_text else openai_embeddings.floats(one)), index)
            for index, one in enumerate(answer.vectors)
        )
        usage = {"prompt_tokens": answer.usage.input_tokens, "total_tokens": answer.usage.input_tokens}
        return b'{"object":"list","data":[' + b",".join(rows) + b"]," + compact({"model": question.model.id, "usage": usage})[1:]

    # ---- models ----------------------------------------------------------
    def list_models(self, call: Call) -> Response:
        today = call.services.clock.today()
        rows = [_model_body(model) for model in models.of(self.provider, None) if not model.is_retired(today)]
        return self.ok({"object": "list", "data": rows})

    def get_model(self, call: Call) -> Response:
        return self.ok(_model_body(self.model(unquote(call.groups["model"]), call, kind=None)))

    def ok(self, body: Any, *more: tuple[str, str]) -> Response:
        return Response(200, [("Content-Type", self.json_type), *more], compact(body))

    # ---- writing ---------------------------------------------------------
    def write(self, question: Question, answer: Answer) -> bytes:
        choices = [_choice(index, choice) for index, choice in enumerate(answer.choices)]
        return compact({"choices": choices, **_head(answer, "chat.completion"), "usage": _usage(answer)})

    async def stream(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        head = _head(answer, "chat.completion.chunk")
        async for piece in answer.stream():
            if piece.text and not answer.choices[piece.choice].function:
                yield _chunk(head, piece.choice, {"role": "assistant", "content": piece.text})
        for index, choice in enumerate(answer.choices):
            called = {"tool_calls": [{"index": 0, **_call(choice)}]} if choice.function else {}
            yield _chunk(head, index, {"role": "assistant", **called}, _finish(choice))
        if question.include_usage:
            yield chat.frame({**head, "choices": [], "usage": _usage(answer)})
        yield chat.DONE

    def usage(self, payloads: list[Any]) -> Usage | None:
        return chat.parse_usage(payloads)

    # ---- headers and errors ----------------------------------------------
    def headers(self, call: Call, question: Question, answer: Answer, levels: dict[str, Level]) -> Headers:
        return [("server-timing", f"gfet4t7; dur={answer.latency_ms}")]

    def error(self, refusal: Refusal, call: Call) -> Response:
        """Google's error in a list, as users of OpenAI's SDK are shown it."""
        body = error_body(refusal, call)
        return Response(body["error"]["code"], [("Content-Type", "application/json; charset=UTF-8")], pretty([body]))

    def stream_error(self, refusal: Refusal, content_type: str, *, first: bool) -> bytes:
        return chat.frame(error_body(refusal))


def _model_body(model: models.Model) -> dict[str, Any]:
    return {"id": f"models/{model.id}", "object": "model", "owned_by": "google"}


def _head(answer: Answer, kind: str) -> dict[str, Any]:
    return {"created": int(time.time()), "id": random_id("", 22, LETTERS + "-_"), "model": answer.question.model.id, "object": kind}


def _choice(index: int, choice: Choice) -> dict[str, Any]:
    said = {"tool_calls": [_call(choice)]} if choice.function else {"content": choice.text} if choice.text else {}
    return {"finish_reason": _finish(choice), "index": index, "message": {**said, "role": "assistant"}}


def _call(choice: Choice) -> dict[str, Any]:
    name = random_id("function-call-", 19, "0123456789")
    return {"function": {"arguments": choice.text, "name": choice.function}, "id": name, "type": "function"}


def _finish(choice: Choice) -> str:
    return {"call": "tool_calls", "length": "length", "refusal": "content_filter"}.get(choice.finish, "stop")


def _chunk(head: dict[str, Any], index: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
    return chat.frame({**head, "choices": [{"delta": delta, "finish_reason": finish, "index": index}]})


def _usage(answer: Answer) -> dict[str, int]:
    """Thoughts are in the total alone."""
    used = answer.usage
    text = used.output_tokens - used.thinking_tokens
    return {"completion_tokens": text, "prompt_tokens": used.input_tokens, "total_tokens": used.input_tokens + used.output_tokens}
