"""What the house model is made to say where it could only make something up: of a picture that it does not see, of a tool's result, of no words at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice, takewhile
from typing import Any

from helpers.gateway.exchange import Message, Question

UNSEEN = "I see no pictures and no other files: I am the house model of this course, and read text alone."
NO_WORDS = "Your message is empty. Write something in it, and I will answer that."
LONGEST_TOLD = 300  # characters of what tools said, which the answer repeats
LONGEST_READ = 10_000  # characters of one result in which its words are looked for; a longer one is taken as it stands
MOST_RESULTS = 8
INSIDE = ("text", "json", "content", "response", "result", "output")  # where the words stand in a result, in any provider's form


def plain_words(question: Question) -> str | None:
    """The answer to a last turn that holds what a tool said, a file, or nothing; None where the model has something to read, or has to keep a form."""
    if question.schema is not None or question.must_call or not question.messages:
        return None
    if told := " ".join(filter(None, islice(_results(question), MOST_RESULTS))):
        return f"The tool says: {told[:LONGEST_TOLD]}{' ...' * (len(told) > LONGEST_TOLD)}"
    last = question.messages[-1]
    if any(part.kind == "image" for part in last.parts):
        return UNSEEN
    is_empty = last.role == "user" and not any(part.kind != "text" or part.text.strip() for part in last.parts)
    return NO_WORDS if is_empty else None


def _results(question: Question) -> Iterator[str]:
    """What tools said in the last turn; some providers have a message for each of them."""
    last: list[Message] = list(takewhile(lambda message: message.role == "tool", reversed(question.messages))) or [question.messages[-1]]
    for message in reversed(last):
        for part in message.parts:
            if part.kind == "tool_result" or (message.role == "tool" and part.kind == "text"):
                yield _words(part.text)


def _words(result: str) -> str:
    """The words of a result, which may stand in JSON."""
    if len(result) > LONGEST_READ:
        return result
    try:
        return _inner(json.loads(result))
    except (ValueError, RecursionError):
        return result


def _inner(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        return " ".join(map(_inner, value))
    inside = next((value[name] for name in INSIDE if name in value), None) if isinstance(value, dict) else None
    return json.dumps(value, ensure_ascii=False) if inside is None else _inner(inside)
