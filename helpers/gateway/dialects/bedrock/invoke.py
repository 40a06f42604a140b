"""Bedrock's InvokeModel: each maker's own body. Claude's is Anthropic's messages, Llama's a prompt, Nova's like Converse's."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from typing import Any

from helpers.gateway.answer import Answer
from helpers.gateway.dialects.anthropic import messages as anthropic_messages
from helpers.gateway.dialects.bedrock import converse as bedrock_converse
from helpers.gateway.dialects.bedrock import embeddings, eventstream
from helpers.gateway.dialects.bedrock.makers import is_claude, is_llama, is_mistral, is_nova
from helpers.gateway.dialects.schema import ANY, STRING, between, checker, list_of, shape
from helpers.gateway.exchange import Message, Part, Question, Refusal, Usage
from helpers.gateway.wire import Call, Dialect, compact, random_id
from helpers.models import Model

LLAMA = {"prompt": STRING, "max_gen_len": between("integer", 1), "temperature": between("number", 0, 1), "top_p": between("number", 0, 1)}
check_llama = checker(shape("prompt", closed=True, **LLAMA))
LLAMA_DEFAULT_LIMIT = 512
LLAMA_TURN = re.compile(r"<\|start_header_id\|>(system|user|assistant)<\|end_header_id\|>\n\n(.*?)(?=<\|eot_id\|>|<\|start_header_id\|>|\Z)", re.DOTALL)
NOVA_CONFIG = {
    **{name: between("integer", 1) for name in ("max_new_tokens", "maxTokens")},
    **{name: between("number", 0, 1) for name in ("temperature", "topP", "top_p")},
    **{name: between("integer", 0) for name in ("topK", "top_k")},
    "stopSequences": list_of(STRING),
    "reasoningConfig": ANY,
}
NOVA = {
    **{name: bedrock_converse.FIELDS[name] for name in ("messages", "system", "toolConfig")},
    "inferenceConfig": shape(closed=True, **NOVA_CONFIG),
    "reasoningConfig": ANY,
    "schemaVersion": STRING,
}
check_nova = checker(shape("messages", closed=True, **NOVA))
BEDROCK_VERSION = "bedrock-2023-05-31"
# Tools that Anthropic's own servers run, and those that there are on Bedrock: the words of a recording with Claude Sonnet 4, of 2025.
SERVER_TOOL = re.compile("(web_search|web_fetch|code_execution)_")
TOOL_TAGS = "'bash_20250124', 'custom', 'text_editor_20250124', 'text_editor_20250429', 'text_editor_20250728'"
NEW_VERSION = "2026-10-21"  # what Anthropic's own client for Bedrock sends (anthropic 2.12, lib/bedrock/_client.py)


class Invoke:
    def __init__(self, dialect: Dialect, named_model: Callable[..., Model], converse: Callable[[dict[str, Any], Model], Question]) -> None:
        """`named_model` finds the model in a call's path; `converse` makes the question of a Converse body."""
        self._dialect, self._named_model, self._converse = dialect, named_model, converse

    # ---- reading ---------------------------------------------------------
    def read(self, call: Call) -> Question:
        model = self._named_model(call, kind=None)
        if model.kind == "embedding":
            return embeddings.question(call.json, model)
        return self._dialect.check_length(self.question(call.json, model))

    def read_stream(self, call: Call) -> Question:
        question = self.read(call)
        if question.vectors:
            raise Refusal("unsupported", "The model is unsupported for streaming", param="modelId")
        return replace(question, stream=True)

    def question(self, body: dict[str, Any], model: Model) -> Question:
        if is_llama(model):
            return _llama_question(body, model)
        if is_nova(model):
            check_nova(body)
            return self._converse(_nova_as_converse(body), model)
        if is_mistral(model):
            raise Refusal("unsupported", "The course's gateway serves Mistral's models by Converse alone.", param="modelId")
        if not is_claude(model):
            raise Refusal("unsupported", f"The course's gateway serves {model.id} by Converse alone.", param="modelId")
        anthropic_messages.check_bedrock(body)
        if body["anthropic_version"] not in (BEDROCK_VERSION, NEW_VERSION):
            raise Refusal("bad_value", f"Invalid API version: {body['anthropic_version']}", param="anthropic_version")  # as boto3's issue 4218 shows it
        _check_tools(body.get("tools") or ())
        return anthropic_messages.question(body, model, "bedrock")

    # ---- writing ---------------------------------------------------------
    def write(self, question: Question, answer: Answer) -> bytes:
        if question.vectors:
            return embeddings.body(question, answer)
        if is_llama(question.model):
            return compact(_llama_body(answer))
        if is_nova(question.model):
            return compact(_nova_body(answer))
        return compact(anthropic_messages.message_body(answer, _message_id()))

    async def stream(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        """Frames that hold the model's own events as base64; the last one has the metrics too."""
        waiting: dict[str, Any] | None = None
        async for event in self._own_events(question, answer):
            if waiting is not None:
                yield _chunk(waiting)
            waiting = event
        yield _chunk({**(waiting or {}), "amazon-bedrock-invocationMetrics": _metrics(answer)})

    def _own_events(self, question: Question, answer: Answer) -> AsyncIterator[dict[str, Any]]:
        if is_llama(question.model):
            return _llama_events(answer)
        if is_nova(question.model):
            return _nova_events(answer)
        return anthropic_messages.stream_events(answer, _message_id())


def _check_tools(tools: Iterable[dict[str, Any]]) -> None:
    for index, tool in enumerate(tools):
        kind = tool.get("type")
        if isinstance(kind, str) and SERVER_TOOL.match(kind):
            text = f"tools.{index}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {TOOL_TAGS}"
            raise Refusal("bad_value", text, param=f"tools[{index}].type")


def _message_id() -> str:
    return random_id("msg_bdrk_01", 22)


def _chunk(event: dict[str, Any]) -> bytes:
    payload = {"bytes": base64.b64encode(compact(event)).decode(), "p": bedrock_converse.padding()}
    return eventstream.event("chunk", compact(payload))


def _metrics(answer: Answer) -> dict[str, int]:
    """Nova's always say what came from its cache, Claude's where something did: recorded in 2025, and seen by a user in 2026-07."""
    usage, model = answer.usage, answer.question.model
    return {
        "inputTokenCount": usage.uncached_tokens,
        "outputTokenCount": usage.output_tokens,
        "invocationLatency": answer.latency_ms,
        "firstByteLatency": min(answer.latency_ms, round(1000 * answer.pace * model.ttft) + 1),
        **(_cache_counts(usage) if is_nova(model) or usage.uncached_tokens < usage.input_tokens else {}),
    }


def _cache_counts(usage: Usage) -> dict[str, int]:
    written = usage.cache_write_tokens + usage.cache_write_1h_tokens
    return {"cacheReadInputTokenCount": usage.cache_read_tokens, "cacheWriteInputTokenCount": written}


# ---- Llama -------------------------------------------------------------------
def _llama_question(body: dict[str, Any], model: Model) -> Question:
    check_llama(body)
    return Question(
        provider="bedrock",
        model=model,
        messages=_llama_messages(body["prompt"]),
        limit=body.get("max_gen_len", LLAMA_DEFAULT_LIMIT),
        sampling=tuple((name, body[name]) for name in ("temperature", "top_p") if name in body),
    )


def _llama_messages(prompt: str) -> tuple[Message, ...]:
    """The turns that a prompt in Llama 3's template holds; the last one, which it opens for the answer, is empty. Any other prompt is one turn."""
    turns = [Message(role, (Part(text),)) for role, text in LLAMA_TURN.findall(prompt) if text]
    return tuple(turns) or (Message("user", (Part(prompt),)),)


def _llama_body(answer: Answer) -> dict[str, Any]:
    choice = answer.choices[0]
    return {
        "generation": choice.text,
        "prompt_token_count": answer.usage.input_tokens,
        "generation_token_count": answer.usage.output_tokens,
        "stop_reason": "length" if choice.finish == "length" else "stop",
    }


async def _llama_events(answer: Answer) -> AsyncIterator[dict[str, Any]]:
    first = True
    async for piece in answer.stream():
        prompt = answer.usage.input_tokens if first else None
        yield {"generation": piece.text, "prompt_token_count": prompt, "generation_token_count": piece.tokens_so_far, "stop_reason": None}
        first = False
    yield {**_llama_body(answer), "generation": "", "prompt_token_count": None}


def parse_llama_usage(payloads: list[dict[str, Any]]) -> Usage | None:
    """The usage in Llama's own body, or in the events of its stream: the prompt's in the first, the rest in the last."""
    read = [p["prompt_token_count"] for p in payloads if p.get("prompt_token_count") is not None]
    made = [p["generation_token_count"] for p in payloads if p.get("generation_token_count") is not None]
    ended = len(payloads) == 1 or any(p.get("stop_reason") for p in payloads)  # a stream that was cut says less than it cost
    return Usage(input_tokens=read[0], output_tokens=made[-1]) if read and made and ended else None


# ---- Nova --------------------------------------------------------------------
def _nova_as_converse(body: dict[str, Any]) -> dict[str, Any]:
    """Nova's body is Converse's, with older names of its own for two parameters."""
    renamed = {"max_new_tokens": "maxTokens", "top_p": "topP"}
    config = {renamed.get(name, name): value for name, value in body.get("inferenceConfig", {}).items()}
    return {**body, "inferenceConfig": config}


def _nova_body(answer: Answer) -> dict[str, Any]:
    choice = answer.choices[0]
    return {
        "output": {"message": {"content": bedrock_converse.content(choice, answer.question.model), "role": "assistant"}},
        "stopReason": anthropic_messages.stop_reason(choice),
        "usage": _nova_usage(answer.usage, total=True),
    }


def _nova_usage(usage: Usage, *, total: bool) -> dict[str, int]:
    """As recorded from 2025-02 to 2025-05, the newest that is known; a stream has no total."""
    counts = {"inputTokens": usage.uncached_tokens, "outputTokens": usage.output_tokens}
    return {**counts, **({"totalTokens": usage.input_tokens + usage.output_tokens} if total else {}), **_cache_counts(usage)}


async def _nova_events(answer: Answer) -> AsyncIterator[dict[str, Any]]:
    yield {"messageStart": {"role": "assistant"}}
    async for kind, payload in bedrock_converse.block_events(answer, 0):
        yield {kind: payload}
    yield {"messageStop": {"stopReason": anthropic_messages.stop_reason(answer.choices[0])}}
    yield {"metadata": {"usage": _nova_usage(answer.usage, total=False), "metrics": {}, "trace": {}}}
