"""Starting the course in a notebook: the gateway, the environment, the status card, the log and the bill."""

from __future__ import annotations

import os
import re
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import environment, models, network, page

if TYPE_CHECKING:
    from helpers.costs import Bill
    from helpers.gateway.meter import Log
    from helpers.gateway.server import Gateway

MODES = ("offline", "live", "record")
BUDGET_USD = Decimal("0.50")
LARGEST_BUDGET_USD = Decimal(10_000)  # more is a slip of the hand
SLOWEST = Decimal(100)  # of the pace: at more, an answer would take an hour
PROVIDERS = ("openai", "anthropic", "gemini", "bedrock", "azure")
YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_running: Course | None = None
_starting = threading.Lock()


class CourseError(RuntimeError):
    """Something that the learner can put right; the message says how."""


@dataclass(repr=False)
class Course:
    """A running course. `gateway` has the controls: fault, script, revoke, advance, stop_clock, limit, reset; and verdict, what a client did well and badly."""

    gateway: Gateway
    mode: str
    budget_usd: Decimal
    set_aside: list[str] = field(default_factory=list)  # names of variables; the card says them once

    def log(self) -> Log:
        """Every request the gateway received so far, in order, with the source of its answer.

        Raises RuntimeError in a process that was forked from the kernel: the log is there.
        """
        return self.gateway.log()

    @property
    def bill(self) -> Bill:
        """Tokens and USD so far, by model. Offline the bill is 0.00; beside it stands what it would be live."""
        from helpers.costs import Bill

        return Bill(self.log(), on=None if self.mode == "offline" else datetime.now(UTC).date())

    def __str__(self) -> str:
        return "\n".join(f"{name}: {text}" for name, text in self._card())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return page.card(self._card())

    def _card(self) -> list[tuple[str, str]]:
        aside = f"{', '.join(self.set_aside)}: as in your shell, but out of sight of the SDKs in this kernel"
        return [*self._says(), *([("Set aside", aside)] if self.set_aside else [])]

    def _says(self) -> list[tuple[str, str]]:
        names = ", ".join(models.default(provider) for provider in ("openai", "anthropic", "gemini"))
        if self.mode == "offline":
            return [
                ("Mode", "offline: every call is answered on this machine, without a key and without cost"),
                ("Answers", "recordings first; the house model, a very small one on this machine, for every other prompt"),
                ("Models", f"{names} and others, under their real names"),
                ("Next", "run the cells; course.log() shows what was sent, course.bill what it would cost live"),
            ]
        kept = "; answers are also written to recordings" if self.mode == "record" else ""
        return [
            ("Mode", f"{self.mode}: calls go to the real providers and cost money{kept}"),
            ("Budget", f"{self.budget_usd} USD for this kernel; a call that could exceed it is refused before it is sent"),
            ("Keys", self._keys()),
            ("Models", f"{names} and others"),
            ("Next", "run the cells; course.bill shows what you have spent"),
        ]

    def _keys(self) -> str:
        """Which providers the learner has a key for: yes or no, and no part of any."""
        upstream = self.gateway.upstream
        return ", ".join(f"{provider} {'yes' if upstream and upstream.has_key(provider) else 'no'}" for provider in PROVIDERS)


def start(
    mode: str | None = None,
    *,
    strict: bool | None = None,
    pace: float | None = None,
    budget_usd: Decimal | str | None = None,
    show: bool = True,
) -> Course:
    """Start the gateway in this kernel and point every SDK at it; show the status card.

    mode: offline (default), live or record; also by COURSE_MODE. strict: a prompt without a recording is
    an error; also by COURSE_STRICT=1. pace: 1 streams at a model's typical speed, 0 at once, up to 100 times
    slower; also by COURSE_PACE. budget_usd: the most that live calls may cost in this kernel, 0.50 USD unless set here or
    by COURSE_BUDGET_USD. Called again, it begins anew on the same port. Offline, whatever else this kernel
    sends to another machine is refused. In a process that is forked from this one (multiprocessing on Linux),
    calls reach this gateway without a start(); a start() there begins one of its own offline. Raises CourseError
    for a setting that makes no sense, for a change of mode in a running kernel, and for a start() in a process
    that was forked from a live one, whose budget it shares.
    """
    chosen = settings(mode, strict, pace, budget_usd)
    with _starting:  # threads that start it at once have one gateway, one log and one budget
        course = _begin(chosen)
        course.set_aside = environment.point_sdks_at(course.gateway.base_url, offline=course.mode == "offline")
    if show:
        _display(course)
    return course


def _begin(chosen: Settings) -> Course:
    """The running course, begun anew, or one that is started now."""
    global _running
    if _running is not None:
        _check_fits(_running, chosen)
    if _running is not None and _running.gateway.is_running:
        _running.gateway.strict, _running.gateway.pace = chosen.strict, chosen.pace
        _running.gateway.reset()
    else:
        _running = Course(serving(chosen), chosen.mode, chosen.budget_usd)
        _explain_errors(_running)
    return _running


