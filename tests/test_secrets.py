"""No key stands in any file of the repository, and no notebook or recording shows the machine it was made on."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# What a real key looks like. A test that needs a false one puts it together when it runs, or says in it that it is invalid.
KEYS = re.compile(
    r"\bsk-(?:ant-|proj-|svcacct-|admin-|or-)?[A-Za-z0-9_-]{20,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bAIza[0-9A-Za-z_-]{30,}"
    r"|\bBearer +[A-Za-z0-9._~+/-]{20,}"
    r"|\beyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{8,}"
    r"|\bghp_[A-Za-z0-9]{30,}|\bhf_[A-Za-z0-9]{30,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]"
)
MACHINE = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|Users|work|private/var)/[\w.-]+|[A-Z]:\\\\Users\\\\")


def files():
    """All files that are in the repository or would be added to it."""
    listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def found(pattern, paths):
    out = []
    for path in paths:
        text = path.read_bytes().decode("utf-8", "replace")
        out += [f"{path.relative_to(ROOT)}: {hit[0][:12]}…" for hit in pattern.finditer(text) if "invalid" not in hit[0]]
    return out


def test_no_file_holds_a_key():
    assert len(files()) > 20
    assert found(KEYS, files()) == []


def test_no_notebook_and_no_recording_names_a_folder_of_a_machine():
    shown = [path for path in files() if path.suffix in (".ipynb", ".jsonl")]
    assert shown and found(MACHINE, shown) == []


def test_a_file_with_keys_is_ignored_by_git():
    ignored = subprocess.run(["git", "check-ignore", ".env"], cwd=ROOT, capture_output=True, check=False)
    if ignored.returncode == 128:
        pytest.skip("this is no git checkout")
    assert ignored.returncode == 0


@pytest.mark.parametrize(
    "key",
    [
        "sk-" + "proj-" + "a1" * 20,
        "sk-" + "ant-api03-" + "b2" * 20,
        "AKIA" + "Q7" * 8,
        "AIza" + "c3" * 18,
        "Bearer " + "d4" * 15,
        "eyJ" + "e5" * 15 + "." + "f6" * 15,
        "-----BEGIN RSA PRIVATE" + " KEY-----\nMIIE",
    ],
)
def test_the_scan_would_find_a_key(key, tmp_path):
    assert KEYS.search(f'{{"key": "{key}"}}')


@pytest.mark.parametrize("place", ["/home/" + "ada/x.py", "/tmp/" + "ipykernel_1/2.py", "/root/" + ".venv", "C:" + r"\\Users\\" + "ada"])
def test_the_scan_would_find_a_folder(place):
    assert MACHINE.search(f'File "{place}"') and not MACHINE.search("https://example.com" + place.replace("\\", "/"))
