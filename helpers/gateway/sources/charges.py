"""What a provider can charge for a body at most, in tokens: the body is read as it is sent, whichever dialect it speaks.

Text is counted in bytes, as a token of any byte-level tokenizer covers at least one. What else stands in a body, and what
must not, is in charged_fields.py.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from helpers import models
from helpers.gateway.exchange import Question
from helpers.gateway.sources.charged_fields import TOP, Found, read, unpriced

# What a provider adds where there are tools, or a form of the answer: Anthropic documents up to 804 tokens (Claude
# Opus 4.7, tool_choice any; "Tool use", as of 2026-06), and not for every model.
ADDED_FOR_TOOLS = 2000


@dataclass(frozen=True)
class Bound:
    """The most tokens that a call can be charged for; the output is that of all its choices."""

    input_tokens: int
    output_tokens: int


def bound(question: Question, asked: dict[str, Any]) -> Bound:
    """The most that a body can be charged. Raises Refusal("over_budget") for what cannot be bounded."""
    found = Found()
    read(asked, TOP, found)
    for one in (asked, *(asked.get("requests") or ())) if question.provider == "gemini" else ():
        named = one.get("model") or question.model.id
        if named not in (question.model.id, f"models/{question.model.id}"):
            raise unpriced(f"the model {str(named)[:60]!r} beside the one in the path, {question.model.id},")
    # What the question holds beside the body, such as a stored conversation, is counted too.
    held = [[part.text for message in question.messages for part in message.parts], question.tools]
    text = max(_longest(asked) - found.image_data, _longest(held)) + found.laid_out
    image_tokens = models.table()["image_tokens"][question.provider]
    given = text + found.images * image_tokens + found.hidden * question.model.max_output
    limit = question.model.max_output if question.limit is None else question.limit
    made = max(limit, *found.limits, 0)
    return Bound(given + (ADDED_FOR_TOOLS if found.has_tools else 0), made * max(question.n, *found.choices, 1))


# ---- text --------------------------------------------------------------------
def _longest(value: Any) -> int:
    """Bytes of the longest way in which a provider may set JSON before its model: with spaces, and in ASCII alone.

    Claude 2's tokenizer (in litellm's wheel) takes a text by NFKC, which makes up to 18 letters of one.
    """
    length = len(json.dumps(value))
    letters = Counter(re.sub(r"[\x00-\x7f]+", "", json.dumps(value, ensure_ascii=False)))
    return length + sum(_grown(letter) * count for letter, count in letters.items())


def _grown(letter: str) -> int:
    """How many bytes more a letter has by NFKC than as an escape."""
    escape = 6 if letter <= "\uffff" else 12
    return max(0, len(normalize("NFKD", letter).encode("utf-8", "replace")) - escape)
