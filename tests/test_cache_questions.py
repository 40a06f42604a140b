"""The set of questions for a semantic cache, chapter 13c: its form, its halves, and that no model was trained on it."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
QUESTIONS = [json.loads(line) for line in (ROOT / "notebooks/data/cache_questions.jsonl").read_text(encoding="utf-8").splitlines()]
ASKED = [text for question in QUESTIONS for texts in (question["same"], question["other"]) for text in texts.values()]


def plain(text: str) -> str:
    """As the chapter's exact cache reads a text: small letters, single spaces, no marks at the ends of words."""
    return " ".join(re.sub(r"[.,!?;:]+(?=\s|$)", "", text.casefold()).split())


def test_every_line_has_the_same_form_and_the_file_is_sorted():
    for question in QUESTIONS:
        assert set(question) - {"doubtful"} == {"id", "subject", "half", "question", "same", "other"}
        assert question["subject"] in ("course", "shop") and question["half"] in ("choose", "report")
        assert question["same"] and question["other"], question["id"]
        assert set(question.get("doubtful", ())) <= set(question["same"]) | set(question["other"])
    ids = [question["id"] for question in QUESTIONS]
    assert ids == sorted(set(ids))


def test_the_set_is_large_enough_and_no_half_is_much_larger():
    assert len(ASKED) >= 300
    sizes = Counter((question["half"], question["subject"]) for question in QUESTIONS)
    assert len(sizes) == 4 and max(sizes.values()) - min(sizes.values()) <= 1
    for kind in ("same", "other"):
        halves = [sum(len(question[kind]) for question in QUESTIONS if question["half"] == half) for half in ("choose", "report")]
        assert max(halves) <= 1.1 * min(halves)


def test_no_question_stands_in_the_set_twice():
    twice = [text for text, times in Counter(map(plain, ASKED)).items() if times > 1]
    assert not twice
    assert len({plain(question["question"]) for question in QUESTIONS}) == len(QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["id"])
def test_a_wording_is_called_exact_where_only_case_spaces_and_marks_differ(question):
    alike = {kind for kind, text in question["same"].items() if plain(text) == plain(question["question"])}
    assert alike == {"exact"} & set(question["same"])


def test_a_near_miss_is_no_cached_question():
    """Neither its own nor another's: an exact cache must not answer it."""
    cached = {plain(question["question"]) for question in QUESTIONS}
    assert not [text for question in QUESTIONS for text in question["other"].values() if plain(text) in cached]


def test_no_model_of_ours_was_trained_on_a_question_of_the_set():
    trained = set()
    for path in (ROOT / "helpers/house_model/training").rglob("*.txt"):
        for line in path.read_text(encoding="utf-8").splitlines():
            trained.update(map(plain, (line, line.partition(": ")[2], *re.split(r" *[|\t] *", line))))
    assert not [text for text in (*ASKED, *(question["question"] for question in QUESTIONS)) if plain(text) in trained]
