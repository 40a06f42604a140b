"""What each SDK makes of each fault, measured: `python -m tests.gateway.fault_matrix` writes the site's page anew.

The SDKs are as a program gets them, with one question, and they really sleep between their tries. How long they mean to sleep is taken
from what they log. The clients run side by side, each in two threads with a gateway of its own. An environment has to lead litellm to a gateway.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from helpers import environment, limits
from helpers.gateway.faults import IN_ANSWER, IN_BATCH, KINDS
from helpers.gateway.meter import Entry
from helpers.gateway.server import Gateway
from tests.gateway.fault_clients import CLIENTS, LOGGERS, Asks, Client, Reply

PAGE = Path(__file__).parents[2] / "etc/site/faults.md"
LATE, PATIENCE = 3.0, 1.0  # seconds that an answer comes late, and that a client waits for one where it would wait too long
TIMED = ("slow", "stalled")
SECONDS = {"slow": LATE, "outage": 3600.0}
SAYS = {
    "rate_limited": "More requests came than the limit lets through.",
    "overloaded": "The provider has too much to do.",
    "server_error": "Something broke at the provider.",
    "wrong_key": "The key is not one.",
    "out_of_credit": "There is no money left; at AWS, the tokens of the day are used up.",
    "outage": "The provider is down for an hour.",
    "blocked": "A filter of the provider's stops the prompt.",
    "slow": f"The answer comes {LATE:g} s late, and the client has a time-out of {PATIENCE:g} s.",
    "stalled": f"The stream begins, and then nothing comes any more. The client has a time-out of {PATIENCE:g} s.",
    "connection_reset": "The connection breaks before any answer.",
    "stream_cut": "The connection breaks in the middle of a stream.",
    "stream_ended": "The stream ends properly, but too soon, as a proxy may do it.",
    "overloaded_in_stream": "An error arrives in the middle of a stream.",
    "slow_batch": "A batch runs for long. Whoever makes it notices nothing. OpenAI's takes two requests, one for its file and one for the batch.",
}
TOLD = re.compile(r"[Rr]etry.*?(?:in|delay of:) ([\d.]+)")


class Row(NamedTuple):
    """One fault at one client. `sees`: what the program sees as long as the fault lasts; `once`: what it sees where it strikes a single time."""

    client: str
    sees: str
    requests: str
    waits: str
    once: str


class Told(logging.Handler):
    """What the SDKs say of the sleep before a retry, by thread."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.seconds: dict[int, list[float]] = defaultdict(list)

    def emit(self, record: logging.LogRecord) -> None:
        if found := TOLD.match(record.getMessage()):
            self.seconds[threading.get_ident()].append(float(found[1]))

    def taken(self) -> list[float]:
        """Those of this thread since it last asked."""
        return self.seconds.pop(threading.get_ident(), [])


@contextmanager
def listening() -> Iterator[Told]:
    """Hears the loggers of the SDKs, at the levels at which they speak of retries."""
    told, before = Told(), {name: logging.getLogger(name).level for name in LOGGERS}
    for name, level in LOGGERS.items():
        logging.getLogger(name).addHandler(told)
        logging.getLogger(name).setLevel(level)
    try:
        yield told
    finally:
        for name, level in before.items():
            logging.getLogger(name).removeHandler(told)
            logging.getLogger(name).setLevel(level)


def measure() -> dict[str, list[Row]]:
    """All rows, by fault."""
    halves = [(client, kinds) for client in CLIENTS for kinds in (KINDS[::2], KINDS[1::2])]
    with listening() as told, ThreadPoolExecutor(len(halves)) as threads:
        columns = list(threads.map(lambda half: _column(*half, told), halves))
    return {kind: [column[kind] for column in columns if kind in column] for kind in KINDS}


def _column(client: Client, kinds: Sequence[str], told: Told) -> dict[str, Row]:
    gateway = Gateway(pace=0).start()
    try:
        asks = client.connect(gateway.base_url)
        return {kind: _row(client, asks, gateway, kind, told) for kind in kinds if kind not in IN_BATCH or asks.batch}
    finally:
        gateway.stop()


