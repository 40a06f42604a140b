"""What a real vLLM 0.32.0 with the house model answered on 2026-11-28, and how two answers are compared."""

import json
import re
from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "data"
NEW_EACH_TIME = ("id", "item_id", "call_id", "created", "created_at", "system_fingerprint")
CACHED = ("prompt_tokens_details", "cached_tokens", "cache_write_tokens")  # this mount tells what its own engine kept


def exchanges(name):
    return json.loads((DATA / name).read_text(encoding="utf-8"))["exchanges"]


def asked(one):
    """A request as the name of its test."""
    return json.dumps(one["body"])[:100]


def events(text):
    """The JSON events of a stream."""
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def stripped(value):
    """An answer without what is new each time, and with log-probabilities as far as two computations agree."""
    if isinstance(value, float):
        return pytest.approx(value, abs=0.1)  # the real one computed in bfloat16
    if isinstance(value, list):
        return [stripped(one) for one in value]
    if isinstance(value, dict):
        return {name: stripped(one) for name, one in value.items() if name not in (*NEW_EACH_TIME, *CACHED)}
    return value


def same_error(found, said):
    """Whether two refusals are the same, but for what this mount shortens: the first error of pydantic alone, and other names of models."""
    found, said = found["error"], said["error"]
    assert list(found) == list(said) and (found["type"], found["param"], found["code"]) == (said["type"], said["param"], said["code"])
    if said["type"] == "Bad Request":
        first = re.sub(r"(, 'input': |, 'ctx': ).*", "", said["message"].split("\n")[1])
        assert found["message"] == f"1 validation error:\n{first}}}"
    elif said["type"] == "NotFoundError":
        assert found["message"].startswith(said["message"].split(" Valid")[0])
    else:
        assert found["message"] == said["message"]
