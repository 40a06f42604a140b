"""Prices, estimates and the bill, against the prices that the providers stated on 2026-11-23."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import numpy
import pytest
from openai import OpenAI
from openai.types import CompletionUsage

import helpers
from helpers import models
from helpers.costs import Bill, UnknownPrice, dollars
from helpers.gateway.exchange import Usage

TODAY = date(2026, 11, 23)

# provider, model, input, cache read, cache write, cache write for an hour, output; USD per million tokens, - for none.
TABLE = """
openai    gpt-4o                                  2.50  1.25   -      -     10.00
openai    gpt-4o-mini                             0.15  0.075  -      -     0.60
openai    gpt-6-luna                              0.10  0.01   0.125  -     0.50
openai    gpt-6.1-terra                           1.00  0.05   1.25   -     5.00
openai    gpt-6.1-sol                             2.00  0.10   2.50   -     10.00
openai    gpt-6.2-sol                             2.00  0.10   2.50   -     10.00
openai    gpt-6.2-astra                           8.00  0.40   10.00  -     40.00
anthropic claude-sonnet-4-20250514                3.00  0.30   3.75   6.00  15.00
anthropic claude-haiku-4-5                        1.00  0.10   1.25   2.00  5.00
anthropic claude-haiku-5-5                        0.10  0.01   0.125  0.20  0.50
anthropic claude-sonnet-5-5                       2.00  0.10   2.50   4.00  10.00
anthropic claude-opus-5-5                         4.00  0.20   5.00   8.00  20.00
anthropic claude-fable-5-2                        8.00  0.20   10.00  16.00 40.00
gemini    gemini-2.0-flash                        0.10  0.025  -      -     0.40
gemini    gemini-2.5-flash                        0.30  0.03   -      -     2.50
gemini    gemini-3.5-flash-lite                   0.30  0.03   -      -     2.50
gemini    gemini-3.8-flash                        0.75  0.075  -      -     3.75
gemini    gemini-4-argon                          2.00  0.10   -      -     10.00
bedrock   us.anthropic.claude-sonnet-5-5          2.20  0.11   2.75   4.40  11.00
bedrock   global.anthropic.claude-sonnet-5-5      2.00  0.10   2.50   4.00  10.00
bedrock   meta.llama3-1-8b-instruct-v1:0          0.22  -      -      -     0.22
azure     gpt-4o                                  2.50  1.25   -      -     10.00
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]}-{row[1]}" for row in ROWS])
def test_prices_are_those_of_the_table(row):
    provider, model, *rates = row
    found = helpers.price(model, provider, on=TODAY)
    got = (found.input, found.cache_read, found.cache_write, found.cache_write_1h, found.output)
    assert got == tuple(None if rate == "-" else Decimal(rate) for rate in rates)


@pytest.mark.parametrize("day, usd", [(TODAY, "0.001125"), (date(2027, 1, 5), "0.002250")])
def test_a_price_is_that_of_the_day_of_the_call(day, usd):
    assert helpers.cost(Usage(1000, output_tokens=100), "gemini-3.8-flash", on=day) == Decimal(usd)


def test_without_a_day_prices_are_those_of_the_courses_facts():
    assert helpers.price("gemini-3.8-flash").date == TODAY


@pytest.mark.parametrize(
    "model, longest, input_factor, output_factor",
    [("gpt-6-luna", 272_000, 2, Decimal("1.5")), ("claude-haiku-5-5", 100_000, 5, 5)],
)
def test_a_long_prompt_is_dearer_as_a_whole(model, longest, input_factor, output_factor):
    provider = "openai" if model.startswith("gpt") else "anthropic"
    rates = helpers.price(model, provider, on=TODAY)

    def million(input_tokens, output_tokens):
        return helpers.cost(Usage(input_tokens, output_tokens=output_tokens), model, provider, on=TODAY) * 1_000_000

    assert million(longest, 10) == longest * rates.input + 10 * rates.output
    assert million(longest + 1, 0) == (longest + 1) * rates.input * input_factor
    assert million(longest + 1, 10) - million(longest + 1, 0) == 10 * rates.output * output_factor


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-6.2-sol", "claude-haiku-5-5"])
def test_the_price_of_a_long_prompt_is_what_a_call_with_one_costs(model, batch):
    longest = helpers.price(model, batch=batch).above
    for tokens in (longest, longest + 1):
        rates = helpers.price(model, batch=batch, prompt_tokens=tokens)
        assert helpers.cost(Usage(input_tokens=tokens, output_tokens=10), model, batch=batch) == (tokens * rates.input + 10 * rates.output) / 1_000_000
    assert rates.above is None
    assert helpers.price("claude-haiku-4-5").above is None


