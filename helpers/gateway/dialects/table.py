"""All dialects, one row each. A new provider is one file beside this one and one row here."""

from __future__ import annotations

from collections.abc import Callable

from helpers.gateway.dialects.anthropic import Anthropic
from helpers.gateway.dialects.azure import Azure
from helpers.gateway.wire import Dialect
from helpers.gateway.dialects.bedrock import Bedrock
from helpers.gateway.dialects.compatible import Compatible
from helpers.gateway.dialects.gemini import Gemini
from helpers.gateway.dialects.openai import OpenAI

DIALECTS: tuple[Callable[[], Dialect], ...] = (OpenAI, Azure, Anthropic, Gemini, Bedrock, Compatible)
