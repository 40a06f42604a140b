"""What vLLM 0.32.0 takes for the input of a response, and the chat that it makes of it: its request model and utilities, read in its source.

Each item becomes a message of a chat, or a part of the assistant's message before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from helpers.gateway.dialects import vllm
from helpers.gateway.exchange import Refusal

Json = dict[str, Any]
ROLES = ("user", "assistant", "system", "developer")
GIVEN = ("input_text", "input_image", "input_file")
SAID = ("output_text", "refusal")
# The field of a part that says something.
WORDS = {**dict.fromkeys(("input_text", "output_text", "summary_text", "reasoning_text"), "text"), "refusal": "refusal"}
UNFINISHED = ("in_progress", "incomplete")
# Items of tools that OpenAI runs, and of its own state: known to the SDK whose types vLLM reads them with, and to no chat.
UNSERVED = (
    *("file_search_call", "computer_call", "computer_call_output", "web_search_call", "tool_search_call", "tool_search_output", "additional_tools"),
    *("configuration_update", "compaction", "compaction_trigger", "image_generation_call", "code_interpreter_call", "local_shell_call"),
    *("local_shell_call_output", "shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output", "mcp_list_tools"),
    *("mcp_approval_request", "mcp_approval_response", "mcp_call", "item_reference", "program", "program_output"),
)


# ---- checking ----------------------------------------------------------------
def check(given: Any) -> None:
    """Raise a Refusal for an input that is none. Of all that pydantic says of a wrong item the first error is that the input is no text."""
    if not isinstance(given, str) and not (isinstance(given, list) and all(map(_is_item, given))):
        raise Refusal("wrong_type", param="input", expected="string")


def _is_item(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    kind = item.get("type", "message")
    return isinstance(kind, str) and (kind in UNSERVED or (kind in KINDS and KINDS[kind](item)))


def _is_message(item: Json) -> bool:
    content = item.get("content")
    kinds = (*GIVEN, *SAID) if item.get("role") == "assistant" and "type" in item else GIVEN
    return item.get("role") in ROLES and (isinstance(content, str) or _are_parts(content, kinds))


def _are_parts(content: Any, kinds: tuple[str, ...]) -> bool:
    return isinstance(content, list) and all(_is_part(part, kinds) for part in content)


def _is_part(part: Any, kinds: tuple[str, ...]) -> bool:
    kind = part.get("type") if isinstance(part, dict) else None
    return kind in kinds and (kind not in WORDS or isinstance(part.get(WORDS[kind]), str))


def _is_thought(item: Json) -> bool:
    content, hidden = item.get("content"), item.get("encrypted_content")
    is_said = content is None or _are_parts(content, ("reasoning_text",))
    return is_said and _are_parts(item.get("summary"), ("summary_text",)) and isinstance(hidden, str | None)


def _is_output(item: Json) -> bool:
    output, id = item.get("output"), item.get("call_id")
    return (isinstance(output, str) or _are_parts(output, GIVEN)) and isinstance(id, str | None)


def _has(*names: str) -> Callable[[Json], bool]:
    return lambda item: all(isinstance(item.get(name), str) for name in names)


KINDS: dict[str, Callable[[Json], bool]] = {
    "message": _is_message,
    "reasoning": _is_thought,
    "function_call": _has("call_id", "name", "arguments"),
    "custom_tool_call": _has("call_id", "name", "input"),
    "function_call_output": _is_output,
    "custom_tool_call_output": _is_output,
}


# ---- the chat ----------------------------------------------------------------
def goes_on(given: str | list[Json]) -> bool:
    """Whether the last message of an input that was checked is one that the model is to go on with."""
    last = given[-1] if given and isinstance(given, list) else {}
    return last.get("type", "message") in ("message", "reasoning") and last.get("status") in UNFINISHED


def chat(instructions: str | None, given: str | list[Json]) -> list[Json]:
    """The chat of an input that was checked. Raises Refusal for items that no chat has."""
    system = [{"role": "system", "content": instructions}] if instructions else []
    if isinstance(given, str):
        return [*system, {"role": "user", "content": given}]
    said: list[Json] = []
    for item in given:
        _add(said, item)
    if not system and not said:
        raise vllm.invalid("Cannot apply chat template to an empty conversation. Provide at least one message.")
    return [*system, *said]


def _add(said: list[Json], item: Json) -> None:
    kind = item.get("type", "message")
    match kind:
        case "function_call":
            _call(said, item, item["arguments"])
        case "custom_tool_call":
            _call(said, item, json.dumps({"input": item["input"]}, ensure_ascii=False))
        case "function_call_output" | "custom_tool_call_output":
            said.append({"role": "tool", "content": item["output"], "tool_call_id": item.get("call_id")})
        case "reasoning":
            if item.get("encrypted_content"):
                raise vllm.invalid("Encrypted content is not supported.", "input")
            _say(said, "reasoning", _first_text(item.get("content") or item["summary"]))
        case "message" if item["role"] == "assistant":
            _say(said, "content", _first_text(item["content"]))
        case "message":
            said.append({"role": item["role"], "content": item["content"]})
        case _:
            raise vllm.invalid(f"Unsupported input item type: {kind}", "input")


def _call(said: list[Json], item: Json, arguments: str) -> None:
    """A call belongs to the assistant's message before it."""
    call = {"id": item["call_id"], "type": "function", "function": {"name": item["name"], "arguments": arguments}}
    if said and said[-1]["role"] == "assistant":
        said[-1].setdefault("tool_calls", []).append(call)
    else:
        said.append({"role": "assistant", "tool_calls": [call]})


def _say(said: list[Json], name: str, text: str) -> None:
    """Thoughts and words belong to the assistant's message before them, where it has none of them yet."""
    if said and said[-1]["role"] == "assistant" and name not in said[-1]:
        said[-1][name] = text
    else:
        said.append({"role": "assistant", name: text})


def _first_text(content: str | list[Json]) -> str:
    """The text of an assistant's content: vLLM reads the first part alone."""
    if isinstance(content, str):
        return content
    return content[0].get(WORDS.get(content[0]["type"], ""), "") if content else ""
