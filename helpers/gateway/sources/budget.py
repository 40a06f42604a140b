"""The budget of live and record mode: the most that a call can cost is set aside before it is sent."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from threading import Lock

from helpers import costs, models
from helpers.gateway.exchange import Question, Refusal, Usage
from helpers.gateway.sources.charges import Bound, bound

DEFAULT_USD = Decimal("0.50")
# How an answer says that it was not charged more than the listed price.
STANDARD = {"", "default", "standard", "standard_only", "auto", "unspecified", "flex", "batch", "global", "not_available"}
# How many times the listed price a way of processing costs, as the answer names it (litellm 1.109.1, genai-prices 0.2.3):
# OpenAI's priority 1.67 to 2, Claude's processing in one country 1.1 (Bedrock has a listed price for that). OpenAI's scale
# and Anthropic's priority are capacity that was paid beforehand.
DEARER = {
    "openai": {"priority": Decimal(2), "scale": Decimal(1)},
    "azure": {"priority": Decimal(2)},
    "anthropic": {"us": Decimal("1.1"), "priority": Decimal(1)},
    "bedrock": {"us": Decimal(1)},
}
# What no answer says: Azure's data zones cost 1.1 times as much as its global deployments, Llama and Nova on Bedrock up to
# 1.68 times as much as in us-east-1 (litellm 1.109.1, sa-east-1); for Claude, genai-prices has the price of each profile.
UNSAID = {"azure": Decimal("1.1"), "bedrock": Decimal("1.7")}
SHOWN = 3  # models that are named in the place of another
log = logging.getLogger("helpers.gateway")


class Budget:
    """USD that calls from any thread share. What is spent and what calls under way may still cost never exceed it together."""

    def __init__(self, usd: Decimal = DEFAULT_USD) -> None:
        self.usd = usd
        self.spent_usd = Decimal(0)
        self.reserved_usd = Decimal(0)
        self._lock = Lock()

    def reserve(self, question: Question, body: bytes) -> Decimal:
        """Set aside the most that a call can cost, and return it. Raises Refusal("over_budget")."""
        charge, usd = most(question, body)
        self.hold(question, charge, usd)
        return usd

    def hold(self, question: Question, charge: Bound, usd: Decimal) -> None:
        """Set aside what most() found. Raises Refusal("over_budget") where too little is left."""
        with self._lock:
            if usd > self.usd - self.spent_usd - self.reserved_usd:
                raise self._refusal(question, charge, usd)
            self.reserved_usd += usd

    def release(self, usd: Decimal) -> None:
        """Give back what was set aside for a call that cost nothing."""
        with self._lock:
            self.reserved_usd -= usd

    def settle(self, question: Question, usd: Decimal, usage: Usage | None, ways: Iterable[str] = ()) -> None:
        """Replace what was set aside by what the call cost, or by all of it where the answer does not say.

        ways: the words by which the answer names how it was processed, such as its service tier.
        """
        spent = _charged(question, usage, frozenset(ways))
        if spent is not None and spent > usd:
            log.warning("a call to %s cost %s, more than the %s set aside", question.model.id, costs.dollars(spent), costs.dollars(usd))
        with self._lock:
            self.reserved_usd -= usd
            self.spent_usd += usd if spent is None else spent

    def _refusal(self, question: Question, charge: Bound, usd: Decimal) -> Refusal:
        held = f", {costs.dollars(self.reserved_usd)} is held for calls under way" if self.reserved_usd else ""
        text = (
            f"This call was not sent: it could cost up to {costs.dollars(usd)}, for at most {charge.input_tokens:,} tokens "
            f"of input (one a byte) and {charge.output_tokens:,} of output, at the dearest price. "
            f"The budget is {costs.dollars(self.usd)}, {costs.dollars(self.spent_usd)} of it is spent{held}. "
            "Allow fewer output tokens, shorten the prompt, or set COURSE_BUDGET_USD higher and restart the kernel."
        )
        return Refusal("over_budget", text, model=question.model.id)


_of_process: Budget | None = None
_lock = Lock()


def of_process(usd: Decimal = DEFAULT_USD) -> Budget:
    """The one budget of this process, whatever number of gateways draws on it. Raises ValueError for another amount than the first."""
    global _of_process
    with _lock:
        if _of_process is None:
            _of_process = Budget(usd)
        if _of_process.usd != usd:
            first = costs.dollars(_of_process.usd)
            raise ValueError(f"the budget of this kernel is {first} and is set once: restart the kernel to change it")
        return _of_process


def most(question: Question, body: bytes) -> tuple[Bound, Decimal]:
    """The most that a body can be charged, in tokens and in USD. Raises Refusal("over_budget") for what has no bound or no price."""
    if question.provider == "compatible":
        return Bound(0, 0), Decimal(0)
    if not question.model.is_checked:
        raise _not_checked(question)
    asked = json.loads(body)
    charge = bound(question, asked)
    given, made = charge.input_tokens, charge.output_tokens
    kinds = (
        Usage(given, output_tokens=made),
        Usage(given, cache_write_tokens=given, output_tokens=made),
        Usage(given, cache_write_1h_tokens=given, output_tokens=made),
    )
    # The call may be charged by the price of tomorrow, or be at a place where it is yesterday.
    days = [_today() + timedelta(days=days) for days in (-1, 0, 1)]
    try:
        listed = max(_listed(question, usage, days) for usage in kinds)
    except costs.UnknownPrice as error:
        raise Refusal("over_budget", f"This call was not sent: {error}.", model=question.model.id) from None
    return charge, listed * _dearest(question, asked) * _unsaid(question)


def _not_checked(question: Question) -> Refusal:
    """The refusal of a model that other tables list, with some that can be called."""
    known = [model.id for model in models.of(question.provider, question.model.kind) if not model.is_retired(_today())]
    text = (
        f"This call was not sent: {question.model.id} is not in helpers/models.toml, and a price that the course did not check bounds nothing. "
        f"Ask a model that is: {', '.join(known[:SHOWN])}."
    )
    return Refusal("over_budget", text, model=question.model.id)


def _dearest(question: Question, asked: dict[str, object]) -> Decimal:
    """How many times the listed price a call may cost by a setting of the account, where the request does not say otherwise."""
    if question.provider in ("openai", "azure") and asked.get("service_tier") not in ("default", "flex"):
        return DEARER[question.provider]["priority"]
    if question.provider == "anthropic" and asked.get("inference_geo") != "global":
        return DEARER["anthropic"]["us"]
    return Decimal(1)


def _unsaid(question: Question) -> Decimal:
    return Decimal(1) if "anthropic." in question.model.id else UNSAID.get(question.provider, Decimal(1))


def _charged(question: Question, usage: Usage | None, ways: frozenset[str]) -> Decimal | None:
    """What a call cost in USD; None where the answer does not say, or says it in words that have no known price."""
    if question.provider == "compatible":
        return Decimal(0)
    dearer, known = ways - STANDARD, DEARER.get(question.provider, {})
    if usage is None or not usage.input_tokens or dearer - known.keys():
        return None
    days = [_today() + timedelta(days=days) for days in (-1, 0)]
    try:
        spent = _listed(question, usage, days)
    except (LookupError, ValueError):
        return None
    for way in dearer:
        spent *= known[way]
    return spent * _unsaid(question)


def _listed(question: Question, usage: Usage, days: Iterable[date]) -> Decimal:
    """The highest of the listed prices of these days."""
    return max(costs.cost(usage, question.model.id, question.provider, on=day) for day in days)


def _today() -> date:
    return datetime.now(UTC).date()