@pytest.mark.parametrize(
    "model, usage, per_million",
    [
        ("gpt-4o", Usage(1000, cache_read_tokens=400), 600 * Decimal("2.5") + 400 * Decimal("1.25")),
        ("gpt-4o", Usage(1000, cache_write_tokens=400), 1000 * Decimal("2.5")),
        ("claude-haiku-5-5", Usage(1000, cache_read_tokens=400), 600 * Decimal("0.1") + 400 * Decimal("0.01")),
        ("claude-haiku-5-5", Usage(1000, cache_write_tokens=400), 600 * Decimal("0.1") + 400 * Decimal("0.125")),
        ("claude-haiku-5-5", Usage(1000, cache_write_1h_tokens=400), 600 * Decimal("0.1") + 400 * Decimal("0.2")),
        ("claude-haiku-5-5", Usage(1000, 100, 200, 300), 400 * Decimal("0.1") + 100 * Decimal("0.01") + 200 * Decimal("0.125") + 300 * Decimal("0.2")),
        ("gpt-6.2-sol", Usage(1000, 100, 200), 700 * Decimal(2) + 100 * Decimal("0.1") + 200 * Decimal("2.5")),
        ("claude-haiku-5-5", Usage(0, output_tokens=1000, thinking_tokens=900), 1000 * Decimal("0.5")),
    ],
)
def test_each_kind_of_token_has_its_own_rate(model, usage, per_million):
    provider = "openai" if model.startswith("gpt") else "anthropic"
    assert helpers.cost(usage, model, provider, on=TODAY) == per_million / 1_000_000


BATCHED = [("openai", "gpt-6-luna"), ("openai", "gpt-6.2-sol"), ("anthropic", "claude-haiku-5-5"), ("gemini", "gemini-3.8-flash")]


@pytest.mark.parametrize("provider, model", BATCHED)
def test_a_batch_costs_half(provider, model):
    whole, half = (helpers.cost(Usage(1000, output_tokens=100), model, provider, on=TODAY, batch=batch) for batch in (False, True))
    assert half == whole / 2 > 0
    assert helpers.price(model, provider, on=TODAY, batch=True).input == helpers.price(model, provider, on=TODAY).input / 2


@pytest.mark.parametrize(
    "provider, model, day",
    [
        ("bedrock", "us.anthropic.claude-haiku-5-5", TODAY),
        ("azure", "gpt-6-luna", TODAY),  # genai-prices has it of OpenAI only, and would charge the standard price
        ("openai", "gpt-4o", date(2026, 10, 1)),  # no batch price is on record before 2026-10-14
    ],
)
def test_a_missing_batch_price_is_an_error_and_not_the_standard_price(provider, model, day):
    with pytest.raises(UnknownPrice, match="batch"):
        helpers.cost(Usage(1000), model, provider, on=day, batch=True)
    with pytest.raises(UnknownPrice, match="batch"):
        helpers.price(model, provider, on=day, batch=True)


@pytest.mark.parametrize(
    "model, provider, says",
    [
        ("gpt-6-lunar", None, "gpt-6-luna"),
        ("no-such-model", "openai", "no-such-model"),
        ("gpt-4o", "nobody", "openai, azure"),
        ("meta-llama/Llama-3.1-8B-Instruct", None, "your own"),
    ],
)
def test_an_unknown_price_is_an_error_and_never_0(model, provider, says):
    for look_up in (
        lambda: helpers.price(model, provider),
        lambda: helpers.cost(Usage(1), model, provider),
        lambda: helpers.estimate(model, provider=provider, input_tokens=1, output_tokens=1),
    ):
        with pytest.raises(UnknownPrice, match=says):
            look_up()


# ---- estimates ---------------------------------------------------------------
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-6-luna", "claude-haiku-5-5", "gpt-6.2-sol", "gemini-3.8-flash"])
@pytest.mark.parametrize("input_tokens", [1000, 300_000])
@pytest.mark.parametrize("batch", [False, True])
def test_an_estimate_is_the_cost_and_the_sum_of_its_parts(model, input_tokens, batch):
    provider = "openai" if model.startswith("gpt") else None
    input_tokens = min(input_tokens, models.get(model, provider).context)
    found = helpers.estimate(
        model, provider=provider, input_tokens=input_tokens, output_tokens=100, cached_tokens=500, cache_write_tokens=300, requests=7, batch=batch, on=TODAY
    )
    assert found.total == sum(found.parts.values())
    assert min(found.parts.values()) >= 0
    assert found.total == 7 * helpers.cost(Usage(input_tokens, 500, 300, 0, 100), model, provider, on=TODAY, batch=batch)
    assert str(TODAY) in str(found) and dollars(found.total) in found._repr_html_()


