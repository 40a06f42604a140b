"""All dialects, one row each. A new provider is one folder beside this file and one row here."""

from __future__ import annotations

from collections.abc import Callable

from helpers.gateway.dialects.anthropic.dialect import Anthropic
from helpers.gateway.dialects.azure import Azure
from helpers.gateway.dialects.bedrock.dialect import Bedrock
from helpers.gateway.dialects.compatible import Compatible
from helpers.gateway.dialects.gemini.compatible import GeminiCompatible
from helpers.gateway.dialects.gemini.dialect import Gemini
from helpers.gateway.dialects.openai.dialect import OpenAI
from helpers.gateway.wire import Dialect

DIALECTS: tuple[Callable[[], Dialect], ...] = (OpenAI, Azure, Anthropic, GeminiCompatible, Gemini, Bedrock, Compatible)
