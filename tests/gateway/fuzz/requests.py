"""Requests to begin with: the operations of every mount, valid or with something wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from random import Random
from typing import Any

from tests.gateway.fuzz import bodies, mutate
from tests.gateway.fuzz.wire import Answer, Request

Scene = Generator[Request | list[Request], Any, None]
AZURE = "/azure/openai/deployments/{azure}/chat/completions?api-version=2024-10-21"
AZURE_VECTORS = "/azure/openai/deployments/{azure_vectors}/embeddings?api-version=2024-10-21"
GEMINI, BEDROCK = "/gemini/v1beta/models/{gemini}", "/bedrock/model/{bedrock}"
QUESTIONS: list[tuple[str, Callable[[Random], bodies.Body]]] = [
    ("/openai/v1/chat/completions", bodies.chat),
    ("/openai/v1/responses", bodies.response),
    ("/openai/v1/responses/input_tokens", bodies.response),
    ("/openai/v1/moderations", bodies.moderated),
    ("/openai/v1/completions", bodies.completed),
    ("/openai/v1/responses/compact", bodies.compaction),
    ("/openai/v1/conversations", bodies.new_conversation),
    (AZURE, bodies.azure_chat),
    ("/azure/openai/v1/chat/completions", bodies.azure_chat),
    ("/azure/openai/v1/responses", bodies.azure_response),
    ("/azure/openai/responses?api-version=2025-04-01-preview", bodies.azure_response),
    ("/azure/openai/v1/responses/input_tokens", bodies.azure_response),
    ("/foundry/anthropic/v1/messages", bodies.message),
    ("/foundry/anthropic/v1/messages/count_tokens", bodies.counted_message),
    ("/compatible/v1/chat/completions", bodies.compatible_chat),
    ("/compatible/v1/completions", bodies.compatible_completion),
    ("/compatible/v1/responses", bodies.compatible_response),
    ("/compatible/tokenize", bodies.tokenized),
    ("/compatible/detokenize", bodies.detokenized),
    *[(f"/{server}/v1/chat/completions", bodies.compatible_chat) for server in ("ollama", "tgi", "sglang", "llamacpp")],
    ("/ollama/api/chat", bodies.compatible_chat),
    ("/ollama/api/generate", bodies.prompt),
    ("/anthropic/v1/chat/completions", bodies.compatible_chat),
    ("/anthropic/v1/messages", bodies.message),
    ("/anthropic/v1/messages/count_tokens", bodies.counted_message),
    (GEMINI + ":generateContent", bodies.contents),
    (GEMINI + ":streamGenerateContent", bodies.contents),
    (GEMINI + ":streamGenerateContent?alt=sse", bodies.contents),
    (GEMINI + ":countTokens", bodies.counted_contents),
    ("/gemini/v1beta/cachedContents", bodies.cache),
    ("/gemini/v1beta/interactions", bodies.interaction),
    ("/gemini/v1beta/openai/chat/completions", bodies.gemini_chat),
    (BEDROCK + "/converse", bodies.converse),
    (BEDROCK + "/converse-stream", bodies.converse),
    ("/bedrock/model/{claude}/invoke", bodies.claude_invoked),
    ("/bedrock/model/{claude}/invoke-with-response-stream", bodies.claude_invoked),
    ("/bedrock/model/{llama}/invoke", bodies.llama),
    ("/bedrock/model/{llama}/invoke-with-response-stream", bodies.llama),
    ("/bedrock/model/{nova}/invoke", bodies.nova),
    ("/bedrock/model/{nova}/invoke-with-response-stream", bodies.nova),
    (BEDROCK + "/count-tokens", bodies.counted_converse),
    ("/openai/v1/embeddings", bodies.vectors),
    (AZURE_VECTORS, bodies.azure_vectors),
    ("/azure/openai/v1/embeddings", bodies.azure_vectors),
    ("/compatible/v1/embeddings", bodies.compatible_vectors),
    ("/gemini/v1beta/openai/embeddings", bodies.gemini_chat_vectors),
    ("/gemini/v1beta/models/{gemini_vectors}:embedContent", bodies.vector),
    ("/gemini/v1beta/models/{gemini_vectors}:batchEmbedContents", bodies.vector_batch),
    ("/bedrock/model/{titan}/invoke", bodies.titan),
    ("/bedrock/model/{cohere}/invoke", bodies.cohere),
    ("/bedrock/guardrail/thecourse/version/1/apply", bodies.guarded),
]
READS = [
    *[f"/openai/v1/{what}" for what in ("models", "models/{openai}", "files", "files/file-none", "chat/completions", "chat/completions/none/messages", "batches", "batches/batch_none")],
    *[f"/anthropic/v1/{what}" for what in ("models", "models/{anthropic}", "messages/batches", "messages/batches?limit=1", "messages/batches/none/results", "skills")],
    *[f"/gemini/v1beta/{what}" for what in ("models", "models/{gemini}", "cachedContents", "cachedContents/none", "batches", "batches/none")],
    *[f"/azure/openai/{what}" for what in ("v1/models", "v1/models/{azure}", "v1/responses/resp_none", "models?api-version=2024-10-21", "models/{azure}?api-version=2024-10-21")],
    *["/compatible/v1/models", "/compatible/v1/responses/resp_1?stream=true", "/compatible/health", "/compatible/version", "/ollama/v1/models", "/ollama/api/tags", "/tgi/info", "/course/status", "/", "/nowhere"],
]


# ---- requests ------------------------------------------------------------------------------------------------
def named(r: Random, path: str) -> str:
    """The path with a model in place of its provider's name: one that there is, or now and then another's."""
    return path.format(**{whose: r.choice(bodies.STRANGERS if r.random() < 0.05 else ids) for whose, ids in bodies.MODELS.items()})


def post(path: str, body: Any) -> Request:
    return Request("POST", path, json.dumps(body).encode())


def question(r: Random) -> Request:
    """A valid question to any model, or to a route that counts or keeps."""
    path, make = r.choice(QUESTIONS)
    return post(named(r, path), make(r))


def spoilt(r: Random, request: Request) -> Request:
    """The request, often with something wrong in its values, its text or its head."""
    luck = r.random()
    if luck < 0.6 and request.body.startswith(b"{"):
        request.body = mutate.written(r, mutate.mutated(r, json.loads(request.body)))
    elif luck < 0.7:
        request.body = mutate.broken(r, request.body)
    return mutate.disturbed(r, request) if 0.55 < luck < 0.85 else request


def read_of(answer: Answer, *names: str) -> str:
    """A text in a JSON answer, such as its id; `none` where there is none."""
    try:
        value = json.loads(answer.body)
        for name in names:
            value = value[name]
        return value if isinstance(value, str) and value.isascii() and value else "none"
    except (ValueError, LookupError, TypeError):
        return "none"
