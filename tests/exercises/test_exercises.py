"""The exercises as they are: what `llm-course exercises check` says of each, and what a learner meets who runs one untouched."""

import re

import nbformat
import pytest
from nbclient import NotebookClient

from helpers import chapters
from helpers.exercises import audit, masters, release

NAMES = masters.names()


@pytest.mark.parametrize("name", NAMES)
def test_the_audit_finds_nothing(name):
    report = audit.audit(name)
    assert not report.faults
    assert report.killed == report.mutants >= 8, "at least eight mutants an exercise"
    assert report.passed == report.alternatives >= 2, "at least two right answers of another shape"
    assert report.hidden <= report.checks / 3, "hidden checks are few"


@pytest.mark.parametrize("name", NAMES)
def test_an_untouched_exercise_runs_to_its_end_without_a_traceback_and_says_what_is_next(name):
    notebook = masters.read(release.path_of(name))
    NotebookClient(notebook, timeout=60, kernel_name="python3", coalesce_streams=True).execute()  # a busy kernel sends a line in parts
    printed = [output.text for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs if output.output_type == "stream"]
    assert printed[-1].startswith(f"0 of {len(masters.checks(notebook))} public checks passed.\nLook next at: ")
    assert sum(text.startswith("not written yet:") for text in printed) == len(masters.checks(notebook))


@pytest.mark.parametrize("name", NAMES)
def test_a_solution_counts_all_its_checks(name):
    last = masters.master(name).cells[-1]
    assert re.match(r"(\d+) of \1 public checks passed", last.outputs[0].text)


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_what_it_takes_and_names_only_chapters_that_exist(name):
    card = masters.read(release.path_of(name)).cells[0].source
    assert re.search(r"\*\*Difficulty\*\* [1-5] of 5\. \*\*Importance\*\* [1-5] of 5\. About \d+ minutes\.", card)
    needed = re.findall(r"\]\(\.\./notebooks/([^)]+)\)", card)
    assert needed and all((chapters.FOLDER / file).exists() for file in needed)


@pytest.mark.parametrize("name", NAMES)
def test_every_step_has_three_hints(name):
    exercise = masters.read(release.path_of(name))
    text = "\n".join(cell.source for cell in exercise.cells if cell.cell_type == "markdown")
    steps = re.split(r"^## Step \d", text, flags=re.MULTILINE)[1:]
    assert len(steps) >= 3 and [re.findall("<details><summary>Hint ([123])", step) for step in steps] == [["1", "2", "3"]] * len(steps)


def test_the_same_master_gives_the_same_bytes():
    assert release.released(NAMES[0]) == release.released(NAMES[0])
    assert nbformat.reads(release.released(NAMES[0]), as_version=4)
