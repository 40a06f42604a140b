"""Walls round somebody else's notebook: namespaces of Linux, which `unshare` of util-linux makes without being root.

Inside there is Python with its packages and the course's `helpers`, all read-only, an empty home on a file system of limited
size, a loopback that reaches nothing outside, and no other process. When the first process in there ends, all of them do.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from helpers.exercises import masters

HOME, FOLDER = "/home/learner", "/home/learner/exercises"
# What a notebook may see of the environment. No key is among it, and nothing that could hold one.
ALLOWED = ("COURSE_PACE", "COURSE_DATE", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS")
PREFIX_PARTS = ("bin", "lib", "lib64", "etc", "share", "pyvenv.cfg")  # of an environment of Python
SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/alternatives", "/etc/fonts",
    "/etc/ld.so.cache", "/etc/localtime", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
)  # fmt: skip
UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child")
LONGEST_PLACE = 75  # characters: a socket in a box's folder adds 24, and macOS allows 103 in all, Linux 107
INSIDE = Path(__file__).with_name("inside.py")


@dataclass(frozen=True)
class Limits:
    """What one notebook may take: seconds, bytes, and counts."""

    cell_seconds: float = 60
    notebook_seconds: float = 300
    memory: int = 4 << 30  # of all its processes together
    disk: int = 128 << 20
    file: int = 32 << 20
    processes: int = 64
    open_files: int = 512


_open: set[Box] = set()


def end_all() -> None:
    """End whatever runs in boxes now. Those who wait for them are told that they ended."""
    for box in list(_open):
        box.end()


class Box:
    """A process behind walls, and all that it starts. `door` is a folder that both sides see, at `inner_door` inside."""

    def __init__(self, command: list[str], limits: Limits, hide: tuple[Path, ...] = (), walls: bool = True, loud: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="grade-", dir=_short_place()))
        self.door = self._folder / "door"
        for path in (self.door, self._folder / "root"):
            path.mkdir()
        self.inner_door = "/door" if walls else str(self.door)
        command = [part.replace("{door}", self.inner_door) for part in command]
        order = json.dumps(_order(self._folder, command, limits, hide, walls, loud))
        start = [sys.executable, "-I", "-S", str(INSIDE), order]
        # The thread that starts it has to live as long: when it ends, so does the box, and also when the grader is killed.
        first = ["setpriv", "--pdeathsig", "KILL", *UNSHARE] if walls else []
        self._walls = walls
        self.process = subprocess.Popen([*first, *start], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        _open.add(self)

    def close_door(self) -> None:
        """Take the door away, once both sides hold on to what they opened: nothing can be left in it any more."""
        shutil.rmtree(self.door, ignore_errors=True)

    def load(self) -> tuple[int, int]:
        """How many processes there are, and how many bytes they use together. (0, 0) where that cannot be seen."""
        if not self._walls:
            return 0, 0
        try:
            first = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0]
            inner = Path(f"/proc/{first}/root/proc")
            pages = [_pages(inner / name) for name in os.listdir(inner) if name.isdigit()]
        except (OSError, IndexError):
            return 0, 0
        return len(pages) - 1, sum(pages) * os.sysconf("SC_PAGE_SIZE")

    def last_words(self) -> str:
        """Why it ended, once it has."""
        said = self.process.stderr.read(4000).decode(errors="replace").strip()
        status = self.process.returncode
        if said:
            return f"its walls could not be built: {said.splitlines()[-1]}"
        number = status - 128 if status > 128 else -status
        if number > 0:
            return f"signal {number}{' (such as by running out of memory)' if number in (signal.SIGKILL, signal.SIGABRT) else ''}"
        return f"its own code ended it, with status {status}"

    def end(self) -> None:
        """End everything inside."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def close(self) -> None:
        """End everything inside, and leave nothing."""
        self.end()
        self.process.wait()
        _open.discard(self)
        self.process.stderr.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _short_place() -> str:
    """Where a box has its folder. A socket's path has room for about a hundred characters, and TMPDIR alone may take them up."""
    usual = tempfile.gettempdir()
    return usual if len(usual) <= LONGEST_PLACE else "/tmp"


