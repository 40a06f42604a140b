"""What Claude refuses, it refuses on Bedrock and on Foundry too, through Anthropic's own clients for them."""

import re

import pytest
from anthropic import AnthropicBedrock, AnthropicFoundry, BadRequestError

from tests.gateway.dialects.anthropic.samples import TOOL, user

CLIENTS = {"bedrock": (AnthropicBedrock, "us.anthropic.claude-haiku-4-5-20251001-v1:0"), "foundry": (AnthropicFoundry, "claude-haiku-4-5")}
BEGUN = [*user("Hello"), {"role": "assistant", "content": "Hello "}]
PNG = {"type": "image", "source": {"type": "path"}}


@pytest.fixture(params=CLIENTS)
def create(request, gateway):
    """What asks for a message, plain or streamed."""
    make, model = CLIENTS[request.param]
    client = make(max_retries=0)
    return lambda **asked: client.messages.create(**{"model": model, "max_tokens": 20, "messages": user("Hello"), **asked})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"messages": BEGUN}, "messages: final assistant content cannot end with trailing whitespace"),
        ({"stop_sequences": [" \n"]}, "stop_sequences: each stop sequence must contain non-whitespace"),
        ({"tools": [{**TOOL, "name": "look up"}]}, "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"),
        ({"messages": user([PNG])}, "messages.0.content.0.image.source: Input tag 'path' found using 'type' does not match any of the expected tags: 'base64'"),
    ],
)
def test_what_claude_refuses_everywhere(create, asked, words, stream):
    with pytest.raises(BadRequestError, match=re.escape(words)):
        create(stream=stream, **asked)


def test_bedrock_has_no_files(gateway):
    source = {"type": "file", "file_id": "file_none"}
    words = "Input tag 'file' found using 'type' does not match any of the expected tags: 'base64', 'url'"
    make, model = CLIENTS["bedrock"]
    with pytest.raises(BadRequestError, match=re.escape(words)):
        make(max_retries=0).messages.create(model=model, max_tokens=20, messages=user([{"type": "image", "source": source}]))
