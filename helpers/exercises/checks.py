"""The learner's side of a check: a sentence that helps instead of a traceback, and a count at the end."""

from __future__ import annotations

import linecache
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from types import FrameType
from typing import TypeVar

PASSED, FAILED, UNWRITTEN = "passed:", "not yet:", "not written yet:"
T = TypeVar("T")
_failures: dict[str, str | None] = {}  # of each check that ran in this kernel, what it lacked; None where it passed


@contextmanager
def check(what: str) -> Iterator[None]:
    """A block of asserts with a name. It prints whether they hold, or what the first that does not has to say; the notebook goes on.

    An error in the learner's own code is told with the line that raised it. Nothing but an Exception is held back.
    """
    failed: Exception | None = None
    try:
        yield
    except Exception as error:
        failed = error
    said = None if failed is None else _said(failed)
    _failures[what] = said
    print(_line(what, said, failed))


def same(found: object, expected: object) -> bool:
    """Whether two values are equal and of the same type, and all that they hold: nothing that only claims to be equal is."""
    if type(found) is not type(expected):
        return False
    if is_dataclass(expected):
        return all(same(getattr(found, field.name), getattr(expected, field.name)) for field in fields(expected))
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[name], value) for name, value in expected.items())
    return bool(expected == found)


def within(seconds: float, act: Callable[[], T]) -> T:
    """What `act` returns or raises. Raises AssertionError if it takes longer; it is then left running beside."""
    made: Future[T] = Future()

    def run() -> None:
        try:
            made.set_result(act())
        except BaseException as error:
            made.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return made.result(seconds)
    except TimeoutError:
        if made.done():
            raise
        raise AssertionError(f"after {seconds} seconds your code was still waiting: is each wait limited?") from None


def score(total: int) -> None:
    """Print how many of an exercise's public checks passed, and which to look at next. `total` is how many there are."""
    passed = sum(said is None for said in _failures.values())
    print(f"{passed} of {total} public checks passed.")
    waiting = next((what for what, said in _failures.items() if said is not None), None)
    if waiting:
        print(f"Look next at: {waiting}.")
    elif passed < total:
        print("Some have not run yet: run the notebook from its beginning.")
    else:
        print("All of them. Compare your work with the one in solutions/, then go on.")


def _line(what: str, said: str | None, error: Exception | None) -> str:
    if said is None:
        return f"{PASSED} {what}"
    return f"{UNWRITTEN if isinstance(error, NotImplementedError) else FAILED} {what}\n    {said}"


def _said(error: Exception) -> str:
    """What a failed check has to say to a learner."""
    if isinstance(error, AssertionError):
        return str(error)
    if isinstance(error, NotImplementedError):
        return "Write the code where the cell above says so, run that cell, then this one."
    frames = [place for place in traceback.walk_tb(error.__traceback__) if _is_of_a_cell(place[0])]
    if type(error) is NameError and _raised_in_the_check(frames):
        return f"There is no {error.name} yet: run the cells above this one first, from the beginning of the notebook."
    return "\n    ".join([f"Your code raised {type(error).__name__}: {error}", *_places(frames[1:])])


def _raised_in_the_check(frames: list[tuple[FrameType, int]]) -> bool:
    """Whether an error comes from the check's own cell, or a function in it: then no code of the learner's is to blame."""
    return bool(frames) and frames[-1][0].f_code.co_filename == frames[0][0].f_code.co_filename


def _places(frames: list[tuple[FrameType, int]]) -> list[str]:
    """The last line of a cell on the way to an error, and the line that called it: it may be a function that the exercise gave."""
    said = []
    for word, (frame, number) in zip(("in", "called in"), reversed(frames)):
        code = frame.f_code
        said.append(f"{word} line {number} of {code.co_name}(): {linecache.getline(code.co_filename, number).strip()}")
    return said


def _is_of_a_cell(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__") == "__main__"
