"""Anthropic's files through its SDK, and as clients of the beta ask for them."""

import asyncio
import base64
import re

import httpx2
import pytest
from anthropic import APIStatusError, AsyncAnthropic, BadRequestError, NotFoundError
from anthropic.types import FileExpiredError, FileNotDownloadableError
from openai import OpenAI

from tests.gateway.dialects.anthropic.samples import NEW, OLD, THINKS, user

PDF = b"%PDF-1.4\n%%EOF\n"
BETA = "files-api-2025-04-14"


def upload(client, name="notes.pdf", content=PDF, kind=None, **more):
    return client.files.upload(file=(name, content, kind) if kind else (name, content), **more)


def send(gateway, method, path="", version=OLD, beta=BETA, **more):
    headers = {"x-api-key": "any", "anthropic-version": version, **({"anthropic-beta": beta} if beta else {}), **more.pop("headers", {})}
    return httpx2.request(method, f"{gateway.base_url}/anthropic/v1/files{path}", headers=headers, **more)


@pytest.mark.parametrize("part", ["files", "beta.files"])
def test_a_file_goes_up_is_found_and_goes(client, part):
    files = client.beta.files if part == "beta.files" else client.files
    file = files.upload(file=("notes.pdf", PDF, "application/pdf"))
    assert re.fullmatch(r"file_011C[A-Za-z0-9]{20}", file.id)
    assert (file.type, file.filename, file.mime_type, file.size_bytes) == ("file", "notes.pdf", "application/pdf", len(PDF))
    assert (file.downloadable, file.expires_at) == (False, None)
    assert files.retrieve_metadata(file.id) == file and [one.id for one in files.list()] == [file.id]
    gone = files.delete(file.id)
    assert (gone.id, gone.type) == (file.id, "file_deleted")
    for act in (files.retrieve_metadata, files.delete, files.download):
        with pytest.raises(NotFoundError, match=f"File not found: {file.id}"):
            act(file.id)


def test_the_asynchronous_client(gateway):
    asyncio.run(asynchronously())


async def asynchronously():
    client = AsyncAnthropic(max_retries=0)
    ids = [(await client.files.upload(file=(f"{n}.pdf", PDF))).id for n in range(3)]
    assert [file.id async for file in client.files.list(limit=2)] == ids[::-1]
    with pytest.raises(FileNotDownloadableError):
        await client.files.download(ids[0])
    assert (await client.files.delete(ids[0])).type == "file_deleted"


def test_an_upload_is_answered_as_it_was_recorded(gateway):
    reply = send(gateway, "POST", files={"file": ("apples.pdf", PDF, "application/pdf")})
    body = reply.json()
    assert list(body) == ["type", "id", "size_bytes", "created_at", "filename", "mime_type", "downloadable", "expires_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}000Z", body["created_at"])
    assert reply.headers["request-id"].startswith("req_01")


@pytest.mark.parametrize(
    ("name", "kind", "shown", "stored"),
    [
        ("data.csv", None, "data.csv", "text/csv"),
        ("notes", "text/plain; charset=utf-8", "notes", "text/plain"),
        ("a/b/notes.pdf", None, "notes.pdf", "application/pdf"),
        ("x.unknown", None, "x.unknown", "application/octet-stream"),
        ("größe.txt", None, "größe.txt", "text/plain"),
    ],
)
def test_a_file_has_the_last_part_of_its_name_and_the_type_that_its_client_gives(client, name, kind, shown, stored):
    file = upload(client, name, b"a,b", kind)
    assert (file.filename, file.mime_type) == (shown, stored)


def test_a_file_without_a_name_is_named_by_its_type(gateway):
    form = b'--b\r\nContent-Disposition: form-data; name="file"\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n'
    reply = send(gateway, "POST", headers={"content-type": "multipart/form-data; boundary=b"}, content=form)
    assert (reply.json()["filename"], reply.json()["mime_type"]) == ("unnamed.png", "image/png")


