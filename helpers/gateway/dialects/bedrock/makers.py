"""Whose model an id of Bedrock's names, by itself or through the inference profile of a part of the world."""

from __future__ import annotations

from helpers.model_families import without_region
from helpers.models import Model


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


def _is_of(model: Model, beginning: str) -> bool:
    return without_region(model.id).startswith(beginning)
