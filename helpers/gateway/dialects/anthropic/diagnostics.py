"""Why a prompt could not be read from the cache: what differs from the request that the client names, first of all.

Source: anthropic 2.14.0 (types/cache_miss_*.py, diagnostics.py) and the guide on cache diagnostics of platform.claude.com, read on 2026-11-27:
a request that carries `diagnostics` is remembered by the id of its answer, others are not; the comparison is with that request alone,
whatever the cache holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from helpers.gateway import tokens
from helpers.gateway.bounded import Bounded
from helpers.gateway.exchange import Message, Question

MOST_KEPT = 20_000_000  # bytes of hashes and counts
HASH_BYTES = 64  # of a hash and a count, as Python keeps them


@dataclass(frozen=True)
class Fingerprint:
    """A request without its words: a hash and the tokens of each piece, in the order of the prompt."""

    model: str
    tools: tuple[tuple[int, int], ...]
    system: tuple[tuple[int, int], ...]
    messages: tuple[tuple[int, int], ...]
    others: int  # a hash of what else can change a prompt

    @property
    def pieces(self) -> tuple[tuple[int, int], ...]:
        return self.tools + self.system + self.messages


class Diagnoses:
    """What the answers that were asked for a diagnosis say, and the requests to compare later ones with."""

    def __init__(self) -> None:
        self._known: Bounded[str, Fingerprint] = Bounded(MOST_KEPT, lambda _, kept: 500 + HASH_BYTES * len(kept.pieces))

    def clear(self) -> None:
        self._known.clear()

    def of(self, question: Question, message_id: str) -> dict[str, Any]:
        """The field `diagnostics` of an answer; nothing where the request did not ask."""
        if "diagnostics" not in question.echo:
            return {}
        now = self._known[message_id] = question.echo["fingerprint"]
        before = question.echo["diagnostics"].get("previous_message_id")
        found = None if before is None else _reason(self._known.get(before), now)
        return {"diagnostics": found and {"cache_miss_reason": found}}


def _reason(before: Fingerprint | None, now: Fingerprint) -> dict[str, Any] | None:
    if before is None:
        return {"type": "previous_message_not_found"}
    if before.model != now.model:
        return {"type": "model_changed", "cache_missed_input_tokens": _count(before.pieces)}
    for name in ("tools", "system", "messages"):
        was, is_now = getattr(before, name), getattr(now, name)
        if was != (is_now[: len(was)] if name == "messages" else is_now):
            return {"type": f"{name}_changed", "cache_missed_input_tokens": _count(before.pieces) - _in_common(before.pieces, now.pieces)}
    return {"type": "unavailable"} if before.others != now.others else None


def fingerprint(question: Question) -> Fingerprint:
    """That of a request. It counts tokens, and so takes time in proportion to the prompt."""
    ratio = question.model.token_ratio
    leading = question.messages[:1] if question.messages and question.messages[0].role == "system" else ()
    rest = question.messages[len(leading) :]
    return Fingerprint(
        model=question.model.id,
        tools=tuple((hash(tool), round(tokens.count(tool) * ratio)) for tool in question.tools),
        system=tuple(_piece(message, ratio) for message in leading),
        messages=tuple(_piece(message, ratio) for message in rest),
        others=hash((question.effort, question.thinking_limit, question.must_call, repr(question.echo.get("tool_choice")))),
    )


def _piece(message: Message, ratio: float) -> tuple[int, int]:
    said = tuple((part.kind, part.text) for part in message.parts)
    return hash((message.role, said)), round(sum(part.token_count() for part in message.parts) * ratio)


def _count(pieces: tuple[tuple[int, int], ...]) -> int:
    return sum(count for _, count in pieces)


def _in_common(before: tuple[tuple[int, int], ...], now: tuple[tuple[int, int], ...]) -> int:
    """The tokens of the pieces with which both begin."""
    total = 0
    for was, is_now in zip(before, now, strict=False):
        if was != is_now:
            break
        total += was[1]
    return total
