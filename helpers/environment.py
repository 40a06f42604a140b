"""The variables that point every SDK at the gateway, in one process, and those that must not leak into it."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

# Not a key of anybody: the gateway takes any key that is not empty and does not say "invalid".
PLACEHOLDER = "the-gateway-needs-no-key"
AZURE_API_VERSION = "2024-10-21"

# Set in a learner's shell, these would send an SDK elsewhere or add a real credential to a request.
REMOVED = (
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_PROFILE",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_DEFAULT_PROFILE",
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AZURE_OPENAI_AD_TOKEN",
    "GOOGLE_API_KEY",  # it would win over GEMINI_API_KEY
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_GENAI_API_VERSION",
    "GOOGLE_GENAI_USE_ENTERPRISE",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "OPENAI_ADMIN_KEY",
    "OPENAI_CUSTOM_HEADERS",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
)


def variables(base_url: str) -> dict[str, str]:
    """Names and values for a gateway at `base_url`: keys, base URLs, litellm's own names, and no proxy for loopback."""
    return {
        "OPENAI_API_KEY": PLACEHOLDER,
        "OPENAI_BASE_URL": f"{base_url}/openai/v1",
        "OPENAI_API_BASE": f"{base_url}/openai/v1",
        "AZURE_OPENAI_API_KEY": PLACEHOLDER,
        "AZURE_OPENAI_ENDPOINT": f"{base_url}/azure",
        "OPENAI_API_VERSION": AZURE_API_VERSION,
        "ANTHROPIC_API_KEY": PLACEHOLDER,
        "ANTHROPIC_BASE_URL": f"{base_url}/anthropic",
        "ANTHROPIC_API_BASE": f"{base_url}/anthropic",
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
        # Otherwise a setting of the learner's could make boto3 pass over the address above, and call AWS.
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "COMPATIBLE_BASE_URL": f"{base_url}/compatible/v1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def point_sdks_at(base_url: str, environ: MutableMapping[str, str] = os.environ) -> None:
    """Set the variables in this process alone. What the shell holds is overwritten without being read."""
    from helpers.gateway import tokens

    for name in REMOVED:
        environ.pop(name, None)
    # tiktoken would fetch its lists of tokens from the network.
    environ.update(variables(base_url), TIKTOKEN_CACHE_DIR=str(tokens.files()))