@pytest.mark.parametrize("name", ["a<b.pdf", "a|b.pdf", "x" * 256, "a\\b.pdf", "what?.pdf"])
def test_a_name_with_forbidden_letters_is_refused(client, name):
    with pytest.raises(BadRequestError, match="Invalid filename"):
        upload(client, name)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"data": {"expires_in_seconds": "3600"}}, "file: Field required"),
        ({"files": {"file": ("a.pdf", PDF)}, "data": {"expires_in_seconds": "soon"}}, "expires_in_seconds: Input should be a valid integer"),
        (
            {"files": {"file": ("a.pdf", PDF)}, "data": {"expires_in_seconds": "3599"}},
            "expires_in_seconds: Input should be greater than or equal to 3600",
        ),
        (
            {"files": {"file": ("a.pdf", PDF)}, "data": {"expires_in_seconds": "7776001"}},
            "expires_in_seconds: Input should be less than or equal to 7776000",
        ),
        ({"json": {"file": "x"}}, "The request body is not a valid multipart form."),
    ],
)
def test_a_form_that_does_not_fit_is_refused(gateway, form, words):
    if "files" not in form and "data" in form:
        form = {"files": {"other": ("a", b"")}, **form}
    reply = send(gateway, "POST", **form)
    assert reply.status_code == 400
    assert reply.json()["error"] == {"type": "invalid_request_error", "message": words}


def test_only_what_a_tool_made_can_be_downloaded(client):
    file = upload(client)
    with pytest.raises(FileNotDownloadableError) as refused:
        client.files.download(file.id)
    assert refused.value.details.error_code == "file_not_downloadable" and "not downloadable" in str(refused.value)


def test_a_file_that_has_expired_is_still_listed_but_cannot_be_used(gateway, client):
    file = upload(client, expires_in_seconds=3600)
    assert (file.expires_at - file.created_at).total_seconds() == 3600
    gateway.advance(minutes=61)
    assert [one.id for one in client.files.list()] == [file.id] and client.files.retrieve_metadata(file.id) == file
    with pytest.raises(FileExpiredError):
        client.files.download(file.id)
    with pytest.raises(FileExpiredError):
        ask(client, document(file.id))


# ---- lists -----------------------------------------------------------------
def test_the_pages_of_a_list_together_are_all_files(client):
    ids = [upload(client, f"{n}.pdf").id for n in range(5)][::-1]
    first = client.files.list(limit=2)
    assert [file.id for file in first.data] == ids[:2] and first.next_page.startswith("page_")
    assert [file.id for file in client.files.list(limit=2)] == ids
    assert client.files.list(limit=5).next_page is None


def test_a_list_can_be_deleted_while_it_is_read(client):
    for n in range(5):
        upload(client, f"{n}.pdf")
    for file in client.files.list(limit=2):
        client.files.delete(file.id)
    assert client.files.list().data == []


def test_a_list_of_some_ids_leaves_out_what_there_is_not(client):
    ids = [upload(client, f"{n}.pdf").id for n in range(3)]
    found = client.files.list(ids=[ids[0], "file_none", ids[2]])
    assert [file.id for file in found.data] == [ids[2], ids[0]] and found.next_page is None
    assert client.beta.files.list(scope_id="sesn_none").data == []
    with pytest.raises(BadRequestError, match="ids"):
        client.files.list(ids=ids, limit=2)
    with pytest.raises(BadRequestError, match="ids"):
        client.files.list(ids=[f"file_{n}" for n in range(101)])


def test_clients_of_the_beta_page_by_ids(gateway, client):
    ids = [upload(client, f"{n}.pdf").id for n in range(4)][::-1]
    page = send(gateway, "GET", "?limit=2").json()
    assert (page["has_more"], page["first_id"], page["last_id"]) == (True, ids[0], ids[1])
    assert [one["id"] for one in send(gateway, "GET", f"?after_id={ids[1]}").json()["data"]] == ids[2:]
    before = send(gateway, "GET", f"?before_id={ids[2]}&limit=1").json()
    assert [one["id"] for one in before["data"]] == [ids[1]] and before["has_more"]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "page=page_x", "page=", "after_id=file_none", "before_id=file_none"])
def test_a_page_that_there_is_not(gateway, query):
    reply = send(gateway, "GET", f"?{query}")
    assert reply.status_code == 400 and reply.json()["error"]["type"] == "invalid_request_error"