def _pages(process: Path) -> int:
    """Pages of memory that a process uses."""
    try:
        return int((process / "statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _order(folder: Path, command: list[str], limits: Limits, hide: tuple[Path, ...], walls: bool, loud: bool) -> dict:
    home, work = (HOME, FOLDER) if walls else (str(folder / "home"), str(folder / "home" / "exercises"))
    if not walls:
        Path(work).mkdir(parents=True)
    environ = {name: os.environ[name] for name in ALLOWED if name in os.environ}
    environ |= {"HOME": home, "TMPDIR": f"{home}/tmp", "PATH": f"{sys.prefix}/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    environ |= {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    most = {"RLIMIT_AS": limits.memory, "RLIMIT_FSIZE": limits.file, "RLIMIT_NOFILE": limits.open_files, "RLIMIT_CORE": 0}
    most["RLIMIT_CPU"] = int(limits.notebook_seconds * (os.cpu_count() or 1)) + 10
    folders = [work, f"{home}/tmp", "/tmp", "/var/tmp"]
    if not walls:
        os.mkdir(f"{home}/tmp")
    links = {path: os.readlink(path) for path in SYSTEM if os.path.islink(path) and os.path.isdir(path)}
    return {
        "walls": walls, "loud": loud, "command": command, "environ": environ, "folder": work, "limits": most,
        "root": str(folder / "root"), "door": str(folder / "door"), "disk": limits.disk, "files": 20_000, "folders": folders, "links": links,
        "show": [(path, path) for path in SYSTEM if os.path.exists(path) and path not in links] + _python() + _data(work),
        "hide": [str(path.resolve()) for path in (Path.home(), masters.ROOT, *hide)],
    }  # fmt: skip


def _python() -> list[tuple[str, str]]:
    """What Python needs: its own files, those of its environment, and the course's package."""
    places = [Path(prefix) / part for prefix in {sys.prefix, sys.base_prefix} if prefix != "/usr" for part in PREFIX_PARTS]
    places.append(Path(__file__).parents[1])
    return [(str(path), str(path)) for path in places if path.exists() and not (path.name == "lib64" and path.is_symlink())]


def _data(work: str) -> list[tuple[str, str]]:
    """The files that exercises come with: beside the notebook, as for a learner."""
    beside = masters.RELEASED.iterdir() if masters.RELEASED.is_dir() else ()
    return [(str(path), f"{work}/{path.name}") for path in beside if path.suffix != ".ipynb" and path.name != "attempts" and not path.name.startswith(".")]


@functools.cache
def missing() -> tuple[str, ...]:
    """Why there are no walls on this system, each reason in words; empty where they stand."""
    if sys.platform != "linux":
        return ("namespaces, with which a notebook is kept from your files, your network and your processes: only Linux has them",)
    if tools := [tool for tool in ("unshare", "setpriv") if not shutil.which(tool)]:
        return tuple(f"the program {tool}, which comes with util-linux" for tool in tools)
    forbidden = "user namespaces (a container or the system's settings may forbid them)"
    parts = {"--user": forbidden, "--net": "a network of its own", "--pid": "processes of its own"}
    for option, words in parts.items():
        if subprocess.run(["unshare", "--user", "--map-root-user", option, "--fork", "true"], capture_output=True).returncode:
            return (words,)
    box = Box([sys.executable, "-c", "import zmq, helpers"], Limits(), loud=True)
    try:
        said = box.process.communicate(timeout=60)[1].decode(errors="replace").strip()
        return () if box.process.returncode == 0 else (f"a root of its own: {said.splitlines()[-1] if said else 'it ended without a word'}",)
    except subprocess.TimeoutExpired:
        return ("a root of its own: Python did not start in it within a minute",)
    finally:
        box.close()
