"""What a model that the course did not check takes and refuses: guessed from its family, by its id and by the flags of litellm's table.

These guesses are told in helpers/gateway/DEVIATIONS.md.
"""

from __future__ import annotations

import re
from typing import Any

Row = dict[str, Any]
REGION = re.compile(r"^(us|eu|apac|global|au|jp|ca|in|us-gov)\.")  # of an inference profile of Bedrock's
# What litellm would say of a model of the newest generation, that only genai-prices has.
NEWEST: Row = {
    "max_output_tokens": 128_000,
    "thinking_always_on": True,
    "prompt_cache_min_tokens": 512,
    **{f"supports_{name}": True for name in "xhigh_reasoning_effort max_reasoning_effort reasoning vision function_calling prompt_caching adaptive_thinking output_config mid_conversation_system".split()},
    "supports_sampling_params": False,
}
# The pace of an answer by the words of an id; any other is mid.
TIERS = (
    ("small", {"nano", "mini", "lite", "haiku", "luna", "micro"}),
    ("large", {"opus", "sol", "pro", "premier", "large", "maverick"}),
    ("flagship", {"astra", "fable", "mythos", "argon"}),
    ("open", {"meta", "google", "qwen", "nvidia", "ministral", "gemma"}),
)
# Models of Bedrock's that a profile alone reaches, by the beginning of the bare id.
BY_PROFILE = re.compile(r"anthropic\.|amazon\.nova-(2|premier)|meta\.llama(3-[23]|4)|deepseek\.r1|writer\.palmyra-x|mistral\.pixtral|xai\.|openai\.gpt-[56]|zai\.glm-5\.3")


def row(provider: str, id: str, flags: Row) -> Row:
    """A model as a row of models.toml. `flags` is what a table says of it, in litellm's words."""
    if flags.get("mode") == "embedding":
        sizes = {"context": flags.get("max_input_tokens") or 8192, "dimensions": flags["output_vector_size"]}
        return {"provider": provider, "id": id, "tier": "embedding", "kind": "embedding", "max_output": 0, "source": flags["source"], **sizes}
    common = {
        "provider": provider,
        "id": id,
        "tier": _tier(id),
        "context": int(flags["max_input_tokens"]),
        "max_output": int(flags["max_output_tokens"]),
        "source": flags["source"],
        **_released(id),
    }
    return {**common, **FAMILIES[provider](id, flags)}


def without_region(id: str) -> str:
    """The id of the model behind one of Bedrock's inference profiles; any other as it is."""
    return REGION.sub("", id)


def _tier(id: str) -> str:
    words = set(re.findall("[a-z]+", id))
    return next((tier for tier, names in TIERS if words & names), "mid")


def _released(id: str) -> Row:
    """The day in a dated name."""
    found = re.search(r"-(20\d\d)-?(\d\d)-?(\d\d)(?:-v\d.*)?$", id)
    return {"released": "-".join(found.groups())} if found else {}


def _sees(flags: Row) -> list[str]:
    """By either of litellm's ways to say so: of Llama 4 on Bedrock it has the second alone."""
    return ["images"] if flags.get("supports_vision") or "image" in (flags.get("supported_modalities") or ()) else []


# ---- OpenAI and Azure ----------------------------------------------------------
def _openai(id: str, flags: Row) -> Row:
    """Those that reason think unless they can be told not to. Prompts are cached by blocks, from GPT-5.6 on to the token and for a charge."""
    writes = bool(flags.get("cache_creation_input_token_cost"))
    kept = {"block_tokens": 1, "ttl": "30m", "charges_writes": True} if writes else {"block_tokens": 128, "ttl": "10m"}
    cache = {"cache": {"style": "automatic", "min_tokens": 1024, **kept}} if flags.get("supports_prompt_caching") else {}
    mode = {"responses_only": True} if _has_no_chat(flags) else {}
    if not flags.get("supports_reasoning"):
        return {"accepts": ["stop", *_sees(flags)], **cache, **mode}
    efforts = flags.get("reasoning_effort_levels") or _efforts(flags)
    thinks = "default" if "none" in efforts else "always"
    effort = flags.get("default_reasoning_effort") or ("high" if "-pro" in id else "medium")
    accepts = [*(["stop"] if thinks == "default" else []), *_sees(flags), *_tools(id)]
    return {"thinks": thinks, "efforts": efforts, "effort": effort, "accepts": accepts, **cache, **mode}


def _has_no_chat(flags: Row) -> bool:
    endpoints = flags.get("supported_endpoints")
    return flags.get("mode") == "responses" or bool(endpoints and "/v1/chat/completions" not in endpoints)


