"""Whose model an id of Bedrock's names, by itself or through the profile of a part of the world."""

from __future__ import annotations

from helpers.models import Model


def is_claude(model: Model) -> bool:
    return "anthropic." in model.id


def is_llama(model: Model) -> bool:
    return "meta.llama" in model.id


def is_nova(model: Model) -> bool:
    return "amazon.nova" in model.id


def is_mistral(model: Model) -> bool:
    return model.id.startswith("mistral.")


def is_titan(model: Model) -> bool:
    return model.id.startswith("amazon.titan-embed")


def is_cohere(model: Model) -> bool:
    return "cohere." in model.id
