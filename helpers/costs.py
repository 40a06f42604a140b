"""What calls cost, in USD as Decimal: prices by date, estimates before a call, the bill after it.

Prices come from the genai-prices package (0.2.3, rates checked by its maintainers between 2026-10-05 and
2026-11-04), by the day of the call, with cache, long-prompt and batch rates. The few models that it lacks
are in models.toml, and the batch prices that it lacks. Of models that are not in models.toml, what genai-prices lacks is
taken from litellm's table, and either price says that the course did not check it. Nothing here is ever looked up on the network, and an unknown price is an error, not 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from operator import index
from typing import TYPE_CHECKING, Any

from helpers import models, other_models, page
from helpers.gateway.exchange import Usage

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

    from helpers.gateway.meter import Entry

MILLION = Decimal(1_000_000)
UNCHECKED = ", not checked by the course"
PROVIDERS = {"openai": "openai", "azure": "azure", "anthropic": "anthropic", "gemini": "google", "bedrock": "aws"}


class UnknownPrice(LookupError):
    """There is no price for this model, provider or way of processing."""


@dataclass(frozen=True)
class Price:
    """USD per million tokens, as of `date`. None where the provider states no such rate.

    above: tokens; for a longer prompt the whole call has other rates (None where it has not).
    """

    input: Decimal
    output: Decimal
    cache_read: Decimal | None
    cache_write: Decimal | None
    cache_write_1h: Decimal | None
    date: date
    source: str
    cache_storage: Decimal | None = None  # for an hour in which a million tokens stand in an explicit cache (Gemini)
    search: Decimal | None = None  # for a thousand searches that the provider makes; for a thousand prompts that led to any, with Gemini 2
    above: int | None = None


def price(
    model: str,
    provider: str | None = None,
    *,
    on: date | str | None = None,
    batch: bool = False,
    tier: str = "",
    prompt_tokens: int = 1,
) -> Price:
    """The price of a model in USD per million tokens on a day (the date of the course's facts unless given).

    on: a date, or text such as "2026-11-23". tier: flex or priority, which OpenAI sells. prompt_tokens: the length of the
    prompt, for models that charge long ones at other rates. Raises UnknownPrice, and ValueError for a day that is none or a length that makes no sense.
    """
    provider, on, prompt_tokens = _provider(model, provider), _day(on), _count("prompt_tokens", prompt_tokens)
    own = _own_row(model, provider, batch, tier)
    if own:
        return _own_price(own, batch, prompt_tokens)
    rates = _calculate(Usage(input_tokens=1), model, provider, on, batch, tier).model_price
    names = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
    return Price(
        **{name: _rate(getattr(rates, f"{name}_mtok"), prompt_tokens) for name in names},
        above=_next_tier(rates.input_mtok, prompt_tokens),
        date=on,
        source=f"genai-prices {version('genai-prices')}{'' if models.get(model, provider).is_checked else UNCHECKED}",
        cache_storage=_storage(model, provider, on),
        search=rates.web_searches_kcount,
    )


def cost(usage: Usage, model: str, provider: str | None = None, *, on: date | str | None = None, batch: bool = False, tier: str = "") -> Decimal:
    """What a call cost in USD, cached tokens and long prompts at their own rates.

    usage: the usage of a Reply, or of an entry of the log. on: a date, or text such as "2026-11-23". tier: flex or priority;
    in a batch it has no effect. Raises UnknownPrice,
    TypeError for a usage of another kind, ValueError for counts that make no sense and a day that is none.
    """
    provider, on, usage = _provider(model, provider), _day(on), checked(usage)
    own = _own_row(model, provider, batch, tier)
    if own:
        return sum(_parts(usage, _own_price(own, batch, usage.input_tokens)).values(), Decimal(0))
    return _calculate(usage, model, provider, on, batch, tier).total_price


# ---- estimates ---------------------------------------------------------------
@dataclass(frozen=True)
class Estimate:
    """What a number of equal calls would cost. `total` and `parts` are in USD."""

    model: str
    requests: int
    total: Decimal
    parts: dict[str, Decimal]
    date: date
    image_tokens: int = 0  # of a call; they are part of its input

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {dollars(amount)}" for name, amount in self.parts.items() if amount)
        return f"{self.requests:,} x {self.model}: {dollars(self.total)} ({parts}; {self._basis()})"

    def _basis(self) -> str:
        images = f"{self.image_tokens:,} tokens of images a call, " if self.image_tokens else ""
        return f"{images}prices of {self.date}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [(name, dollars(amount)) for name, amount in self.parts.items() if amount]
        return page.table(("part", "cost"), [*rows, ("total", dollars(self.total))], f"{self.requests:,} x {self.model}, {self._basis()}")


def estimate(
    model: str,
    *,
    input_tokens: int,
    output_tokens: int,
    cached_tokens: int = 0,
    cache_write_tokens: int = 0,
    cache_write_1h_tokens: int = 0,
    images: Iterable[tuple[int, int]] = (),
    requests: int = 1,
    batch: bool = False,
    provider: str | None = None,
    on: date | str | None = None,
) -> Estimate:
    """What `requests` equal calls would cost in USD.

    input_tokens counts all input but the images: the cached part too, and what is written to a cache, for five
    minutes or for an hour. images: the width and height of each in pixels, as [(1024, 768)]. output_tokens counts
    thinking too. on: a date, or text such as "2026-11-23". Raises ValueError for counts that make no sense or that
    the model does not take, UnknownPrice for a model without a price.
    """
    requests = _count("requests", requests)
    counts = (input_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens)
    names = ("input_tokens", "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens")
    text = Usage(*map(_count, names, counts))
    if text.uncached_tokens < 0:
        raise ValueError(f"cached tokens are a part of the input: read and written, they are more than {text.input_tokens}")
    provider, on = _provider(model, provider), _day(on)
    if not isinstance(images, Iterable):
        raise ValueError(f"images is {images!r}: give the width and height of each in pixels, as [(1024, 768)]")
    seen = sum(_image_tokens(models.get(model, provider), image) for image in images)
    whole = replace(text, input_tokens=text.input_tokens + seen)
    _check_window(whole, models.get(model, provider))
    parts = _split(whole, model, provider, on, batch)
    return Estimate(model, requests, sum(parts.values(), Decimal(0)) * requests, {n: a * requests for n, a in parts.items()}, on, seen)


def _image_tokens(model: models.Model, size: tuple[int, int]) -> int:
    from helpers.image_tokens import image_tokens

    try:
        width, height = size
    except (TypeError, ValueError):
        raise ValueError(f"images holds {size!r}: give the width and height of each in pixels, as [(1024, 768)]") from None
    return image_tokens(model, _count("the width of an image", width), _count("the height of an image", height))


def _check_window(usage: Usage, model: models.Model) -> None:
    if usage.input_tokens > model.context:
        raise ValueError(f"{usage.input_tokens:,} input tokens do not fit into one call: {model.id} takes {model.context:,}. For several calls give `requests`")
    if usage.output_tokens > model.max_output:
        raise ValueError(f"{usage.output_tokens:,} output tokens do not come in one call: {model.id} gives {model.max_output:,} at most. For several calls give `requests`")


def _split(usage: Usage, model: str, provider: str, on: date, batch: bool) -> dict[str, Decimal]:
    """The cost of each part, by leaving out the others; the tier that a long prompt puts a call in stays."""
    own = _own_row(model, provider, batch)
    if own:
        return _parts(usage, _own_price(own, batch, usage.input_tokens))
    found = _calculate(usage, model, provider, on, batch)

    def part(name: str, tokens: int) -> Decimal:
        return tokens * _tier(getattr(found.model_price, f"{name}_mtok"), usage.input_tokens) / MILLION

    cached = {
        "cache read": part("cache_read", usage.cache_read_tokens),
        "cache write": part("cache_write", usage.cache_write_tokens),
        "cache write 1h": part("cache_write_1h", usage.cache_write_1h_tokens),
    }
    return {"input": found.input_price - sum(cached.values()), **cached, "output": found.output_price}


def _parts(usage: Usage, rates: Price) -> dict[str, Decimal]:
    """The cost of each kind of token at flat rates; a kind without a rate of its own is charged as input."""
    counted = {
        "input": (usage.uncached_tokens, rates.input),
        "cache read": (usage.cache_read_tokens, rates.cache_read or rates.input),
        "cache write": (usage.cache_write_tokens, rates.cache_write or rates.input),
        "cache write 1h": (usage.cache_write_1h_tokens, rates.cache_write_1h or rates.input),
        "output": (usage.output_tokens, rates.output),
    }
    return {name: count * rate / MILLION for name, (count, rate) in counted.items()}


# ---- the bill ----------------------------------------------------------------
class Bill:
    """Answered calls, tokens and USD by model. A refused call costs nothing; a server of one's own has no price per token."""

    def __init__(self, entries: Iterable[Entry], on: date | None = None) -> None:
        self.date = on or models.facts_date()
        self._rows: dict[tuple[str, str], dict[str, Any]] = {}
        self.spent = Decimal(0)
        for entry in entries:
            if entry.usage is not None:
                self._add(entry)

    def _add(self, entry: Entry) -> None:
        row = self._rows.setdefault((entry.provider, entry.model), {"calls": 0, "usage": Usage(), "live": Decimal(0)})
        row["calls"] += 1
        row["usage"] = Usage(*(getattr(row["usage"], f.name) + getattr(entry.usage, f.name) for f in fields(Usage)))
        amount = self._cost(entry)
        row["live"] = None if amount is None or row["live"] is None else row["live"] + amount
        if entry.source is not None and entry.source.kind == "live" and amount:
            self.spent += amount

    def _cost(self, entry: Entry) -> Decimal | None:
        if entry.provider == "compatible":
            return Decimal(0)
        try:
            return cost(entry.usage, entry.model, entry.provider, on=self.date, batch=entry.batch, tier=entry.tier)
        except (UnknownPrice, ValueError):  # a server may state a usage that makes no sense
            return None

    @property
    def live(self) -> Decimal | None:
        """What all these calls cost, or would cost, from the real providers. None when a price is unknown."""
        amounts = [row["live"] for row in self._rows.values()]
        return None if None in amounts else sum(amounts, Decimal(0))

    def _table(self) -> list[tuple[str, ...]]:
        rows = []
        for (provider, model), row in self._rows.items():
            used = row["usage"]
            counts = (row["calls"], used.input_tokens, used.cache_read_tokens, used.output_tokens)
            rows.append((provider, model, *(f"{count:,}" for count in counts), dollars(row["live"])))
        return rows

    def _total(self) -> str:
        return f"Spent: {dollars(self.spent)}. The same calls live, at the prices of {self.date}: {dollars(self.live)}."

    COLUMNS = ("provider", "model", "answered", "input", "of which cached", "output", "live")

    def __str__(self) -> str:
        return "\n".join([*("  ".join(row) for row in (self.COLUMNS, *self._table())), self._total()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return page.table(self.COLUMNS, self._table(), self._total())


def dollars(amount: Decimal | None) -> str:
    """USD with as many places as a small amount needs; 'unknown' for None."""
    if amount is None:
        return "unknown"
    if amount == 0 or abs(amount) >= 1:
        return f"{amount:,.2f} USD"
    # Six places, and below a hundred-thousandth as many as three digits need.
    places = 6 if amount.adjusted() >= -5 else 2 - amount.adjusted()
    digits = f"{amount:.{places}f}"
    return f"{digits.rstrip('0') if places > 6 else digits} USD"


# ---- looking up --------------------------------------------------------------
def _provider(model: str, provider: str | None) -> str:
    """The provider of a model of the course's table: genai-prices itself would match a lookalike by its beginning."""
    if provider not in (None, "compatible", *PROVIDERS):
        raise UnknownPrice(f"there is no provider {provider!r}; there are {', '.join(PROVIDERS)}")
    try:
        provider = models.get(model, provider).provider
    except models.UnknownModel as error:
        raise UnknownPrice(str(error)) from None
    if provider == "compatible":
        raise UnknownPrice(f"{model} runs on a server of your own: it has no price per token, only the price of the machine")
    return provider


def _day(on: date | str | None) -> date:
    """The day that was given; the date of the course's facts where none was."""
    if on is None:
        return models.facts_date()
    if isinstance(on, datetime):
        return on.date()
    try:
        return on if isinstance(on, date) else date.fromisoformat(on)
    except (TypeError, ValueError):
        raise ValueError(f"on is {on!r}: give a date, or text such as '2026-11-23'") from None


def _count(name: str, value: Any) -> int:
    """A whole number of 0 or more, numpy's too."""
    try:
        count = -1 if isinstance(value, bool) else index(value)
    except TypeError:
        count = -1
    if count < 0:
        raise ValueError(f"{name} is {value!r}: give a whole number of 0 or more")
    return count


def checked(usage: Usage) -> Usage:
    """A usage that can be, its counts as plain numbers. Raises TypeError for something else, ValueError for counts that make no sense."""
    if not isinstance(usage, Usage):
        kind = f"{type(usage).__module__}.{type(usage).__name__}"
        raise TypeError(f"cost() takes the usage of a Reply or of an entry of course.log(), not a {kind}: for counts of your own there is estimate()")
    usage = Usage(**{field.name: _count(field.name, getattr(usage, field.name)) for field in fields(Usage)})
    if usage.uncached_tokens < 0:
        raise ValueError(f"cached tokens are a part of the input, and are more than its {usage.input_tokens}: {usage}")
    if usage.thinking_tokens > usage.output_tokens:
        raise ValueError(f"thinking tokens are a part of the output, and {usage.thinking_tokens} is more than {usage.output_tokens}")
    return usage


def _own_row(model: str, provider: str, batch: bool, tier: str = "") -> dict[str, Any] | None:
    """The row of a model whose price genai-prices lacks, of models.toml or of litellm's table; for some it lacks the batch price alone."""
    if tier and not batch:
        return None  # no row has the price of a tier
    rows = [*models.table()["price"], *(models.table()["batch_price"] if batch else ())]
    found = models.get(model, provider)
    own = next((row for row in rows if (row["provider"], row["id"]) == (provider, found.id)), None)
    return own or (None if found.is_checked else _row_elsewhere(found, batch))


def _row_elsewhere(model: models.Model, batch: bool) -> dict[str, Any] | None:
    """litellm's price of a model that the course does not have; None where genai-prices has one. On Bedrock litellm's comes first: it has a row for each profile."""
    if model.provider != "bedrock" and _has_price(model, batch):
        return None
    row = other_models.price(model.provider, model.id, batch=batch)
    return row and {**row, "date": models.table()["date"], "source": row["source"] + UNCHECKED}


def _has_price(model: models.Model, batch: bool) -> bool:
    try:
        _calculate(Usage(input_tokens=1), model.id, model.provider, models.facts_date(), batch)
    except UnknownPrice:
        return False
    return True


def _own_price(row: dict[str, Any], batch: bool, prompt_tokens: int = 0) -> Price:
    """The price in a row of models.toml: a batch at half of it, every token of a long prompt's call at more."""
    rates = {name: Decimal(row[name]) if name in row else None for name in ("input", "output", "cache_read", "cache_write", "cache_write_1h")}
    long = row.get("long_prompt")
    dearer = long is not None and prompt_tokens > long["above"]
    half = Decimal("0.5") if batch and not row.get("batch") else Decimal(1)  # a row for batches has their price as it is
    factors = {name: half * Decimal(long["output" if name == "output" else "input"]) if dearer else half for name in rates}
    return Price(
        **{name: rate and rate * factors[name] for name, rate in rates.items()},
        above=long["above"] if long and not dearer else None,
        date=date.fromisoformat(row["date"]),
        source=row["source"],
    )


def _storage(model: str, provider: str, on: date) -> Decimal | None:
    """The price of an hour in an explicit cache on a day, which genai-prices has no unit for."""
    id = models.get(model, provider).id
    rows = [row for row in models.table()["storage_price"] if (row["provider"], row["id"]) == (provider, id)]
    days = [row for row in rows if row.get("from", "") <= on.isoformat() <= row.get("until", "9999")]
    return Decimal(days[0]["hour"]) if days else None


def _calculate(usage: Usage, model: str, provider: str, on: date, batch: bool, tier: str = "") -> PriceCalculation:
    try:
        import genai_prices
    except ImportError:
        raise UnknownPrice(f"the price of {model} is not known: genai-prices, which has the prices, is not installed") from None

    moment = datetime.combine(on, time(12), UTC)
    counted = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens + usage.cache_write_1h_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_tokens=usage.output_tokens,
        **({"web_searches": usage.searches} if usage.searches else {}),
    )
    context = {"processing": "batch"} if batch else {"service_tier": tier} if tier else None
    try:
        found = genai_prices.calc_price(counted, model, provider_id=PROVIDERS[provider], genai_request_timestamp=moment, price_context=context)
    except LookupError:
        raise UnknownPrice(f"no {tier and tier + ' '}price is known for {model} from {provider}: look it up, and add it to helpers/models.toml with its date") from None
    if not found.model_price.input_mtok:  # free, as it says of some, or not stated: nobody is told that a call costs 0
        raise UnknownPrice(f"genai-prices states no price per token for {model} from {provider}")
    if context and not _has_variant(found, context, moment):
        raise UnknownPrice(f"no {'batch' if batch else tier} price is known for {model} from {provider} on {on}")
    return found


def _has_variant(found: PriceCalculation, context: dict[str, str], moment: datetime) -> bool:
    """Whether genai-prices applied a price for this context: silently, it falls back to the standard one."""
    own = any(found.model is model for model in found.provider.models)
    variants = [v for v in found.model.price_variants or () if v.when == context]
    return own and any(v.constraint is None or v.constraint.active(moment) for v in variants)


def _tier(rate: Any, prompt_tokens: int) -> Decimal:
    """The rate for a prompt of this length; 0 where there is none."""
    return _rate(rate, prompt_tokens) or Decimal(0)


def _rate(rate: Any, prompt_tokens: int) -> Decimal | None:
    """The rate for a prompt of this length, where a rate has tiers by length."""
    if not hasattr(rate, "tiers"):
        return rate
    return next((tier.price for tier in reversed(rate.tiers) if prompt_tokens > tier.start), rate.base)


def _next_tier(rate: Any, prompt_tokens: int) -> int | None:
    """The length above which the next tier begins."""
    return next((tier.start for tier in getattr(rate, "tiers", ()) if prompt_tokens <= tier.start), None)
