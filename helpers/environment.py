"""The variables that point every SDK at the gateway, in one process, and those that must not leak into it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from helpers import network

# Not a key of anybody: the gateway takes any key that is not empty and does not say "invalid".
PLACEHOLDER = "the-gateway-needs-no-key"
AZURE_API_VERSION = "2025-04-01-preview"  # the last with a date; Responses are not in those before 2025-03-01-preview

# Set in a learner's shell, these would send an SDK elsewhere or add a real credential to a request.
REMOVED = (
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_CONFIG_DIR",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_PROFILE",
    "ANTHROPIC_WORKSPACE_ID",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_PROFILE",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_SESSION_TOKEN",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZURE_AD_TOKEN",
    "AZURE_OPENAI_AD_TOKEN",
    "GOOGLE_API_KEY",  # it would win over GEMINI_API_KEY
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_GENAI_API_VERSION",
    "GOOGLE_GENAI_USE_ENTERPRISE",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "OLLAMA_API_KEY",
    "OPENAI_ADMIN_KEY",
    "OPENAI_CUSTOM_HEADERS",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
)
# In a process of our own, whatever else begins like this goes too: the next release of an SDK will read names that nobody knows yet.
FAMILIES = ("ANTHROPIC_", "AWS_", "AZURE_", "BEDROCK_", "CLOUD_ML_", "GEMINI_", "GOOGLE_", "OPENAI_", "VERTEX")

# What each variable of this process was before `set_aside`, and what that made of it; None where there was none.
_aside: dict[str, tuple[str | None, str | None]] = {}


def variables(base_url: str) -> dict[str, str]:
    """Names and values for a gateway at `base_url`: keys, addresses, litellm's own names, and no proxy for loopback.

    The gateway serves nothing under the addresses of the last group. They keep clients that a vendor's SDK makes from
    the environment alone on this machine, and the gateway's answer says so.
    """
    return {
        "OPENAI_API_KEY": PLACEHOLDER,
        "OPENAI_BASE_URL": f"{base_url}/openai/v1",
        "OPENAI_API_BASE": f"{base_url}/openai/v1",
        "OPENAI_API_TYPE": "openai",  # else calls of the module itself see three providers, and refuse to choose
        "AZURE_OPENAI_API_KEY": PLACEHOLDER,
        "AZURE_OPENAI_ENDPOINT": f"{base_url}/azure",
        "AZURE_API_KEY": PLACEHOLDER,
        "AZURE_API_BASE": f"{base_url}/azure",
        "OPENAI_API_VERSION": AZURE_API_VERSION,
        "AZURE_OPENAI_API_VERSION": AZURE_API_VERSION,  # the same for LangChain.js
        "ANTHROPIC_API_KEY": PLACEHOLDER,
        "ANTHROPIC_BASE_URL": f"{base_url}/anthropic",
        "ANTHROPIC_API_BASE": f"{base_url}/anthropic",
        "ANTHROPIC_BEDROCK_BASE_URL": f"{base_url}/bedrock",
        "ANTHROPIC_FOUNDRY_API_KEY": PLACEHOLDER,
        "ANTHROPIC_FOUNDRY_BASE_URL": f"{base_url}/foundry/anthropic",
        "GEMINI_API_KEY": PLACEHOLDER,
        "GOOGLE_GEMINI_BASE_URL": f"{base_url}/gemini",
        "GEMINI_API_BASE": f"{base_url}/gemini",
        "AWS_ACCESS_KEY_ID": PLACEHOLDER,
        "AWS_SECRET_ACCESS_KEY": PLACEHOLDER,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": f"{base_url}/bedrock",
        "AWS_BEDROCK_RUNTIME_ENDPOINT": f"{base_url}/bedrock",
        "AWS_EC2_METADATA_DISABLED": "true",
        # Otherwise a setting of the learner's could make boto3 pass over the addresses here, and call AWS,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        # or put a word before an address, which would then be looked up in the network.
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "COMPATIBLE_BASE_URL": f"{base_url}/compatible/v1",
        "HOSTED_VLLM_API_BASE": f"{base_url}/compatible/v1",
        "OLLAMA_HOST": f"{base_url}/ollama",
        "OLLAMA_API_BASE": f"{base_url}/ollama",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "NO_PROXY": ",".join(network.LOOPBACK),
        "no_proxy": ",".join(network.LOOPBACK),
        # ---- where nothing is served
        "ANTHROPIC_AWS_BASE_URL": f"{base_url}/anthropic-on-aws",
        "ANTHROPIC_BEDROCK_MANTLE_BASE_URL": f"{base_url}/bedrock-mantle/anthropic",
        "ANTHROPIC_GOOGLE_CLOUD_BASE_URL": f"{base_url}/google-cloud",
        "ANTHROPIC_VERTEX_BASE_URL": f"{base_url}/vertex",
        "AWS_BEDROCK_BASE_URL": f"{base_url}/bedrock-mantle/openai/v1",
        "AWS_ENDPOINT_URL": f"{base_url}/aws",
        "BEDROCK_MANTLE_API_BASE": f"{base_url}/bedrock-mantle/openai/v1",
        "GOOGLE_VERTEX_BASE_URL": f"{base_url}/vertex",
        "VERTEXAI_API_BASE": f"{base_url}/vertex",
        # Google's libraries refuse with this file's name; without it, they ask the network who they are.
        "GOOGLE_APPLICATION_CREDENTIALS": "(no Google account: the course's gateway serves Gemini with an API key alone)",
        "NO_GCE_CHECK": "true",
    }


def foreign(environ: Mapping[str, str]) -> list[str]:
    """The names in an environment that would lead an SDK elsewhere, beside those that `variables` sets."""
    ours = variables("")
    families = (name for name in environ if name.startswith(FAMILIES) and not name.endswith("_LOG"))
    return sorted({*families, *(name for name in REMOVED if name in environ)} - ours.keys())


def point_sdks_at(base_url: str, *, offline: bool = True) -> list[str]:
    """Set the variables in this process alone; the names of those that had a value of the learner's, which SDKs no longer see.

    offline: what is sent to any other machine goes to the gateway, which refuses it; else the learner's proxies and
    certificates are as they were.
    """
    theirs = learners()
    _aside.clear()  # what live mode needs of it has been read: a kernel starts once
    return _apply(changes(base_url, theirs, offline), theirs)


def set_aside(base_url: str, why: str) -> None:
    """The same for an address that refuses everything, and says why, until `point_sdks_at`. `learners` has what was there."""
    theirs = dict(os.environ)
    made = {**changes(base_url, theirs, offline=True), "GOOGLE_APPLICATION_CREDENTIALS": f"({why})"}
    _apply(made, theirs)
    _aside.update({name: (theirs.get(name), value) for name, value in made.items()})


def learners() -> dict[str, str]:
    """The environment as the learner's shell and cells made it, without what `set_aside` did."""
    found = dict(os.environ)
    for name, (before, ours) in _aside.items():
        if found.get(name) == ours:  # else a cell has set it since
            found.pop(name, None)
            if before is not None:
                found[name] = before
    return found


def changes(base_url: str, theirs: Mapping[str, str], offline: bool) -> dict[str, str | None]:
    """What becomes of each variable of an environment that is to lead to a gateway; None where it goes.

    offline: what is sent to any other machine goes to the gateway too; else proxies and certificates stay as they are.
    """
    from helpers.gateway import tokens

    removed = dict.fromkeys(foreign(theirs))
    # tiktoken would fetch its lists of tokens from the network.
    ours = {**variables(base_url), "TIKTOKEN_CACHE_DIR": str(tokens.files())}
    return {**removed, **ours, **(network.closed(base_url, theirs) if offline else network.as_it_was(theirs))}


def _apply(changes: Mapping[str, str | None], theirs: Mapping[str, str]) -> list[str]:
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    return sorted(name for name, value in changes.items() if _is_lost(name, theirs.get(name), value))


def _is_lost(name: str, before: str | None, now: str | None) -> bool:
    if name in network.DIRECT:  # it grows
        return not set(network.entries(before)) <= set(network.entries(now))
    return bool(before) and before not in (now, PLACEHOLDER)