def _row(client: Client, asks: Asks, gateway: Gateway, kind: str, told: Told) -> Row:
    ask = asks.batch if kind in IN_BATCH else asks.stream if kind in IN_ANSWER else asks.plain
    timeout = PATIENCE if kind in TIMED else None
    gateway.reset()
    whole = ask(None)

    def struck(times: int | None) -> str:
        gateway.reset()
        gateway.fault(kind, times=times, seconds=SECONDS.get(kind, 0.0), chunk=client.chunk)
        return _seen(client, lambda: ask(timeout), whole)

    told.taken()
    sees, sleeps, entries = struck(None), told.taken(), list(gateway.meter.log())
    return Row(client.name, sees, str(len(entries)), _waits(client, sleeps, entries), struck(1))


def _seen(client: Client, ask: Callable[[], Reply], whole: Reply) -> str:
    """What the program gets: an exception by its name, a package that is not the SDK's own with it, and the HTTP status; or an answer."""
    try:
        reply = ask()
    except Exception as error:
        package, status = type(error).__module__.partition(".")[0], limits.retries._status(error)
        name = type(error).__name__ if package in client.packages else f"{package}.{type(error).__name__}"
        return f"`{name}`" + (f", {status}" if status else "")
    if reply == whole:
        return "the answer"
    if reply.text and whole.text.startswith(reply.text):
        return "**a piece of the answer, no error**" + (f", reason `{reply.finish}`" if reply.finish else "")
    return f"no error; reason `{reply.finish}`"


def _waits(client: Client, sleeps: list[float], entries: list[Entry]) -> str:
    """The sleeps in words: as long as it was told, or between which bounds. Raises AssertionError where one is out of them."""
    words = []
    for number, (slept, entry) in enumerate(zip(sleeps, entries, strict=False)):
        least, most = client.bounds(number, entry)
        assert least - 1e-6 <= slept <= most + 1e-6, f"{client.name} sleeps {slept} s before try {number + 2}, not {least} to {most} s"
        words.append(f"{least:g} s, as told" if least == most else f"{least:.2g} to {most:.2g} s")
    return ", then ".join(words) or "-"


def page(rows: dict[str, list[Row]]) -> str:
    """The page of the site."""
    parts = [INTRODUCTION]
    for kind, found in rows.items():
        asked = "a batch" if kind in IN_BATCH else "a stream" if kind in IN_ANSWER else "a plain call"
        head = ["client", "what the program sees", "requests", "the SDK sleeps", "where it strikes once"]
        lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *found)]
        parts.append(f"## `{kind}`\n\n{SAYS[kind]} Done to {asked}.\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


INTRODUCTION = """# Faults and SDKs

What each SDK makes of each fault of the gateway, with the settings that it comes with. Every row was measured, on real HTTP, and a test measures them again: it fails when a new version of an SDK behaves differently. Chapters [12b](notebooks/12b_retries.ipynb) and [12c](notebooks/12c_timeouts.ipynb) say what to make of it.

- **What the program sees** as long as the fault lasts: the exception, with the HTTP status where there is one. A package's name stands before it where the exception is not the SDK's own.
- **Requests**: how many the server got for one call. What is more than 1 are the SDK's own retries.
- **The SDK sleeps**: the pause before each retry, as its source has it; each measured one lay within.
- **Where it strikes once**: what the program sees if the fault strikes one request only. "the answer" means that the SDK recovered by itself.

google-genai does not retry unless told to; its second row is with `HttpRetryOptions(attempts=3, initial_delay=0.2, jitter=0.2)`. litellm's rows name the provider behind it.
"""


if __name__ == "__main__":
    os.environ.update(environment.variables("http://127.0.0.1:9"))  # keys, and nowhere else; each client is told its gateway
    PAGE.write_text(page(measure()), encoding="utf-8")
