"""Anthropic's files in live mode: nothing goes up or is deleted, what is there can be looked at, and images alone have a price."""

from __future__ import annotations

import anthropic
import pytest

from tests.gateway.sources.test_upstream import CLAUDE, make, provider  # noqa: F401 the fixtures

PNG = bytes.fromhex("89504e470d0a1a0a0000000d494844520000040000000300") + b"rest"


def kept(provider, name, content):  # noqa: F811
    """The id of a file that the learner has at the provider."""
    there = anthropic.Anthropic(base_url=f"{provider.base_url}/anthropic", api_key="any")
    return there.files.upload(file=(name, content)).id


def ask(block):
    return anthropic.Anthropic(max_retries=0).messages.create(**{**CLAUDE, "messages": [{"role": "user", "content": [block]}]})


def test_nothing_goes_up_or_is_deleted(make, provider):  # noqa: F811
    id = kept(provider, "a.pdf", b"%PDF")
    make("live")
    client = anthropic.Anthropic(max_retries=0)
    with pytest.raises(anthropic.APIStatusError, match="This call was not sent: what POST /v1/files"):
        client.files.upload(file=("b.pdf", b"%PDF"))
    with pytest.raises(anthropic.APIStatusError, match="This call was not sent: what DELETE /v1/files"):
        client.files.delete(id)
    assert [file.id for file in client.files.list()] == [id] and client.files.retrieve_metadata(id).filename == "a.pdf"
    with pytest.raises(anthropic.BadRequestError, match="not downloadable"):
        client.files.download(id)


def test_a_document_that_the_provider_keeps_has_no_price(make, provider):  # noqa: F811
    id = kept(provider, "a.pdf", b"%PDF")
    make("live")
    with pytest.raises(anthropic.APIStatusError, match='This call was not sent: "document" in the prompt cannot be priced'):
        ask({"type": "document", "source": {"type": "file", "file_id": id}})
    with pytest.raises(anthropic.APIStatusError, match='This call was not sent: "container_upload" in the prompt cannot be priced'):
        ask({"type": "container_upload", "file_id": id})


def test_an_image_that_the_provider_keeps_is_priced_as_any_image(make, provider):  # noqa: F811
    id = kept(provider, "a.png", PNG)
    gateway = make("live")
    assert ask({"type": "image", "source": {"type": "file", "file_id": id}}).content
    assert gateway.upstream.spent_usd > 0 and provider.meter.log()[-1].status == 200
