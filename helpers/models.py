"""The model table: every model id of the course, from models.toml; and those of others, marked with where their facts come from."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from helpers import other_models

TABLE = Path(__file__).with_name("models.toml")


class UnknownModel(LookupError):
    """A model id that is not in the table."""


@dataclass(frozen=True)
class CacheRule:
    """How a model's prompt cache works. style: automatic (by blocks of tokens) or blocks (marked by the client)."""

    style: str
    min_tokens: int
    block_tokens: int = 1
    ttl: str = "5m"
    charges_writes: bool = False
    implicit_only: bool = False


@dataclass(frozen=True)
class Model:
    """One model of one provider. Windows are in tokens, limits in requests or tokens a minute, times in seconds."""

    provider: str
    id: str
    tier: str
    served_as: str
    context: int
    max_output: int
    ttft: float
    tokens_per_second: float
    limits: dict[str, int]
    thinks: str = "never"  # never | optional (off unless asked for) | default (on unless refused) | always
    efforts: tuple[str, ...] = ()
    effort: str = "medium"  # how much it thinks by default, where it does
    accepts: tuple[str, ...] = ()
    cache: CacheRule | None = None
    token_ratio: float = 1.0  # tokens this model's tokenizer makes for one of o200k's
    profile_only: bool = False
    released: date | None = None
    retires: date | None = None
    replacement: str | None = None
    kind: str = "chat"  # chat | embedding
    dimensions: int = 0  # numbers of a vector, where it is an embedding model and nobody asks for fewer
    responses_only: bool = False  # whether OpenAI serves it by Responses and not in chat
    source: str = ""  # whose facts these are, where the course did not check them

    def is_retired(self, on: date) -> bool:
        return self.retires is not None and self.retires <= on

    @property
    def is_checked(self) -> bool:
        """Whether it is a model of the course's own table."""
        return not self.source

    @property
    def default_effort(self) -> str:
        """How much it thinks when nobody says."""
        return self.effort if self.thinks in ("default", "always") else "none"


@cache
def table() -> dict[str, Any]:
    """The whole of models.toml."""
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def facts_date() -> date:
    """The date of the course's facts: of its models and, unless another day is given, of its prices."""
    return date.fromisoformat(table()["date"])


@cache
def _by_key() -> dict[tuple[str, str], Model]:
    rows = (*table()["model"], *({**row, "kind": "embedding", "tier": "embedding", "max_output": 0} for row in table()["embedding"]))
    return {(row["provider"], row["id"]): _model(row) for row in rows}


def _model(row: dict[str, Any]) -> Model:
    given = dict(row)
    given.setdefault("served_as", row["id"])
    for name in ("released", "retires"):
        given[name] = date.fromisoformat(row[name]) if name in row else None
    for name in ("efforts", "accepts"):
        given[name] = tuple(row.get(name, ()))
    if "cache" in row:
        given["cache"] = CacheRule(**row["cache"])
    return Model(**given, **table()["pace"][row["tier"]], limits=table()["limits"][row["provider"]])


def of(provider: str, kind: str | None = "chat") -> list[Model]:
    """The models of a provider that chat, or those of another kind (None: of all), in the order of the table."""
    return [model for model in _by_key().values() if model.provider == provider and kind in (None, model.kind)]


def elsewhere(provider: str, id: str) -> Model | None:
    """A model that is not in models.toml, by what other tables say of it; None when there is none. Raises other_models.NotRead."""
    row = other_models.row(provider, id)
    return _model(row) if row else None


def find(provider: str, id: str) -> Model | None:
    """A model of the course by the id or by the dated name that it answers with; None when there is none."""
    found = _by_key().get((provider, id))
    return found or next((m for m in of(provider, None) if m.served_as == id and provider not in ("bedrock",)), None)


def get(id: str, provider: str | None = None) -> Model:
    """A model by its id or the dated name that it answers with, with or without its provider. Raises UnknownModel, naming the closest ids.

    One that is not in models.toml is looked for in other tables, which are read when they are first needed, in about a second.
    """
    asked = [m for m in _by_key().values() if provider in (None, m.provider)]
    found = [m for m in asked if m.id == id] or [m for m in asked if m.served_as == id and m.provider != "bedrock"] or _elsewhere(provider, id)
    if not found:
        if elsewhere := sorted({m.provider for m in _by_key().values() if m.id == id}):
            raise UnknownModel(f"{provider} has no model {id!r}: it is sold by {' and '.join(elsewhere)}.")
        from difflib import get_close_matches

        close = get_close_matches(id, [m.id for m in asked], n=3, cutoff=0.4)
        near = f" Did you mean {' or '.join(dict.fromkeys(close))}?" if close else ""
        raise UnknownModel(f"there is no model {id!r} in helpers/models.toml.{near}")
    return found[0]


def _elsewhere(provider: str | None, id: str) -> list[Model]:
    """The models of this id that other tables have, one for each provider."""
    other_models.read()
    return [model for one in other_models.TABLES if provider in (None, one) and (model := elsewhere(one, id))]


def sellers(model: Model) -> list[str]:
    """The providers of the table that sell this model, under whatever name."""
    short = _short(model)
    return list(dict.fromkeys(other.provider for other in _by_key().values() if _short(other) == short))


def _short(model: Model) -> str:
    """A model's name without what sellers put around it: meta-llama/Llama-3.1-8B-Instruct and meta.llama3-1-8b-instruct-v1:0 are one."""
    return re.sub("^meta|instruct|v1:0|[^a-z0-9]", "", model.served_as.lower().rpartition("/")[2])


def least_effort(id: str, provider: str | None = None) -> str | None:
    """The least that a model can be told to think, such as none or low; None where it takes no such word. Raises UnknownModel.

    Gemini's thinking_level has no "none".
    """
    model = get(id, provider)
    return next((effort for effort in model.efforts if (model.provider, effort) != ("gemini", "none")), None)


def default(provider: str, tier: str = "small") -> str:
    """The id of the model that the course uses for a provider. tier: small or mid. Raises UnknownModel."""
    try:
        return table()["default"][provider][tier]
    except KeyError:
        known = ", ".join(table()["default"])
        raise UnknownModel(f"no default model for {provider!r}, {tier!r}; providers: {known}; tiers: small, mid") from None