# ---- in messages -----------------------------------------------------------
def document(id, **more):
    return {"type": "document", "source": {"type": "file", "file_id": id}, **more}


def image(id):
    return {"type": "image", "source": {"type": "file", "file_id": id}}


PNG = bytes.fromhex("89504e470d0a1a0a0000000d494844520000040000000300") + b"rest"
INLINE = {
    "document": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQKJSVFT0YK"},
    "text": {"type": "text", "media_type": "text/plain", "data": "Grüße"},
    "image": {"type": "base64", "media_type": "image/png", "data": ""},
}


def ask(client, *blocks, **more):
    return client.messages.create(model=THINKS, max_tokens=50, messages=user([*blocks, {"type": "text", "text": "What is this?"}]), **more)


def count(client, *blocks):
    return client.messages.count_tokens(model=THINKS, messages=user([*blocks, {"type": "text", "text": "What is this?"}])).input_tokens


def inlines(client):
    """Blocks by file_id, each with the same block that has its content in it."""
    png = {**INLINE["image"], "data": base64.b64encode(PNG).decode()}
    return [
        (document(upload(client, "a.pdf").id), {"type": "document", "source": INLINE["document"]}),
        (document(upload(client, "a.txt", "Grüße".encode()).id, title="T"), {"type": "document", "source": INLINE["text"], "title": "T"}),
        (image(upload(client, "a.png", PNG).id), {"type": "image", "source": png}),
    ]


def test_a_file_is_what_its_content_in_the_request_would_be(gateway, client):
    for by_id, inline in inlines(client):
        assert count(client, by_id) == count(client, inline)
        first, second = ask(client, by_id), ask(client, inline)
        assert first.usage.input_tokens == second.usage.input_tokens == count(client, inline)
        result = {"type": "tool_result", "tool_use_id": "toolu_a", "content": [by_id]}
        call = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_a", "name": "look", "input": {}}]}
        tools = [{"name": "look", "input_schema": {"type": "object", "properties": {}}}]
        assert client.messages.create(model=THINKS, max_tokens=50, messages=[*user("Look."), call, *user([result])], tools=tools).content


def test_a_file_is_streamed_and_batched_like_its_content(gateway, client):
    id = upload(client).id
    with client.messages.stream(model=THINKS, max_tokens=50, messages=user([document(id)])) as stream:
        assert stream.get_final_message().usage.input_tokens > 258
    lines = [{"custom_id": name, "params": {"model": THINKS, "max_tokens": 50, "messages": user([document(one)])}} for name, one in (("a", id), ("b", "file_none"))]
    batch = client.messages.batches.create(requests=lines)
    gateway.advance(minutes=10)
    results = {row.custom_id: row.result for row in client.messages.batches.results(batch.id)}
    assert results["a"].type == "succeeded" and results["b"].error.error.message == "File not found: file_none"


def test_a_file_goes_to_the_container_of_the_code_tool(client):
    id = upload(client, "data.csv", b"a,b").id
    tools = [{"type": "code_execution_20250825", "name": "code_execution"}]
    assert ask(client, {"type": "container_upload", "file_id": id}, tools=tools).content
    with pytest.raises(NotFoundError, match="File not found: file_none"):
        ask(client, {"type": "container_upload", "file_id": "file_none"}, tools=tools)


def test_a_conversation_that_is_held_keeps_the_file(client):
    thread = client.beta.messages.thread(model="claude-haiku-4-5", max_tokens=40)
    file = upload(client, content=PDF + bytes(100_000))
    first = thread.send(*user([document(file.id), {"type": "text", "text": "Read it."}]))
    assert thread.send(*user("And now?")).usage.input_tokens > first.usage.input_tokens
    client.files.delete(file.id)
    with pytest.raises(NotFoundError, match="File not found"):
        thread.send(*user("And now?"))


def test_a_file_stands_in_the_content_of_a_document_too(client):
    by_id, inline = inlines(client)[2]
    held = [{"type": "document", "source": {"type": "content", "content": [one]}} for one in (by_id, inline)]
    assert count(client, held[0]) == count(client, held[1])
    with pytest.raises(NotFoundError, match="File not found: file_none"):
        count(client, {"type": "document", "source": {"type": "content", "content": [image("file_none")]}})


