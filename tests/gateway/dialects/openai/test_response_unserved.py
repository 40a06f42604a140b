"""What OpenAI's Responses can do and the course's cannot: refused in OpenAI's words; and what is done of it."""

import json

import openai
import pytest
from openai import OpenAI

from helpers import models
from tests.gateway.dialects.openai.samples import HELLO


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


HOSTED = [
    {"type": "web_search"},
    {"type": "web_search_preview"},
    {"type": "file_search", "vector_store_ids": ["vs_1"]},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "image_generation"},
    {"type": "mcp", "server_label": "x", "server_url": "https://example.com"},
    {"type": "computer_use_preview", "display_height": 1, "display_width": 1, "environment": "browser"},
    {"type": "local_shell"},
    {"type": "apply_patch"},
]


@pytest.mark.parametrize("tool", HOSTED, ids=lambda tool: tool["type"])
def test_a_tool_that_is_not_run_here_is_refused(client, tool):
    for more in ({}, {"stream": True}):
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model="gpt-4o", input=HELLO, tools=[tool], **more)
        expected = f"Hosted tool '{tool['type']}' is not supported with {models.get('gpt-4o', 'openai').served_as}."
        assert (caught.value.param, caught.value.code, caught.value.body["message"]) == ("tools", None, expected)


def test_a_batch_refuses_such_a_tool_too(client, gateway):
    body = {"model": "gpt-4o", "input": HELLO, "tools": [{"type": "web_search"}]}
    line = json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": body}).encode()
    file = client.files.create(file=("in.jsonl", line), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
    gateway.advance(hours=24)
    row = json.loads(client.files.content(client.batches.retrieve(batch.id).error_file_id).text)
    assert row["response"]["status_code"] == 400 and "Hosted tool" in row["response"]["body"]["error"]["message"]


COMPACT = {"type": "compaction", "compact_threshold": 1000}


@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"tools": [{"type": "crystal_ball"}]}, "tools[0].type", "invalid_value"),
        ({"moderation": {"model": "omni-moderation-latest"}}, "moderation", "unsupported_parameter"),
        ({"input": "word " * 1_000, "context_management": [COMPACT]}, "context_management", "unsupported_parameter"),
        ({"context_management": [{"type": "forget"}]}, "context_management", None),
        ({"context_management": [{}]}, "context_management[0].type", "missing_required_parameter"),
        ({"background": "yes"}, "background", "invalid_type"),
        ({"background": True, "background_options": {"completion_window": "8h"}}, "background_options.completion_window", "unsupported_value"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode", "unsupported_value"),
        ({"include": ["thoughts"]}, "include[0]", "invalid_value"),
        ({"audio": {"voice": "alloy"}}, "audio", "unknown_parameter"),
        ({"modalities": ["text", "audio"]}, "modalities", "unknown_parameter"),
    ],
)
def test_what_would_not_be_done_is_refused(client, more, param, code):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="gpt-6-luna", input=HELLO, extra_body=more)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_a_prompt_of_the_dashboard_is_not_found(client):
    with pytest.raises(openai.NotFoundError, match="Prompt with id 'pmpt_1' not found"):
        client.responses.create(prompt={"id": "pmpt_1"})
    for wrong in ({}, "pmpt_1"):
        with pytest.raises(openai.BadRequestError):
            client.responses.create(model="gpt-4o", input=HELLO, prompt=wrong)


def test_below_its_threshold_nothing_has_to_be_compacted(client):
    more = {"context_management": [{"type": "compaction", "compact_threshold": 100_000}]}
    assert client.responses.create(model="gpt-6-luna", input=HELLO, **more).status == "completed"


def test_truncation_drops_the_oldest_turns(client):
    said = [{"role": "user", "content": "hello " * 50_000} for _ in range(4)]
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="gpt-4o-mini", input=said)
    assert caught.value.code == "context_length_exceeded"
    answer = client.responses.create(model="gpt-4o-mini", input=said, instructions="Be brief.", truncation="auto", max_output_tokens=16)
    assert 100_000 < answer.usage.input_tokens < 128_000 and answer.truncation == "auto"


def test_one_turn_that_is_too_long_is_not_truncated(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="gpt-4o-mini", input="hello " * 140_000, truncation="auto")
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")