@pytest.mark.parametrize(
    "counts",
    [
        {"input_tokens": -1},
        {"input_tokens": 1.5},
        {"input_tokens": "10"},
        {"input_tokens": True},
        {"output_tokens": -1},
        {"requests": -1},
        {"requests": None},
        {"cached_tokens": 11},
        {"cached_tokens": 6, "cache_write_tokens": 5},
    ],
)
def test_counts_that_make_no_sense_are_refused(counts):
    with pytest.raises(ValueError, match="whole number|part of the input"):
        helpers.estimate("claude-haiku-5-5", **{"input_tokens": 10, "output_tokens": 1} | counts)


@pytest.mark.parametrize(
    "amount, text",
    [
        (None, "unknown"),
        ("0", "0.00 USD"),
        ("0.00112501", "0.001125 USD"),
        ("12000", "12,000.00 USD"),
        ("0.0000012", "0.0000012 USD"),
        ("0.0000000125", "0.0000000125 USD"),
        ("0.000001", "0.000001 USD"),
        ("0.00000333333333333", "0.00000333 USD"),
    ],
)
def test_dollars_have_as_many_places_as_they_need(amount, text):
    assert dollars(None if amount is None else Decimal(amount)) == text


@pytest.mark.parametrize("number", [numpy.int64(1000), numpy.uint8(250), numpy.array([7])[0]])
def test_numbers_of_numpy_are_numbers(number):
    counts = {"input_tokens": number, "output_tokens": number, "requests": number}
    plain = {name: int(count) for name, count in counts.items()}
    assert helpers.estimate("claude-haiku-5-5", **counts).total == helpers.estimate("claude-haiku-5-5", **plain).total
    for model in ("claude-haiku-5-5", "gpt-6.2-sol"):  # the price of one is genai-prices', of the other our own
        assert helpers.cost(Usage(number, output_tokens=number), model) == helpers.cost(Usage(int(number), output_tokens=int(number)), model)


@pytest.mark.parametrize("day", ["2027-01-05", date(2027, 1, 5), datetime(2027, 1, 5, 23, 59), datetime(2027, 1, 5, tzinfo=UTC)])
def test_a_day_may_be_text(day):
    model, tokens = "gemini-3.8-flash", {"input_tokens": 1000, "output_tokens": 100}
    assert helpers.cost(Usage(1000, output_tokens=100), model, on=day) == helpers.estimate(model, **tokens, on=day).total == Decimal("0.002250")
    assert helpers.price(model, on=day).date == date(2027, 1, 5)


@pytest.mark.parametrize("day", ["5 January 2027", "2027-02-30", 2027, ""])
def test_a_day_that_is_none_gets_a_sentence(day):
    for look_up in (lambda: helpers.price("gpt-4o", on=day), lambda: helpers.cost(Usage(1), "gpt-4o", on=day), lambda: helpers.estimate("gpt-4o", input_tokens=1, output_tokens=1, on=day)):
        with pytest.raises(ValueError, match="give a date, or text such as '2026-11-23'"):
            look_up()


@pytest.mark.parametrize(
    "usage, error, says",
    [
        (Usage(-1), ValueError, "input_tokens is -1"),
        (Usage(10, cache_read_tokens=6, cache_write_tokens=5), ValueError, "more than its 10"),
        (Usage(10, output_tokens=1, thinking_tokens=2), ValueError, "2 is more than 1"),
        (Usage(1.5), ValueError, "whole number"),
        (Usage(None), ValueError, "whole number"),
        (CompletionUsage(prompt_tokens=1, completion_tokens=1, total_tokens=2), TypeError, "CompletionUsage.*estimate"),
        ({"input_tokens": 1}, TypeError, "estimate"),
    ],
)
@pytest.mark.parametrize("model", ["claude-haiku-5-5", "gpt-6.2-sol"])
def test_a_usage_that_makes_no_sense_has_no_cost(model, usage, error, says):
    with pytest.raises(error, match=says):
        helpers.cost(usage, model)


