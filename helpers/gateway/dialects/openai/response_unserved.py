"""What OpenAI's Responses can do and the course's cannot: refused in OpenAI's words, as nothing is silently left undone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from helpers.gateway.dialects.openai.errors import refused
from helpers.gateway.exchange import Message, Question, Refusal
from helpers.models import Model

CLIENT_TOOLS = ("function", "custom")  # which the client runs itself
# Those of openai 3.57's types beside them. Most are run by OpenAI; of a shell, a patch and a screen a model has to know the form.
OTHER_TOOLS = (
    *("file_search", "computer", "computer_use_preview", "web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"),
    *("mcp", "code_interpreter", "programmatic_tool_calling", "image_generation", "local_shell", "shell", "namespace", "tool_search", "apply_patch"),
)


def check(body: dict[str, Any], model: Model) -> None:
    """Raise a Refusal for what would not be done."""
    _check_tools(body, model)
    if body.get("moderation") is not None:
        raise Refusal("unsupported", param="moderation")
    if (body.get("reasoning") or {}).get("mode") not in (None, "standard"):
        raise Refusal("unsupported", param="reasoning.mode", value=body["reasoning"]["mode"], allowed=["standard"], model=model.id)
    if (body.get("prompt_cache_options") or {}).get("prewarm"):
        raise Refusal("unsupported", param="prompt_cache_options.prewarm", value=True, allowed=["false"], model=model.id)
    window = (body.get("background_options") or {}).get("completion_window")
    if window not in (None, "soonest"):
        raise Refusal("unsupported", param="background_options.completion_window", value=window, allowed=["soonest"], model=model.id)


def _check_tools(body: dict[str, Any], model: Model) -> None:
    for index, tool in enumerate(body.get("tools") or []):
        kind = tool["type"]
        if kind in OTHER_TOOLS:  # the words are OpenAI's for a model without that tool
            raise refused(f"Hosted tool '{kind}' is not supported with {model.served_as}.", "tools")
        if kind not in CLIENT_TOOLS:
            raise Refusal("bad_value", param=f"tools[{index}].type", rule="enum", value=kind, bound=[*CLIENT_TOOLS, *OTHER_TOOLS])


def check_prompt(prompt: dict[str, Any]) -> None:
    """Raise a Refusal for a prompt: a template that is kept in OpenAI's dashboard, of which here is none."""
    raise Refusal("not_found", f"Prompt with id '{prompt['id']}' not found.")


def check_management(question: Question, asked: Any) -> None:
    """Raise a Refusal where the conversation would have to be compacted now, by `context_management`. Below its threshold nothing has to be done."""
    for entry in asked or []:
        threshold = entry.get("compact_threshold")
        if entry["type"] != "compaction":
            raise refused(f"Unsupported context_management type: '{entry['type']}'.", "context_management")
        if threshold is not None and question.prompt_tokens >= threshold:
            raise Refusal("unsupported", param="context_management", instead="/v1/responses/compact")


def truncated(question: Question) -> Question:
    """The question without its oldest turns, as many as its model's window does not hold. Instructions stay, and so does the newest turn."""
    most = question.model.context
    if question.prompt_tokens <= most:
        return question
    head = [message for message in question.messages[:1] if question.echo.get("instructions")]
    rest = list(question.messages[len(head) :])
    excess = (question.prompt_tokens - most) / question.model.token_ratio
    gone = 0
    while excess > 0 and gone < len(rest) - 1:
        excess -= _weight(rest[gone])
        gone += 1
    return replace(question, messages=(*head, *rest[gone:]))


OVERHEAD = 4  # tokens of a message beside its text


def _weight(message: Message) -> float:
    return sum(part.token_count() for part in message.parts) + OVERHEAD
