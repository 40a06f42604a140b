"""The set of questions for a semantic cache, chapter 13d: its form, its halves, and that no model was trained on it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from helpers.house_model.training import wordings

ROOT = Path(__file__).parents[1]
PAIRS = [json.loads(line) for line in (ROOT / "notebooks/data/cache_questions.jsonl").read_text(encoding="utf-8").splitlines()]
KEPT = {pair["id"]: pair["kept"] for pair in PAIRS}
TEXTS = [*KEPT.values(), *(pair["asked"] for pair in PAIRS)]
FIELDS = {"id": str, "half": str, "subject": str, "kept": str, "asked": str, "kind": str, "serves": bool}


def plain(text: str) -> str:
    """As the chapter's exact cache reads a text: small letters, single spaces, no marks at the ends of words."""
    return " ".join(re.sub(r"[.,!?;:]+(?=\s|$)", "", text.casefold()).split())


def test_every_line_has_the_same_form_and_the_file_is_sorted():
    for pair in PAIRS:
        assert {name: type(value) for name, value in pair.items() if name != "doubtful"} == FIELDS
        assert pair.get("doubtful", True) is True
        assert pair["subject"] in ("course", "shop") and pair["half"] in ("choose", "report")
    assert [pair["id"] for pair in PAIRS] == sorted(pair["id"] for pair in PAIRS)


def test_a_question_that_is_kept_is_in_one_half_and_has_both_kinds_of_askers():
    for id, kept in KEPT.items():
        of_it = [pair for pair in PAIRS if pair["id"] == id]
        assert len({(pair["half"], pair["subject"], pair["kept"]) for pair in of_it}) == 1, id
        assert {pair["serves"] for pair in of_it} == {True, False}, id
        assert sum(other == kept for other in KEPT.values()) == 1, id


def test_the_set_is_large_enough_and_no_part_is_much_larger():
    assert len(PAIRS) >= 300
    for name in ("half", "subject", "serves"):
        sizes = Counter(pair[name] for pair in PAIRS).values()
        assert len(sizes) == 2 and max(sizes) <= 1.1 * min(sizes), name


def test_no_question_is_asked_twice():
    assert not [text for text, times in Counter(plain(pair["asked"]) for pair in PAIRS).items() if times > 1]


def test_a_wording_is_called_exact_where_only_case_spaces_and_marks_differ():
    for pair in PAIRS:
        assert (pair["kind"] == "exact") == (plain(pair["asked"]) == plain(pair["kept"])), pair


def test_a_near_miss_is_no_kept_question():
    """Neither its own nor another's: an exact cache must not answer it."""
    kept = {plain(text) for text in KEPT.values()}
    assert not [pair["asked"] for pair in PAIRS if not pair["serves"] and plain(pair["asked"]) in kept]


def test_no_model_of_ours_was_trained_on_a_question_of_the_set():
    assert not [text for text in TEXTS if plain(text) in lines_of_the_training()]


def test_no_question_of_the_set_is_what_the_embedding_model_s_lists_are_combined_to():
    combined = re.compile("|".join(combinations_of_the_training()))
    assert combined.fullmatch("how do i cancel my order") and not combined.fullmatch("how do i cancel")
    assert not [text for text in TEXTS if combined.fullmatch(plain(text))]


@cache
def lines_of_the_training() -> set[str]:
    """Every line of the lists, whole and in its parts."""
    found: set[str] = set()
    for path in (ROOT / "helpers/house_model/training").rglob("*.txt"):
        for line in path.read_text(encoding="utf-8").splitlines():
            found.update(map(plain, (line, line.partition(": ")[2], *re.split(r" *[|\t] *", line))))
    return found


def combinations_of_the_training() -> Iterator[str]:
    """Patterns: the frames with any action on any thing, and the everyday questions about anything of their kind."""
    verbs, things = (one_of(word for row in wordings._rows(name) for word in row) for name in ("verbs", "things"))
    for frame in wordings._lines("frames"):
        yield pattern(frame, v=verbs, t=things)
    for noun, questions in wordings.families():
        value = one_of(wordings._values(noun))
        yield from (pattern(text, a=value, b=value) for question in questions for text in question)


def pattern(text: str, **values: str) -> str:
    return re.sub(r"\\{(\w)\\}", lambda place: values[place[1]], re.escape(plain(text)))


def one_of(texts: Iterable[str]) -> str:
    return f"(?:{'|'.join(re.escape(plain(text)) for text in texts)})"
