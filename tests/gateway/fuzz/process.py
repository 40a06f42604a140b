"""The gateway in a process of its own, watched from outside: its memory, its descriptors, and what it says on stderr."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

from helpers import models

ROOT = Path(__file__).parents[3]


class Gateway:
    """`llm-course gateway` on a free port. What it says on stderr is kept. Raises RuntimeError when it does not start."""

    def __init__(self) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("COURSE_")}
        environ |= {"COURSE_PACE": "0", "COURSE_DATE": str(models.facts_date()), "PYTHONFAULTHANDLER": "1"}
        # Beside clients on the same cores, more threads wait for one another: a token takes five times as long.
        environ["OPENBLAS_NUM_THREADS"] = "1"
        command = [sys.executable, "-m", "helpers.command", "gateway", "--port", "0"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "errors": "replace"}
        self.process = subprocess.Popen(command, env=environ, cwd=ROOT, **pipes)
        self._errors: list[str] = []
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()
        self.port = self._port()

    def _listen(self) -> None:
        self._errors.extend(self.process.stderr)

    def _port(self) -> int:
        """The port that it prints, in lines of which the last is a remark."""
        port = None
        for line in self.process.stdout:
            port = re.search(r"127\.0\.0\.1:(\d+)", line) or port
            if port and line.startswith("#"):
                return int(port[1])
        self._listening.join()
        raise RuntimeError("the gateway did not start: " + "".join(self._errors))

    @property
    def is_dead(self) -> bool:
        return self.process.poll() is not None

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._listening.join(5)

    def megabytes(self) -> float:
        """Resident memory; 0 where the system has no /proc."""
        status = Path(f"/proc/{self.process.pid}/status")
        found = re.search(r"VmRSS:\s+(\d+)", status.read_text()) if status.exists() else None
        return int(found[1]) / 1024 if found else 0.0

    def descriptors(self) -> int:
        folder = Path(f"/proc/{self.process.pid}/fd")
        return len(list(folder.iterdir())) if folder.exists() else 0

    def tracebacks(self) -> Counter[str]:
        """What went wrong inside, by where and what."""
        found: Counter[str] = Counter()
        said = "".join(self._errors)
        for text in re.split(r"(?=Traceback \(most recent|Fatal Python error)", said)[1:]:
            lines = text.splitlines()
            end = next((i for i, line in enumerate(lines[1:], 1) if line and not line.startswith(" ")), len(lines) - 1)
            places = [line.strip() for line in lines[:end] if "helpers/" in line]
            found[f"{lines[end]} / {places[-1] if places else lines[0]}"[:300]] += 1
        return found
