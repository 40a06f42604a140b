"""Azure OpenAI: OpenAI's chat and Responses behind deployments or the v1 route, with a content filter, tokens and errors of its own."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from math import ceil
from typing import Any

from helpers import models
from helpers.gateway.answer import Answer
from helpers.gateway.dialects.azure import catalogue, entra, filters, versions
from helpers.gateway.dialects.azure.responses import AzureResponses
from helpers.gateway.dialects.openai import chat
from helpers.gateway.dialects.openai.dialect import OpenAI
from helpers.gateway.dialects.openai.errors import BAD_REQUEST, words
from helpers.gateway.exchange import Question, Refusal
from helpers.gateway.quotas import Level
from helpers.gateway.wire import Call, Headers, Response, Route, compact, route
from helpers.models import Model

REGION = "East US 2"
WRONG_KIND = (
    "The {} operation does not work with the specified model, {}. Please choose different model and try again. "
    "You can learn more about which models can be used with each operation here: https://go.microsoft.com/fwlink/?linkid=2197993."
)


class Azure(OpenAI):
    provider = "azure"
    mount = "/azure"

    def __init__(self) -> None:
        super().__init__()
        self._responses = AzureResponses(self)

    def routes(self) -> list[Route]:
        chat_actions = {"write": self.write_chat, "stream": self.stream_chat}
        vectors = {"write": self.write_embeddings}
        deployment = "/openai/deployments/(?P<deployment>[^/]+)"
        dated = [
            route("POST", deployment + "/chat/completions", "chat", read=self.read_deployment, **chat_actions),
            route("POST", deployment + "/embeddings", "embeddings", read=self.read_deployed_embeddings, **vectors),
            route("GET", "/openai/models", "models", handle=self.list_base_models),
            route("GET", "/openai/models/(?P<model>[^/]+)", "model", handle=self.get_base_model),
        ]
        v1 = [
            route("POST", "/openai/v1/chat/completions", "chat", read=self.read_chat, **chat_actions),
            route("POST", "/openai/v1/embeddings", "embeddings", read=self.read_embeddings, **vectors),
            route("GET", "/openai/v1/models", "models", handle=self.list_models),
            route("GET", "/openai/v1/models/(?P<model>[^/]+)", "model", handle=self.get_model),
        ]
        # All that OpenAI's Responses have, on either route.
        responses = self._responses.routes()
        return [
            *(_guarded(one, versions.check_dated) for one in dated),
            *(_guarded(one, versions.check_v1) for one in v1),
            *(_guarded(_moved(one, "/v1", "/openai/v1"), versions.check_v1) for one in responses),
            *(_guarded(_moved(one, "/v1", "/openai"), versions.check_responses) for one in responses),
        ]

    def key(self, call: Call) -> str | None:
        return call.headers.get("api-key") or super().key(call)

    def admit(self, call: Call, question: Question) -> None:
        entra.check(call)
        if question.harm and not question.harm.in_answer:
            raise Refusal("filtered", question=question)
        super().admit(call, question)

    def read_deployment(self, call: Call) -> Question:
        return self.read_chat_for(self.model(call.groups["deployment"], call), _without_null(call))

    def read_deployed_embeddings(self, call: Call) -> Question:
        return self.read_embeddings_for(self.model(call.groups["deployment"], call, kind="embedding"), _without_null(call))

    def read_chat_for(self, model: Model, call: Call) -> Question:
        if call.json.get("tools") == []:  # which OpenAI itself takes for none
            raise Refusal("bad_value", param="tools", rule="minItems", bound=1, value=[])
        return filters.judged(super().read_chat_for(model, call))

    # ---- models ----------------------------------------------------------
    async def get_model(self, call: Call) -> Response:
        self._known(call)
        return await super().get_model(call)

    def list_base_models(self, call: Call) -> Response:
        today = call.services.clock.today()
        return self.ok({"data": [catalogue.body(model) for model in models.of(self.provider, None) if not model.is_retired(today)], "object": "list"})

    def get_base_model(self, call: Call) -> Response:
        return self.ok(catalogue.body(self._known(call)))

    def _known(self, call: Call) -> Model:
        """The model in the path, which need not have a deployment. Raises Refusal("no_route") where there is none."""
        try:
            return self.model(call.groups["model"], call, kind=None)
        except Refusal:
            raise Refusal("no_route", path=call.path, method=call.method) from None

    # ---- writing ---------------------------------------------------------
    def write_chat(self, question: Question, answer: Answer) -> bytes:
        body, found = chat.completion(filters.withheld(answer)), filters.of_answer(question)
        for choice in body["choices"]:
            choice["content_filter_results"] = filters.of_choice(choice, found)
        body["prompt_filter_results"] = _of_prompt(question)
        return compact(dict(sorted(body.items())))

    async def stream_chat(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        # The first chunk is about the prompt alone: it has no choices, and crashes a loop that takes choices[0].
        yield chat.frame({"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": _of_prompt(question)})
        answer, found = await filters.withheld_stream(answer), filters.of_answer(question)
        async for chunk in chat.chunks(answer, chat.stream_head(answer), {"role": "assistant", "content": "", "refusal": None}):
            for choice in chunk["choices"]:
                choice["content_filter_results"] = filters.of_choice(choice, found)
            yield chat.frame(dict(sorted(chunk.items())))
        yield chat.DONE

    # ---- headers and errors ----------------------------------------------
    def base_headers(self, milliseconds: int = 12) -> Headers:
        return [
            ("apim-request-id", str(uuid.uuid4())),
            ("x-request-id", str(uuid.uuid4())),
            ("x-ms-region", REGION),
        ]

    def headers(self, call: Call, question: Question, answer: Answer, levels: dict[str, Level]) -> Headers:
        deployment = call.groups.get("deployment", question.model.id)
        common = [*self.base_headers(), ("x-ms-served-model", question.model.served_as), ("x-ms-is-spilled-over", "false"), *_limit_headers(levels, deployment)]
        if call.path.endswith("/responses"):  # these come from another service, which says less
            return [*common, ("x-ms-aoai-configured-data-retention-days", "30")]
        return [
            *common,
            ("x-ms-deployment-name", deployment),
            ("x-ms-rai-invoked", "true"),
            ("x-accel-buffering", "no"),
            ("azureml-model-session", f"d-{question.model.id}"),
        ]

    def error(self, refusal: Refusal, call: Call) -> Response:
        headers = [("Content-Type", "application/json"), ("apim-request-id", str(uuid.uuid4()))]
        if refusal.kind == "bad_token":
            return Response(401, headers, compact(entra.BODY))
        if refusal.kind == "filtered":
            return Response(400, headers, compact({"error": filters.refused(refusal.facts["question"])}))
        own = _own_error(refusal)
        if refusal.kind == "rate_limited":
            wait = refusal.facts.get("wait", 1.0)
            headers += [("retry-after", str(max(1, ceil(wait)))), ("retry-after-ms", str(max(1, ceil(wait * 1000))))]
        if own is None:
            return Response(*_as_openai(super().error(refusal, call), headers))
        status, code, message = own
        if code == "DeploymentNotFound":  # as recorded: with a type, and without the header that says that it is JSON
            return Response(status, [*headers[1:], ("x-ms-region", REGION)], compact({"error": {"type": BAD_REQUEST, "code": code, "message": message}}))
        return Response(status, headers, compact({"error": {"code": code, "message": message}}))

    def stream_error(self, refusal: Refusal, content_type: str, *, first: bool) -> bytes:
        _, _, code, text = words(refusal, "")
        return chat.frame({"error": {"code": code or "ServiceUnavailable", "message": text}})


def _guarded(one: Route, check: Callable[[Call], None]) -> Route:
    """The same route, where the version that a request names is checked first, and its token where it is no question to a model."""

    def read(call: Call) -> Question:
        check(call)
        return one.read(call)

    def handle(call: Call) -> Response | Awaitable[Response]:
        check(call)
        entra.check(call)
        return one.handle(call)

    return replace(one, handle=handle) if one.handle else replace(one, read=read)


def _moved(one: Route, old: str, new: str) -> Route:
    """The same route under another path."""
    return replace(one, pattern=re.compile(new + one.pattern.pattern.removeprefix(old)))


def _without_null(call: Call) -> Call:
    """The same call without a model of null: the deployment says it, and LangChain's documented use sends it so."""
    if call.json.get("model", "") is not None:
        return call
    return call.with_json({name: value for name, value in call.json.items() if name != "model"})


def _of_prompt(question: Question) -> list[dict[str, Any]]:
    return [{"prompt_index": 0, "content_filter_results": filters.of_prompt(question)}]


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
        case "wrong_kind":
            operation = "embeddings" if refusal.facts["wanted"] == "embedding" else "chatCompletion"
            return 400, "OperationNotSupported", WRONG_KIND.format(operation, refusal.facts["model"])
        case "no_version" if refusal.message:
            return 400, "BadRequest", refusal.message
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


def _limit_headers(levels: dict[str, Level], deployment: str) -> Headers:
    """The limits in Azure's names; the reset is a bare number, here of milliseconds."""
    out = [("x-ratelimit-key", deployment), ("x-ratelimit-abusepenalty-active", "False")] if levels else []
    for family, level in levels.items():
        reset = int(level.seconds_to_full * 1000)
        values = {"limit": level.limit, "remaining": int(level.left), "reset": reset, "renewalperiod": 60}
        out += [(f"x-ratelimit-{part}-{family}", str(value)) for part, value in values.items()]
    return out
