"""A provider of the simulation from a model that somebody sells: its times and prices are the course's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helpers import costs, models
from helpers.failover.simulation import Provider


def seller(name: str, model: str, provider: str, sizes: Mapping[str, tuple[int, int]], **more: Any) -> Provider:
    """A provider whose answers take as long as the course's pace for the model's tier (models.toml: chosen, not measured), at its price.

    sizes: tokens read and written, by kind of request. more: the other fields of Provider. Prices are in USD, as of the course's facts.
    Raises UnknownPrice for a model without a price.
    """
    pace = models.table()["pace"][models.get(model, provider).tier]
    seconds = {kind: pace["ttft"] + written / pace["tokens_per_second"] for kind, (_, written) in sizes.items()}
    prices = {
        kind: float(costs.estimate(model, provider=provider, input_tokens=read, output_tokens=written).total) for kind, (read, written) in sizes.items()
    }
    return Provider(name, seconds, prices, **more)
