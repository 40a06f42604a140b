"""What the playground asks, and the code that asks it with the provider's own SDK: what is shown is what is run.

Which parameters a model takes follows the refusals that tests/test_playground.py gets from the gateway, and models.toml.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from helpers import models
from helpers.models import Model

CLAUDE_EFFORTS = ("low", "medium", "high", "xhigh", "max")  # anthropic 2.14.0, types/output_config_param.py
NEEDS_NONE = "taken only where the effort is none"
REFUSED = "this model does not take it"
IGNORED = "this model passes over it"


@dataclass(frozen=True)
class Wish:
    """What is to be asked. max_tokens counts output tokens, thoughts included; empty and None mean: as the provider has it."""

    prompt: str
    system: str = ""
    max_tokens: int = 1000
    effort: str = ""
    temperature: float | None = None
    stop: str = ""


def efforts(model: Model) -> tuple[str, ...]:
    """The words for how much a model is to think that it can be told here."""
    if model.provider == "anthropic" and model.thinks in ("default", "always"):
        return CLAUDE_EFFORTS
    return model.efforts if model.provider in ("openai", "azure", "gemini") else ()


def fitted(model: Model, wish: Wish) -> tuple[Wish, dict[str, str]]:
    """The wish without what this model does not take, and why each of these was left out."""
    without = {}
    if wish.effort and wish.effort not in efforts(model):
        without["effort"] = f"it takes {', '.join(efforts(model))}" if efforts(model) else REFUSED
    if wish.temperature is not None and (reason := _no_temperature(model, "" if "effort" in without else wish.effort)):
        without["temperature"] = reason
    if wish.stop and model.provider in ("openai", "azure", "gemini", "compatible") and "stop" not in model.accepts:
        without["stop"] = REFUSED
    return replace(wish, **{name: Wish("").__dict__[name] for name in without}), without


def taken(model: Model) -> str:
    """The parameters that a model takes here, in words."""
    words = ["limit"]
    if efforts(model):
        words.append(f"effort ({', '.join(efforts(model))})")
    reason = _no_temperature(model, "")
    if reason in ("", NEEDS_NONE):
        words.append("temperature" + (" where the effort is none" if reason else ""))
    if "stop" not in fitted(model, Wish("", stop="-"))[1]:
        words.append("stop")
    return ", ".join(words)


def _no_temperature(model: Model, effort: str) -> str:
    """Why a temperature is left out; nothing where it is taken."""
    if model.provider in ("openai", "azure") and model.thinks != "never":
        if "none" not in model.efforts:
            return REFUSED
        return "" if effort == "none" else NEEDS_NONE
    if model.provider == "gemini" and "temperature" not in model.accepts:
        return IGNORED
    newer_claude = "claude" in model.id and model.thinks in ("default", "always")
    return REFUSED if model.provider == "anthropic" or newer_claude else ""


def code(model: Model, wish: Wish) -> str:
    """A program that asks the model with its provider's SDK, prints the answer as it comes, and leaves the counts in `usage`.

    What the model does not take is left out: see `fitted`.
    """
    wish, _ = fitted(model, wish)
    return _WRITERS[model.provider](model, wish).strip()


OPENAI_LOOP = """
for chunk in stream:
    if chunk.usage:
        usage = chunk.usage
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
"""


def _openai(model: Model, wish: Wish, begin: str = "from openai import OpenAI\n\nclient = OpenAI()", limit: str = "max_completion_tokens") -> str:
    system = [{"role": "system", "content": wish.system}] if wish.system else []
    more = _given(reasoning_effort=wish.effort, temperature=wish.temperature, stop=[wish.stop] if wish.stop else None)
    fields = {"model": model.id, "messages": [*system, {"role": "user", "content": wish.prompt}], limit: wish.max_tokens, **more}
    return f"{begin}\n{_call('stream = client.chat.completions.create', **fields, stream=True, stream_options={'include_usage': True})}{OPENAI_LOOP}"


def _azure(model: Model, wish: Wish) -> str:
    return _openai(model, wish, "from openai import AzureOpenAI\n\nclient = AzureOpenAI()")


def _compatible(model: Model, wish: Wish) -> str:
    begin = 'import os\n\nfrom openai import OpenAI\n\nclient = OpenAI(base_url=os.environ["COMPATIBLE_BASE_URL"], api_key="not-needed")'
    return _openai(model, wish, begin, "max_tokens")


ANTHROPIC_LOOP = """
    for text in stream.text_stream:
        print(text, end="", flush=True)
    usage = stream.get_final_message().usage
