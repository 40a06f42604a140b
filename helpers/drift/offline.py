"""All that can be compared without a key: the gateway with the installed SDKs, and the course's models with other tables."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2

from helpers.drift import asking, catalogue, declared, requests, samples
from helpers.drift.answers import Seen
from helpers.drift.findings import Finding
from helpers.gateway.server import Gateway


def findings() -> list[Finding]:
    """What has moved, first what a learner would notice first."""
    return sorted({*_answers(), *_requests(), *catalogue.findings()}, key=lambda finding: finding.rank)


def _requests() -> Iterator[Finding]:
    for request in requests.all_requests():
        yield from requests.findings(request)


def _answers() -> Iterator[Finding]:
    for seen in _seen():
        yield from (found for found in seen.odd if found.kind == "missing" or found.name not in declared.words(seen.provider))
        yield from requests.unsent(seen.provider, seen.operation, seen.unsent())


def _seen() -> list[Seen]:
    """Every sample, sent to a gateway of its own."""
    found: dict[tuple[str, str], Seen] = {}
    gateway = Gateway(pace=0).start()
    try:
        with httpx2.Client(trust_env=False) as client:
            for sample in samples.all_samples():
                seen = found.setdefault((sample.provider, sample.operation), Seen(sample.provider, sample.operation))
                root = sample.schema()
                for value in asking.ask(client, gateway.base_url, sample):
                    seen.add(value, root, root)
    finally:
        gateway.stop()
    return list(found.values())
