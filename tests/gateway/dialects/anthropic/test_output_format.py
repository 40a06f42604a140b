"""The name that structured outputs had in 2025, which litellm still sends."""

import json

import httpx2
import pytest
from jsonschema import validate

PERSON = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": False}


@pytest.mark.parametrize("count", [False, True])
def test_claude_takes_output_format_with_the_beta_header_of_its_time(gateway, count):
    path = f"{gateway.base_url}/anthropic/v1/messages" + "/count_tokens" * count
    headers = {"x-api-key": "any", "anthropic-version": "2023-06-01"}
    asked = {"model": "claude-haiku-5-5", "messages": [{"role": "user", "content": "Who?"}], **({} if count else {"max_tokens": 600})}
    asked["output_format"] = {"type": "json_schema", "schema": PERSON}
    reply = httpx2.post(path, json=asked, headers={**headers, "anthropic-beta": "structured-outputs-2025-11-13"})
    assert reply.status_code == 200, reply.text
    if not count:
        validate(json.loads(reply.json()["content"][-1]["text"]), PERSON)
    without = httpx2.post(path, json=asked, headers=headers)
    assert without.status_code == 400 and "output_format: Extra inputs are not permitted" in without.text
    odd = httpx2.post(path, json={**asked, "output_config": [1]}, headers={**headers, "anthropic-beta": "structured-outputs-2025-11-13"})
    assert odd.status_code == 400
