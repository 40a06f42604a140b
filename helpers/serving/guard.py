"""Runs a command, and ends it with every process that it started as soon as whoever asked for it is gone.

    python guard.py SECONDS COMMAND...

A server must not outlive its notebook, and a kernel that is killed cannot clean up. But however a kernel ends, its end of
our standard input is closed, and that is what this process waits for. One byte sent there does the same. SECONDS is how
long the command gets to end itself before it is killed.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

POLL = 0.1  # seconds between two looks at the command
STRAGGLERS = 1.0  # seconds that the command's own processes get once it has ended; one of vLLM's gives back shared memory then


def main(arguments: list[str]) -> int:
    """Run the command until it ends or we are told to end it; its exit status, as a shell gives it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that `finally` below is reached
    process = subprocess.Popen(arguments[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        while process.poll() is None and not _told_to_end(POLL):
            pass
    finally:
        _end(process, patience=float(arguments[0]))
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _told_to_end(seconds: float) -> bool:
    """Wait for a byte, or for the end, of standard input."""
    return bool(select.select([sys.stdin], [], [], seconds)[0])


def _end(process: subprocess.Popen[bytes], patience: float) -> None:
    """Ask the command's process group to end, wait, then kill the command, and last what is left of the group."""
    _signal(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    process.kill()  # does nothing if it has ended
    process.wait()
    deadline = time.monotonic() + STRAGGLERS
    while time.monotonic() < deadline and _is_alive(process.pid):
        time.sleep(POLL / 4)
    _signal(process.pid, signal.SIGKILL)


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError):  # all of them have ended
        os.killpg(group, number)


def _is_alive(group: int) -> bool:
    """Whether a process of the group is more than a zombie: in a container nobody may care to collect those."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            state, _parent, its_group = file.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                return True
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
