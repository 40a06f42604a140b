"""Compaction: a conversation in fewer tokens, what users said and a summary of the rest, which only its maker can read."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from helpers.gateway.answer import Answer
from helpers.gateway.bounded import Bounded
from helpers.gateway.dialects.openai import chat
from helpers.gateway.dialects.openai import response_body as bodies
from helpers.gateway.dialects.openai.errors import refused
from helpers.gateway.dialects.openai.response_input import ITEM, as_items
from helpers.gateway.dialects.openai.response_store import Given
from helpers.gateway.dialects.schema import ANY, STRING, checker, nullable, shape
from helpers.gateway.exchange import Message, Part, Question
from helpers.gateway.wire import Call, Route, pretty, route

Json = dict[str, Any]
MOST_KEPT = 50_000_000  # bytes of summaries; the oldest go first
ASKED = "Summarize our conversation so far in a few sentences, so that it can go on from there."
FIELDS = {
    "model": STRING,
    "input": {"type": ["string", "array", "null"], "items": ITEM},
    "instructions": nullable(STRING),
    "previous_response_id": nullable(STRING),
    "service_tier": chat.FIELDS["service_tier"],
    **dict.fromkeys("image prompt_cache_key prompt_cache_options prompt_cache_retention".split(), ANY),
}
_check_names = checker(shape("model", closed=True, **dict.fromkeys(FIELDS, ANY)))
_check_fields = checker(shape(**FIELDS))


class Compaction:
    """Makes summaries and knows them again."""

    def __init__(self, read: Callable[[Call], Question]) -> None:
        """`read` reads the request for a response."""
        self._read = read
        self._summaries: Bounded[str, str] = Bounded(MOST_KEPT, lambda shown, summary: len(shown) + 4 * len(summary))

    def clear(self) -> None:
        self._summaries.clear()

    def route(self, place: str, weigh: Callable[[Call], int]) -> Route:
        return route("POST", place + "/compact", "compact", read=self.read, write=self.write, weigh=weigh)

    def read(self, call: Call) -> Question:
        """The question for a summary: the request for a response, with one more turn that asks for it."""
        body = call.json
        _check_names(body)
        _check_fields(body)
        said = as_items(body.get("input") or [])
        return self._read(call.with_json({**body, "input": [*said, {"role": "user", "content": ASKED}]}))

    def write(self, question: Question, answer: Answer) -> bytes:
        ids = bodies.new_ids()
        users = [item for item in Given.of(question).put_in[:-1] if item["type"] == "message" and item["role"] == "user"]
        shown = bodies.encrypted(answer.usage.output_tokens)
        self._summaries[shown] = answer.choices[0].text
        return pretty(
            {
                "id": ids["resp"],
                "object": "response.compaction",
                "created_at": int(time.time()),
                "output": [*users, {"id": ids["cmp"], "type": "compaction", "encrypted_content": shown}],
                "usage": bodies.usage_body(answer.usage),
            }
        )

    # ---- what comes back -------------------------------------------------
    def message(self, item: Json) -> Message:
        """What a compaction item says to the model."""
        return Message("assistant", (Part(self._summary(item) or ""),))

    def _summary(self, item: Json) -> str | None:
        shown = item.get("encrypted_content")
        return self._summaries.get(shown) if isinstance(shown, str) else None

    def check(self, items: Sequence[Json]) -> None:
        """Raise a Refusal for a compaction that was not made here."""
        for item in items:
            if item.get("type") == "compaction" and self._summary(item) is None:
                shown = item.get("encrypted_content")
                brief = f"{str(shown)[:4]}...{str(shown)[-4:]}"
                text = f"The encrypted content {brief} could not be verified. Reason: Encrypted content could not be decrypted or parsed."
                raise refused(text, None, "invalid_encrypted_content")
