"""Ollama's own API under /api: a line of JSON for each piece, times in nanoseconds, settings among the `options`. By its source of August 2026."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from helpers.gateway.answer import Answer, Choice
from helpers.gateway.dialects.compatible import Compatible
from helpers.gateway.dialects.images import fingerprint
from helpers.gateway.dialects.openai import chat
from helpers.gateway.dialects.schema import BOOLEAN, INTEGER, NUMBER, OBJECT, STRING, checker, list_of, nullable, shape
from helpers.gateway.dialects.servers.ollama import LETTERS, MODIFIED, NAMES, WINDOW, fitted, model_of, told
from helpers.gateway.exchange import Part, Question, Refusal, Usage
from helpers.gateway.wire import Call, Headers, Response, Route, compact, random_id, route

VERSION = "0.30.2"
Json = dict[str, Any]
CALLED = shape("function", function=shape("name", name=STRING, arguments=nullable(OBJECT)))
MESSAGE = shape(
    "role", role=STRING, content=nullable(STRING), images=nullable(list_of(STRING)), tool_calls=nullable(list_of(CALLED)), tool_name=nullable(STRING)
)
TOOL = shape("function", function=shape("name", name=STRING, parameters=nullable(OBJECT)))
OPTIONS = nullable(
    shape(
        **dict.fromkeys(("num_predict", "num_ctx", "seed", "top_k", "num_keep"), nullable(INTEGER)),
        **dict.fromkeys(("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repeat_penalty"), nullable(NUMBER)),
        stop=nullable(list_of(STRING)),
    )
)
SHARED = {
    "model": nullable(STRING), "stream": nullable(BOOLEAN), "format": {"type": ["string", "object", "null"]}, "options": OPTIONS,
    "logprobs": nullable(BOOLEAN), "top_logprobs": nullable(INTEGER),
}  # fmt: skip
_check_chat = checker(shape(**SHARED, messages=nullable(list_of(MESSAGE)), tools=nullable(list_of(TOOL))))
_check_prompt = checker(shape(**SHARED, **dict.fromkeys(("prompt", "system", "suffix", "template"), nullable(STRING)), images=nullable(list_of(STRING))))
DEFAULTS = {"temperature": 0.8, "top_k": 40, "top_p": 0.9}
SIZES = {"house": ("4M", 8_000_000), "llama3.1": ("8.0B", 4_920_753_328), "llama3.2": ("1.2B", 1_321_098_329)}


class OllamaNative(Compatible):
    mount = "/ollama/api"
    has_upstream = False
    json_type = "application/json; charset=utf-8"
    stream_type = "application/x-ndjson"

    def routes(self) -> list[Route]:
        return [
            route("POST", "/chat", "chat", read=self.read_chat, write=self.write, stream=self.stream),
            route("POST", "/generate", "generate", read=self.read_prompt, write=self.write, stream=self.stream),
            route("GET", "/tags", "models", handle=self.list_models),
            route("POST", "/show", "model", handle=self.show),
            route("GET", "/ps", "models", handle=self.loaded),
            route("GET", "/version", "version", handle=self.version),
        ]

    # ---- reading ---------------------------------------------------------
    def read_chat(self, call: Call) -> Question:
        body = call.json
        _check_chat(body)
        if not body.get("messages"):
            raise Refusal("bad_value", "the course's gateway answers messages; a request without any, which loads a model, is not served")
        return self._question(body, [_as_openai(message) for message in body["messages"]])

    def read_prompt(self, call: Call) -> Question:
        body = {name: value for name, value in call.json.items() if name not in ("messages", "tools")}  # of the other path
        _check_prompt(body)
        if not body.get("prompt"):
            raise Refusal("bad_value", "the course's gateway answers prompts; a request without one, which loads a model, is not served")
        system = [{"role": "system", "content": body["system"]}] if body.get("system") else []
        return self._question(body, [*system, _as_openai({"role": "user", "content": body["prompt"], "images": body.get("images")})])

    def _question(self, body: Json, messages: list[Json]) -> Question:
        """The same question as OpenAI would be asked it; the limit and the sampling are among the options."""
        model = model_of(self.provider, body.get("model"))
        if body.get("think"):
            raise Refusal("bad_value", f'"{body["model"]}" does not support thinking')
        if not 0 <= (body.get("top_logprobs") or 0) <= 20:
            raise Refusal("bad_value", "top_logprobs must be between 0 and 20")
        options = {name: value for name, value in (body.get("options") or {}).items() if value is not None}
        limit = options.get("num_predict", -1)
        asked = {**DEFAULTS, **options, "model": body["model"], "messages": messages, "tools": body.get("tools") or []}
        asked |= {"logprobs": body.get("logprobs"), "top_logprobs": body.get("top_logprobs"), "max_tokens": limit if limit > 0 else None}
        question = chat.question({**asked, "response_format": _format(body.get("format"))}, model, self.provider)
        question = replace(question, messages=tuple(_with_images(*pair) for pair in zip(question.messages, messages, strict=True)))
        question = replace(question, stream=body.get("stream") is not False, echo=body)
        return fitted(question, options.get("num_ctx") or WINDOW)

    # ---- writing ---------------------------------------------------------
    def write(self, question: Question, answer: Answer) -> bytes:
        choice = answer.choices[0]
        said = {**_said(question, choice.text, choice), **_logprobs(choice.scores)}
        return compact({**_head(question), **said, **_ended(answer, choice)})

    async def stream(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        async for piece in answer.stream():
            if piece.text and not answer.choices[0].function:
                yield _line({**_head(question), **_said(question, piece.text), **_logprobs(piece.scores), "done": False})
        choice = answer.choices[0]
        if choice.function:
            yield _line({**_head(question), **_said(question, "", choice), "done": False})
        yield _line({**_head(question), **_said(question, ""), **_ended(answer, choice)})

    def usage(self, payloads: list[Any]) -> Usage | None:
        found = next((line for line in reversed(payloads) if line.get("done")), None)
        return found and Usage(input_tokens=found.get("prompt_eval_count", 0), output_tokens=found.get("eval_count", 0))

    def events(self, body: bytes, content_type: str) -> list[Any]:
        return [json.loads(line) for line in body.splitlines() if line.strip()]

    # ---- the rest --------------------------------------------------------
    async def list_models(self, call: Call) -> Response:
        return self._json({"models": [_row(name) for name in NAMES]})

    async def loaded(self, call: Call) -> Response:
        """What is in memory: the house model, which leaves it with the gateway."""
        size = SIZES["house"][1]
        return self._json({"models": [{**_row("house:latest"), "expires_at": "2318-01-01T00:00:00Z", "size_vram": 0, "context_length": WINDOW, "size": size}]})

    async def show(self, call: Call) -> Response:
        name = call.json.get("model", call.json.get("name"))
        if name is not None and not isinstance(name, str):
            raise Refusal("wrong_type", param="model", expected="string", value=name, struct="ShowRequest")
        model = model_of(self.provider, name)
        info = {"general.architecture": "llama", "llama.context_length": model.context}
        row = _row(name)
        return self._json(
            {
                "modelfile": f"FROM {name}\n",
                "template": "{{ .Prompt }}",
                **{key: row[key] for key in ("details", "modified_at", "capabilities")},
                "model_info": info,
            }
        )

    async def version(self, call: Call) -> Response:
        return self._json({"version": VERSION})

    def _json(self, body: Any, status: int = 200) -> Response:
        return Response(status, [("Content-Type", self.json_type)], compact(body))

    def base_headers(self, milliseconds: int = 12) -> Headers:
        return []

    def error(self, refusal: Refusal, call: Call) -> Response:
        if refusal.kind == "no_route":
            return Response(404, [("Content-Type", "text/plain")], b"404 page not found")
        refusal.facts.setdefault("struct", "ChatRequest")
        status, message = told(refusal)
        return self._json({"error": message}, status)

    def stream_error(self, refusal: Refusal, content_type: str, *, first: bool) -> bytes:
        return _line({"error": told(refusal)[1]})


def _as_openai(message: Json) -> Json:
    """A message of Ollama's as OpenAI writes it; its images are added to the question later."""
    calls = [
        {"function": {"name": c["function"]["name"], "arguments": json.dumps(c["function"].get("arguments") or {})}} for c in message.get("tool_calls") or []
    ]
    return {"role": message["role"], "content": message.get("content") or "", "tool_calls": calls, "images": message.get("images") or []}


