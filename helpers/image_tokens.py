"""How many input tokens an image makes, by its size in pixels and the model that is to see it.

OpenAI counts patches of 32 x 32 pixels for GPT-6, tiles of 512 x 512 for GPT-4o; Anthropic patches of 28 x 28, after it
has made the image smaller. These are the rules of litellm 1.110.2, with which a test compares them; of GPT-6 it knows one
model, and the others are taken to count alike. Google counts up to 1,120 tokens an image for Gemini 3 and later, tiles of
768 x 768 before (its pages on media resolution and on tokens, as quoted in public in 2026).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from math import ceil, floor

from helpers.models import Model


def image_tokens(model: Model, width: int, height: int) -> int:
    """Input tokens of one image of width x height pixels at the provider's default detail; at most, for Gemini 3.

    Raises ValueError for a size that makes no sense, for a model that sees no images, and for one whose rule is not known.
    """
    if width < 1 or height < 1:
        raise ValueError(f"an image of {width} x {height} pixels has no size")
    if "images" not in model.accepts:
        raise ValueError(f"{model.id} sees no images")
    rule = next((rule for start, rule in RULES.items() if start in model.id), None)
    if rule is None:
        raise ValueError(f"how many tokens an image makes for {model.id} is not known: count them, and add them to input_tokens")
    return rule(width, height)


def _patches(width: int, height: int) -> int:
    """Patches of 32 x 32 pixels, times 1.2."""
    return ceil(round(ceil(width / 32) * ceil(height / 32) * 1.2, 6))


def _claude(longest: int, most: int) -> Callable[[int, int], int]:
    """Patches of 28 x 28 pixels. An image is made smaller until its long edge and its tokens are within bounds."""

    def tokens(width: int, height: int) -> int:
        long, short = max(width, height), min(width, height)

        def at(edge: int) -> int:
            return ceil(edge / 28) * ceil(max(round(edge * short / long), 1) / 28)

        return at(max(1, bisect_right(range(1, min(long, longest) + 1), most, key=at)))

    return tokens


def _tiles(base: int, tile: int) -> Callable[[int, int], int]:
    """An image is fitted into 2,048 x 2,048 pixels, then its short edge to 768; each tile that it then covers is counted."""

    def tokens(width: int, height: int) -> int:
        scale = min(1.0, 2048 / max(width, height), 768 / min(width, height))
        return base + tile * ceil(max(1, floor(width * scale)) / 512) * ceil(max(1, floor(height * scale)) / 512)

    return tokens


def _gemini_tiles(width: int, height: int) -> int:
    return 258 if max(width, height) <= 384 else 258 * ceil(width / 768) * ceil(height / 768)


# The first name that a model's id contains decides.
RULES: dict[str, Callable[[int, int], int]] = {
    "gpt-6": _patches,
    "gpt-4o-mini": _tiles(2833, 5667),
    "gpt-4o": _tiles(85, 170),
    "claude-haiku-4": _claude(1568, 1568),
    "claude-sonnet-4": _claude(1568, 1568),
    "claude-opus-4-5": _claude(1568, 1568),
    "claude-opus-4-6": _claude(1568, 1568),
    "claude-": _claude(2576, 4784),  # from 4.7 on
    "gemini-2": _gemini_tiles,
    "gemini-": lambda width, height: 1120,
}
