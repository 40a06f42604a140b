"""Whose model an id of Bedrock's names, by itself or through the inference profile of a part of the world."""

from __future__ import annotations

import re

from helpers.model_families import without_region
from helpers.models import Model

# Who fits an answer to a schema: recordings of pydantic-ai of 2026, what users tried (2026-07 to 2026-09), and for the rest AWS's
# documents as models.dev had them on 2026-07-02. The others of these makers, Nova, Llama and Writer were refused, or are not named there.
FITS_SCHEMAS = re.compile(
    r"anthropic\.|deepseek\.v3|google\.gemma-3-(12|27)b|minimax\.|mistral\.(devstral-2|magistral|ministral-3|mistral-large-3|voxtral)"
    r"|moonshot(ai)?\.|nvidia\.|openai\.|qwen\.|zai\."
)
# Who looks at an image in a tool's result: tried by users in 2026-09, and by pydantic-ai; GPT, Pixtral, Kimi and Qwen refused it.
SEES_RESULTS = re.compile(r"anthropic\.|amazon\.nova|meta\.llama")
# Whose conversation may start with a turn of the assistant's: recorded with Claude, the others tried by pydantic-ai on 2026-07-03.
STARTS = re.compile(r"anthropic\.|moonshot(ai)?\.|qwen\.|zai\.")


def is_claude(model: Model) -> bool:
    return _is_of(model, "anthropic.")


def is_llama(model: Model) -> bool:
    return _is_of(model, "meta.llama")


def is_nova(model: Model) -> bool:
    return _is_of(model, "amazon.nova")


def is_mistral(model: Model) -> bool:
    return _is_of(model, "mistral.")


def is_titan(model: Model) -> bool:
    return _is_of(model, "amazon.titan-embed")


def is_cohere(model: Model) -> bool:
    return _is_of(model, "cohere.")


def may_start(model: Model) -> bool:
    """Whether a conversation with it may start with a turn of its own."""
    return STARTS.match(without_region(model.id)) is not None


def fits_schemas(model: Model) -> bool:
    """Whether it takes outputConfig.textFormat."""
    return FITS_SCHEMAS.match(without_region(model.id)) is not None


def sees_results(model: Model) -> bool:
    """Whether it takes an image in a tool's result, if it takes images at all."""
    return SEES_RESULTS.match(without_region(model.id)) is not None


def _is_of(model: Model, beginning: str) -> bool:
    return without_region(model.id).startswith(beginning)
