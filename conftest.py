"""For every test and every notebook: offline, without waiting for the pace of a real model, and on the day of the
course's facts, so that a model that is shut down later breaks nothing. Whatever keys and proxies the shell holds, start()
has nothing to set aside, so that no chapter says so."""

import atexit
import itertools
import os
import shutil
import tempfile
import tomllib
from pathlib import Path

import nbval.kernel

from helpers import environment, network

SETTINGS = ("COURSE_MODE", "COURSE_STRICT", "COURSE_BUDGET_USD", "COURSE_RECORD_TO")
for name in (*SETTINGS, *environment.foreign(os.environ), *environment.variables(""), *network.PROXIES, *network.CERTIFICATES):
    os.environ.pop(name, None)
os.environ["COURSE_PACE"] = "0"
os.environ["COURSE_DATE"] = tomllib.loads((Path(__file__).parent / "helpers" / "models.toml").read_text())["date"]
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the house model is too small to gain from more, and they would wait for one another



def kernels_without_ports() -> None:
    """Let nbval and its kernels speak over files, in a folder of this process.

    It looks for free ports, and the kernel takes them a little later. By then another worker's gateway may have one of them, and the
    kernel never answers.
    """
    folder = tempfile.mkdtemp(prefix="kernels-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    numbers, manager = itertools.count(), nbval.kernel.KernelManager
    nbval.kernel.KernelManager = lambda **options: manager(transport="ipc", ip=f"{folder}/{next(numbers)}", **options)


if os.name == "posix":
    kernels_without_ports()
