"""Grades submissions: each in a kernel of its own behind walls, several at once, and every one gets a result."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from nbformat import NotebookNode

from helpers.exercises import masters, seal, submissions
from helpers.exercises.kernel import Ended, Kernel, Reply
from helpers.exercises.submissions import Step, Submission
from helpers.exercises.walls import Limits, end_all

GRADED, TAMPERED, ENDED, UNREADABLE, FAILED = "graded", "tampered", "ended", "unreadable", "failed"
LONGEST = 600  # characters of what a check says
NOT_REACHED = "It did not run."
CHANGING = {r"0x[0-9a-fA-F]{6,}": "0x...", r"(127\.0\.0\.1|localhost):\d+": r"\1", r"\bpid[ =]\d+": "pid"}  # differs from run to run


@dataclass
class Outcome:
    """A check and what came of it: `said` is why its public part does not hold, None where it does; `hidden` likewise, where there is one."""

    id: str
    what: str
    points: int
    said: str | None = NOT_REACHED
    hidden: str | None = None
    has_public: bool = True
    has_hidden: bool = False

    @property
    def holds(self) -> bool:
        return self.said is None and self.hidden is None


@dataclass
class Result:
    """What a submission got. `why` says in words what is behind a state that is not `graded`; `notes` what else happened."""

    learner: str
    file: str
    exercise: str = ""
    state: str = GRADED
    why: str = ""
    outcomes: list[Outcome] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)  # to be read by a person
    notes: list[str] = field(default_factory=list)

    @property
    def points(self) -> int:
        return 0 if self.state == TAMPERED else sum(outcome.points for outcome in self.outcomes if outcome.holds)

    @property
    def of(self) -> int:
        return sum(outcome.points for outcome in self.outcomes)


def grade(
    folder: Path, known: dict[str, NotebookNode], limits: Limits, hide: tuple[Path, ...] = (), walls: bool = True, jobs: int | None = None
) -> Iterator[Result]:
    """Grade all submissions of a folder, in order of name. Nothing that one of them does keeps another from its result."""
    found = submissions.find(folder)
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        try:
            yield from pool.map(lambda submission: grade_one(submission, known, limits, (folder, *hide), walls), found)
        except BaseException:  # such as Ctrl-C: those that wait do not begin, and those that run need not be waited for
            pool.shutdown(wait=False, cancel_futures=True)
            end_all()
            raise


def grade_one(submission: Submission, known: dict[str, NotebookNode], limits: Limits, hide: tuple[Path, ...] = (), walls: bool = True) -> Result:
    """Grade one submission."""
    result = Result(submission.learner, submission.file)
    try:
        if submission.fault:
            raise ValueError(submission.fault)
        result.exercise = submissions.exercise_of(submission, known)
    except ValueError as error:
        result.state, result.why = UNREADABLE, str(error)
        return result
    master = known[result.exercise]
    try:
        result.outcomes = [_outcome(cell) for cell in master.cells if masters.is_check(cell)]
        result.texts, result.notes = _texts(submission, master), _notes(submission, master)
        with Kernel(limits, hide, walls) as kernel:
            _run(kernel, submissions.steps(submission, master), master, result)
    except Ended as error:
        result.state, result.why = ENDED, str(error)
    except Exception as error:  # ours, not the learner's: it must not cost the others their results
        result.state, result.why = FAILED, f"the grader failed: {type(error).__name__}: {error}"
    return result


def _run(kernel: Kernel, steps: list[Step], master: NotebookNode, result: Result) -> None:
    """Run all steps. A cell that fails does not stop the next, as when a learner runs one after the other."""
    sealed = seal.Seal(kernel, seal.modules_of(master))
    given = [cell for cell in master.cells if cell.cell_type == "code" and not masters.is_written(cell) and not masters.is_check(cell)]
    checks = {cell.metadata.nbgrader.grade_id: seal.names_relied_on(given, masters.bare(cell.source)) for cell in master.cells if masters.is_check(cell)}
    relied_on = {name for _, names in checks.values() for name in names}
    outcomes = {outcome.id: outcome for outcome in result.outcomes}
    for step in steps:
        if step.kind == "written":
            _note(result, step, kernel.run(step.source))
        elif step.kind == "given":
            _note(result, step, kernel.run(step.source))
            sealed.keep(sorted(relied_on & seal.bound(step.source)))
        else:
            said = _said(sealed.check(checks[step.id][0], masters.bare(step.source)), kernel.limits)
            if broken := sealed.broken():
                result.state, result.why = TAMPERED, f"it changes what the checks rely on: {broken}"
                return
            outcome = outcomes[step.id]
            outcome.hidden, outcome.said = (said, outcome.said) if step.kind == "hidden" else (outcome.hidden, said)


def _outcome(cell: NotebookNode) -> Outcome:
    has_public, has_hidden = bool(masters.public(cell.source)), masters.has_hidden(cell.source)
    return Outcome(
        masters.cell_id(cell), masters.what(cell), cell.metadata.nbgrader.points,
        NOT_REACHED if has_public else None, NOT_REACHED if has_hidden else None, has_public, has_hidden,
    )  # fmt: skip


def _texts(submission: Submission, master: NotebookNode) -> dict[str, str]:
    """What a learner wrote in words, which no check can read."""
    written = submissions.written(submission, master)
    return {id: "\n\n".join(written[id])[:20_000] for cell in master.cells if masters.is_text(cell) for id in [masters.cell_id(cell)]}


def _notes(submission: Submission, master: NotebookNode) -> list[str]:
    written = submissions.written(submission, master)
    missing = [f"the cell `{id}` is missing" for id, sources in written.items() if not sources]
    return missing + [f"the cell `{id}` is there {len(sources)} times: all of them are run" for id, sources in written.items() if len(sources) > 1]


def _note(result: Result, step: Step, reply: Reply) -> None:
    """Say that a cell failed, of the first few."""
    if reply.error != "NotImplementedError" and not reply.is_ok and len(result.notes) < 20:
        where = f"the cell `{step.id}`" if step.id else f"the cell that begins with `{next(iter(step.source.strip().splitlines()), '')[:60]}`"
        result.notes.append(f"{where} took too long and was interrupted" if reply.late else shown(f"{where} raised {reply.error}: {reply.said}"))


def _said(reply: Reply, limits: Limits) -> str | None:
    """What a check lacks; None where it holds."""
    if reply.is_ok:
        return None
    if reply.late:
        return f"It took longer than {limits.cell_seconds:g} s and was interrupted."
    if reply.error == "NotImplementedError":
        return "It is not written yet."
    return shown(reply.said if reply.error == "AssertionError" else f"Your code raised {reply.error}: {reply.said}")


def shown(text: str) -> str:
    """As it is kept: not too long, and without what differs from run to run."""
    for pattern, instead in CHANGING.items():
        text = re.sub(pattern, instead, text)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"
