"""Python's clients that others wrote around the SDKs, as `make clients` installs them, by the variables that `llm-course gateway` prints.

Each program is a script under python/, short and plain as a stranger would write it. The versions are those of etc/clients/*.lock.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "python"
CLIENTS = Path(os.environ.get("COURSE_CLIENTS") or ROOT / ".clients")
HELLO = {
    "openai": "Hello, it's nice meeting you.",
    "azure": "Hello, it's nice meeting you.",
    "anthropic": "Hello there, lovely meeting you.",
    "bedrock": "Hello there, lovely",  # the rest differs by model
    "gemini": "Hello, wonderful to meet you.",
}
FOUR = ("openai", "anthropic", "gemini", "bedrock")
# The environment of each program, and the providers that it is run with.
PROGRAMS = {
    "langchain_chat": ("new", (*FOUR, "azure")),
    "pydantic_ai_agent": ("new", (*FOUR, "azure")),
    "openai_agents": ("new", ("openai",)),
    "haystack_generator": ("new", FOUR),
    "smolagents_agent": ("new", ("openai",)),
    "llm_command": ("new", ("openai",)),
    "instructor_client": ("old", FOUR),
    "llama_index_llm": ("old", FOUR),
    "strands_agent": ("old", ("anthropic", "gemini", "bedrock")),  # to OpenAI it sends `"tools": []`, which is refused here
}
# Google's SDK asks once unless it is told otherwise, which these do.
TELL_GOOGLES_SDK = ("langchain_chat", "strands_agent")


@pytest.mark.parametrize(("program", "provider"), [(program, provider) for program, (_, providers) in PROGRAMS.items() for provider in providers])
def test_a_program_runs_by_its_environment_alone(run, program, provider):
    python = CLIENTS / PROGRAMS[program][0] / "bin" / "python"
    if not python.exists():
        pytest.skip("Python's other clients are not installed here: `make clients` does it")
    found, log = run(python, SCRIPTS / f"{program}.py", provider)
    assert {entry["provider"] for entry in log} == {provider}
    says_hello(found, provider)
    if "tool" in found:
        called = found["tool"]
        assert "city" in called["input"] and called["name"] in ("get_weather", "Weather") and "4 degrees, rain" in called.get("answer", "4 degrees, rain")
    if "schema" in found:
        assert found["schema"]["colour"] in ("red", "blue")
    assert found["error"]["message"] and any(entry["status"] in (400, 404) for entry in log)
    refused = [number for number, entry in enumerate(log) if entry["fault"] == "rate_limited"]
    assert [log[number]["status"] for number in refused] == [429]
    if provider == "gemini" and program not in TELL_GOOGLES_SDK:
        assert "429" in found["retry"]["message"]
    else:
        assert log[refused[0] + 1]["status"] == 200 and "error" not in found["retry"]
    if "abort" in found:
        assert "time" in found["abort"]["error"].lower()
        assert log[-1]["fault"] == "stalled" and log[-1]["seconds"] < 5, "the client went away, and the gateway did not see it"


def says_hello(found, provider):
    """Plain, and in pieces; who only fills forms says nothing else."""
    if "plain" in found:
        assert found["plain"].startswith(HELLO[provider]) and "".join(found["stream"]) == found["plain"]
    else:
        assert found["stream_schema" if "stream_schema" in found else "schema"]
