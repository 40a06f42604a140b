"""The Responses API on Azure: OpenAI's, with what the content filter says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from helpers.gateway.answer import Answer
from helpers.gateway.dialects.azure import filters
from helpers.gateway.dialects.openai.responses import OpenAIResponses
from helpers.gateway.exchange import Question
from helpers.gateway.wire import Call


class AzureResponses(OpenAIResponses):
    def read(self, call: Call) -> Question:
        return filters.judged(super().read(call))

    def write(self, question: Question, answer: Answer) -> bytes:
        return super().write(question, filters.withheld(answer))

    async def stream(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        async for event in super().stream(question, await filters.withheld_stream(answer)):
            yield event

    def _response(self, answer: Answer, ids: dict[str, str]) -> dict[str, Any]:
        return {**super()._response(answer, ids), "content_filters": None}

    def _finish(self, response: dict[str, Any], answer: Answer, ids: dict[str, str]) -> None:
        super()._finish(response, answer, ids)
        response["content_filters"] = filters.listed(answer)