"""


def _anthropic(model: Model, wish: Wish) -> str:
    effort = {"effort": wish.effort} if wish.effort else None
    more = _given(system=wish.system, output_config=effort, stop_sequences=[wish.stop] if wish.stop else None)
    call = _call("with client.messages.stream", model=model.id, max_tokens=wish.max_tokens, **more, messages=[{"role": "user", "content": wish.prompt}])
    return f"from anthropic import Anthropic\n\nclient = Anthropic()\n{call} as stream:{ANTHROPIC_LOOP}"


GEMINI_LOOP = """
for chunk in stream:
    usage = chunk.usage_metadata
    print(chunk.text or "", end="", flush=True)
"""


def _gemini(model: Model, wish: Wish) -> str:
    thinking = {"thinking_budget": 0} if wish.effort == "none" else {"thinking_level": wish.effort} if wish.effort else None
    config = _given(
        system_instruction=wish.system,
        max_output_tokens=wish.max_tokens,
        temperature=wish.temperature,
        thinking_config=thinking,
        stop_sequences=[wish.stop] if wish.stop else None,
    )
    call = _call("stream = client.models.generate_content_stream", model=model.id, contents=wish.prompt, config=config)
    return f"from google import genai\n\nclient = genai.Client()\n{call}{GEMINI_LOOP}"


BEDROCK_LOOP = """
for event in answer["stream"]:
    if "contentBlockDelta" in event:
        print(event["contentBlockDelta"]["delta"].get("text", ""), end="", flush=True)
    if "metadata" in event:
        usage = event["metadata"]["usage"]
"""


def _bedrock(model: Model, wish: Wish) -> str:
    config = _given(maxTokens=wish.max_tokens, temperature=wish.temperature, stopSequences=[wish.stop] if wish.stop else None)
    more = {"system": [{"text": wish.system}]} if wish.system else {}
    messages = [{"role": "user", "content": [{"text": wish.prompt}]}]
    call = _call("answer = client.converse_stream", modelId=model.id, **more, messages=messages, inferenceConfig=config)
    region = ', region_name="eu-central-1"' if model.id.startswith("eu.") else ""  # elsewhere such a profile is not known
    return f'import boto3\n\nclient = boto3.client("bedrock-runtime"{region})\n{call}{BEDROCK_LOOP}'


_WRITERS = {"openai": _openai, "azure": _azure, "compatible": _compatible, "anthropic": _anthropic, "gemini": _gemini, "bedrock": _bedrock}


def _given(**fields: Any) -> dict[str, Any]:
    """Those that were wished for."""
    return {name: value for name, value in fields.items() if value not in ("", None)}


def _call(name: str, **fields: Any) -> str:
    lines = "".join(f"    {field}={_literal(value, 1)},\n" for field, value in fields.items())
    return f"{name}(\n{lines})"


def _literal(value: Any, depth: int) -> str:
    """A value as Python, a dictionary or a list of several with one of them a line."""
    if isinstance(value, str):
        return re.sub("[\x7f-\x9f\u2028\u2029\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
    if not isinstance(value, dict | list):
        return repr(value)
    named = isinstance(value, dict)
    parts = [f"{_literal(key, 0)}: {_literal(item, depth + 1)}" for key, item in value.items()] if named else [_literal(item, depth + 1) for item in value]
    left, right = "{}" if named else "[]"
    if len(parts) < 2 or all(isinstance(item, str) for item in value) and named and depth > 1:
        return f"{left}{', '.join(parts)}{right}"
    inner = "    " * (depth + 1)
    return f"{left}\n" + "".join(f"{inner}{part},\n" for part in parts) + f"{'    ' * depth}{right}"


def known(name: str) -> Model:
    """A model by its id, or by provider/id where several providers have it. Raises UnknownModel."""
    provider, _, id = name.partition("/")
    return models.get(id, provider) if provider in models.table()["default"] and id else models.get(name)