def _with_images(message: Any, given: Json) -> Any:
    return replace(message, parts=(*message.parts, *(Part(fingerprint(image), "image") for image in given.get("images") or ())))


def _format(given: Any) -> Json | None:
    """`json` for any object, or a schema."""
    if isinstance(given, dict):
        return {"type": "json_schema", "json_schema": {"schema": given}}
    if given in (None, ""):
        return None
    if given != "json":
        raise Refusal("bad_value", f'invalid format: "{given}"; expected "json" or a valid JSON Schema object')
    return {"type": "json_object"}


def _is_chat(question: Question) -> bool:
    return "messages" in question.echo


def _head(question: Question) -> Json:
    return {"model": question.echo["model"], "created_at": datetime.now(UTC).isoformat().replace("+00:00", "000Z")}


def _said(question: Question, text: str, choice: Choice | None = None) -> Json:
    """A piece of text, or a call: its arguments are an object, not a text."""
    if not _is_chat(question):
        return {"response": text}
    if choice is None or not choice.function or choice.finish != "call":
        return {"message": {"role": "assistant", "content": text}}
    call = {"id": random_id("call_", 8, LETTERS), "function": {"index": 0, "name": choice.function, "arguments": json.loads(choice.text)}}
    return {"message": {"role": "assistant", "content": "", "tool_calls": [call]}}


def _logprobs(scores: Any) -> Json:
    found = chat.logprobs(chat.said(scores))
    return {"logprobs": found["content"]} if found else {}


def _ended(answer: Answer, choice: Choice) -> Json:
    """The end of an answer, with its times in nanoseconds. How they are shared between prompt and answer is not measured (see DEVIATIONS.md)."""
    given, made = answer.usage.input_tokens, answer.usage.output_tokens
    total = round(1e9 * (time.monotonic() - answer.started))
    reading = round(total * given / (given + 8 * made + 1))
    times = {"total_duration": total, "load_duration": 0, "prompt_eval_count": given, "prompt_eval_duration": reading}
    return {"done": True, "done_reason": "length" if choice.finish == "length" else "stop", **times, "eval_count": made, "eval_duration": total - reading}


def _line(body: Json) -> bytes:
    return compact(body) + b"\n"


def _row(name: str) -> Json:
    parameters, size = SIZES[name.partition(":")[0]]
    details = {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": parameters, "quantization_level": "Q4_K_M"}
    head = {"name": name, "model": name, "modified_at": MODIFIED.isoformat().replace("+00:00", "Z"), "size": size, "digest": sha256(name.encode()).hexdigest()}
    return {**head, "details": details, "capabilities": ["completion", "tools"]}