@pytest.mark.parametrize("odd", [["x"], {}, 7, None])
def test_a_block_of_no_type_in_a_result_is_refused(client, odd):
    called = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}]}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": odd}]}]}
    messages = [*user("Look."), called, result]
    for act in (client.messages.count_tokens, lambda **asked: client.messages.create(max_tokens=9, **asked)):
        with pytest.raises(BadRequestError):
            act(model=THINKS, messages=messages, tools=[{"name": "look", "input_schema": {"type": "object"}}])


def test_an_unknown_file_is_not_found(client):
    for block in (document("file_none"), image("file_none")):
        for act in (ask, count):
            with pytest.raises(NotFoundError, match="File not found: file_none"):
                act(client, block)


def test_a_block_takes_files_of_its_own_types(client):
    pdf, png, csv = upload(client).id, upload(client, "a.png", PNG).id, upload(client, "a.csv", b"a,b").id
    for block, kind in ((document(png), "image/png"), (document(csv), "text/csv"), (image(pdf), "application/pdf")):
        place = f"messages.0.content.0.{block['type']}.source.file.file_id: "
        with pytest.raises(BadRequestError, match=re.escape(f"{place}a file of type {kind} cannot be used in {block['type']} blocks")):
            ask(client, block)
    with pytest.raises(BadRequestError, match=re.escape("messages.0.content.0.document.source.file.file_id: Field required")):
        ask(client, {"type": "document", "source": {"type": "file"}})


def test_the_files_of_a_request_have_a_size_together(client, monkeypatch):
    monkeypatch.setattr("helpers.gateway.dialects.anthropic.file_blocks.MOST_BYTES", 3 * len(PDF))
    id = upload(client).id
    assert ask(client, *[document(id)] * 3).content
    for act in (ask, count):
        with pytest.raises(APIStatusError, match="Request exceeds the maximum size"):
            act(client, *[document(id)] * 4)


def test_under_the_older_version_files_need_the_beta_header(gateway, client):
    id = upload(client).id
    body = {"model": THINKS, "max_tokens": 50, "messages": user([document(id)])}

    def post(version, beta):
        headers = {"x-api-key": "any", "anthropic-version": version, **({"anthropic-beta": beta} if beta else {})}
        return httpx2.post(f"{gateway.base_url}/anthropic/v1/messages", headers=headers, json=body)

    assert [post(*how).status_code for how in ((NEW, None), (OLD, BETA), (OLD, f"other,{BETA}"))] == [200, 200, 200]
    words = "messages.0.content.0.document.source: Input tag 'file' found using 'type' does not match any of the expected tags: 'base64', 'content', 'text', 'url'"
    assert (post(OLD, None).status_code, post(OLD, None).json()["error"]["message"]) == (400, words)
    for method, path in (("GET", ""), ("POST", ""), ("GET", f"/{id}"), ("DELETE", f"/{id}"), ("GET", f"/{id}/content")):
        reply = send(gateway, method, path, beta=None)
        assert (reply.status_code, reply.json()["error"]["type"]) == (404, "not_found_error"), (method, path)
    assert send(gateway, "GET", version=NEW, beta=None).status_code == 200


def test_the_files_of_others_are_not_anthropics(gateway, client):
    other = OpenAI(max_retries=0).files.create(file=("a.pdf", PDF), purpose="user_data")
    assert client.files.list().data == []
    with pytest.raises(NotFoundError):
        client.files.retrieve_metadata(other.id)


def test_after_a_reset_there_are_none(gateway, client):
    upload(client)
    gateway.reset()
    assert client.files.list().data == []


def test_the_beta_of_skills_wants_the_tool_that_runs_them(client):
    words = "Skills beta requires the code_execution tool to be included in the request."
    with pytest.raises(BadRequestError, match=re.escape(words)):
        client.beta.messages.create(model=THINKS, max_tokens=50, messages=user("Hello"), betas=["skills-2025-10-02"])
    tools = [{"type": "code_execution_20250825", "name": "code_execution"}]
    assert client.beta.messages.create(model=THINKS, max_tokens=50, messages=user("Hello"), betas=["skills-2025-10-02"], tools=tools).content
