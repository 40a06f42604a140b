"""The command `llm`, as somebody types it."""

import json
import subprocess
import sys
from pathlib import Path

from scenarios import COLOUR, HELLO, fault, run

LLM = Path(sys.executable).with_name("llm")


def llm(*arguments):
    done = subprocess.run([LLM, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout.strip()


def retried():
    fault("rate_limited")
    return llm("-m", "gpt-4o-mini", HELLO)


run(
    plain=lambda: llm("-m", "gpt-4o-mini", "--no-stream", HELLO),
    stream=lambda: [llm("-m", "gpt-4o-mini", HELLO)],
    schema=lambda: json.loads(llm("-m", "gpt-4o-mini", "--schema", '{"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]}', COLOUR)),
    error=lambda: llm("-m", "gpt-3.5-turbo-16k", HELLO),
    retry=retried,
)
