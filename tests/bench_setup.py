"""How long the set-up takes, with uv and with pip, in turn and each from nothing: `make bench-setup`."""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
NEEDED = ("Makefile", "README.md", "pyproject.toml", "setup.py", "requirements.lock", "etc", "helpers")
TURNS = 2
WAYS = ("uv", "pip")


def timed(installer: str) -> float:
    """The seconds that `make setup` takes in a new folder, with nothing in a cache."""
    with tempfile.TemporaryDirectory(dir=ROOT.parent) as folder:
        course = Path(folder, "course")
        course.mkdir()
        for name in NEEDED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, course / name)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        caches = {"PIP_CACHE_DIR": f"{folder}/pip", "UV_CACHE_DIR": f"{folder}/uv"}
        began = time.monotonic()
        subprocess.run(["make", "setup", f"INSTALLER={installer}"], cwd=course, env={**clean, **caches}, check=True, capture_output=True)
        return time.monotonic() - began


def main() -> None:
    taken = {way: [] for way in WAYS}
    for _ in range(TURNS):
        for way in WAYS:
            taken[way].append(timed(way))
            print(f"make setup with {way}: {taken[way][-1]:.1f} s", flush=True)
    uv, pip = (statistics.median(taken[way]) for way in WAYS)
    print(f"median: uv {uv:.1f} s, pip {pip:.1f} s, {pip / uv:.1f} times as long")


if __name__ == "__main__":
    main()
