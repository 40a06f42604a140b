"""pyproject.toml, requirements.lock, environment.yml, the Makefile and CI say the same thing."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement, SpecifierSet

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DIRECT = sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"])
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()


@pytest.mark.parametrize("wanted", DIRECT)
def test_every_direct_dependency_is_locked_within_its_range(wanted):
    wanted = Requirement(wanted)
    locked = re.findall(rf"^{re.escape(wanted.name)}==([^ ]+)", LOCK, re.MULTILINE)
    assert locked, f"{wanted.name} is not in requirements.lock: run make lock"
    assert all(version in wanted.specifier for version in locked), f"{wanted} is locked at {locked}: run make lock"


def test_the_lock_is_hashed_throughout_and_names_no_host():
    entries = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert entries and [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    oldest = re.match(r">=([\d.]+)", PROJECT["requires-python"])[1]
    assert f"--python-version {oldest} " in (ROOT / "Makefile").read_text(), "a lock from a newer Python leaves it out"
    assert "://" not in LOCK and "index-url" not in LOCK and "find-links" not in LOCK


def test_conda_and_binder_get_what_pyproject_asks_for_and_the_course_itself():
    channels, dependencies = (ENVIRONMENT[key] for key in ("channels", "dependencies"))
    python, pip, packages = dependencies
    assert (channels, pip, list(packages)) == (["conda-forge"], "pip", ["pip"])
    assert python.removeprefix("python=") in SpecifierSet(PROJECT["requires-python"])
    *packages, course = packages["pip"]
    assert course == "-e .", "repo2docker copies the folder before it installs only if it sees a path here"
    assert packages == sorted(set(DIRECT)), "environment.yml and pyproject.toml say different things: copy the latter's lines"


def test_vllm_is_named_for_conda_as_a_choice():
    assert re.search(r"^ *# - vllm  # ", (ROOT / "environment.yml").read_text(), re.MULTILINE)


def test_after_conda_only_what_pip_cannot_do_is_left():
    commands = [line for line in (ROOT / "postBuild").read_text().splitlines() if not line.startswith("#")]
    assert commands[0] == "set -e" and len(commands) == 2
    assert commands[1].startswith("jupyter labextension disable ") and commands[1] in (ROOT / "Makefile").read_text()
    assert os.access(ROOT / "postBuild", os.X_OK), "Binder skips a postBuild that is not executable"


def test_nothing_is_installed_past_the_resolver():
    for name in ("Makefile", "environment.yml", "postBuild"):
        assert "--no-deps" not in (ROOT / name).read_text(), f"{name} hides that what is installed does not agree"
    assert "override" not in (ROOT / "pyproject.toml").read_text()


def make(folder, *arguments):
    # Run from `make test`, make would take over its parent's flags; a PYTHON of the shell's would change the answers.
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS")) and k != "PYTHON"}
    return subprocess.run(["make", *arguments], cwd=folder, env=clean, capture_output=True, text=True, timeout=60)


@pytest.fixture
def ready(tmp_path):
    """A folder in which `make setup` seems to have finished."""
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    (tmp_path / ".venv/.locked").write_text(str(tmp_path.resolve()))
    (tmp_path / ".venv/.installed").touch()
    return tmp_path


def test_ci_runs_what_a_user_runs(ready):
    assert make(ready, "-n", "test").stdout.startswith(".venv/bin/python -m pytest ")
    commands = re.findall(r"^(?!#).*\bmake (\w+)", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert set(commands) == {"setup", "ollama", "javascript", "clients", "test"}


@pytest.mark.parametrize("broken", ["touch -t 200001010000 .locked", "echo x >.locked", "rm .locked", "rm bin/python"])
def test_a_venv_that_cannot_be_trusted_is_built_anew(ready, broken):
    subprocess.run(broken, shell=True, cwd=ready / ".venv", check=True)
    assert "-m venv --clear .venv" in make(ready, "-n", "setup").stdout


def test_set_up_is_done_once_and_a_changed_pyproject_installs_only_the_project(ready):
    assert make(ready, "-q", "setup").returncode == 0
    os.utime(ready / ".venv/.installed", (0, 0))
    steps = make(ready, "-n", "setup").stdout
    assert "-e ." in steps and "venv --clear" not in steps


def test_a_python_that_will_not_do_gets_a_sentence(ready):
    (ready / ".venv/.locked").unlink()
    refused = make(ready, "setup", "PYTHON=false")
    assert refused.returncode and "needs Python 3.11, 3.12 or 3.13; false is none of these" in refused.stderr


def test_the_devcontainer_does_what_make_does():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert container["postCreateCommand"] == "make setup"
    python = container["image"].partition("python:")[2]
    assert python in SpecifierSet(PROJECT["requires-python"])
    assert container["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"].endswith("/.venv/bin/python")
