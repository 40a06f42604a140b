"""Bedrock's guardrails: the one that the course has, what it stops, and how its findings read, by botocore's types.

A real guardrail is made by its owner, beside the runtime: its filters, their strengths, and the words in the place of what it
stops. The course's has the id `thecourse` and filters of medium strength, which stop what is harmful with medium confidence or more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Any

from helpers.gateway import harm
from helpers.gateway.dialects.schema import ANY, OBJECT, STRING, checker, list_of, one_of, shape
from helpers.gateway.exchange import Harm, Message, Part, Question, Refusal

ID, VERSIONS, ACCOUNT = "thecourse", ("1", "DRAFT"), "123456789012"
STRENGTH = "MEDIUM"
TYPES = {"harassment": "INSULTS", "hate speech": "HATE", "sexually explicit": "SEXUAL", "dangerous content": "MISCONDUCT"}
STOPPED = {False: "The course's guardrail stopped this question.", True: "The course's guardrail stopped this answer."}
UNKNOWN = "The guardrail identifier or version provided in the request does not exist."
UNIT = 1000  # characters: what a policy is charged by
UNITS = ("topicPolicy", "contentPolicy", "wordPolicy", "sensitiveInformationPolicy", "sensitiveInformationPolicyFree", "contextualGroundingPolicy")
FULL = ("FULL", "enabled_full")
CONFIG = shape(
    guardrailIdentifier=STRING,
    guardrailVersion=STRING,
    trace=one_of("enabled", "disabled", "enabled_full"),
    streamProcessingMode=one_of("sync", "async"),
)
_check = checker(
    shape(
        "source content",
        source=one_of("INPUT", "OUTPUT"),
        content=list_of(shape(text=shape("text", text=STRING, qualifiers=ANY), image=OBJECT)),
        outputScope=one_of("INTERVENTIONS", "FULL"),
    )
)


@dataclass(frozen=True)
class Guard:
    """A guardrail that a question names, and what there is to find in what it reads. characters: of that, and of all texts."""

    identifier: str
    version: str
    trace: str
    found: tuple[Harm, ...]
    characters: tuple[int, int]


def of(body: dict[str, Any]) -> Guard | None:
    """The guardrail of a Converse request. It reads what is marked with guardContent; where nothing is, what the user said."""
    config = body.get("guardrailConfig") or {}
    if not config.get("guardrailIdentifier"):
        return None
    blocks = [block for said in body["messages"] if said["role"] == "user" for block in said["content"]]
    texts = [block["text"] for block in blocks if "text" in block]
    marked = [block["guardContent"]["text"]["text"] for block in blocks if "text" in block.get("guardContent", ())]
    read = marked or texts
    characters = sum(map(len, read)), sum(map(len, texts + marked))
    return Guard(config["guardrailIdentifier"], config.get("guardrailVersion", ""), config.get("trace", "disabled"), tuple(_found(read)), characters)


def check(identifier: str, version: str) -> None:
    """Raise Refusal where there is no such guardrail."""
    if identifier.rpartition("/")[2] != ID or version not in VERSIONS:
        raise Refusal("bad_value", UNKNOWN, param="guardrailIdentifier")


def stops(guard: Guard | None) -> Harm | None:
    """What of it is stopped: the first that is harmful enough, of the question before the answer."""
    strong = [one for one in guard.found if _is_strong(one)] if guard else []
    return min(strong, key=lambda one: one.in_answer, default=None)


def stopped(question: Question) -> str | None:
    """The words in the place of what a guardrail stopped; None where none did."""
    return STOPPED[question.harm.in_answer] if question.harm and question.echo.get("guard") else None


def trace(question: Question, answer: str) -> dict[str, Any]:
    """The field `trace` of an answer: what the guardrail found in the question, and in the answer where it read one."""
    guard: Guard | None = question.echo.get("guard")
    if guard is None or guard.trace == "disabled":
        return {}
    is_full, ordered = guard.trace in FULL, [question.harm] if question.harm and question.harm not in guard.found else []
    asked = [one for one in (*guard.found, *ordered) if not one.in_answer]
    out: dict[str, Any] = {"inputAssessment": {ID: _assessment(asked, guard.characters, is_full)}}
    if question.harm is None or question.harm.in_answer:
        written = [one for one in guard.found if one.in_answer]
        out["outputAssessments"] = {ID: [_assessment(written, (len(answer),) * 2, is_full)]}
    return {"trace": {"guardrail": out}}


def apply(body: dict[str, Any]) -> dict[str, Any]:
    """The answer to ApplyGuardrail, which needs no model."""
    _check(body)
    texts, is_output = [block["text"]["text"] for block in body["content"] if "text" in block], body["source"] == "OUTPUT"
    found = [one for one in _found(texts) if is_output or not one.in_answer]
    intervenes, characters = any(map(_is_strong, found)), (sum(map(len, texts)),) * 2
    return {
        "action": "GUARDRAIL_INTERVENED" if intervenes else "NONE",
        "actionReason": "Guardrail blocked." if intervenes else "No action.",
        "assessments": [_assessment(found, characters, body.get("outputScope") in FULL)],
        "guardrailCoverage": _coverage(characters),
        "outputs": [{"text": STOPPED[is_output]}] if intervenes else [],
        "usage": _usage(characters[0]),
    }


def _found(texts: Iterable[str]) -> list[Harm]:
    return harm.found(Message("user", (Part(text),)) for text in texts)


def _is_strong(found: Harm) -> bool:
    return found.level.upper() in (STRENGTH, "HIGH")


def _assessment(found: list[Harm], characters: tuple[int, int], is_full: bool) -> dict[str, Any]:
    """What the filters say: those that stopped something, or all of them."""
    filters = [_filter(TYPES[one.category], one.level.upper(), _is_strong(one)) for one in found if is_full or _is_strong(one)]
    if is_full:
        filters += [_filter(kind, "NONE", False) for kind in TYPES.values() if kind not in [one["type"] for one in filters]]
    metrics = {"guardrailCoverage": _coverage(characters), "guardrailProcessingLatency": 100, "usage": _usage(characters[0])}
    return {**({"contentPolicy": {"filters": filters}} if filters else {}), "invocationMetrics": metrics}


def _filter(kind: str, confidence: str, is_blocked: bool) -> dict[str, Any]:
    action = "BLOCKED" if is_blocked else "NONE"
    return {"action": action, "confidence": confidence, "detected": confidence != "NONE", "filterStrength": STRENGTH, "type": kind}


def _coverage(characters: tuple[int, int]) -> dict[str, Any]:
    return {"textCharacters": dict(zip(("guarded", "total"), characters, strict=True))}


def _usage(characters: int) -> dict[str, int]:
    """What it is charged by: units of a thousand characters, for each kind of filter that it has."""
    return {f"{name}Units": ceil(characters / UNIT) if name == "contentPolicy" else 0 for name in UNITS}