def test_a_call_has_to_fit_the_models_window():
    assert helpers.estimate("gpt-4o", input_tokens=128_000, output_tokens=16_384).total > 0
    with pytest.raises(ValueError, match="128,001 input tokens .* takes 128,000.*requests"):
        helpers.estimate("gpt-4o", input_tokens=128_001, output_tokens=1)
    with pytest.raises(ValueError, match="16,385 output tokens .* gives 16,384 at most.*requests"):
        helpers.estimate("gpt-4o", input_tokens=1, output_tokens=16_385)


def test_what_is_written_to_a_cache_for_an_hour_is_dearer():
    counts = {"input_tokens": 5000, "output_tokens": 10}
    hour, minutes = (helpers.estimate("claude-haiku-5-5", **counts, **{name: 4000}, on=TODAY) for name in ("cache_write_1h_tokens", "cache_write_tokens"))
    assert hour.parts["cache write 1h"] == 4000 * Decimal("0.20") / 1_000_000 and minutes.parts["cache write"] == 4000 * Decimal("0.125") / 1_000_000
    assert hour.total == helpers.cost(Usage(5000, 0, 0, 4000, 10), "claude-haiku-5-5", on=TODAY) and "cache write 1h" in str(hour)


@pytest.mark.parametrize(
    "model, provider, size, tokens",
    [
        ("gpt-6-luna", "openai", (1024, 1024), 1229),
        ("gpt-6-luna", "openai", (1920, 1080), 2448),
        ("gpt-4o", "openai", (1024, 1024), 765),
        ("gpt-4o", "openai", (2048, 4096), 1105),
        ("gpt-4o-mini", "openai", (512, 512), 8500),
        ("claude-sonnet-5-5", "anthropic", (1024, 1024), 1369),
        ("claude-haiku-4-5", "anthropic", (200, 200), 64),
        ("us.anthropic.claude-haiku-5-5", "bedrock", (512, 512), 361),
        ("gemini-2.5-flash", "gemini", (384, 384), 258),
        ("gemini-2.5-flash", "gemini", (960, 540), 516),
        ("gemini-3.8-flash", "gemini", (4000, 3000), 1120),
    ],
)
def test_images_are_input_tokens_by_their_size(model, provider, size, tokens):
    counts = {"output_tokens": 10, "provider": provider, "on": TODAY}
    seen = helpers.estimate(model, input_tokens=100, images=[size, size], **counts)
    assert seen.image_tokens == 2 * tokens and f"{2 * tokens:,} tokens of images" in str(seen) and f"{2 * tokens:,}" in seen._repr_html_()
    assert seen.total == helpers.estimate(model, input_tokens=100 + 2 * tokens, **counts).total


def test_a_large_image_is_made_smaller_for_claude():
    tokens = [helpers.estimate(model, input_tokens=0, output_tokens=0, images=[(8000, 6000)]).image_tokens for model in ("claude-haiku-4-5", "claude-opus-5-5")]
    assert 1300 < tokens[0] <= 1568 and 4000 < tokens[1] <= 4784


@pytest.mark.parametrize(
    "model, images, says",
    [
        ("gpt-3.5-turbo", [(10, 10)], "sees no images"),
        ("amazon.nova-lite-v1:0", [(10, 10)], "is not known"),
        ("gpt-5-mini", [(10, 10)], "is not known"),
        ("gpt-4o", [(0, 10)], "no size"),
        ("gpt-4o", [10], "width and height"),
        ("gpt-4o", ["a picture.png"], "width and height"),
        ("gpt-4o", 5, "width and height"),
        ("gpt-4o", [(10.5, 10)], "whole number"),
    ],
)
def test_an_image_that_cannot_be_counted_gets_a_sentence(model, images, says):
    with pytest.raises(ValueError, match=says):
        helpers.estimate(model, input_tokens=1, output_tokens=1, images=images)


# Found without importing litellm, which would ask the network for a newer one.
TABLE_OF_LITELLM = json.loads((Path(find_spec("litellm").origin).parent / "model_prices_and_context_window_backup.json").read_text(encoding="utf-8"))


def _output_in_a_batch(source):
    return 0 if source["mode"] == "embedding" else source["output_cost_per_token_batches"]


