"""The set-up's installer: uv where it can be had, with what pip knows of the way to packages; pip wherever uv does not do it."""

import hashlib
import os
import re
import shutil
import subprocess
import venv
import zipfile
from pathlib import Path

import pytest

SETUP = Path(__file__).parent.parent / "etc/setup"
SPY = '#!/bin/sh\necho "ARGUMENTS $*"\nenv | sed "s/^/ENV /"\nexit ${UV_EXIT:-0}\n'


def wheel(folder: Path, name: str, files: dict[str, str]) -> str:
    """Writes a wheel; its line for a lock."""
    info = f"{name}-1.0.dist-info"
    files = {**files, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n", f"{info}/RECORD": ""}
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            entry = zipfile.ZipInfo(inside)
            entry.external_attr = 0o100755 << 16  # a file that can be run
            archive.writestr(entry, text)
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python of an environment of its own."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    return folder / "bin/python"


@pytest.fixture
def install(python, tmp_path):
    """Runs the installer in a folder whose lock has one package, with an index that has it, and a uv that tells what it is told."""
    course, wheels = tmp_path / "course", tmp_path / "wheels"
    (course / "etc/setup").mkdir(parents=True)
    wheels.mkdir()
    shutil.copy(SETUP / "install.py", course / "etc/setup")
    (course / "requirements.lock").write_text(wheel(wheels, "fruit", {"fruit.py": "apple = 1\n"}))
    (course / "etc/setup/uv.lock").write_text(wheel(wheels, "uv", {"uv-1.0.data/scripts/uv": SPY}))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "SSL_"))}
    shell = {**clean, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess:
        subprocess.run([python, "-m", "pip", "uninstall", "-q", "-y", "fruit"], env=shell, capture_output=True, check=True)
        return subprocess.run([python, course / "etc/setup/install.py", *arguments], env={**shell, **more}, capture_output=True, text=True, timeout=60)

    yield run
    assert not (python.parent.parent / ".uv").exists(), "uv and its cache stay for the installation alone"


def has_fruit(python: Path) -> bool:
    return subprocess.run([python, "-c", "import fruit"], capture_output=True).returncode == 0


def told(ran: subprocess.CompletedProcess) -> dict[str, str]:
    return dict(line.removeprefix("ENV ").split("=", 1) for line in ran.stdout.splitlines() if line.startswith("ENV ") and "=" in line)


def test_uv_installs_the_lock_with_its_hashes_and_a_cache_in_the_environment(install, python):
    ran = install("uv")
    assert ran.returncode == 0 and "Installed in" in ran.stdout, ran.stdout + ran.stderr
    assert re.search(rf"^ARGUMENTS pip install --python {python} --require-hashes --requirement .*/course/requirements\.lock$", ran.stdout, re.MULTILINE), ran.stdout
    assert told(ran)["UV_CACHE_DIR"] == str(python.parent.parent / ".uv/cache")
    assert not has_fruit(python), "the stand-in installs nothing: had pip gone on, it would be there"


def test_uv_is_told_what_pip_is_told_of_the_way_to_packages(install, tmp_path):
    settings = tmp_path / "pip.conf"
    settings.write_text(
        "[global]\nindex-url = https://index.example/simple\nextra-index-url = https://one.example/simple\n    https://two.example/simple\n"
        "timeout = 30\n[install]\ntrusted-host = one.example two.example\n"
    )
    got = told(install("uv", PIP_CONFIG_FILE=str(settings), PIP_TIMEOUT="90", PIP_CERT=__file__, UV_INSECURE_HOST="own.example"))
    assert got["UV_DEFAULT_INDEX"] == "https://index.example/simple"
    assert got["UV_INDEX"] == "https://one.example/simple https://two.example/simple"
    assert got["UV_FIND_LINKS"].endswith("wheels") and got["UV_NO_INDEX"] == "1"
    assert got["UV_HTTP_TIMEOUT"] == "90", "what the shell says counts more than a file, as with pip"
    assert got["SSL_CERT_FILE"] == __file__
    assert got["UV_INSECURE_HOST"] == "own.example", "what uv is told itself stays"
    assert got["UV_INDEX_STRATEGY"] == "unsafe-best-match", "as pip chooses; the hashes say which file that may be"


@pytest.mark.parametrize(("arguments", "more", "said"), [(["uv"], {"UV_EXIT": "2"}, "pip goes on"), (["pip"], {}, "Installed in")], ids=["uv fails", "pip is asked for"])
def test_pip_installs_where_uv_does_not(install, python, arguments, more, said):
    ran = install(*arguments, **more)
    assert ran.returncode == 0 and said in ran.stdout and has_fruit(python), ran.stdout + ran.stderr


@pytest.mark.parametrize("lock", ["uv==2.0 --hash=sha256:" + "0" * 64, "uv==1.0 --hash=sha256:" + "0" * 64], ids=["no uv for this system", "another uv than the one that was pinned"])
def test_a_uv_that_is_not_to_be_had_or_not_the_one_is_not_run(install, python, tmp_path, lock):
    (tmp_path / "course/etc/setup/uv.lock").write_text(lock + "\n")
    ran = install("uv")
    assert ran.returncode == 0 and "pip installs instead" in ran.stdout and has_fruit(python), ran.stdout + ran.stderr
    assert "ARGUMENTS" not in ran.stdout


def test_what_neither_can_install_fails(install, tmp_path):
    (tmp_path / "course/requirements.lock").write_text("fruit==2.0 --hash=sha256:" + "0" * 64 + "\n")
    assert install("pip").returncode


def test_uv_is_pinned_with_the_hashes_of_every_system_and_no_host():
    lock = (SETUP / "uv.lock").read_text()
    assert re.search(r"^uv==[\d.]+ ", lock, re.MULTILINE) and lock.count("--hash=sha256:") > 10
    assert "://" not in lock and "index-url" not in lock
