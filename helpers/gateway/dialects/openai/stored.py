"""OpenAI's stored chat completions: those that were asked for with `store`, to be fetched, listed, marked and deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from helpers.gateway.answer import Answer
from helpers.gateway.bounded import Bounded, weight
from helpers.gateway.dialects.openai import chat, paging, rules
from helpers.gateway.dialects.schema import checker, nullable, shape
from helpers.gateway.exchange import Question, Refusal
from helpers.gateway.threads import in_thread
from helpers.gateway.wire import Call, Dialect, Response, Route, route

MOST_STORED = 100_000_000  # bytes of completions with their messages; the oldest go first
DEFAULTS = {"temperature": 1.0, "top_p": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
check_update = checker(shape("metadata", closed=True, metadata=nullable(chat.METADATA)))


@dataclass(frozen=True)
class Stored:
    """A completion as it is handed out, and what was asked."""

    body: dict[str, Any]
    messages: list[dict[str, Any]]
    asked: str  # the model, by the name in the request


class StoredChats:
    """The routes under /v1/chat/completions that read, and what they read."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._kept: Bounded[str, Stored] = Bounded(MOST_STORED, lambda _, kept: weight(kept))

    def forget(self) -> None:
        """Forget all completions."""
        self._kept.clear()

    def routes(self) -> list[Route]:
        one = "/v1/chat/completions/(?P<id>[^/]+)"
        return [
            route("GET", "/v1/chat/completions", "stored chats", handle=self.list, weigh=self._weigh_all),
            route("GET", one, "stored chat", handle=self.get, weigh=self._weigh),
            route("POST", one, "update stored chat", handle=self.update, weigh=self._weigh),
            route("DELETE", one, "delete stored chat", handle=self.delete),
            route("GET", one + "/messages", "stored messages", handle=self.messages, weigh=self._weigh),
        ]

    def keep(self, question: Question, completion: dict[str, Any]) -> None:
        """Keep a completion with what was asked for."""
        asked = question.echo
        more = {
            **{name: asked.get(name) if asked.get(name) is not None else default for name, default in DEFAULTS.items()},
            **{name: asked.get(name) for name in ("seed", "tools", "tool_choice", "response_format")},
            "input_user": asked.get("user"),
            "metadata": asked.get("metadata") or {},
        }
        self._kept[completion["id"]] = Stored({**completion, **more}, asked["messages"], asked.get("model", ""))

    async def watched(self, question: Question, answer: Answer, chunks: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
        """The chunks of a stream, whose completion is kept when the last of them has gone."""
        seen: dict[str, Any] = {}
        calls: dict[int, str] = {}
        async for chunk in chunks:
            seen = seen or {"id": chunk["id"], "created": chunk["created"]}
            if "moderation" in chunk:
                seen["moderation"] = chunk["moderation"]
            for choice in chunk["choices"]:
                calls |= {choice["index"]: call["id"] for call in choice["delta"].get("tool_calls", ()) if "id" in call}
            yield chunk
        await in_thread(None, self._keep_streamed, question, answer, seen, calls)

    def _keep_streamed(self, question: Question, answer: Answer, seen: dict[str, Any], calls: dict[int, str]) -> None:
        """In a thread: to measure what was asked takes time in proportion to it."""
        completion = {**chat.completion(answer), **seen}
        for index, id in calls.items():
            completion["choices"][index]["message"]["tool_calls"][0]["id"] = id
        self.keep(question, completion)

    # ---- the routes ------------------------------------------------------
    def list(self, call: Call) -> Response:
        wanted = {name[len("metadata[") : -1]: value for name, value in call.query.items() if name.startswith("metadata[") and name.endswith("]")}
        model = call.query.get("model")
        rows = [
            kept.body
            for kept in self._kept.values()
            if model in (None, kept.asked, kept.body["model"]) and all(kept.body["metadata"].get(name) == value for name, value in wanted.items())
        ]
        return self._dialect.ok(paging.page(rows, call.query, "asc"))

    def get(self, call: Call) -> Response:
        return self._dialect.ok(self._named(call).body)

    def update(self, call: Call) -> Response:
        kept = self._named(call)
        check_update(call.json)
        rules.check_metadata(call.json)
        body = {**kept.body, "metadata": call.json["metadata"] or {}}
        self._kept[body["id"]] = Stored(body, kept.messages, kept.asked)
        return self._dialect.ok(body)

    def delete(self, call: Call) -> Response:
        id = self._named(call).body["id"]
        self._kept.pop(id, None)
        return self._dialect.ok({"object": "chat.completion.deleted", "id": id, "deleted": True})

    def messages(self, call: Call) -> Response:
        kept = self._named(call)
        return self._dialect.ok(paging.page([_message(f"{kept.body['id']}-{place}", said) for place, said in enumerate(kept.messages)], call.query, "asc"))

    def _named(self, call: Call) -> Stored:
        kept = self._kept.get(call.groups["id"])
        if kept is None:
            raise Refusal("not_found", f"Chat completion with id '{call.groups['id']}' not found.", param="completion_id")
        return kept

    def _weigh(self, call: Call) -> int:
        return self._kept.size(call.groups["id"])

    def _weigh_all(self, call: Call) -> int:
        return self._kept.held


def _message(id: str, said: dict[str, Any]) -> dict[str, Any]:
    content = said.get("content")
    is_list = isinstance(content, list)
    return {**said, "id": id, "content": None if is_list else content, "name": said.get("name"), "content_parts": content if is_list else None}
