"""The findings as a page: grouped by what a learner would notice, each kind with its providers, first what matters most."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from importlib.metadata import version
from itertools import groupby

from helpers import models
from helpers.drift.findings import KINDS, Finding

PACKAGES = ("openai", "anthropic", "google-genai", "botocore", "genai-prices", "litellm")


def page(findings: Iterable[Finding], asked: Iterable[str] = ()) -> str:
    """The page in Markdown. `asked`: the providers that were really asked."""
    ordered = sorted(findings, key=lambda finding: finding.rank)
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    live = ", ".join(asked) or "none, as no key was given"
    head = [
        "# Drift",
        f"What has moved away from what, on {date.today()}: the gateway from the types of the installed SDKs, and helpers/models.toml (facts of {models.facts_date()}) from other tables. "
        "What helpers/gateway/DEVIATIONS.md names is left out, and what a dialect looks at is judged by the words in its source. The first parts are those that a learner would notice first.",
        f"Compared with {versions}. Providers that were asked: {live}.",
    ]
    kinds = [_part(kind, list(found)) for kind, found in groupby(ordered, key=lambda finding: finding.kind)]
    return "\n\n".join([*head, *(kinds or ["Nothing has moved."])]) + "\n"


def _part(kind: str, findings: list[Finding]) -> str:
    lines: dict[tuple[str, str, str], list[str]] = {}
    for finding in findings:
        lines.setdefault((finding.provider, finding.name, finding.says), []).append(finding.where)
    rows = [_row(provider, name, says, places) for (provider, name, says), places in lines.items()]
    return "\n".join([f"## {KINDS[kind]} ({len(rows)})", "", *rows])


def _row(provider: str, name: str, says: str, places: list[str]) -> str:
    """What is the same field in several places, mostly by one change of a provider's, is told once."""
    shortest = min(places, key=len)
    where = f"`{shortest}`" if len(places) == 1 else f"`{name}`, in {len(places)} places, such as `{shortest}`"
    return f"- {provider}: {where}" + (f": {says}" if says else "")
