"""The order of a conversation with Claude: calls and their results in pairs, and who speaks last."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from helpers.gateway.dialects.anthropic.blocks import THOUGHTS, is_server_result
from helpers.gateway.exchange import Refusal
from helpers.models import Model

NO_PREFILL = "This model does not support assistant message prefill. The conversation must end with a user message."
THOUGHT_FIRST = (
    "When `thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` "
    "and `tool_result` blocks). We recommend you include thinking blocks from previous turns. To avoid this requirement, disable `thinking`."
)


@dataclass
class Turn:
    """What one side says until the other does: messages of one role in a row are one turn to Claude."""

    role: str
    path: str  # of its first message
    blocks: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # path and block

    def of(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        return [(path, block) for path, block in self.blocks if block["type"] == kind]


def check(messages: list[dict[str, Any]], model: Model, *, thinks: bool) -> None:
    """Refuse calls without results and results without calls, and a last turn that this model does not take. `thinks`: with a budget.

    The messages were checked for their form. Those of the role system stand between turns.
    """
    _check_system(messages)
    turns = _turns(messages)
    _check_ids(turns)
    for before, turn in zip([None, *turns], turns, strict=False):
        _check_results(turn, before)
    for turn, after in zip(turns, [*turns[1:], None], strict=False):
        _check_calls(turn, after)
    if turns:
        _check_last(turns, model, thinks)


def _check_system(messages: list[dict[str, Any]]) -> None:
    """Instructions amid a conversation come after what the user or a tool said, and are last or before a turn of Claude's.

    Source: Anthropic's page on mid-conversation system messages, of May 2026; the words follow the style.
    """
    for index, said in enumerate(messages):
        before = messages[index - 1] if index else None
        after = messages[index + 1]["role"] if index + 1 < len(messages) else "assistant"
        if said["role"] == "system" and not (_may_precede(before) and after != "user"):
            text = (
                f"messages.{index}: a `system` message must come immediately after a `user` message, "
                "and be the last message or be followed by an `assistant` message. Use the top-level `system` parameter for the initial prompt."
            )
            raise Refusal("bad_value", text, param=f"messages.{index}")


def _may_precede(said: dict[str, Any] | None) -> bool:
    """Whether instructions may follow: after a user's message, after others of theirs, and after a turn that Anthropic's own tools end."""
    if said is None:
        return False
    ends_with = said["content"][-1]["type"] if isinstance(said["content"], list) and said["content"] else "text"
    return said["role"] != "assistant" or ends_with == "server_tool_use" or is_server_result(ends_with)


def _turns(messages: list[dict[str, Any]]) -> list[Turn]:
    turns: list[Turn] = []
    for index, said in enumerate(messages):
        if said["role"] == "system":
            continue
        if not turns or turns[-1].role != said["role"]:
            turns.append(Turn(said["role"], f"messages.{index}"))
        content = said["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        turns[-1].blocks += [(f"messages.{index}.content.{place}", block) for place, block in enumerate(blocks)]
    return turns


def _check_ids(turns: list[Turn]) -> None:
    ids = [block["id"] for turn in turns for _, block in turn.of("tool_use")]
    if len(set(ids)) < len(ids):
        raise Refusal("bad_value", "messages: `tool_use` ids must be unique", param="messages")


def _check_results(turn: Turn, before: Turn | None) -> None:
    """Every result answers a call of the turn before, and none twice."""
    calls = {block["id"] for _, block in before.of("tool_use")} if before and before.role == "assistant" else set()
    answered: set[str] = set()
    for path, block in turn.of("tool_result"):
        name = block["tool_use_id"]
        if turn.role == "assistant":
            text = f"{path.partition('.content')[0]}: `tool_result` blocks can only be in `user` messages"
        elif name not in calls:
            text = (
                f"{path}: unexpected `tool_use_id` found in `tool_result` blocks: {name}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        elif name in answered:
            text = f"{path}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: {name}"
        else:
            answered.add(name)
            continue
        raise Refusal("bad_value", text, param=path)


def _check_calls(turn: Turn, after: Turn | None) -> None:
    """Every call is answered by the results with which the next turn begins."""
    calls = turn.of("tool_use")
    if not calls:
        return
    if turn.role == "user":
        path = calls[0][0].partition(".content")[0]
        raise Refusal("bad_value", f"{path}: `tool_use` blocks can only be in `assistant` messages", param=path)
    answered = _first_results(after)
    missing = [block["id"] for _, block in calls if block["id"] not in answered]
    if missing:
        path = calls[-1][0].partition(".content")[0]
        text = (
            f"{path}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(missing)}. "
            "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
        )
        raise Refusal("bad_value", text, param=path)


def _first_results(turn: Turn | None) -> set[str]:
    """The ids of the results that stand before anything else in a turn."""
    found: set[str] = set()
    for _, block in turn.blocks if turn else ():
        if block["type"] != "tool_result":
            break
        found.add(block["tool_use_id"])
    return found


def _check_last(turns: list[Turn], model: Model, thinks: bool) -> None:
    last = turns[-1]
    # The turn of Claude's that is to go on: the last one, or the one whose calls the last one answers.
    open_turn = last if last.role == "assistant" else turns[-2] if last.of("tool_result") else None
    if thinks and open_turn and open_turn.blocks and open_turn.blocks[0][1]["type"] not in THOUGHTS:
        path, first = open_turn.blocks[0]
        text = f"{path}.type: Expected `thinking` or `redacted_thinking`, but found `{first['type']}`. {THOUGHT_FIRST}"
        raise Refusal("bad_value", text, param=path)
    if last.role != "assistant":
        return
    end = last.blocks[-1][1] if last.blocks else {"type": "text", "text": ""}
    # A turn in which Anthropic's own tools paused is sent back as it came, and goes on.
    is_paused = end["type"] == "server_tool_use" or is_server_result(end["type"])
    if "prefill" not in model.accepts and not is_paused:
        raise Refusal("unsupported", NO_PREFILL, param="messages")
    if end["type"] == "text" and end["text"] != end["text"].rstrip():
        raise Refusal("bad_value", "messages: final assistant content cannot end with trailing whitespace", param="messages")
