"""Azure OpenAI: OpenAI's chat behind deployments or the v1 route, with content-filter fields and errors of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from math import ceil

from helpers.gateway.answer import Answer
from helpers.gateway.dialects.openai import chat
from helpers.gateway.dialects.openai.dialect import OpenAI
from helpers.gateway.dialects.openai.errors import BAD_REQUEST, words
from helpers.gateway.exchange import Question, Refusal
from helpers.gateway.quotas import Level
from helpers.gateway.wire import Call, Headers, Response, Route, compact, route

SAFE = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
PROMPT_FILTER = [{"prompt_index": 0, "content_filter_results": {**SAFE, "jailbreak": {"detected": False, "filtered": False}}}]


class Azure(OpenAI):
    provider = "azure"
    mount = "/azure"

    def routes(self) -> list[Route]:
        deployment = "/openai/deployments/(?P<deployment>[^/]+)/chat/completions"
        actions = {"write": self.write_chat, "stream": self.stream_chat}
        return [
            route("POST", deployment, "chat", read=self.read_deployment, **actions),
            route("POST", "/openai/v1/chat/completions", "chat", read=self.read_chat, **actions),
            route("GET", "/openai/v1/models", "models", handle=self.list_models),
        ]

    def key(self, call: Call) -> str | None:
        return call.headers.get("api-key") or super().key(call)

    def read_deployment(self, call: Call) -> Question:
        if not call.query.get("api-version"):
            raise Refusal("no_version")
        model = self.model(call.groups["deployment"], call)
        if call.json.get("model", "") is None:  # the deployment says it, so null is as good as absent: LangChain's documented use
            call = call.with_json({name: value for name, value in call.json.items() if name != "model"})
        return self.read_chat_for(model, call)

    # ---- writing ---------------------------------------------------------
    def write_chat(self, question: Question, answer: Answer) -> bytes:
        body = chat.completion(answer)
        for choice in body["choices"]:
            choice["content_filter_results"] = SAFE
        body["prompt_filter_results"] = PROMPT_FILTER
        return compact(dict(sorted(body.items())))

    async def stream_chat(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        # The first chunk is about the prompt alone: it has no choices, and crashes a loop that takes choices[0].
        yield chat.frame({"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": PROMPT_FILTER})
        async for chunk in chat.chunks(answer, chat.stream_head(answer), {"role": "assistant", "content": "", "refusal": None}):
            for choice in chunk["choices"]:
                choice["content_filter_results"] = SAFE if choice["delta"].get("content") else {}
            yield chat.frame(dict(sorted(chunk.items())))
        yield chat.DONE

    # ---- headers and errors ----------------------------------------------
    def base_headers(self, milliseconds: int = 12) -> Headers:
        return [
            ("apim-request-id", str(uuid.uuid4())),
            ("x-request-id", str(uuid.uuid4())),
            ("x-ms-region", "East US 2"),
        ]

    def headers(self, call: Call, question: Question, answer: Answer, levels: dict[str, Level]) -> Headers:
        deployment = call.groups.get("deployment", question.model.id)
        return [
            *self.base_headers(),
            ("x-ms-deployment-name", deployment),
            ("x-ms-rai-invoked", "true"),
            ("x-accel-buffering", "no"),
            ("azureml-model-session", f"d-{question.model.id}"),
            *_limit_headers(levels),
        ]

    def error(self, refusal: Refusal, call: Call) -> Response:
        headers = [("Content-Type", "application/json"), ("apim-request-id", str(uuid.uuid4()))]
        own = _own_error(refusal)
        if refusal.kind == "rate_limited":
            wait = refusal.facts.get("wait", 1.0)
            headers += [("retry-after", str(max(1, ceil(wait)))), ("retry-after-ms", str(max(1, ceil(wait * 1000))))]
        if own is None:
            return Response(*_as_openai(super().error(refusal, call), headers))
        status, code, message = own
        kind = {"type": BAD_REQUEST} if code == "DeploymentNotFound" else {}
        return Response(status, headers, compact({"error": {**kind, "code": code, "message": message}}))

    def stream_error(self, refusal: Refusal, content_type: str, *, first: bool) -> bytes:
        _, _, code, text = words(refusal, "")
        return chat.frame({"error": {"code": code or "ServiceUnavailable", "message": text}})


def _as_openai(response: Response, headers: Headers) -> tuple[int, Headers, bytes]:
    """OpenAI's own refusals of a body pass through Azure as they are."""
    kept = [pair for pair in response.headers if pair[0] == "x-should-retry"]
    return response.status, [*headers, *kept], response.body


def _own_error(refusal: Refusal) -> tuple[int, str, str] | None:
    """Status, code and message of what Azure itself refuses, before the model's service sees it."""
    match refusal.kind:
        case "bad_key" | "no_key":
            text = "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."
            return 401, "401", text
        case "unknown_model" | "retired_model":
            return 404, "DeploymentNotFound", "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again."
        case "no_version" | "no_route":
            return 404, "404", "Resource not found"
        case "rate_limited":
            wait = max(1, ceil(refusal.facts.get("wait", 1.0)))
            return 429, "RateLimitReached", f"Your requests to this deployment have exceeded the call rate limit of its pricing tier. Please retry after {wait} seconds."
        case "overloaded":
            return 503, "ServiceUnavailable", "The service is temporarily unable to process your request. Please try again later."
        case "server_error":
            return 500, "InternalServerError", "The server had an error while processing your request."
        case "out_of_credit":
            return 403, "InsufficientQuota", "This subscription has no quota left for this deployment."
    return None


def _limit_headers(levels: dict[str, Level]) -> Headers:
    """The limits in Azure's names; the reset is a bare number, here of milliseconds."""
    out = []
    for family, level in levels.items():
        reset = int(level.seconds_to_full * 1000)
        values = {"limit": level.limit, "remaining": int(level.left), "reset": reset, "renewalperiod": 60}
        out += [(f"x-ratelimit-{part}-{family}", str(value)) for part, value in values.items()]
    return out
