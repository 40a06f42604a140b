"""What content blocks have to hold, images above all, through the SDK and over HTTP."""

import base64

import anthropic
import httpx2
import pytest

from tests.gateway.dialects.anthropic.samples import TOOL

MODEL, PLAIN = "claude-haiku-5-5", "claude-haiku-4-5"
KINDS = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff\xe0", "gif": b"GIF89a", "webp": b"RIFF\x00\x00\x00\x00WEBP"}
TYPES = "Input should be 'image/jpeg' or 'image/png' or 'image/gif' or 'image/webp'"
AT = "messages.0.content.0.image.source"


def encoded(data):
    return base64.b64encode(data).decode()


def image(data=KINDS["png"] + b"...", kind="image/png"):
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data if isinstance(data, str) else encoded(data)}}


def ask(client, *content, **more):
    return client.messages.create(**{"model": MODEL, "max_tokens": 300, "messages": [{"role": "user", "content": list(content)}], **more})


def refused(client, *content, **more):
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(client, *content, **more)
    assert caught.value.type == "invalid_request_error"
    return caught.value.body["error"]["message"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_taken_that_is_what_it_says(client, kind):
    assert ask(client, image(KINDS[kind] + b"...", f"image/{kind}")).content
    assert ask(client, {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}).content


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (image(""), f"{AT}.base64: image cannot be empty"),
        (image("no base64!"), f"{AT}.base64: invalid base64 data"),
        (image("data:image/png;base64,iVBORw0KGgo="), f"{AT}.base64: invalid base64 data"),
        (image(b"<html>Not found</html>"), "Could not process image"),
        (
            image(KINDS["jpeg"]),
            f"{AT}.base64: The image was specified using the image/png media type, but the image appears to be a image/jpeg image",
        ),
        (image(kind="image/jpg"), f"{AT}.base64.media_type: {TYPES}"),
        (image(kind="application/pdf"), f"{AT}.base64.media_type: {TYPES}"),
        (image(KINDS["png"] + bytes(5_242_880)), f"{AT}.base64: image exceeds 5 MB maximum: 5242888 bytes > 5242880 bytes"),
        ({"type": "image", "source": {"type": "base64", "data": "AAAA"}}, f"{AT}.base64.media_type: Field required"),
        ({"type": "image", "source": {"type": "url"}}, f"{AT}.url.url: Field required"),
        (
            {"type": "image", "source": {"type": "path"}},
            f"{AT}: Input tag 'path' found using 'type' does not match any of the expected tags: 'base64', 'file', 'url'",
        ),
        ({"type": "image", "source": "AAAA"}, f"{AT}: Input should be a valid dictionary"),
        ({"type": "image"}, f"{AT}: Field required"),
    ],
)
def test_an_image_that_is_none(client, block, message):
    assert refused(client, block) == message


def test_an_image_in_the_result_of_a_tool_is_looked_at_too(client):
    call = {"type": "tool_use", "id": "toolu_a", "name": "look", "input": {}}
    answered = {"type": "tool_result", "tool_use_id": "toolu_a", "content": [{"type": "text", "text": ""}, image("?")]}
    messages = [{"role": "user", "content": "Look."}, {"role": "assistant", "content": [call]}, {"role": "user", "content": [answered]}]
    message = refused(client, messages=messages, tools=[TOOL])
    assert message == "messages.2.content.0.tool_result.content.1.image.source.base64: invalid base64 data"


@pytest.mark.parametrize("text", [" ", "\n\t ", "\u00a0"])
def test_white_space_alone_is_no_text(client, text):
    words = "messages: text content blocks must contain non-whitespace text"
    assert refused(client, {"type": "text", "text": text}) == words
    assert refused(client, messages=[{"role": "user", "content": text}]) == words
    assert refused(client, messages=[{"role": "user", "content": "a"}, {"role": "assistant", "content": text}, {"role": "user", "content": "b"}]) == words
    assert ask(client, {"type": "text", "text": "a"}, system=[{"type": "text", "text": text}]).content  # not known to be refused


