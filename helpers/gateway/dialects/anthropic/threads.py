"""Conversations that Anthropic holds (beta): a request goes on from an earlier answer, and sends what is new alone.

Source: anthropic 2.14.0 (types/beta/beta_thread_*_params.py, types/thread_*_error.py, lib/threads/_thread_state.py), read on 2026-11-27.
Its tool runner sends `thread` by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from helpers.gateway.bounded import Bounded, weight
from helpers.gateway.dialects.schema import STRING, checker, one_of, shape
from helpers.gateway.exchange import Refusal

BETA = "message-threads-2026-08-12"
MOST_KEPT = 100_000_000  # bytes of conversations, each with all that was said before it; the oldest go first
SMALL_BYTES = 200  # of a conversation that went on
FROM_THE_THREAD = ("system", "tools")  # a request that goes on takes them from the thread, and does not repeat them
UNSUPPORTED = ("cache_control", "context_management", "fallbacks")  # fields that the SDK's type names; see DEVIATIONS.md
REPLAY = {"error_code": "thread_unsupported_request"}  # the details of a refusal by which the SDK knows to send all without a thread

check_create = checker(shape("type", closed=True, type=one_of("create", "continue")))
check_continue = checker(shape("type previous_message_id", closed=True, type=one_of("continue"), previous_message_id=STRING))


@dataclass
class Conversation:
    """What was said up to an answer, with the system prompt and the tools that it was created with."""

    messages: list[dict[str, Any]]
    fields: dict[str, Any]
    before: str | None = None  # the id of the answer that it goes on from
    bytes: int = 0
    file_bytes: int = 0  # of the uploaded files that it names, which are kept elsewhere
    went_on: bool = False  # then nothing of it is kept but this


class Threads:
    """The conversations, by the id of their last answer."""

    def __init__(self) -> None:
        self._kept: Bounded[str, Conversation] = Bounded(MOST_KEPT, lambda _, conversation: conversation.bytes)

    def clear(self) -> None:
        self._kept.clear()

    def size(self, body: dict[str, Any]) -> int:
        """Bytes of the conversation that a body goes on with, and of the files in it."""
        thread = body.get("thread")
        before = thread.get("previous_message_id") if isinstance(thread, dict) else None
        kept = self._kept.get(before) if isinstance(before, str) else None
        return kept.bytes + kept.file_bytes if kept else 0

    def open(self, body: dict[str, Any], betas: str) -> tuple[dict[str, Any], Conversation | None]:
        """A body with all that was said in its thread, and the conversation that its answer will end. Raises Refusal.

        It takes time in proportion to the conversation.
        """
        if BETA not in betas or body.get("thread") is None:
            return body, None
        thread = body["thread"]
        if isinstance(thread, dict) and thread.get("type") == "continue":
            check_continue(thread, "thread")
        else:
            check_create(thread, "thread")
        unsupported = [name for name in UNSUPPORTED if body.get(name) is not None]
        if unsupported:
            raise _refused(REPLAY["error_code"], f"thread cannot be combined with {', '.join(unsupported)}.", unsupported=unsupported)
        whole = {name: value for name, value in body.items() if name != "thread"}
        before = thread.get("previous_message_id")
        if before is not None:
            whole = self._continued(whole, before)
        fields = {name: whole[name] for name in FROM_THE_THREAD if name in whole}
        said = whole.get("messages")
        messages = said if isinstance(said, list) else []
        return whole, Conversation(messages, fields, before, weight((messages, fields)))

    def _continued(self, body: dict[str, Any], before: str) -> dict[str, Any]:
        kept = self._kept.get(before)
        if kept is None:
            raise _refused("thread_not_found", f"No usable thread state was found for previous_message_id {before}.")
        if kept.went_on:
            raise _refused("thread_already_continued", f"The response {before} has already been continued.")
        repeated = [name for name in FROM_THE_THREAD if body.get(name) is not None]
        if repeated:
            raise _refused("thread_fingerprint_mismatch", f"{', '.join(repeated)}: taken from the thread; a request that continues it cannot set it.")
        new = body.get("messages")
        return {**body, **kept.fields, "messages": [*kept.messages, *new]} if isinstance(new, list) else body

    def keep(self, conversation: Conversation | None, message_id: str, content: list[dict[str, Any]]) -> None:
        """Take note of an answer that has ended, so that a request can go on from it; the answer before it went on."""
        if conversation is None:
            return
        said = [*conversation.messages, {"role": "assistant", "content": content}]
        size = conversation.bytes + weight(content)
        self._kept[message_id] = Conversation(said, conversation.fields, bytes=size, file_bytes=conversation.file_bytes)
        if conversation.before in self._kept:
            self._kept[conversation.before] = Conversation([], {}, bytes=SMALL_BYTES, went_on=True)


def _refused(code: str, text: str, **details: Any) -> Refusal:
    return Refusal("not_found" if code == "thread_not_found" else "bad_value", text, param="thread", details={"error_code": code, **details})
