"""JavaScript's clients, as `make javascript` installs them, with their defaults and the variables that `llm-course gateway` prints.

Each program is a script under javascript/, short and plain as a stranger would write it. The versions are those of package-lock.json.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "javascript"
NODE = Path(os.environ.get("COURSE_JAVASCRIPT") or ROOT / ".javascript" / "bin" / "node")
needs_node = pytest.mark.skipif(
    not NODE.exists() or not (SCRIPTS / "node_modules").exists(), reason="JavaScript's clients are not installed here: `make javascript` does it"
)
HELLO = {
    "openai": "Hello, it's nice meeting you.",
    "azure": "Hello, it's nice meeting you.",
    "anthropic": "Hello there, lovely meeting you.",
    "bedrock": "Hello there, lovely meeting you.",
    "gemini": "Hello, wonderful to meet you.",
}
# Each program: (the gateway's name of the provider, status of an unknown model, whether the client comes again after a 429 by itself).
PROGRAMS = {
    "openai-responses": ("openai", 400, True),
    "openai-chat openai": ("openai", 404, True),
    "openai-chat azure": ("azure", 404, True),
    "anthropic": ("anthropic", 404, True),
    "google-genai": ("gemini", 404, False),
    "aws-bedrock": ("bedrock", 400, True),
    "ai-sdk openai": ("openai", 400, True),
    "ai-sdk anthropic": ("anthropic", 404, True),
    "ai-sdk gemini": ("gemini", 404, True),
    "ai-sdk bedrock": ("bedrock", 400, True),
    "ai-sdk azure": ("azure", 404, True),
    "langchain openai": ("openai", 404, True),
    "langchain anthropic": ("anthropic", 404, True),
    "langchain bedrock": ("bedrock", 400, True),
    "langchain azure": ("azure", 404, True),
    "langchain google": ("gemini", 404, False),  # it waits only as long as a refusal says, and Google's says nothing
    "langchain google-genai": ("gemini", 404, False),
}
# What the gateway does not do rightly yet.
WAITING = {
    "aws-bedrock": "a client's GOAWAY ends its open streams: this SDK sends one as soon as a stream begins",
    "langchain bedrock": "the same",
    "ai-sdk bedrock": "Converse does not heed a schema in additionalModelRequestFields",
}
CASES = [pytest.param(name, marks=pytest.mark.xfail(reason=WAITING[name])) if name in WAITING else name for name in PROGRAMS]


@needs_node
@pytest.mark.parametrize("program", CASES)
def test_a_program_runs_by_its_environment_alone(run, program):
    provider, unknown, comes_again = PROGRAMS[program]
    name, *arguments = program.split()
    found, log = run(NODE, SCRIPTS / f"{name}.mjs", *arguments)
    assert {entry["provider"] for entry in log} == {provider}
    assert found["plain"] == HELLO[provider] and "".join(found["stream"]) == HELLO[provider]
    assert (found["tool"]["name"], found["tool"]["input"]) == ("get_weather", {"city": "Oslo"}) and "4 degrees, rain" in found["tool"]["answer"]
    assert found["schema"]["colour"] in ("red", "blue")
    assert found["error"]["status"] == unknown and found["error"]["message"]
    refused = [number for number, entry in enumerate(log) if entry["fault"] == "rate_limited"]
    assert refused and {log[number]["status"] for number in refused} == {429} and log[refused[-1] + 1]["status"] == 200
    assert found["retry"] == HELLO[provider] if comes_again else found["retry"]["status"] == 429
    assert found.get("told", HELLO[provider]) == HELLO[provider]
    assert found["abort"].get("aborted") or found["abort"]["error"] in ("AbortError", "APIUserAbortError", "TimeoutError")
    assert log[-1]["fault"] == "stalled" and log[-1]["seconds"] < 5, "the client went away, and the gateway did not see it"