def _efforts(flags: Row) -> list[str]:
    """low, medium and high are taken by all that reason, the others where the table says so."""
    taken = {name: flags.get(f"supports_{name}_reasoning_effort") for name in ("none", "minimal", "low", "xhigh", "max")}
    return [name for name in ("none", "minimal", "low", "medium", "high", "xhigh", "max") if taken.get(name, True) or (name == "low" and taken["low"] is None)]


def _tools(id: str) -> list[str]:
    """Functions in chat while it thinks: taken up to GPT-5.1; up to 5.5 unless an effort is named, as users were shown from 5.2 on."""
    found = re.match(r"gpt-(\d+)(?:\.(\d+))?", id)
    generation = (int(found[1]), int(found[2] or 0)) if found else (0, 0)
    return ["tools"] if generation < (5, 2) else ["unasked_tools"] if generation < (5, 6) else []


# ---- Claude ----------------------------------------------------------------------
def _claude(id: str, flags: Row) -> Row:
    """Thinks as the table says; from 4.7 on, where sampling is no longer taken, with the tokenizer of Claude 5."""
    always, by_default = flags.get("thinking_always_on"), flags.get("thinking_on_by_default")
    thinks = "never" if not flags.get("supports_reasoning") else "default" if by_default else "always" if always else "optional"
    adapts, samples = flags.get("supports_adaptive_thinking"), flags.get("supports_sampling_params") is not False
    takes = {
        "adaptive": adapts,
        "budget": thinks == "optional" and (not adapts or flags.get("supports_legacy_thinking")),
        "effort": flags.get("supports_output_config"),
        "sampling": samples,
        "system": flags.get("supports_mid_conversation_system"),
        "prefill": flags.get("supports_assistant_prefill"),
    }
    efforts = ["low", "medium", "high", *(name for name in ("xhigh", "max") if flags.get(f"supports_{name}_reasoning_effort"))] if takes["effort"] else []
    return {
        "thinks": thinks,
        "efforts": efforts,
        "token_ratio": 1.0 if samples else 1.3,
        "accepts": [*_sees(flags), *(name for name, taken in takes.items() if taken)],
        "cache": {"style": "blocks", "min_tokens": flags.get("prompt_cache_min_tokens", 1024), "charges_writes": True},
    }


# ---- Gemini ----------------------------------------------------------------------
def _gemini(id: str, flags: Row) -> Row:
    """Pro models always think, Flash unless told not to, 2.5 Flash-Lite when told to; 2.5 by a budget, later ones by a level."""
    smallest = flags.get("prompt_cache_min_tokens") or (1024 if id.startswith("gemini-2.") else 4096)
    cache = {"cache": {"style": "automatic", "min_tokens": int(smallest), "block_tokens": 1, "ttl": "5m"}} if flags.get("supports_prompt_caching") else {}
    samples = [] if flags.get("supports_sampling_params") is False else ["temperature"]
    common = {"accepts": ["stop", *_sees(flags), *samples], **cache}
    if not flags.get("supports_reasoning"):
        return common
    before = id.startswith("gemini-2.")
    always = "-pro" in id or id.startswith("gemini-4")
    least = [] if always or flags.get("supports_minimal_reasoning_effort") is False else ["none", "minimal"] if before else ["minimal"]
    thinks = "always" if always else "optional" if before and "lite" in id else "default"
    usual = "minimal" if "lite" in id and not before else "high" if re.match(r"gemini-3(\.1)?-", id) else "medium"
    return {**common, "thinks": thinks, "efforts": [*least, "low", "medium", "high"], "effort": usual}


# ---- Bedrock ---------------------------------------------------------------------
def _bedrock(id: str, flags: Row) -> Row:
    """Claude as at Anthropic. Of the other makers' models none thinks here and nothing is cached; Nova and Mistral take a last turn of their own."""
    bare = without_region(id)
    profile = {"profile_only": True} if bare == id and BY_PROFILE.match(id) else {}
    if bare.startswith("anthropic."):
        name = re.sub(r"-v\d+(:\d+)?$", "", bare.removeprefix("anthropic."))
        return {**_claude(name, flags), **profile, "served_as": name}
    prefill = ["prefill"] if bare.startswith(("amazon.nova", "mistral.")) else []
    tools = ["tools"] if flags.get("supports_function_calling") else []
    sees = ["images"] if "pixtral" in bare else _sees(flags)  # recorded with Pixtral Large in 2026; no table says so
    return {"accepts": [*sees, *prefill, *tools], **profile}


FAMILIES = {"openai": _openai, "azure": _openai, "anthropic": _claude, "gemini": _gemini, "bedrock": _bedrock}
