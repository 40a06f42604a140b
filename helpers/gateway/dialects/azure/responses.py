"""The Responses API on Azure: OpenAI's, with what the content filter says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from helpers.gateway.answer import Answer
from helpers.gateway.dialects.azure import filters
from helpers.gateway.dialects.openai.response_background import Job
from helpers.gateway.dialects.openai.responses import OpenAIResponses
from helpers.gateway.exchange import Question
from helpers.gateway.wire import Call, Route

# Not compact, nor conversations: whether Azure has them is not known.
SERVED = ("responses", "count tokens", "response", "delete response", "cancel response", "input items")


class AzureResponses(OpenAIResponses):
    def routes(self) -> list[Route]:
        return [one for one in super().routes() if one.operation in SERVED]

    def read(self, call: Call) -> Question:
        return filters.judged(super().read(call))

    def write(self, question: Question, answer: Answer) -> bytes:
        return super().write(question, filters.withheld(answer))

    async def stream(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        async for event in super().stream(question, await filters.withheld_stream(answer)):
            yield event

    def begin(self, question: Question, answer: Answer, settle: Callable[[], None]) -> Job:
        return super().begin(question, filters.withheld(answer), settle)

    def _opened(self, answer: Answer, ids: dict[str, str]) -> dict[str, Any]:
        return {**super()._opened(answer, ids), "content_filters": None}

    def _close(self, response: dict[str, Any], answer: Answer, ids: dict[str, str]) -> None:
        super()._close(response, answer, ids)
        response["content_filters"] = filters.listed(answer)
