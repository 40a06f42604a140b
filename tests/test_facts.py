"""models.toml and the prices say what the packages say that they come from: litellm, openai and anthropic."""

import json
import re
from datetime import date, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest

from helpers import costs, models
from helpers.gateway.exchange import Usage

ALL = [model for provider in models.table()["default"] for model in models.of(provider)]
LITELLM_PREFIX = {"azure": "azure/", "gemini": "gemini/"}
TODAY = date.fromisoformat(models.table()["date"])
# litellm has the ids without a prefix at the global price; genai-prices has them with the regional ones, 10 % dearer.
DISPUTED = {"anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic.claude-haiku-5-5", "anthropic.claude-sonnet-5-5"}


def package(name):
    return Path(find_spec(name).origin).parent


def litellm_rows():
    table = json.loads((package("litellm") / "model_prices_and_context_window_backup.json").read_text())
    rows = [(model, table.get(LITELLM_PREFIX.get(model.provider, "") + model.id)) for model in ALL if model.provider != "compatible"]
    return [pytest.param(model, row, id=name(model)) for model, row in rows if row]


def name(model):
    return f"{model.provider}-{model.id}"


LISTED = litellm_rows()


@pytest.mark.parametrize(("model", "row"), LISTED)
def test_windows_cache_minimums_and_end_dates_are_litellms(model, row):
    assert model.context == row["max_input_tokens"]
    if model.id != "gemini-4-argon":  # litellm gives it its context window as output window, which is hard to believe
        assert model.max_output == row["max_output_tokens"]
    if model.cache and "prompt_cache_min_tokens" in row:
        assert model.cache.min_tokens == row["prompt_cache_min_tokens"]
    if "deprecation_date" in row:
        assert model.retires == date.fromisoformat(row["deprecation_date"])


@pytest.mark.parametrize(("model", "row"), LISTED)
def test_what_a_model_accepts_is_litellms(model, row):
    if model.efforts:
        for effort in ("none", "minimal"):
            known = row.get(f"supports_{effort}_reasoning_effort")
            assert known is None or (effort in model.efforts) == known
    assert ("images" in model.accepts) == row.get("supports_vision", False)
    if "supports_assistant_prefill" in row:
        assert ("prefill" in model.accepts) == row["supports_assistant_prefill"]
    if "temperature" in model.accepts:
        assert row.get("supports_sampling_params", True)


@pytest.mark.parametrize("model", models.of("openai"), ids=name)
def test_end_dates_are_those_of_the_openai_package(model):
    text = (package("openai") / "types/shared/chat_model.py").read_text().split('"""Deprecated values:')[1]
    entries = [entry for entry in text.split("\n- ") if f'"{model.id}"' in entry]
    found = re.search(r"shutdown\s+date:\s+(\d{4}-\d\d-\d\d)", entries[0]) if entries else None
    assert model.retires == (date.fromisoformat(found[1]) if found else None)


def test_end_dates_are_those_of_the_anthropic_package():
    from anthropic._data import DEPRECATED_MODELS  # 2.14 moved the list here

    for model in models.of("anthropic"):
        said = DEPRECATED_MODELS.get(model.id)
        if said is None:  # it drops a model some months after its end
            assert model.retires is None or model.retires < TODAY, model.id
        else:
            assert model.retires == datetime.strptime(re.sub(r"(\d)(st|nd|rd|th)", r"\1", said), "%B %d, %Y").date(), model.id


STANDARD = {"input": "input_cost_per_token", "output": "output_cost_per_token", "cache_read": "cache_read_input_token_cost"}
BATCH = {name: f"{key}_batches" for name, key in STANDARD.items()}
# A cached token in a batch: litellm halves 0.03 since 1.110, genai-prices 0.2.3 has 0.02. The dearer one keeps a budget.
DISPUTED_BATCH = {("gemini-3.5-flash-lite", "cache_read")}
LONG = {"claude-haiku-5-5": 100, "gpt-6-luna": 272, "gpt-6.1-terra": 272, "gpt-6.1-sol": 272}  # thousands of prompt tokens


@pytest.mark.parametrize(("model", "row"), [param for param in LISTED if param.values[0].id not in DISPUTED])
def test_prices_are_litellms(model, row):
    rates = costs.price(model.id, model.provider)
    for name, key in STANDARD.items():
        assert getattr(rates, name) == per_million(row.get(key)), name
    if any(key in row for key in BATCH.values()) and model.provider in ("openai", "anthropic", "gemini"):
        rates = costs.price(model.id, model.provider, batch=True)
        for name, key in BATCH.items():
            assert key not in row or (model.id, name) in DISPUTED_BATCH or getattr(rates, name) == per_million(row[key]), name


@pytest.mark.parametrize("id", LONG)
def test_prices_of_long_prompts_are_litellms(id):
    row = next(param.values[1] for param in LISTED if param.values[0].id == id)
    prompt, suffix = LONG[id] * 1000 + 1, f"_above_{LONG[id]}k_tokens"
    kinds = {"input": Usage(prompt), "cache_read_input_token": Usage(prompt, prompt), "cache_creation_input_token": Usage(prompt, 0, prompt)}
    for name, usage in kinds.items():
        key = ("input_cost_per_token" if name == "input" else f"{name}_cost") + suffix
        assert costs.cost(usage, id) == prompt * per_million(row[key]) / 1_000_000
    output = costs.cost(Usage(prompt, output_tokens=1_000_000), id) - costs.cost(Usage(prompt), id)
    assert output == per_million(row["output_cost_per_token" + suffix])


def per_million(per_token):
    return None if per_token is None else round(Decimal(str(per_token)) * 1_000_000, 6)


@pytest.mark.parametrize(("model", "row"), [param for param in LISTED if "thinking_always_on" in param.values[1]])
def test_who_cannot_stop_thinking_is_litellms(model, row):
    assert (model.thinks == "always") == row["thinking_always_on"]


@pytest.mark.parametrize(("model", "row"), [param for param in LISTED if "thinking_on_by_default" in param.values[1]])
def test_who_thinks_unasked_is_litellms(model, row):
    assert (model.thinks == "default") == row["thinking_on_by_default"]
