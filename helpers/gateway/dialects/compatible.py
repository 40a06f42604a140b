"""An OpenAI-compatible server as vLLM 0.32.0 answers: no limits, a few fields more, errors with a number for a code.

The bodies follow answers of a real vLLM on a CPU, captured on 2026-11-23.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from helpers import models
from helpers.gateway.answer import Answer, Choice, Piece, TokenScore
from helpers.gateway.dialects import adapters, vllm, vllm_completions, vllm_response_fields, vllm_responses, vllm_tokens
from helpers.gateway.dialects.openai import chat, embeddings
from helpers.gateway.dialects.openai.dialect import OpenAI
from helpers.gateway.dialects.vllm_answer import FINGERPRINT, VERSION, last_usage, plain_usage
from helpers.gateway.events import Sent
from helpers.gateway.exchange import Question, Refusal, Vectors
from helpers.gateway.quotas import Level
from helpers.gateway.wire import Call, Headers, Response, Route, compact, hex_id, route

MOST_ADAPTERS = 16
# Fields at the end of a plain answer that are null unless a server is started, or asked, in special ways.
LAST_FIELDS = ("prompt_logprobs", "prompt_token_ids", "prompt_text", "kv_transfer_params", "ec_transfer_params", "metrics")


class Compatible(OpenAI):
    provider = "compatible"
    mount = "/compatible"

    def __init__(self) -> None:
        super().__init__()
        self._adapters: dict[str, adapters.Adapter] = {}

    def forget(self) -> None:
        super().forget()
        self._adapters.clear()

    def routes(self) -> list[Route]:
        return [
            route("POST", "/v1/chat/completions", "chat", read=self.read_chat, write=self.write_chat, stream=self.stream_chat),
            route("POST", "/v1/completions", "completions", read=self.read_completion, write=vllm_completions.write, stream=vllm_completions.stream, weigh=vllm_tokens.weigh),
            *vllm_responses.routes(self.read_response),
            route("POST", "/tokenize", "tokenize", handle=self.tokenize, weigh=vllm_tokens.weigh),
            route("POST", "/detokenize", "detokenize", handle=self.detokenize, weigh=vllm_tokens.weigh),
            route("POST", "/v1/embeddings", "embeddings", read=self.read_embeddings, write=self.write_embeddings),
            route("GET", "/v1/models", "models", handle=self.list_models),
            route("GET", "/health", "health", handle=self.health),
            route("GET", "/version", "version", handle=self.version),
            route("POST", "/v1/load_lora_adapter", "adapter", handle=self.load_adapter),
            route("POST", "/v1/unload_lora_adapter", "adapter", handle=self.unload_adapter),
        ]

    def key(self, call: Call) -> str | None:
        """A server of one's own takes any key, or none."""
        return super().key(call) or "none needed"

    def model(self, name: Any, call: Call, param: str = "model", kind: str | None = "chat") -> models.Model:
        """The named model; behind an adapter's name, the model that it is for."""
        adapter = self._adapters.get(name) if isinstance(name, str) else None
        return super().model(adapter.base if adapter else name, call, param, kind)

    def read_chat(self, call: Call) -> Question:
        if "model" not in call.json:
            raise Refusal("missing", param="model")
        vllm.check(call.json)
        model = self.model(call.json["model"], call)
        body = {**call.json, "messages": vllm.as_strings(call.json["messages"], model)}
        question = chat.question(body, model, self.provider)
        if question.limit is not None and question.limit > question.model.context:
            name = "max_completion_tokens" if "max_completion_tokens" in call.json else "max_tokens"
            raise Refusal("above_window", param=name, value=question.limit, maximum=question.model.context)
        return self.check_length(question)

    def read_completion(self, call: Call) -> Question:
        vllm_completions.check(call.json)
        return vllm_completions.question(call.json, self._house(call), self.provider)

    def read_response(self, call: Call) -> Question:
        if len(call.body) > vllm_responses.LARGEST:
            raise Refusal("bad_value", vllm_responses.TOO_LARGE)
        vllm_response_fields.check(call.json)
        model = self.model(call.json.get("model") or adapters.BASE, call)
        return self.check_length(vllm_responses.question(call.json, model, self.provider))

    def check_length(self, question: Question) -> Question:
        """Of the house model's window: its template shows no tools."""
        super().check_length(replace(question, tools=()) if question.model.id == adapters.BASE else question)
        return question

    def admit(self, call: Call, question: Question) -> None:
        if call.path == vllm_responses.PATH:
            vllm_responses.admit(question)

    def _house(self, call: Call) -> models.Model:
        """The house model, by its name, an adapter's, or none at all. Raises Refusal for another, whose tokenizer is not here."""
        name = call.json.get("model")
        model = self.model(adapters.BASE if name in (None, "") else name, call)
        if model.id != adapters.BASE:
            text = f"The course's gateway does not have the tokenizer of {model.id}, and serves {call.path} for the house model alone: ask for `{adapters.BASE}`."
            raise Refusal("bad_value", text, param="model")
        return model

    def read_embeddings(self, call: Call) -> Question:
        if "model" not in call.json:
            raise Refusal("missing", param="model")
        model = self.model(call.json["model"], call, kind="embedding")
        texts, dimensions, form = vllm.embeddings(call.json, model)
        question = Question(self.provider, model, embeddings.messages(texts), vectors=Vectors(dimensions, form=(("encoding_format", form),)))
        for message in question.messages:
            self.check_length(replace(question, messages=(message,)))
        return question

    # ---- writing ---------------------------------------------------------
    def write_embeddings(self, question: Question, answer: Answer) -> bytes:
        as_text = dict(question.vectors.form)["encoding_format"] == "base64"
        rows = (
            b'{"index":%d,"object":"embedding","embedding":%b}' % (index, compact(embeddings.in_base64_form(one) if as_text else embeddings.floats(one)))
            for index, one in enumerate(answer.vectors)
        )
        head = {"id": hex_id("embd-", 16), "object": "list", "created": int(time.time()), "model": question.model.id}
        usage = {"prompt_tokens": answer.usage.input_tokens, "total_tokens": answer.usage.input_tokens, "completion_tokens": 0, "prompt_tokens_details": None}
        return compact(head)[:-1] + b',"data":[' + b",".join(rows) + b'],"usage":' + compact(usage) + b"}"

    def write_chat(self, question: Question, answer: Answer) -> bytes:
        choices = [
            {
                "index": index,
                "message": _message(choice),
                "logprobs": _logprobs(choice.scores),
                "finish_reason": chat.finish_reason(choice, question),
                "stop_reason": choice.stop_sequence,
                "token_ids": None,
                "routed_experts": None,
            }
            for index, choice in enumerate(answer.choices)
        ]
        body = {**_head(answer, "chat.completion"), "choices": choices, "service_tier": None, "system_fingerprint": FINGERPRINT, "usage": plain_usage(answer)}
        return compact({**body, **dict.fromkeys(LAST_FIELDS)})

    async def stream_chat(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        head, ended = _head(answer, "chat.completion.chunk"), set()
        for index in range(len(answer.choices)):
            first = {"index": index, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
            yield chat.frame({**head, "choices": [first], "prompt_token_ids": None, "prompt_text": None})
        for index, choice in enumerate(answer.choices):
            if choice.function:
                yield chat.frame({**head, "choices": [_piece(index, {"content": None, "tool_calls": [_opened(choice.function)]})]})
        async for piece in answer.stream():
            choice = answer.choices[piece.choice]
            # The last token of a text ends it in the same chunk, but for the token that ends the turn: that one is empty.
            ends = piece.is_last and (choice.finish != "stop" or not piece.text)
            if piece.text or piece.scores or ends:
                yield chat.frame({**head, "choices": [_piece(piece.choice, _delta(choice, piece), piece.scores, choice if ends else None, question)]})
            ended |= {piece.choice} if ends else set()
        for index, choice in enumerate(answer.choices):
            if index not in ended:
                yield chat.frame({**head, "choices": [_piece(index, {"content": ""}, (), choice, question)]})
        if question.include_usage:
            yield chat.frame({**head, "choices": [], "usage": last_usage(answer), "system_fingerprint": FINGERPRINT})
        yield chat.DONE

    # ---- tokens ----------------------------------------------------------
    def tokenize(self, call: Call) -> Response:
        return self._json(vllm_tokens.tokenize(call.json, self._house(call)))

    def detokenize(self, call: Call) -> Response:
        self._house(call)
        return self._json(vllm_tokens.detokenize(call.json))

    # ---- the rest --------------------------------------------------------
    async def list_models(self, call: Call) -> Response:
        rows = [_model_body(model) for model in models.of(self.provider)]
        for adapter in self._adapters.values():
            base = next(row for row in rows if row["id"] == adapter.base)
            rows.append({**base, "id": adapter.name, "root": adapter.path, "parent": adapter.base, "max_model_len": None})
        return self._json({"object": "list", "data": rows})

    def load_adapter(self, call: Call) -> Response:
        """As a vLLM that was started with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True."""
        adapter = adapters.load(call.json)
        if adapter.name in self._adapters or models.find(self.provider, adapter.name):
            raise Refusal("bad_value", f"The lora adapter '{adapter.name}' has already been loaded.")
        if len(self._adapters) >= MOST_ADAPTERS:
            raise Refusal("bad_value", f"{MOST_ADAPTERS} adapters are loaded, and no more are taken; unload one")
        self._adapters[adapter.name] = adapter
        return self._text(f"Success: LoRA adapter '{adapter.name}' added successfully.")

    def unload_adapter(self, call: Call) -> Response:
        name = adapters.name_of(call.json)
        if self._adapters.pop(name, None) is None:
            raise Refusal("not_found", f"The lora adapter '{name}' cannot be found.")
        return self._text(f"Success: LoRA adapter '{name}' removed successfully.")

    def _text(self, text: str) -> Response:
        return Response(200, self.base_headers(), text.encode())

    async def version(self, call: Call) -> Response:
        return self._json({"version": VERSION})

    def _json(self, body: Any, status: int = 200) -> Response:
        return Response(status, [("Content-Type", "application/json"), *self.base_headers()], compact(body))

    async def health(self, call: Call) -> Response:
        return Response(200, self.base_headers())

    def base_headers(self, milliseconds: int = 12) -> Headers:
        return [("server", "uvicorn"), ("vary", "Origin")]

    def headers(self, call: Call, question: Question, answer: Answer, levels: dict[str, Level]) -> Headers:
        return self.base_headers()

    def error(self, refusal: Refusal, call: Call) -> Response:
        if refusal.kind == "no_route":
            return self._no_route(call)
        status, kind, message = vllm.words(refusal)
        response = self._json({"error": {"message": message, "type": kind, "param": vllm.param(refusal), "code": status}}, status)
        if refusal.kind == "no_recording":
            response.headers.append(("x-should-retry", "false"))
        return response

    def _no_route(self, call: Call) -> Response:
        """As FastAPI says it: another method may be taken at this path."""
        method = next((one.method for one in self.routes() if one.pattern.match(call.path)), None)
        if method is None:
            return self._json({"detail": "Not Found"}, 404)
        response = self._json({"detail": "Method Not Allowed"}, 405)
        response.headers.append(("allow", method))
        return response

    def stream_end(self, refusal: Refusal, content_type: str, operation: str, gone: Sent) -> bytes:
        """As in chat, whatever the operation: a vLLM has no response that failed."""
        return self.stream_error(refusal, content_type, first=not gone.first)

    def stream_error(self, refusal: Refusal, content_type: str, *, first: bool) -> bytes:
        status, kind, message = vllm.words(refusal)
        return chat.frame({"error": {"message": message, "type": kind, "param": None, "code": status}})


def _head(answer: Answer, kind: str) -> dict[str, Any]:
    return {"id": hex_id("chatcmpl-", 16), "object": kind, "created": int(time.time()), "model": answer.question.echo["model"]}


def _message(choice: Choice) -> dict[str, Any]:
    nothing = {"refusal": None, "annotations": None, "audio": None, "function_call": None}
    if choice.function and choice.finish == "call":
        call = {**_opened(choice.function), "function": {"name": choice.function, "arguments": choice.text}}
        call.pop("index")
        return {"role": "assistant", "content": "", **nothing, "tool_calls": [call], "reasoning": None}
    return {"role": "assistant", "content": choice.text, **nothing, "reasoning": None}


def _opened(name: str) -> dict[str, Any]:
    """A tool call whose arguments are still to come."""
    return {"id": hex_id("chatcmpl-tool-", 16), "type": "function", "index": 0, "function": {"name": name}}


def _delta(choice: Choice, piece: Piece) -> dict[str, Any]:
    if choice.function:
        return {"content": None, "tool_calls": [{"index": 0, "function": {"arguments": piece.text}}]}
    return {"content": piece.text}


def _piece(
    index: int, delta: dict[str, Any], scores: Sequence[TokenScore] = (), ended: Choice | None = None, question: Question | None = None
) -> dict[str, Any]:
    """A choice in a chunk; with `ended` the one that ends it."""
    finish = chat.finish_reason(ended, question) if ended else None
    stop = {"stop_reason": ended.stop_sequence} if ended else {}
    return {"index": index, "delta": delta, "logprobs": _logprobs(scores), "finish_reason": finish, **stop, "token_ids": None}


def _logprobs(scores: Sequence[TokenScore]) -> dict[str, Any] | None:
    """vLLM shows the token that ends the turn too."""
    return {"content": chat.logprobs(scores)["content"]} if scores else None


def _model_body(model: models.Model) -> dict[str, Any]:
    allowed = {"allow_create_engine": False, "allow_sampling": True, "allow_logprobs": True, "allow_search_indices": False, "allow_view": True}
    permission = {"id": hex_id("modelperm-", 16), "object": "model_permission", "created": int(time.time()), **allowed, "allow_fine_tuning": False}
    permission |= {"organization": "*", "group": None, "is_blocking": False}
    head = {"id": model.id, "object": "model", "created": int(time.time()), "owned_by": "vllm", "root": model.id, "parent": None}
    return {**head, "max_model_len": model.context, "permission": [permission]}
