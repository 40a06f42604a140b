"""Grades the graders: is each exercise current, does it leak nothing, and do its checks tell right from wrong?

A mutant is a solution with one plausible bug, an alternative a right solution of another shape. Both stand in tests/.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from helpers.exercises import masters, release, trial

MUTANTS, ALTERNATIVES = masters.ROOT / "tests" / "mutants", masters.ROOT / "tests" / "alternatives"
SHORT = 12  # characters: a line of a solution that has less may stand anywhere


@dataclass(frozen=True)
class Mutant:
    """A bug: in the cell, `old` becomes `new`, and the check `killed_by` has to find it."""

    name: str
    cell: str
    old: str
    new: str
    killed_by: str
    source: str = ""  # where somebody really had it


@dataclass
class Report:
    """What an exercise's audit found: counts for a table, and what is wrong, in sentences."""

    name: str
    checks: int = 0
    hidden: int = 0
    mutants: int = 0
    killed: int = 0
    alternatives: int = 0
    passed: int = 0
    faults: list[str] = field(default_factory=list)


def audit(name: str) -> Report:
    """Everything that can be said of an exercise without a learner."""
    master = masters.master(name)
    exercise = release.release(master)
    found = masters.checks(master)
    report = Report(name, len(found), sum(masters.has_hidden(cell.source) for cell in master.cells if masters.is_check(cell)))
    report.faults += [*_stale(name, exercise), *_leaks(master, exercise), *_badly_put(master, exercise)]
    bugs, others = mutants(name), alternatives(name)
    tried = [master, *(mutated(master, bug) for bug in bugs), *(replaced(master, path) for path in others)]
    stub, *results = [*trial.run([exercise], keep_going=True), *trial.run(tried)]
    solved, of_bugs, of_others = results[0], results[1 : len(bugs) + 1], results[len(bugs) + 1 :]
    report.faults += [f"the solution fails {check}: {solved.failures[check]}" for check in solved.failed]
    report.faults += [f"the stub passes {check}" for check, said in stub.failures.items() if said is None]
    for bug, result in zip(bugs, of_bugs, strict=True):
        report.faults += _survived(bug, result)
    for path, result in zip(others, of_others, strict=True):
        report.faults += [f"{path.name} is right and fails {check}: {result.failures[check]}" for check in result.failed]
    report.mutants, report.killed = len(bugs), sum(not _survived(bug, result) for bug, result in zip(bugs, of_bugs, strict=True))
    report.alternatives, report.passed = len(others), sum(not result.failed for result in of_others)
    return report


# ---- mutants and alternatives ---------------------------------------------------
def mutants(name: str) -> list[Mutant]:
    file = MUTANTS / f"{name}.toml"
    return [Mutant(**row) for row in tomllib.loads(file.read_text(encoding="utf-8"))["mutant"]] if file.exists() else []


def mutated(master: NotebookNode, bug: Mutant) -> NotebookNode:
    """The solution with the bug in it. Raises ValueError where the bug's place is not there, or not the only one."""
    notebook = nbformat.from_dict(master)
    cell = _cell(notebook, bug.cell)
    if cell.source.count(bug.old) != 1:
        raise ValueError(f"{bug.name}: the cell {bug.cell} has {cell.source.count(bug.old)} times what the mutant replaces")
    cell.source = cell.source.replace(bug.old, bug.new)
    return notebook


def alternatives(name: str) -> list[Path]:
    return sorted((ALTERNATIVES / name).glob("*.py"))


def replaced(master: NotebookNode, file: Path) -> NotebookNode:
    """The solution with other cells in it: a file names each in a line `# %% id` above it."""
    notebook = nbformat.from_dict(master)
    for block in f"\n{file.read_text(encoding='utf-8')}".split("\n# %% ")[1:]:
        id, _, source = block.partition("\n")
        _cell(notebook, id.strip()).source = source.strip()
    return notebook


def _cell(notebook: NotebookNode, id: str) -> NotebookNode:
    found = next((cell for cell in notebook.cells if masters.cell_id(cell) == id and masters.is_written(cell)), None)
    if found is None:
        raise ValueError(f"there is no cell {id!r} that a learner writes")
    return found


def _survived(bug: Mutant, result: trial.Trial) -> list[str]:
    """What is wrong where a mutant was not found by the check that is there for it, or was found without a word."""
    if bug.killed_by not in result.failed:
        return [f"the mutant {bug.name!r} is not found by {bug.killed_by}; it fails {', '.join(result.failed) or 'nothing'}"]
    return [] if result.failures[bug.killed_by] else [f"{bug.killed_by} has nothing to say of the mutant {bug.name!r}"]


# ---- what the exercise is ---------------------------------------------------------
def _stale(name: str, exercise: NotebookNode) -> list[str]:
    path = release.path_of(name)
    if path.exists() and path.read_text(encoding="utf-8") == release.text(exercise):
        return []
    return [f"{path.name} in exercises/ is not what the master gives: run `llm-course exercises build` (`restart` keeps an attempt)"]


def _leaks(master: NotebookNode, exercise: NotebookNode) -> Iterator[str]:
    """Lines of a solution or of a hidden check that the exercise shows, in a cell of that id or beside the cells' text."""
    shown = {masters.cell_id(cell): cell.source for cell in exercise.cells}
    beside = nbformat.writes(_without_text(exercise))
    for cell in master.cells:
        secret, open_ = _secret_lines(cell.source)
        for line in sorted(secret - open_):
            if line in shown.get(masters.cell_id(cell), "") or line in beside:
                yield f"the exercise shows a line of {masters.cell_id(cell)}: {line}"


def _secret_lines(source: str) -> tuple[set[str], set[str]]:
    """The lines between the marks of a solution or of a hidden check, but for the shortest; and those of the cell that anybody may see."""
    secret, open_ = set(), set()
    lines = open_
    for line in map(str.strip, source.splitlines()):
        if line.startswith(("### BEGIN", "### END")):
            lines = secret if line.startswith("### BEGIN") else open_
        elif len(line) > SHORT:
            lines.add(line)
    return secret, open_


def _without_text(notebook: NotebookNode) -> NotebookNode:
    copy = nbformat.from_dict(notebook)
    for cell in copy.cells:
        cell.source = ""
    return copy


def _badly_put(master: NotebookNode, exercise: NotebookNode) -> Iterator[str]:
    """Asserts that have nothing to say, and a last line that counts wrongly."""
    for check in masters.checks(master):
        for node in ast.walk(masters.parse(check.code)):
            if isinstance(node, ast.Assert) and node.msg is None:
                yield f"{check.id} asserts without a word: {ast.unparse(node)}"
    public = len(masters.checks(exercise))
    if f"score({public})" not in exercise.cells[-1].source:
        yield f"the last cell does not count {public} public checks"
