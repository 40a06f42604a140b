"""Azure's content filter: what it says of every prompt and answer, and what it stops. By default that is what is harmful in a medium way or more."""

from __future__ import annotations

from typing import Any

from helpers.gateway import harm
from helpers.gateway.answer import Answer, Choice
from helpers.gateway.exchange import Question

CATEGORIES = ("hate", "self_harm", "sexual", "violence")
# What harm.py's categories, which are Google's, are to this filter.
NAMES = {"harassment": "hate", "hate speech": "hate", "sexually explicit": "sexual", "dangerous content": "violence"}
STOPPED = ("medium", "high")
NOTHING_FOUND = {"detected": False, "filtered": False}
JAILBREAK = {"jailbreak": NOTHING_FOUND}  # looked for in prompts alone
PROTECTED = {"protected_material_code": NOTHING_FOUND, "protected_material_text": NOTHING_FOUND}  # and these in answers
MESSAGE = (
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry. "
    "To learn more about our content filtering policies please read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766"
)


def judged(question: Question) -> Question:
    """The question with what the filter finds in it, and what of that it stops: of the prompt first, then of the answer to it.

    It is looked for here alone, where a large request is read beside the event loop.
    """
    question.found, question.filter_outside = tuple(harm.found(question.messages)), True
    strong = [one for one in question.found if one.level in STOPPED]
    question.harm = min(strong, key=lambda one: one.in_answer, default=None)
    return question


def of_prompt(question: Question) -> dict[str, Any]:
    return _results(question, JAILBREAK, in_answer=False)


def of_answer(question: Question) -> dict[str, Any]:
    """On every api-version alike: recordings since 2025 have the protected material on 2024-02-01 too, older ones on none."""
    return _results(question, PROTECTED, in_answer=True)


def of_choice(choice: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What is said of one choice of a chat: nothing where it has no text, such as a call of a tool, unless it was stopped."""
    message = choice.get("delta") or choice.get("message") or {}
    return found if message.get("content") or choice["finish_reason"] == "content_filter" else {}


def _results(question: Question, more: dict[str, Any], *, in_answer: bool) -> dict[str, Any]:
    """What the filter says in each category, and `more`, by name. A fault orders what the text does not hold."""
    found = [one for one in question.found if one.in_answer == in_answer]
    if question.harm and question.harm.in_answer == in_answer:
        found.append(question.harm)
    levels = {NAMES[one.category]: one.level for one in sorted(found, key=lambda one: harm.LEVELS.index(one.level))}
    found_in = {name: {"filtered": levels.get(name) in STOPPED, "severity": levels.get(name, "safe")} for name in CATEGORIES}
    return dict(sorted({**found_in, **more}.items()))


def withheld(answer: Answer) -> Answer:
    """The answer as it is given: without a text where the filter stopped it, though it was written and is charged."""
    if answer.question.harm is None:
        return answer
    empty = [Choice("", "refusal", None, one.thinking_tokens, one.text_tokens) for one in answer.choices]
    return Answer(answer.question, answer.provenance, empty, answer.usage, answer.pace, answer.started)


async def withheld_stream(answer: Answer) -> Answer:
    """The same for a stream: what is stopped is written to its end first, as Azure gives nothing that it has not looked at."""
    if answer.question.harm:
        await answer.finished()
    return withheld(answer)


def refused(question: Question) -> dict[str, Any]:
    """The error for a prompt that is stopped."""
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": of_prompt(question)}
    return {"message": MESSAGE, "type": None, "param": "prompt", "code": "content_filter", "status": 400, "innererror": inner}


def listed(answer: Answer) -> list[dict[str, Any]]:
    """The field `content_filters` of Responses."""
    question = answer.question
    read = sum(len(message.text) for message in question.messages)
    given = ("prompt", False, of_prompt(question), read), ("completion", question.harm is not None, of_answer(question), len(answer.choices[0].text))
    return [
        {
            "blocked": is_blocked,
            "source_type": source,
            "content_filter_raw": [],
            "content_filter_results": results,
            "content_filter_offsets": {"start_offset": 0, "end_offset": end, "check_offset": 0},
        }
        for source, is_blocked, results, end in given
    ]
