"""Paths to which a client's own way of making an address from the printed variables leads, and those that are meant."""

from __future__ import annotations

import re

DETOURS = (
    # openai-node's AzureOpenAI takes OPENAI_BASE_URL before AZURE_OPENAI_ENDPOINT (openai 7.59.0, 2026-11-28).
    (re.compile("/openai/v1(?=/deployments/)"), "/azure/openai"),
    # The AI SDK adds /v1 to the address of Anthropic's own host alone (@ai-sdk/anthropic 4.0.105, 2026-11-28).
    (re.compile("/anthropic(?=/(messages|models|files|skills)(/|$))"), "/anthropic/v1"),
)


def straight(path: str) -> str:
    """The path that is meant; most are meant as they are."""
    for lead, instead in DETOURS:
        if found := lead.match(path):
            return instead + path[found.end() :]
    return path
