"""The order of a conversation with Gemini: calls after a question, as many results as calls, and the signatures of thoughts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from helpers.gateway.exchange import Refusal
from helpers.models import Model

RESULTS_AFTER_CALLS = "Please ensure that function response turn comes immediately after a function call turn."
AS_MANY = "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn."
ENDS_WITH_MODEL = "Requests ending with a model turn are not supported unless the last part is a function response."
CALLS_AFTER_USER = "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
NO_SIGNATURE = (
    "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing "
    "thought_signature may lead to degraded model performance. Additional data, function call `default_api:{name}` , position {position}. "
    "Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
)


def check(contents: Sequence[dict[str, Any]], model: Model) -> None:
    """Refuse calls and results that do not stand in pairs, and calls that came from a thinking model without the signature it gave them.

    Calls in turns that follow each other are one turn's, as recorded in 2026.
    """
    calls, role = 0, "model"
    for content in contents:
        results = _count(content, "functionResponse")
        if calls and role == content.get("role") == "model" and not results and _count(content, "functionCall"):
            calls += _count(content, "functionCall")
            continue
        if results and not calls:
            raise Refusal("bad_value", RESULTS_AFTER_CALLS, param="contents")
        if results != calls:
            raise Refusal("bad_value", AS_MANY, param="contents")
        calls = _count(content, "functionCall")
        if calls and role == "model":
            raise Refusal("bad_value", CALLS_AFTER_USER, param="contents")
        role = content.get("role", "")
    if not model.id.startswith("gemini-2."):
        _check_signatures(contents)


def check_end(contents: Sequence[dict[str, Any]], model: Model) -> None:
    """Since Gemini 3.5 Flash-Lite nobody begins the model's answer for it (Google's page "What's new in Gemini 3.6"; measured in July 2026
    by LibreChat-AI/agents, pull request 323, whose words these are). Where tokens are counted, any turn may be the last.
    """
    last = contents[-1]
    if last.get("role") == "model" and "functionResponse" not in (last.get("parts") or [{}])[-1]:
        check_prefill(model)


def check_prefill(model: Model) -> None:
    if not model.id.startswith("gemini-2."):
        raise Refusal("bad_value", ENDS_WITH_MODEL, param="contents")


def _count(content: dict[str, Any], name: str) -> int:
    return sum(name in part for part in content.get("parts", ()))


def _check_signatures(contents: Sequence[dict[str, Any]]) -> None:
    """Since Gemini 3 the first call of each step that follows the last question has to come back with its signature."""
    for index in range(_last_question(contents) + 1, len(contents)):
        call = next((part for part in contents[index].get("parts", ()) if "functionCall" in part), None)
        if call and not call.get("thoughtSignature"):
            text = NO_SIGNATURE.format(name=call["functionCall"]["name"], position=index + 1)
            raise Refusal("bad_value", text, param=f"contents[{index}]")


def _last_question(contents: Sequence[dict[str, Any]]) -> int:
    """The index of the last turn in which the user says something that is no result; -1 where there is none."""
    asked = [i for i, content in enumerate(contents) if content.get("role", "") in ("", "user") and not _count(content, "functionResponse")]
    return asked[-1] if asked else -1
