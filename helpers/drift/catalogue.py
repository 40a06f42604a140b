"""models.toml, held against the tables of others: the SDKs' own lists of ends, genai-prices, and litellm's table. By their versions, so by date."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from helpers import costs, models
from helpers.drift.findings import Finding
from helpers.models import Model

LITELLM = "model_prices_and_context_window_backup.json"
# How litellm's table calls what a provider sells.
PREFIX = {"gemini": "gemini/", "azure": "azure/"}
TOKENS = Decimal(1_000_000)


def findings() -> Iterator[Finding]:
    """Every model that somebody else charges for."""
    for provider in ("openai", "anthropic", "gemini", "bedrock"):
        for model in models.of(provider, None):
            yield from _ends(model)
            row = _litellm().get(PREFIX.get(provider, "") + model.id)
            if row is None:
                yield Finding("unlisted", provider, model.id, f"litellm {version('litellm')}")
            else:
                yield from _windows(model, row)
                yield from _prices(model, row)


def _ends(model: Model) -> Iterator[Finding]:
    told = {"its SDK": _sdk_ends(model.provider).get(model.id)}
    row = _litellm().get(PREFIX.get(model.provider, "") + model.id, {})
    if "deprecation_date" in row:
        told["litellm"] = date.fromisoformat(row["deprecation_date"])
    for who, end in told.items():
        if end is not None and end != model.retires:
            yield Finding("ended", model.provider, model.id, f"{end} by {who}; here {model.retires or 'no end'}")


def _windows(model: Model, row: dict[str, Any]) -> Iterator[Finding]:
    for name, ours in (("max_input_tokens", model.context), ("max_output_tokens", model.max_output)):
        theirs = row.get(name)
        if ours and isinstance(theirs, int) and theirs != ours:
            yield Finding("window", model.provider, model.id, f"{name} is {theirs:,} in litellm; here {ours:,}")


def _prices(model: Model, row: dict[str, Any]) -> Iterator[Finding]:
    try:
        ours = costs.price(model.id, model.provider)
    except costs.UnknownPrice:
        yield Finding("price", model.provider, model.id, "unknown to the course")
        return
    fields = {"input_cost_per_token": ours.input, "output_cost_per_token": ours.output, "cache_read_input_token_cost": ours.cache_read}
    for name, price in fields.items():
        theirs = row.get(name)
        if theirs is not None and price is not None and round(Decimal(str(theirs)) * TOKENS, 6) != round(price, 6):
            yield Finding("price", model.provider, model.id, f"{name}: USD {float(Decimal(str(theirs)) * TOKENS):g} a million in litellm; {price:g} in {ours.source}")


@cache
def _litellm() -> dict[str, Any]:
    """litellm's own table, read without importing litellm, which takes seconds."""
    found = importlib.util.find_spec("litellm")
    folder = Path(found.submodule_search_locations[0])
    return json.loads((folder / LITELLM).read_text(encoding="utf-8"))


def _sdk_ends(provider: str) -> dict[str, date]:
    return {"openai": _openai_ends, "anthropic": _anthropic_ends}.get(provider, dict)()


@cache
def _openai_ends() -> dict[str, date]:
    """The list in words below the type ChatModel."""
    source = Path(importlib.util.find_spec("openai.types.shared.chat_model").origin).read_text(encoding="utf-8")
    items = re.findall(r"^- (.*?)(?=^- |\Z)", source, re.MULTILINE | re.DOTALL)
    dated = [(re.findall(r'"([^"]+)"', item), re.search(r"shutdown date:\s+(\d{4}-\d\d-\d\d)", item)) for item in items]
    return {name: date.fromisoformat(day[1]) for names, day in dated if day for name in names}


@cache
def _anthropic_ends() -> dict[str, date]:
    from anthropic._data import DEPRECATED_MODELS

    return {name: datetime.strptime(re.sub(r"(\d)(st|nd|rd|th)", r"\1", day), "%B %d, %Y").date() for name, day in DEPRECATED_MODELS.items()}
