"""Models beside those of the course: what litellm's table and genai-prices say of an id, as a row of models.toml would say it.

Neither was checked by the course. litellm is never imported, which takes seconds: its table is a file beside it. Sources, as of
2026-11-28: litellm 1.110.2 (model_prices_and_context_window_backup.json), genai-prices 0.2.3; for the ends in ENDED public reports of 2026.
"""

from __future__ import annotations

import importlib.util
import json
import re
import threading
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from helpers import model_families

LONGEST_ID = 200  # letters; no table has a longer one
MOST_KEPT = 2_000  # ids that were looked up, known or not
# Of the course's providers: their name in genai-prices, and what stands before an id in litellm's table.
TABLES = {"openai": ("openai", ""), "azure": ("azure", "azure/"), "anthropic": ("anthropic", ""), "gemini": ("google", "gemini/"), "bedrock": ("aws", "")}
MAKERS = {"openai": "openai", "azure": "azure", "anthropic": "anthropic", "gemini": "gemini", "bedrock": "bedrock", "bedrock_converse": "bedrock"}
# genai-prices keeps ended models for old bills and does not say which: alone it is asked for the newest generations, of which none has ended.
NEWEST = {
    "openai": re.compile(r"gpt-6(\.\d+)?-(luna|terra|sol|astra)(-\d{4}-\d\d-\d\d)?"),
    "anthropic": re.compile(r"claude-(haiku|sonnet|opus|fable|mythos)-5(-\d)?"),
    "gemini": re.compile(r"gemini-(3\.[5-9]|4)(-(flash|flash-lite|pro|argon|hydrogen))?"),
    "bedrock": re.compile(r"((us|eu|global)\.)?anthropic\.claude-(haiku|sonnet|opus|fable|mythos)-5(-\d)?"),
}
# What litellm still lists without an end. Days as users were told or shown them; where none is known, one on which it had ended.
ENDED = {
    "bedrock": {
        r"anthropic\.claude-3-5-sonnet": date(2026, 3, 1),
        r"anthropic\.claude-3-7": date(2026, 4, 28),
        r"anthropic\.claude-3-5-haiku": date(2026, 8, 29),
        r"anthropic\.claude-(v1|v2|instant|3|opus-4-2025)": date(2026, 9, 10),
        r"ai21\.j2|ai21\.jamba-instruct|meta\.llama2|amazon\.titan-text|cohere\.command-(light-)?text|mistral\.mistral-(large|small)-24": date(2026, 9, 10),
    },
    "gemini": {r"^(gemini-exp|gemini-gemma|learnlm)-": date(2026, 6, 1)},
}
SERVED = ("/v1/chat/completions", "/v1/responses")
# Not served: fine-tuned models, those that only Google's endpoint of agents has, that speak or watch videos; and rows of one region.
UNSERVED = re.compile(r"^ft:|deep-research|audio|twelvelabs|[/@]")
EMBEDDINGS = re.compile(r"(us|eu|global)\.cohere\.embed-v4:0")
Row = dict[str, Any]


class NotRead(Exception):
    """The tables have not been read yet, which takes a second: `read` does so."""


class _Tables:
    """Both tables, as far as they are of use here, by provider and id. One of them may be missing."""

    def __init__(self) -> None:
        self.rows, self.windows = _litellm(), _genai_prices()

    def flags(self, provider: str, id: str) -> Row | None:
        """What is known of a model, in litellm's words; None for one that is in neither table."""
        found = self.rows.get((provider, id))
        if found is None and (provider, id) in self.windows:
            return {"max_input_tokens": self.windows[provider, id], "source": _named("genai-prices"), **model_families.NEWEST}
        if found is None:
            return None
        # Of Azure's models litellm says less than of OpenAI's own.
        alike = self.rows.get(("openai", id), {}) if provider == "azure" else {}
        return {**{name: value for name, value in alike.items() if "supports_" in name or "reasoning_" in name}, **found, "source": _named("litellm")}

    def retires(self, provider: str, id: str) -> date | None:
        """The day from which it is gone: the first that is known of the model, of its dated name, and on Bedrock of the model behind a profile."""
        alike = [name for name in (id, _dated(self.rows, provider, id), model_families.without_region(id)) if (provider, name) in self.rows]
        days = [self.rows[provider, name].get("deprecation_date") for name in alike]
        known = [date.fromisoformat(day) for day in days if day] + [day for pattern, day in ENDED.get(provider, {}).items() if re.search(pattern, id)]
        return min(known, default=None)

    def row(self, provider: str, id: str) -> Row | None:
        flags = self.flags(provider, id)
        if flags is None:
            return None
        served_as = _dated(self.rows, provider, id)
        more = {"served_as": served_as} if served_as else {}
        ends = self.retires(provider, id)
        return {**model_families.row(provider, id, flags), **more, **({"retires": ends.isoformat()} if ends else {})}


_lock = threading.Lock()
_tables: _Tables | None = None


