"""What is written of grades: scores.csv for a list, scores.json with every check, and a page for each learner."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from html import escape
from pathlib import Path

from helpers import page
from helpers.exercises.grading import ENDED, FAILED, GRADED, TAMPERED, UNREADABLE, Outcome, Result

PAGES = "feedback"
STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; }
th, td { padding: 0.4em 0.6em; border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent); vertical-align: top; }
p, td { overflow-wrap: anywhere; }
""".strip()
STATES = {
    GRADED: "",
    TAMPERED: "It got no points. If that was not your intention, undo the change and hand it in again.",
    ENDED: "What was checked before that counts.",
    UNREADABLE: "It could not be graded. Mend that and hand it in again.",
    FAILED: "That is not your fault.",
}


def write(results: Iterable[Result], out: Path) -> None:
    """Write all of it. The same results give the same bytes."""
    ordered = sorted(results, key=lambda result: (result.learner, result.file))
    (out / PAGES).mkdir(parents=True, exist_ok=True)
    for old in (out / PAGES).glob("*.html"):
        old.unlink()
    with open(out / "scores.csv", "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["learner", "exercise", "points", "of", "state"])
        lines.writerows([_plain(result.learner), result.exercise, result.points, result.of, result.state] for result in ordered)
    (out / "scores.json").write_text(json.dumps([_record(result) for result in ordered], indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    of_learner: dict[str, list[Result]] = {}
    for result in ordered:
        of_learner.setdefault(result.learner, []).append(result)
    taken: set[str] = set()
    for learner, theirs in of_learner.items():
        (out / PAGES / _file(learner, taken)).write_text(feedback(learner, theirs), encoding="utf-8")


def feedback(learner: str, results: list[Result]) -> str:
    """A page for a learner. Of hidden checks it says how many passed, nothing else."""
    sections = "".join(map(_section, results))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(learner)}</title><style>{STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body><h1>{escape(learner)}</h1>{sections}</body></html>\n'


def _section(result: Result) -> str:
    title = f"<h2>{escape(result.exercise or result.file)}</h2>"
    why = f"<p><strong>{escape(_sentence(result.why))}</strong> {STATES[result.state]}</p>" if result.why else ""
    if not result.outcomes:
        return title + why
    rows = [[outcome.what, _verdict(result, outcome), outcome.said or ""] for outcome in result.outcomes if outcome.has_public]
    hidden = [outcome.hidden is None and result.state != TAMPERED for outcome in result.outcomes if outcome.has_hidden]
    below = f"{sum(hidden)} of {len(hidden)} hidden checks passed: they ask for the same with other data." if hidden else ""
    texts = "".join(f"<p>Your text <code>{escape(id)}</code> is to be read by a person.</p>" for id in result.texts)
    notes = "".join(f"<li>{escape(_sentence(note))}</li>" for note in result.notes)
    points = f"<p>{result.points} of {result.of} points.</p>"
    return title + points + why + page.table(["check", "", "what it says"], rows, below) + texts + (f"<h3>While it ran</h3><ul>{notes}</ul>" if notes else "")


def _verdict(result: Result, outcome: Outcome) -> str:
    return "does not count" if result.state == TAMPERED else "passed" if outcome.said is None else "not yet"


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}" + ("" if words.endswith((".", "!", "?")) else ".")


def _record(result: Result) -> dict:
    texts = {id: {"state": "to be read", "text": text} for id, text in result.texts.items()}
    counts = result.state != TAMPERED
    checks = [asdict(check) | {"points": check.points if check.holds and counts else 0, "of": check.points} for check in result.outcomes]
    return {
        "learner": result.learner, "file": result.file, "exercise": result.exercise, "state": result.state, "why": result.why,
        "points": result.points, "of": result.of, "checks": checks, "texts": texts, "notes": result.notes,
    }  # fmt: skip


def _plain(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{name}" if name[:1] in "=+-@" else name


def _file(learner: str, taken: set[str]) -> str:
    """A name for a learner's page that every system takes, and that no other page has."""
    stem = re.sub(r"[^\w.-]+", "_", learner, flags=re.ASCII).strip("._")[:100] or "learner"
    name, number = f"{stem}.html", 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}_{number}.html"
    taken.add(name.lower())
    return name
