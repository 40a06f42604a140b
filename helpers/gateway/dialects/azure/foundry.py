"""Claude on Microsoft Foundry, by Anthropic's own client for it: Anthropic's messages behind Azure's keys, tokens and headers."""

from __future__ import annotations

import uuid

from helpers.gateway.answer import Answer
from helpers.gateway.dialects.anthropic.dialect import Anthropic
from helpers.gateway.dialects.azure import entra
from helpers.gateway.exchange import Question, Refusal
from helpers.gateway.quotas import Level
from helpers.gateway.wire import Call, Headers, Response, Route, compact, random_id

SERVED = ("messages", "count tokens")  # the SDK's client has no batches and no list of models


class Foundry(Anthropic):
    """A deployment has the name of its model. Live mode has no address for it."""

    mount = "/foundry/anthropic"
    has_upstream = False
    account = ()

    def routes(self) -> list[Route]:
        return [one for one in super().routes() if one.operation in SERVED]

    def key(self, call: Call) -> str | None:
        return super().key(call) or call.headers.get("api-key") or None

    def admit(self, call: Call, question: Question) -> None:
        entra.check(call)
        super().admit(call, question)

    def count(self, call: Call) -> Response:
        entra.check(call)
        return super().count(call)

    def headers(self, call: Call, question: Question, answer: Answer, levels: dict[str, Level]) -> Headers:
        return [("request-id", random_id("req_01", 22)), _apim()]

    def error(self, refusal: Refusal, call: Call) -> Response:
        if refusal.kind == "bad_token":
            return Response(401, [("Content-Type", "application/json"), _apim()], compact(entra.BODY))
        response = super().error(refusal, call)
        kept = [pair for pair in response.headers if "ratelimit" not in pair[0]]
        return Response(response.status, [*kept, _apim()], response.body)


def _apim() -> tuple[str, str]:
    return "apim-request-id", str(uuid.uuid4())
