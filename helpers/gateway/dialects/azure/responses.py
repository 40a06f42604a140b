"""The Responses API on Azure: OpenAI's, with what the content filter says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from helpers.gateway.answer import Answer
from helpers.gateway.dialects.azure import filters
from helpers.gateway.dialects.openai.response_background import Job
from helpers.gateway.dialects.openai.responses import OpenAIResponses
from helpers.gateway.exchange import Question
from helpers.gateway.wire import Call, compact, parse_json


class AzureResponses(OpenAIResponses):
    def read(self, call: Call) -> Question:
        return filters.judged(super().read(call))

    def write(self, question: Question, answer: Answer) -> bytes:
        return compact(parse_json(super().write(question, filters.withheld(answer))))

    async def stream(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        async for event in super().stream(question, await filters.withheld_stream(answer)):
            yield event

    def begin(self, question: Question, answer: Answer, settle: Callable[[], None]) -> Job:
        return super().begin(question, filters.withheld(answer), settle)

    def _close(self, response: dict[str, Any], answer: Answer, ids: dict[str, str]) -> None:
        super()._close(response, answer, ids)
        response["content_filters"] = filters.listed(answer)
