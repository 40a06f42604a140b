"""All dialects, one row each. A new provider is one folder beside this file and one row here; a compatible server one file under servers/."""

from __future__ import annotations

from collections.abc import Callable

from helpers.gateway.dialects.anthropic.compatible import AnthropicCompatible
from helpers.gateway.dialects.anthropic.dialect import Anthropic
from helpers.gateway.dialects.azure.dialect import Azure
from helpers.gateway.dialects.azure.foundry import Foundry
from helpers.gateway.dialects.bedrock.dialect import Bedrock
from helpers.gateway.dialects.compatible import Compatible
from helpers.gateway.dialects.gemini.compatible import GeminiCompatible
from helpers.gateway.dialects.gemini.dialect import Gemini
from helpers.gateway.dialects.openai.dialect import OpenAI
from helpers.gateway.dialects.servers.llamacpp import LlamaCpp
from helpers.gateway.dialects.servers.ollama import Ollama
from helpers.gateway.dialects.servers.ollama_native import OllamaNative
from helpers.gateway.dialects.servers.sglang import SGLang
from helpers.gateway.dialects.servers.tgi import TGI
from helpers.gateway.wire import Dialect

# Of two whose mounts begin alike, the longer one stands first.
DIALECTS: tuple[Callable[[], Dialect], ...] = (
    OpenAI, Azure, Foundry, AnthropicCompatible, Anthropic, GeminiCompatible, Gemini, Bedrock, Compatible, OllamaNative, Ollama, TGI, SGLang, LlamaCpp,
)  # fmt: skip