@pytest.mark.parametrize("row", models.table()["batch_price"], ids=lambda row: row["id"])
def test_batch_prices_of_our_own_are_those_of_their_source(row):
    source = TABLE_OF_LITELLM[f"{row['provider']}/{row['id']}" if row["provider"] in ("azure", "gemini") else row["id"]]
    found = helpers.price(row["id"], row["provider"], batch=True)
    assert (float(found.input), float(found.output)) == pytest.approx((1e6 * source["input_cost_per_token_batches"], 1e6 * _output_in_a_batch(source)))
    assert found.date == date.fromisoformat(row["date"]) and "litellm" in found.source
    assert helpers.cost(Usage(1000, output_tokens=100), row["id"], row["provider"], batch=True) == (1000 * found.input + 100 * found.output) / 1_000_000
    assert found.input < helpers.price(row["id"], row["provider"]).input


# ---- the bill ----------------------------------------------------------------
def test_offline_the_bill_spends_nothing_and_states_the_live_amount(gateway):
    for _ in range(2):
        OpenAI().chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": "Say hello in five words."}])
    bill, entries = Bill(gateway.meter.log()), gateway.meter.log()
    expected = sum(helpers.cost(entry.usage, "gpt-6-luna", "openai", on=TODAY) for entry in entries)
    assert bill.spent == 0 and bill.live == expected > 0
    assert "Spent: 0.00 USD." in str(bill)
    for text in (str(bill), bill._repr_html_().replace("<wbr>", "")):
        assert dollars(expected) in text and str(TODAY) in text and "gpt-6-luna" in text


def test_a_server_of_ones_own_costs_nothing_a_token_and_an_unknown_price_is_no_0(gateway):
    client = OpenAI(base_url=f"{gateway.base_url}/compatible/v1")
    client.chat.completions.create(model="meta-llama/Llama-3.1-8B-Instruct", messages=[{"role": "user", "content": "Say hello in five words."}])
    assert Bill(gateway.meter.log()).live == 0
    usage = Usage(1000, output_tokens=10)
    gateway.meter.add_item("azure", "gpt-6-luna", gateway.meter.log()[0].source, usage, "offline", 0.0)
    bill = Bill(gateway.meter.log())
    assert bill.live is None and "unknown" in str(bill)


# ---- prices of our own, and small amounts --------------------------------------
@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("tokens", [272_000, 272_001])
def test_gpt_6_2_charges_long_prompts_as_gpt_6_1_does(tokens, batch):
    usage = Usage(tokens, 60_000, 20_000, 0, 1000)
    assert helpers.cost(usage, "gpt-6.2-sol", batch=batch) == helpers.cost(usage, "gpt-6.1-sol", batch=batch)
    counts = {"input_tokens": tokens, "cached_tokens": 60_000, "cache_write_tokens": 20_000, "output_tokens": 1000}
    assert helpers.estimate("gpt-6.2-sol", batch=batch, **counts).total == helpers.cost(usage, "gpt-6.2-sol", batch=batch)


def test_an_amount_that_is_not_nothing_is_not_shown_as_nothing():
    assert dollars(Decimal("0.00000001")) == "0.00000001 USD"


def test_the_name_that_an_answer_carries_has_a_price():
    assert helpers.price("gpt-4o-2024-08-06") == helpers.price("gpt-4o")
    assert helpers.price("claude-haiku-4-5-20251001").input == 1


@pytest.mark.parametrize(
    ("usage", "named"),
    [
        (Usage(-1), "input_tokens is -1"),
        (Usage(10, output_tokens=-1), "output_tokens is -1"),
        (Usage(10, cache_read_tokens=-5), "cache_read_tokens is -5"),
        (Usage(10, cache_read_tokens=11), "more than"),
        (Usage(10, cache_write_tokens=6, cache_write_1h_tokens=6), "more than"),
        (Usage(10, output_tokens=1, thinking_tokens=2), "more than"),
        (Usage(1.5), "input_tokens is 1.5"),
        (Usage(None), "input_tokens is None"),
        (Usage(True), "input_tokens is True"),
    ],
    ids=str,
)
@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-6.2-astra", "claude-haiku-4-5"])
def test_a_usage_that_cannot_be_has_no_cost(model, usage, named):
    with pytest.raises(ValueError, match=named):
        helpers.cost(usage, model)


def test_the_price_of_an_hour_in_an_explicit_cache_has_a_date():
    hours = [helpers.price("gemini-3.8-flash", on=day).cache_storage for day in ("2026-12-31", "2027-01-01")]
    assert hours == [Decimal("0.50"), Decimal("1.00")]
    assert helpers.price("gemini-3.5-flash-lite").cache_storage is None and helpers.price("claude-haiku-5-5").cache_storage is None