def read() -> None:
    """Read both tables, where that was not done before: about a second, most of it the import of genai-prices."""
    global _tables
    with _lock:
        if _tables is None:
            _tables = _Tables()


def row(provider: str, id: str) -> Row | None:
    """A model as a row of models.toml, marked with its `source`; None for one that no table knows. Raises NotRead."""
    if provider not in TABLES or len(id) > LONGEST_ID or UNSERVED.search(id):
        return None
    if _tables is None:
        raise NotRead
    return _row(provider, id)


@lru_cache(MOST_KEPT)
def _row(provider: str, id: str) -> Row | None:
    return _tables.row(provider, id) if _tables else None


def price(provider: str, id: str, *, batch: bool) -> Row | None:
    """litellm's price of a model in USD per million tokens, as a row of models.toml; None where it states none, or states 0."""
    read()
    listed = _tables.rows.get((provider, id), {}) if _tables else {}
    end = "_batches" if batch else ""
    names = {
        "input": "input_cost_per_token",
        "output": "output_cost_per_token",
        "cache_read": "cache_read_input_token_cost",
        "cache_write": "cache_creation_input_token_cost",
        "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    }
    rates = {name: listed[key + end] * 1_000_000 for name, key in names.items() if listed.get(key + end)}
    if "input" not in rates or ("output" not in rates and listed.get("mode") != "embedding"):
        return None
    found = {name: f"{rate:.10g}" for name, rate in rates.items()}
    return {"output": "0", **found, **_long_prompt(listed), "batch": batch, "source": _named("litellm")}


def _long_prompt(listed: Row) -> Row:
    """The length above which every token of a call costs more, and how many times as much."""
    found = next((re.fullmatch(r"input_cost_per_token_above_(\d+)k_tokens", name) for name in listed if "_above_" in name and name.endswith("k_tokens")), None)
    if found is None or not listed[found[0]] or not listed.get(found[0].replace("input", "output")):
        return {}
    times = {kind: f"{listed[found[0].replace('input', kind)] / listed[f'{kind}_cost_per_token']:.10g}" for kind in ("input", "output")}
    return {"long_prompt": {"above": int(found[1]) * 1000, **times}}


# ---- reading -----------------------------------------------------------------
def _litellm() -> dict[tuple[str, str], Row]:
    """The rows of models that this gateway could serve."""
    spec = importlib.util.find_spec("litellm")  # of a package this does not import it
    path = Path(spec.submodule_search_locations[0]) / "model_prices_and_context_window_backup.json" if spec and spec.submodule_search_locations else None
    if path is None or not path.is_file():
        return {}
    found = {}
    for name, listed in json.loads(path.read_bytes()).items():
        provider = MAKERS.get(listed.get("litellm_provider"))
        id = name.removeprefix(TABLES[provider][1]) if provider else ""
        if provider and not UNSERVED.search(id) and _is_served(provider, id, listed):
            found[provider, id] = listed
    return found


def _is_served(provider: str, id: str, listed: Row) -> bool:
    """Whether it answers with text, or with a vector in a form that is known here, and says how much it takes."""
    if listed.get("mode") == "embedding":
        return EMBEDDINGS.fullmatch(id) is not None
    answers = listed.get("supported_output_modalities") or ["text"]  # one that makes pictures too is served as far as it writes
    endpoints = listed.get("supported_endpoints") or SERVED
    limits = listed.get("max_input_tokens") and listed.get("max_output_tokens")
    return bool(limits and listed.get("mode") in ("chat", "responses") and "text" in answers and set(SERVED) & set(endpoints) and (provider != "bedrock" or "." in id))


def _genai_prices() -> dict[tuple[str, str], int]:
    """The windows of the newest models, in tokens, by the ids that genai-prices names in full."""
    try:
        from genai_prices.data import providers
    except ImportError:
        return {}
    found = {}
    for provider, newest in NEWEST.items():
        for model in next(one.models for one in providers if one.id == TABLES[provider][0]):
            ids = [id for id in {model.id, *_equals(model.match)} if newest.fullmatch(id)]
            if model.context_window and not model.deprecated:
                found |= {(provider, id): model.context_window for id in ids}
    return found


def _equals(clause: Any) -> list[str]:
    """The ids that a rule of genai-prices names in full: its beginnings and parts of ids would let through names that nobody has."""
    if hasattr(clause, "equals"):
        return [clause.equals]
    return [id for one in getattr(clause, "or_", ()) for id in _equals(one)]


def _dated(rows: dict[tuple[str, str], Row], provider: str, id: str) -> str | None:
    """The newest dated name of a model, which it answers with; None where it has none. From Claude 4.6 on an answer has the name without a date."""
    if provider == "bedrock" or (provider == "anthropic" and not id.endswith("-4-5")):
        return None
    dated = re.compile(re.escape(id) + r"-(\d{8}|\d{4}-\d\d-\d\d)")
    return max((name for maker, name in rows if maker == provider and dated.fullmatch(name)), default=None)


@cache
def _named(package: str) -> str:
    from importlib.metadata import version

    return f"{package} {version(package)}"
