"""models.toml holds together, and retired models are refused by date."""

from datetime import date, timedelta

import openai
import pytest

import helpers
from helpers import models
from helpers.gateway.prompt_cache import SECONDS

ROWS = models.table()["model"]
ALL = [models.get(row["id"], row["provider"]) for row in ROWS]
NAMES = [f"{model.provider}-{model.id}" for model in ALL]
TODAY = models.facts_date()


def test_no_model_stands_twice():
    assert len({(row["provider"], row["id"]) for row in ROWS}) == len(ROWS) > 0


@pytest.mark.parametrize("model", ALL, ids=NAMES)
def test_every_model_is_whole(model):
    assert model.served_as and model.context >= model.max_output > 0
    assert model.ttft > 0 and model.tokens_per_second > 0
    assert model.thinks in ("never", "optional", "default", "always")
    assert set(model.accepts) <= {"stop", "images", "temperature", "prefill", "tools"}
    assert model.default_effort == "none" or not model.efforts or model.default_effort in model.efforts
    for day in (model.released, model.retires):
        assert day is None or type(day) is date
    if model.released and model.retires:
        assert model.released < model.retires
    if model.replacement:
        assert not models.get(model.replacement, model.provider).is_retired(TODAY)
    if model.cache:
        assert model.cache.style in ("automatic", "blocks") and model.cache.ttl in SECONDS


@pytest.mark.parametrize("model", [m for m in ALL if m.provider != "compatible" and not m.is_retired(TODAY)], ids=lambda m: f"{m.provider}-{m.id}")
def test_every_model_that_can_be_called_has_a_price(model):
    assert helpers.price(model.id, model.provider).input > 0


def test_prices_of_our_own_are_dated_and_sourced():
    for row in models.table()["price"]:
        assert date.fromisoformat(row["date"]) and row["source"]
        assert models.get(row["id"], row["provider"])


@pytest.mark.parametrize("provider", models.table()["default"])
@pytest.mark.parametrize("tier", ["small", "mid"])
def test_default_models_exist_and_are_not_retired(provider, tier):
    model = models.get(helpers.model(provider, tier), provider)
    assert not model.is_retired(TODAY) and not model.profile_only


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(models.UnknownModel, match="gpt-6-luna"):
        models.get("gpt-6-lune")
    with pytest.raises(models.UnknownModel, match="openai has no model 'claude-haiku-5-5': it is sold by anthropic"):
        models.get("claude-haiku-5-5", "openai")
    for provider, tier in (("nobody", "small"), ("openai", "huge")):
        with pytest.raises(models.UnknownModel, match="anthropic"):
            helpers.model(provider, tier)


@pytest.mark.parametrize("model", [m for m in ALL if m.retires], ids=lambda m: f"{m.provider}-{m.id}")
def test_a_model_is_retired_from_its_date_on(model):
    assert not model.is_retired(model.retires - timedelta(days=1))
    assert model.is_retired(model.retires) and model.is_retired(model.retires + timedelta(days=1))


def test_the_gateway_refuses_a_model_when_its_day_has_come(gateway):
    model, client = models.get("gpt-4o", "openai"), openai.OpenAI(max_retries=0)

    def ask(name):
        return client.chat.completions.create(model=name, messages=[{"role": "user", "content": "Say hello in five words."}])

    with pytest.raises(openai.NotFoundError):
        ask("gpt-3.5-turbo")
    if gateway.clock.today() < model.retires:
        assert ask("gpt-4o").model == model.served_as
        gateway.advance(hours=24 * (model.retires - gateway.clock.today()).days)
    with pytest.raises(openai.NotFoundError, match="gpt-4o"):
        ask("gpt-4o")
    assert "gpt-4o" not in [row.id for row in client.models.list()]


@pytest.mark.parametrize(
    ("model", "least"),
    [("gpt-6-luna", "none"), ("gpt-6.1-sol", "low"), ("gpt-4o", None), ("gemini-3.5-flash-lite", "minimal"), ("gemini-2.5-flash", "minimal"), ("gemini-4-argon", "low")],
)
def test_the_least_effort_is_one_that_the_model_takes(model, least):
    assert models.least_effort(model) == least


def test_every_seller_has_a_row_with_its_source():
    rows = {row["provider"]: row for row in models.table()["seller"]}
    assert set(rows) == set(models.table()["default"]) and len(rows) == len(models.table()["seller"])
    for row in rows.values():
        assert len(row["source"]) > 20 and date.fromisoformat(row["date"]) >= TODAY
        assert all(type(row[name]) is bool for name in ("region", "network", "identity"))


@pytest.mark.parametrize(
    ("name", "sold_by"),
    [
        ("gpt-6-luna", ["openai", "azure"]),
        ("claude-haiku-5-5", ["anthropic", "bedrock"]),
        ("gemini-3.5-flash-lite", ["gemini"]),
        ("meta-llama/Llama-3.1-8B-Instruct", ["bedrock", "compatible"]),
        ("gpt-6.2-astra", ["openai"]),
        ("house", ["compatible"]),
    ],
)
def test_who_sells_a_model(name, sold_by):
    assert models.sellers(models.get(name)) == sold_by