def test_an_empty_text_says_where_it_stands(client):
    empty, marked = {"type": "text", "text": ""}, {"type": "text", "text": "", "cache_control": {"type": "ephemeral"}}
    hello = {"type": "text", "text": "Hello"}
    assert refused(client, hello, empty) == "messages: text content blocks must be non-empty"
    assert refused(client, hello, system=[empty]) == "system: text content blocks must be non-empty"
    assert refused(client, hello, marked) == "messages.0.content.1.text: cache_control cannot be set for empty text blocks"
    assert refused(client, hello, system=[marked]) == "system.0: cache_control cannot be set for empty text blocks"


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"type": "tool_use", "id": "a b", "name": "look", "input": {}}, ".tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"),
        ({"type": "tool_use", "id": "a", "name": "", "input": {}}, ".tool_use.name: String should have at least 1 character"),
        ({"type": "tool_use", "id": "a", "name": "x" * 201, "input": {}}, ".tool_use.name: String should have at most 200 characters"),
        ({"type": "tool_use", "id": "a", "name": "look", "input": "{}"}, ".tool_use.input: Input should be a valid dictionary"),
        ({"type": "tool_use", "name": "look", "input": {}}, ".tool_use.id: Field required"),
        ({"type": "tool_result", "content": "7"}, ".tool_result.tool_use_id: Field required"),
        ({"type": "tool_result", "tool_use_id": 7}, ".tool_result.tool_use_id: Input should be a valid string"),
        ({"type": "thinking", "thinking": "Hm."}, ".thinking.signature: Field required"),
        ({"type": "redacted_thinking"}, ".redacted_thinking.data: Field required"),
        ({"type": "text", "text": None}, ".text.text: Input should be a valid string"),
    ],
)
def test_a_block_that_lacks_what_it_needs(client, block, message):
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": [block]}, {"role": "user", "content": "Go on."}]
    assert refused(client, messages=messages, tools=[TOOL]) == f"messages.1.content.0{message}"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"type": "base64", "media_type": "image/png", "data": "AAAA"}, "base64.media_type: Input should be 'application/pdf'"),
        ({"type": "text", "data": "x"}, "text.media_type: Field required"),
    ],
)
def test_a_document_that_lacks_what_it_needs(client, source, message):
    assert refused(client, {"type": "document", "source": source}) == f"messages.0.content.0.document.source.{message}"


def test_a_message_has_a_role_and_content_and_no_more(gateway):
    body = {"model": MODEL, "max_tokens": 300, "messages": [{"role": "user", "content": "Hello", "name": "Ada"}]}
    reply = httpx2.post(f"{gateway.base_url}/anthropic/v1/messages", headers={"x-api-key": "any", "anthropic-version": "2026-10-21"}, json=body)
    assert (reply.status_code, reply.json()["error"]["message"]) == (400, "messages.0.name: Extra inputs are not permitted")


@pytest.mark.parametrize("name", ["look up", "", "x" * 129, "look.up"])
def test_the_name_of_a_tool_is_a_plain_word(client, name):
    message = refused(client, {"type": "text", "text": "Hello"}, tools=[{**TOOL, "name": name}])
    assert message == "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"


@pytest.mark.parametrize("kind", [[[]], [{}], {"a": 1}, 7])
@pytest.mark.parametrize("model", [MODEL, PLAIN])
def test_a_schema_that_is_none_is_not_refused_in_pythons_words(client, model, kind):
    schema = {"type": kind, "properties": {}, "additionalProperties": False}
    try:
        ask(client, {"type": "text", "text": "Hello"}, model=model, output_config={"format": {"type": "json_schema", "schema": schema}})
    except anthropic.BadRequestError as error:
        assert "unhashable" not in error.message and "'list'" not in error.message
