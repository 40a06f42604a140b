"""A gateway in a process of its own, and programs that know of it what it prints, and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds until a program is given up


@pytest.fixture(scope="module")
def printed():
    """What `llm-course gateway` prints, as long as it runs."""
    command = [sys.executable, "-m", "helpers.command", "gateway", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "stop with Ctrl-C" in line:
                break
        yield "".join(lines)
        process.terminate()


@pytest.fixture(scope="module")
def variables(printed, tmp_path_factory):
    """The environment of a shell that has evaluated what was printed; its home is empty."""
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path_factory.mktemp("home")), "LANG": "C.UTF-8"}
    done = subprocess.run(["sh", "-c", f"{printed}\nenv -0"], env=bare, capture_output=True, text=True, check=True)
    return dict(entry.split("=", 1) for entry in done.stdout.split("\0") if entry)


@pytest.fixture
def run(variables):
    """Runs a program against the gateway, which knows of nothing before; what the program found, and the gateway's log of it."""
    base_url = variables["OPENAI_BASE_URL"].removesuffix("/openai/v1")

    def ran(*command):
        httpx2.post(f"{base_url}/course/reset")
        name, *arguments = command[1:]
        done = subprocess.run([command[0], name, base_url, *arguments], env=variables, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1]), httpx2.get(f"{base_url}/course/log").json()

    return ran
