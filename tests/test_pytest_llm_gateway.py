"""The fixture for other projects: a small one runs its own tests with it, in a process and a folder of its own."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx2
import pytest

from helpers.gateway.control import ACTIONS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "etc/site/own_tests.md").read_text()
PROJECT = ROOT / "tests/another_project"
# What a developer's shell may hold. None of it may reach a test.
SHELL = {"OPENAI_API_KEY": "sk-a-real-one", "OPENAI_BASE_URL": "https://llm.example.com/v1", "ANTHROPIC_AUTH_TOKEN": "a-real-one", "GOOGLE_API_KEY": "a-real-one"}


@pytest.fixture
def project(tmp_path):
    return shutil.copytree(PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))


def run_tests(project, *arguments, **shell):
    """Runs the project's tests as its developer does; what pytest printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COURSE_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=project, env={**clean, **SHELL, **shell}, capture_output=True, text=True, timeout=120).stdout


def write(project, settings, **files):
    """A project of these files alone."""
    shutil.rmtree(project)
    project.mkdir()
    (project / "pyproject.toml").write_text(f"[tool.pytest.ini_options]\n{settings}\n")
    for name, text in files.items():
        (project / f"{name}.py").write_text(text)


def test_a_project_with_clients_of_its_own_tests_itself(project):
    assert "9 passed" in (told := run_tests(project)), told


def test_side_by_side_each_process_has_a_gateway(project):
    assert "9 passed" in (told := run_tests(project, "-n2")), told


ASK = """import os, openai

def ask():
    return openai.OpenAI().chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": "Which shelf?"}])
"""


def test_without_the_fixture_nothing_is_touched(project):
    write(project, "", test_it="import os, sys\n\ndef test_it():\n    assert os.environ['OPENAI_API_KEY'] == 'sk-a-real-one' and 'helpers' not in sys.modules\n")
    assert "1 passed" in (told := run_tests(project)), told


def test_the_variables_lead_to_it_for_one_test_and_are_then_as_they_were(project):
    test = f"""import os

BEFORE = dict(os.environ)

def test_it(llm_gateway):
    assert os.environ["OPENAI_BASE_URL"] == llm_gateway.base_url + "/openai/v1"
    assert not {sorted(SHELL.values())!r} == set(os.environ.values())
    assert "ANTHROPIC_AUTH_TOKEN" not in os.environ and "GOOGLE_API_KEY" not in os.environ

def test_after_it():
    assert {{k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}} == {{k: v for k, v in BEFORE.items() if k != "PYTEST_CURRENT_TEST"}}
"""
    write(project, "", test_it=test)
    assert "2 passed" in (told := run_tests(project)), told


def test_strict_and_pace_are_settings_and_begin_anew_for_each_test(project):
    test = f"""import pytest
{ASK}
def test_strict(llm_gateway):
    assert (llm_gateway.strict, llm_gateway.pace) == (True, 0.5)
    with pytest.raises(openai.NotFoundError):
        ask()
    llm_gateway.strict, llm_gateway.pace = False, 0
    assert ask().choices[0].message.content

def test_strict_again(llm_gateway):
    assert (llm_gateway.strict, llm_gateway.pace) == (True, 0.5)
"""
    write(project, "llm_gateway_strict = true\nllm_gateway_pace = 0.5", test_it=test)
    assert "2 passed" in (told := run_tests(project)), told


RECORDING = (
    '{"answers": [{"text": "The third."}], "date": "2026-11-28", "kind": "scripted", "messages": [["user", "Which shelf?"]], "models": ["gpt-6-luna"], "provider": "openai"}\n'
)


def test_recordings_may_be_the_projects_own(project):
    test = f"""{ASK}
def test_it(llm_gateway):
    assert ask().choices[0].message.content == "The third."
"""
    write(project, 'llm_gateway_recordings = "answers"', test_it=test)
    assert "is no folder" in run_tests(project)
    (project / "answers").mkdir()
    (project / "answers/ours.jsonl").write_text(RECORDING)
    assert "1 passed" in (told := run_tests(project)), told


def test_the_page_on_it_shows_what_works(project):
    shown = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    write(project, "", test_it=shown)
    assert "2 passed" in (told := run_tests(project)), told


# The requests and the bodies of each row of the page's table of orders, and those of its curl commands.
ROWS = [(re.findall(r"`([A-Z]+) (/course/\w+)`", row), re.findall(r"`({.*?})`", row) or [""]) for row in PAGE.splitlines() if row.startswith("|") and "/course/" in row]
COMMANDS = [([("POST", path)], [body]) for path, body in re.findall(r"curl -s localhost:8080(\S+) -d '(.*)'", PAGE)]


@pytest.mark.parametrize(("requests", "bodies"), ROWS + COMMANDS)
def test_an_order_over_http_is_taken_as_the_page_has_it(gateway, requests, bodies):
    for method, path in requests:
        for body in bodies:
            answer = httpx2.request(method, gateway.base_url + path, content=body)
            assert answer.status_code == 200, answer.text


def test_the_page_has_every_order_over_http():
    assert {request for requests, _ in ROWS for request in requests} == set(ACTIONS)
    assert len(COMMANDS) == 2


@pytest.mark.parametrize("name", ["helpers.py", "helpers/__init__.py"])
def test_a_project_with_helpers_of_its_own_goes_on_and_is_told_what_to_do(project, name):
    tests = "import helpers\n\ndef test_theirs():\n    assert helpers.TWO == 2\n\ndef test_ours(llm_gateway):\n    pass\n"
    write(project, "", test_it=tests)
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text("TWO = 2\n")
    told = run_tests(project)
    assert "1 passed, 1 error" in told and "hides that of the gateway" in told, told


def test_what_is_installed_has_all_that_the_gateway_needs(tmp_path):
    """Not in the place where the sources are, as for the course, but as a package of its own."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, "."]
    source = tmp_path / "source"
    tracked = subprocess.run(["git", "ls-files", "helpers", "etc", "setup.py", "pytest_llm_gateway.py", "pyproject.toml", "README.md", "LICENSE"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in tracked.stdout.splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    subprocess.run(build, cwd=source, check=True, capture_output=True, timeout=300)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "installed")
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path / "installed")!r})
import helpers, pytest_llm_gateway
at = sys.path[0]
assert [helpers.__file__, pytest_llm_gateway.__file__] == [at + "/helpers/__init__.py", at + "/pytest_llm_gateway.py"], (at, helpers.__file__, pytest_llm_gateway.__file__)
from helpers.gateway.server import Gateway
import httpx2
with httpx2.Client() as client:
    gateway = Gateway(pace=0).start()
    body = {{"model": "house", "messages": [{{"role": "user", "content": "What is a token?"}}]}}
    chat = client.post(gateway.base_url + "/compatible/v1/chat/completions", json=body)
    vectors = client.post(gateway.base_url + "/openai/v1/embeddings", json={{"model": "text-embedding-3-small", "input": "a"}}, headers={{"Authorization": "Bearer a"}})
    print(chat.status_code, vectors.status_code, helpers.price("gpt-6-luna") is not None)
    gateway.stop()
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ran.stdout == "200 200 True\n", ran.stdout + ran.stderr
