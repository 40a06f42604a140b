"""The order of a conversation in Converse: the roles in turn, calls and results in pairs, and who speaks last."""

from __future__ import annotations

from typing import Any

from helpers.gateway.dialects.anthropic import turns as anthropic_turns
from helpers.gateway.dialects.bedrock.errors import FROM_MODEL
from helpers.gateway.dialects.bedrock.makers import is_claude, may_start
from helpers.gateway.exchange import Refusal
from helpers.models import Model

START = "A conversation must start with a user message. Try again with a conversation that starts with a user message."
ALTERNATE = (
    "A conversation must alternate between user and assistant roles. "
    "Make sure the conversation alternates between user and assistant roles and try again."
)
EMPTY = "The content field in the Message object at {path} is empty. Add a ContentBlock object to the content field and try again."
LAST = "The model that you are using requires the last turn in the conversation to be a user message. Add a user message to the conversation and try again."


def check(messages: list[dict[str, Any]], model: Model) -> None:
    """Refuse what Converse refuses before it asks the model. Messages of the system role stand between turns."""
    turns = [(index, said) for index, said in enumerate(messages) if said["role"] != "system"]
    if turns and turns[0][1]["role"] != "user" and not may_start(model):
        raise Refusal("bad_value", START, param="messages")
    before: dict[str, Any] | None = None
    for index, said in turns:
        if not said["content"]:
            raise Refusal("bad_value", EMPTY.format(path=f"messages.{index}"), param=f"messages.{index}")
        if before and before["role"] == said["role"]:
            raise Refusal("bad_value", ALTERNATE, param="messages")
        _check_pairs(said, before, f"messages.{index}.content", model)
        before = said
    if before and before["role"] == "assistant" and "prefill" not in model.accepts and not is_claude(model):
        raise Refusal("bad_value", LAST, param="messages")


def check_with_claude(messages: list[dict[str, Any]], model: Model, *, thinks: bool) -> None:
    """Refuse what Claude refuses of what Converse lets through, in its own words."""
    if not is_claude(model):
        return
    if any(_is_blank(one["content"]) for one in messages):
        raise Refusal("bad_value", f"{FROM_MODEL}messages: text content blocks must contain non-whitespace text", param="messages")
    said = [{"role": one["role"], "content": [_as_claude(block) for block in one["content"] if "cachePoint" not in block]} for one in messages]
    try:
        anthropic_turns.check(said, model, thinks=thinks)
    except Refusal as refusal:
        raise Refusal("bad_value", FROM_MODEL + refusal.message, param=refusal.param) from None


def _check_pairs(said: dict[str, Any], before: dict[str, Any] | None, path: str, model: Model) -> None:
    calls = _ids(before, "toolUse") if before and said["role"] == "user" else []
    results = _ids(said, "toolResult")
    if len(results) > len(calls):
        text = f"The number of toolResult blocks at {path} exceeds the number of toolUse blocks of previous turn."
        raise Refusal("bad_value", text, param=path)
    missing = [name for name in calls if name not in results]
    # A turn without any result reaches the model, and Claude has words of its own for it.
    if missing and (results or not is_claude(model)):
        raise Refusal("bad_value", f"Expected toolResult blocks at {path} for the following Ids: {', '.join(missing)}", param=path)


def _ids(said: dict[str, Any], kind: str) -> list[str]:
    """Of the calls, or the results, but those of the tools that AWS runs itself, which stand in one turn."""
    return [block[kind]["toolUseId"] for block in said["content"] if kind in block and not _ran_by_aws(block)]


def _ran_by_aws(block: dict[str, Any]) -> bool:
    return block.get("toolUse", {}).get("type") == "server_tool_use" or "type" in block.get("toolResult", ())


def _is_blank(content: list[dict[str, Any]]) -> bool:
    """Whether there is white space alone in a turn: beside other blocks it was recorded to be taken."""
    blocks = [block for block in content if "cachePoint" not in block]
    return bool(blocks) and all("text" in block and not block["text"].strip() for block in blocks)


def _as_claude(block: dict[str, Any]) -> dict[str, Any]:
    """As much of a block in the words of Claude's own API as the order of a conversation depends on."""
    if "text" in block:
        return {"type": "text", "text": block["text"]}
    if "toolUse" in block:
        return {"type": "tool_use", "id": block["toolUse"]["toolUseId"]}
    if "toolResult" in block:
        return {"type": "tool_result", "tool_use_id": block["toolResult"]["toolUseId"]}
    return {"type": "thinking" if "reasoningContent" in block else next(iter(block))}