def _explain_errors(course: Course) -> None:
    """In a live kernel: say why a call did not reach its provider, above the traceback. Offline, errors are the lesson."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None and course.mode != "offline":
        from helpers import errors

        errors.explain_in(shell, course.gateway.meter)


def _check_fits(running: Course, chosen: Settings) -> None:
    """Raise CourseError for what a kernel does not change, its mode and its budget, or cannot have twice."""
    if running.mode != "offline" and running.budget_usd != chosen.budget_usd:
        raise CourseError("the budget of a kernel is set once: restart the kernel to change it")
    if running.mode != chosen.mode:
        raise CourseError(f"this kernel runs in {running.mode} mode: restart the kernel to change to {chosen.mode}")
    if running.mode == "offline" or running.gateway.is_running:
        return
    if running.gateway.is_elsewhere:
        raise CourseError("this process was forked from one that runs the course live: its calls share that one's budget, without a start() here")
    raise CourseError("the gateway was stopped, and with it the budget of this kernel: restart the kernel to go on")


def _forget_lock() -> None:
    """In a process that was just forked: a lock that another thread held would never be released here."""
    global _starting
    _starting = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)


@dataclass(frozen=True)
class Settings:
    """How a gateway is to run. `folder` is where recordings are read and written, None for the course's own."""

    mode: str
    strict: bool
    pace: float
    budget_usd: Decimal
    folder: Path | None


def settings(
    mode: str | None = None,
    strict: bool | None = None,
    pace: float | str | None = None,
    budget_usd: Decimal | str | None = None,
) -> Settings:
    """What was asked for, else what the environment says; an empty variable counts as unset. Raises CourseError."""
    _refuse_dotenv(COURSE_MODE=mode, COURSE_STRICT=strict, COURSE_PACE=pace, COURSE_BUDGET_USD=budget_usd)
    mode = mode or os.environ.get("COURSE_MODE") or "offline"
    if mode not in MODES:
        raise CourseError(f"the mode (COURSE_MODE) is {mode!r}; it can be {', '.join(MODES)}")
    day = os.environ.get("COURSE_DATE")
    if day and not _is_date(day):
        raise CourseError(f"COURSE_DATE is {day!r}: give a day such as 2026-11-23, or unset it")
    folder = os.environ.get("COURSE_RECORD_TO")
    return Settings(
        mode,
        _yes_or_no("strict", strict),
        float(_number("pace", pace, Decimal(1), SLOWEST)),
        _number("budget_usd", budget_usd, BUDGET_USD, LARGEST_BUDGET_USD),
        Path(folder) if folder and mode == "record" else None,
    )


def serving(chosen: Settings, port: int = 0) -> Gateway:
    """A gateway that serves. Raises CourseError for what the learner can put right, OSError for a port that is taken."""
    try:
        return gateway_for(chosen).start(port)
    except ValueError as error:  # a .env or a file of recordings that cannot be read
        raise CourseError(str(error)) from None


def gateway_for(chosen: Settings) -> Gateway:
    """A gateway that is not started yet. Raises CourseError for a folder that is not there and for a network that cannot be used."""
    from helpers.gateway.server import Gateway
    from helpers.gateway.sources.recordings import FOLDER

    folder = chosen.folder or FOLDER
    if not folder.is_dir() and (chosen.mode != "record" or folder.exists()):
        raise CourseError(f"{folder} is no folder: name the one with your recordings")
    upstream = None
    if chosen.mode != "offline":
        from helpers.gateway.sources.upstream import from_environment

        shell = environment.learners()
        if wrong := network.unusable(shell):
            raise CourseError(f"{', '.join(wrong)} cannot be used: correct or unset it in your shell (a SOCKS proxy needs `pip install socksio`)")
        try:
            upstream = from_environment(chosen.mode, budget_usd=chosen.budget_usd, record_to=chosen.folder, environ=shell)
        except ValueError as error:  # another budget than the one that this process has, or a .env that cannot be read
            raise CourseError(str(error)) from None
    return Gateway(strict=chosen.strict, pace=chosen.pace, recordings=folder, upstream=upstream)


def _refuse_dotenv(**given: object) -> None:
    """Raise CourseError for a setting in .env that nothing else decides: it would be passed over without a word."""
    from helpers.gateway.sources.credentials import dotenv_file

    path = dotenv_file()
    try:
        text = path.read_bytes() if path else b""
    except OSError:  # nothing to offline mode; the others say so when they read the keys
        return
    # Line by line, and these alone: offline, the keys in this file are not read.
    names = re.findall(rb"^\s*(?:export\s+)?(COURSE_[A-Z_]+)\s*=\s*[^\s#]", text, re.MULTILINE)
    for name in map(bytes.decode, names):
        if given.get(name) is None and not os.environ.get(name):
            raise CourseError(f"{name} stands in {path}, which is read for keys alone: set it in your shell, as in `export {name}=...`")


def _is_date(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def _yes_or_no(name: str, given: bool | None) -> bool:
    if given is not None:
        if not isinstance(given, bool):
            raise CourseError(f"{name} is {given!r}: give True or False")
        return given
    variable = f"COURSE_{name.upper()}"
    text = os.environ.get(variable, "").strip().lower()
    if text not in ("", *YES, *NO):
        raise CourseError(f"{variable} is {text!r}: give 1 or 0")
    return text in YES


def _number(name: str, given: float | Decimal | str | None, otherwise: Decimal, most: Decimal) -> Decimal:
    variable = f"COURSE_{name.upper()}"
    text = os.environ.get(variable) if given is None else given
    said = variable if given is None else name
    if text in (None, ""):
        return otherwise
    try:
        value = Decimal(str(text))
    except InvalidOperation:
        raise CourseError(f"{said} is {text!r}: give a number") from None
    if not value.is_finite() or not 0 <= value <= most:
        raise CourseError(f"{said} is {text!r}: give a number from 0 to {most}")
    return value


def _display(course: Course) -> None:
    try:
        from IPython.display import display
    except ImportError:
        print(course)
    else:
        display(course)
