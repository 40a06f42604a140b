"""The budget of live and record mode: the most that a call can cost is set aside before it is sent."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from helpers import costs
from helpers.gateway import tokens
from helpers.gateway.exchange import Question, Refusal, Usage

DEFAULT_USD = Decimal("0.50")
# Tokens are counted with OpenAI's tokenizer, whoever the provider is: an estimate, so some more is set aside.
COUNT_MARGIN = Decimal("1.2")
# One image is charged by its size and model; this is more than gpt-4o-mini's 48,169 for the largest.
MOST_IMAGE_TOKENS = 50_000
# What has no price per token of the prompt: files of any length, tools and prompts that the provider runs or
# stores, and the dearer ways of processing.
UNPRICED = re.compile(
    rb'"type"\s*:\s*"(?:document|file|input_file|input_audio|item_reference)"|"(?:document|video|audio)"\s*:\s*\{\s*"(?:format|name|source)"'
    rb'|"file_?[dD]ata"\s*:|"mime_?[tT]ype"\s*:\s*"(?!image/)'
    rb'|"web_search_options"\s*:\s*\{|"mcp_servers"\s*:\s*\[\s*\{|"conversation"\s*:\s*"conv_|"prompt"\s*:\s*\{\s*"id"'
    rb'|"service_?[tT]ier"\s*:\s*(?:\{\s*"type"\s*:\s*)?"(?:priority|fast|scale)"|"speed"\s*:\s*"fast"|"inference_geo"\s*:\s*"(?!global)'
)
# Fields that bring in what the gateway cannot count, or go to the model unread.
UNREAD = (
    *("conversation", "prompt", "container", "mcp_servers", "context_management", "background"),
    *("performanceConfig", "guardrailConfig", "additionalModelRequestFields", "prediction"),
)
# Fields whose text is counted with the question.
COUNTED = ("messages", "input", "contents", "system", "systemInstruction", "system_instruction", "instructions", "tools", "toolConfig")
# One of these is in every tool that the client runs itself (a cachePoint only marks the end of the tools).
CLIENT_TOOL = {"name", "function", "toolSpec", "cachePoint"}


class Budget:
    """USD of one kernel. What is spent and what calls under way may still cost never exceed it together."""

    def __init__(self, usd: Decimal = DEFAULT_USD) -> None:
        self.usd = usd
        self.spent_usd = Decimal(0)
        self.reserved_usd = Decimal(0)

    def reserve(self, question: Question, body: bytes) -> Decimal:
        """Set aside the most that a call can cost, and return it. Raises Refusal("over_budget")."""
        if question.provider == "compatible":
            return Decimal(0)
        asked = json.loads(body)
        plain = json.dumps(asked, ensure_ascii=False).encode("utf-8", "replace")  # an escape hides nothing
        if UNPRICED.search(plain) or any(asked.get(name) for name in UNREAD) or any(map(_runs_at_provider, map(json.loads, question.tools))):
            raise unpriced("a file, a stored text, a tool that the provider runs, a dearer service tier or the like")
        most = _most(question, _other_tokens(asked))
        if most > self.usd - self.spent_usd - self.reserved_usd:
            raise self._refusal(question, most)
        self.reserved_usd += most
        return most

    def release(self, most: Decimal) -> None:
        """Give back what was set aside for a call that cost nothing."""
        self.reserved_usd -= most

    def settle(self, question: Question, most: Decimal, usage: Usage | None) -> None:
        """Replace what was set aside by what the call cost, or by all of it where the answer does not say."""
        self.reserved_usd -= most
        if question.provider == "compatible":
            return
        try:
            self.spent_usd += most if usage is None or not usage.input_tokens else _cost(question, usage)
        except (LookupError, ValueError):
            self.spent_usd += most

    def _refusal(self, question: Question, most: Decimal) -> Refusal:
        held = f", {costs.dollars(self.reserved_usd)} is held for calls under way" if self.reserved_usd else ""
        text = (
            f"This call was not sent: it could cost up to {costs.dollars(most)}, for {_most_output(question):,} tokens of output. "
            f"The budget is {costs.dollars(self.usd)}, {costs.dollars(self.spent_usd)} of it is spent{held}. "
            "Allow fewer output tokens, or set COURSE_BUDGET_USD higher and restart the kernel."
        )
        return Refusal("over_budget", text, model=question.model.id)


def unpriced(what: str) -> Refusal:
    """The refusal of something for which no price can be worked out beforehand."""
    text = f"This call was not sent: {what} cannot be priced before it is used, so the budget could not hold. Run it offline."
    return Refusal("over_budget", text)


def _other_tokens(asked: dict[str, Any]) -> int:
    """Tokens of all that stands in a body beside the question, such as the schema of an answer: it may be charged as input."""
    more = [value for name, value in asked.items() if name not in COUNTED and isinstance(value, dict | list)]
    return tokens.count(json.dumps(more, ensure_ascii=False)) if more else 0


def _most(question: Question, other_tokens: int) -> Decimal:
    """The most in USD: all of the prompt at the dearest of the input prices, all of the output it allows."""
    images = sum(part.kind == "image" for message in question.messages for part in message.parts)
    given = int((question.prompt_tokens + other_tokens) * COUNT_MARGIN) + 1 + images * MOST_IMAGE_TOKENS
    made = _most_output(question)
    ways = (
        Usage(given, output_tokens=made),
        Usage(given, cache_write_tokens=given, output_tokens=made),
        Usage(given, cache_write_1h_tokens=given, output_tokens=made),
    )
    try:
        return max(_cost(question, usage) for usage in ways)
    except costs.UnknownPrice as error:
        raise Refusal("over_budget", f"This call was not sent: {error}.", model=question.model.id) from None


def _most_output(question: Question) -> int:
    return (question.limit or question.model.max_output) * question.n


def _cost(question: Question, usage: Usage) -> Decimal:
    return costs.cost(usage, question.model.id, question.provider, on=_today())


def _today() -> date:
    return datetime.now(UTC).date()


def _runs_at_provider(tool: dict[str, Any]) -> bool:
    """Whether a tool is not the client's own: web search and the like are charged by use."""
    return not CLIENT_TOOL & set(tool) or tool.get("type", "custom") not in ("function", "custom")
