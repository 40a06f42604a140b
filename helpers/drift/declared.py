"""What DEVIATIONS.md says of a provider: what it names is known to differ, and is no finding."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

DEVIATIONS = Path(__file__).parents[1] / "gateway/DEVIATIONS.md"
# The provider's own part, beside the one that holds for all.
PARTS = {"openai": "OpenAI", "anthropic": "Anthropic", "gemini": "Google Gemini", "bedrock": "AWS Bedrock"}


@cache
def words(provider: str) -> frozenset[str]:
    """Every word of the parts of the file that hold for a provider."""
    parts = re.split(r"^## ", DEVIATIONS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    ours = [part for part in parts if part.startswith(("All providers\n", f"{PARTS[provider]}\n"))]
    if len(ours) != 2:
        raise LookupError(f"{DEVIATIONS} has no part for {provider}")
    return frozenset(re.findall(r"\w+", "".join(ours)))
