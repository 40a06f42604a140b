"""Gemini's files, and batches that read and write them, through Google's own SDK."""

import hashlib
import io
import json
import os
from base64 import b64decode

import httpx2
import pytest
from google import genai
from google.genai import types

from tests.gateway.dialects.gemini.samples import ANSWER, LONG, MODEL, OLDER, PROMPT, contents
from tests.gateway.dialects.gemini.test_batches import refused

JSONL = "application/jsonl"


def line(key, text=None, **more):
    request = {"contents": contents(text) if text else contents(), **more}
    return json.dumps({"key": key, "request": request})


def upload(client, *lines, **config):
    content = "\n".join(lines).encode()
    return client.files.upload(file=io.BytesIO(content), config=types.UploadFileConfig(mime_type=JSONL, **config))


def results(client, job):
    return [json.loads(row) for row in client.files.download(file=job.dest.file_name).decode().splitlines()]


def test_a_file_goes_up_is_listed_and_deleted(client, gateway):
    file = upload(client, line("a"), display_name="two lines")
    assert file.name.startswith("files/") and file.state.name == "ACTIVE" and file.source.name == "UPLOADED"
    assert (file.size_bytes, file.mime_type, file.display_name) == (len(line("a")), JSONL, "two lines")
    assert (file.expiration_time - file.create_time).total_seconds() == 48 * 3600
    assert client.files.get(name=file.name) == file and [one.name for one in client.files.list()] == [file.name]
    client.files.delete(name=file.name)
    assert list(client.files.list()) == []
    refused(403, "PERMISSION_DENIED", client.files.get, name=file.name)


def test_a_file_from_the_disk_has_its_name_and_may_be_given_one(client, gateway, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text(line("a"))
    file = client.files.upload(file=path, config=types.UploadFileConfig(mime_type=JSONL, name="my-file-1"))
    assert file.name == "files/my-file-1"
    refused(409, "ALREADY_EXISTS", client.files.upload, file=path, config=types.UploadFileConfig(mime_type=JSONL, name="my-file-1"))


def test_a_file_of_several_chunks_arrives_whole(client, gateway):
    content = b"x" * (8 * 1024**2 + 17)  # the SDK sends 8 MiB at a time
    file = client.files.upload(file=io.BytesIO(content), config=types.UploadFileConfig(mime_type="text/plain"))
    assert file.size_bytes == len(content)


def test_a_file_is_gone_after_two_days(client, gateway):
    file = upload(client, line("a"))
    gateway.advance(hours=49)
    refused(403, "PERMISSION_DENIED", client.files.get, name=file.name)
    refused(403, "PERMISSION_DENIED", client.batches.create, model=MODEL, src=file.name)


def test_an_uploaded_file_cannot_be_downloaded(client, gateway):
    file = upload(client, line("a"))
    refused(400, "INVALID_ARGUMENT", client.files.download, file=file.name)


def test_files_of_one_provider_are_not_seen_by_another(client, gateway):
    import openai

    file = upload(client, line("a"))
    given = openai.OpenAI().files.create(file=("in.jsonl", b"{}"), purpose="batch")
    assert [one.name for one in client.files.list()] == [file.name]
    assert [one.id for one in openai.OpenAI().files.list()] == [given.id]


def test_a_batch_reads_a_file_and_writes_one(client, gateway):
    file = upload(client, line("a"), line("b", generationConfig={"responseLogprobs": True}), line("c", generation_config={"max_output_tokens": 900}))
    job = client.batches.create(model=MODEL, src=file.name, config={"display_name": "by file"})
    assert (job.state.name, job.dest) == ("JOB_STATE_PENDING", None)
    gateway.advance(hours=1)
    job = client.batches.get(name=job.name)
    assert job.state.name == "JOB_STATE_SUCCEEDED" and job.dest.inlined_responses is None and job.dest.file_name.startswith("files/")
    rows = {row["key"]: row for row in results(client, job)}
    assert sorted(rows) == ["a", "b", "c"]
    answer = rows["a"]["response"]
    assert answer["candidates"][0]["content"]["parts"] == [{"text": ANSWER}] and answer["usageMetadata"]["candidatesTokenCount"]
    assert "Logprobs is not enabled" in rows["b"]["error"]["message"] and rows["b"]["error"]["code"] == 3
    assert [entry.usage is not None for entry in gateway.meter.log() if entry.batch] == [True, True]
    again = client.batches.get(name=job.name)
    assert again.dest.file_name == job.dest.file_name, "the file is written once"


def test_a_line_that_is_no_request_fails_alone(client, gateway):
    file = upload(client, line("a"), "{oops", "", json.dumps({"key": "c"}), json.dumps([1]))
    job = client.batches.create(model=MODEL, src=file.name)
    gateway.advance(hours=1)
    rows = results(client, client.batches.get(name=job.name))
    assert [("response" in row, row.get("key")) for row in rows] == [(True, "a"), (False, None), (False, "c"), (False, None)]
    assert all(row["error"]["code"] == 3 for row in rows[1:])


@pytest.mark.parametrize("lines", [[], ["", " "]])
def test_a_file_without_a_request_makes_no_batch(client, gateway, lines):
    file = upload(client, *lines, " ")
    refused(400, "INVALID_ARGUMENT", client.batches.create, model=MODEL, src=file.name)


# ---- in prompts --------------------------------------------------------------
PDF = b"%PDF-1.4\n" + b"<< /Type /Page >>\n" * 2


def put(client, content=PDF, kind="application/pdf", **config):
    return client.files.upload(file=io.BytesIO(content), config=types.UploadFileConfig(mime_type=kind, **config))


def used(reply):
    return {one.modality.name: one.token_count for one in reply.usage_metadata.prompt_tokens_details}


def test_a_file_in_a_prompt_is_what_it_would_be_in_the_request_itself(client, ask, gateway):
    file = put(client)
    named, sent = (ask([given, PROMPT], model=OLDER) for given in (file, types.Part.from_bytes(data=PDF, mime_type="application/pdf")))
    assert used(named) == used(sent) and used(named)["DOCUMENT"] == 2 * 258
    *_, last = client.models.generate_content_stream(model=OLDER, contents=[file, PROMPT])
    assert used(last) == used(named)
    assert client.models.count_tokens(model=OLDER, contents=[file, PROMPT]).total_tokens == named.usage_metadata.prompt_token_count


def test_a_file_can_be_cached(client, ask):
    file = put(client)
    held = types.Content(role="user", parts=[types.Part.from_uri(file_uri=file.uri, mime_type=file.mime_type), types.Part(text=LONG)])
    cache = client.caches.create(model=OLDER, config=types.CreateCachedContentConfig(contents=[held]))
    assert {one.modality.name: one.token_count for one in ask(model=OLDER, cached_content=cache.name).usage_metadata.cache_tokens_details}["DOCUMENT"] == 516
    client.files.delete(name=file.name)
    assert ask(model=OLDER, cached_content=cache.name).text, "the cache has what it was made of"
    refused(403, "PERMISSION_DENIED", client.caches.create, model=OLDER, config=types.CreateCachedContentConfig(contents=[held]))


def test_a_file_can_stand_in_an_instruction_and_in_a_result(client, ask, post):
    file = put(client)
    part = {"fileData": {"fileUri": file.uri, "mimeType": file.mime_type}}
    asked = post({"contents": contents(), "systemInstruction": {"parts": [{"text": "Read this."}, part]}}, "countTokens").json()
    assert {one["modality"]: one["tokenCount"] for one in asked["promptTokensDetails"]}["IMAGE"] == 2 * 560
    call = {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {}}, "thoughtSignature": "c2lnbmVk"}]}
    result = {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"found": 1}, "parts": [part]}}]}
    answered = post({"contents": [*contents(), call, result]}).json()
    assert {one["modality"]: one["tokenCount"] for one in answered["usageMetadata"]["promptTokensDetails"]}["IMAGE"] == 2 * 560


def test_an_interaction_takes_a_file(client):
    file = put(client)
    made = client.interactions.create(model=MODEL, input=[{"type": "document", "uri": file.uri, "mime_type": file.mime_type}, {"type": "text", "text": PROMPT}])
    assert {one.modality: one.tokens for one in made.usage.input_tokens_by_modality}["image"] == 2 * 560


def test_a_batch_takes_a_file(client, gateway):
    file = put(client)
    parts = [{"fileData": {"fileUri": file.uri, "mimeType": file.mime_type}}, {"text": PROMPT}]
    job = client.batches.create(model=OLDER, src=[{"contents": [{"role": "user", "parts": parts}]}])
    gateway.advance(hours=1)
    [answered] = client.batches.get(name=job.name).dest.inlined_responses
    assert used(answered.response)["DOCUMENT"] == 516


@pytest.mark.parametrize("why", ["deleted", "expired", "unknown", "of another key"])
@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent?alt=sse", "countTokens"])
def test_a_file_that_cannot_be_read_is_refused(client, gateway, post, why, method):
    mine = genai.Client(api_key="another-key") if why == "of another key" else client
    file = put(mine)
    name = file.name.removeprefix("files/") if why != "unknown" else "no-such-file"
    if why == "deleted":
        client.files.delete(name=file.name)
    if why == "expired":
        gateway.advance(hours=49)
    parts = [{"fileData": {"fileUri": file.uri.replace(file.name, f"files/{name}"), "mimeType": "application/pdf"}}, {"text": PROMPT}]
    reply = post({"contents": [{"parts": parts}]}, method)
    error = reply.json()["error"]
    assert (reply.status_code, error["status"]) == (403, "PERMISSION_DENIED")
    assert error["message"] == f"You do not have permission to access the File {name} or it may not exist."


def test_each_key_has_files_of_its_own(client, gateway):
    other = genai.Client(api_key="another-key")
    file = put(client)
    assert [one.name for one in client.files.list()] == [file.name] and list(other.files.list()) == []
    for act in (other.files.get, other.files.delete):
        refused(403, "PERMISSION_DENIED", act, name=file.name)


def test_a_video_is_processed_before_it_can_be_used(client, ask, gateway):
    gateway.stop_clock()
    file = put(client, b"a film", "video/mp4")
    assert (file.state.name, client.files.get(name=file.name).state.name) == ("PROCESSING", "PROCESSING")
    message = refused(400, "FAILED_PRECONDITION", ask, [file, PROMPT])
    assert message == f"The File {file.name.removeprefix('files/')} is not in an ACTIVE state and usage is not allowed."
    gateway.advance(seconds=5)
    file = client.files.get(name=file.name)
    assert file.state.name == "ACTIVE" and file.update_time > file.create_time
    assert "VIDEO" in used(ask([file, PROMPT]))


# ---- pages and pieces ----------------------------------------------------------
def test_files_come_in_pages_of_ten(client):
    names = [put(client, b"x", "text/plain", name=f"files/f{number}").name for number in range(12)]
    first = client.files.list()
    assert len(first.page) == 10 and [one.name for one in first] == names[::-1]
    assert [len(one.page) for one in [client.files.list(config={"page_size": 5})]] == [5]
    assert [one.name for one in client.files.list(config={"page_size": 1})] == names[::-1]


def test_what_was_listed_can_be_deleted_on_the_way(client):
    for number in range(5):
        put(client, b"x", "text/plain", name=f"files/f{number}")
    for file in client.files.list(config={"page_size": 2}):
        client.files.delete(name=file.name)
    assert list(client.files.list()) == []


@pytest.mark.parametrize("query", ["pageToken=none", "pageSize=many", "pageSize=-1", "pageSize=1.5"])
@pytest.mark.parametrize("path", ["files", "models", "cachedContents", "batches"])
def test_a_page_that_there_is_not_is_refused(gateway, path, query):
    reply = httpx2.get(f"{gateway.base_url}/gemini/v1beta/{path}?{query}", headers={"x-goog-api-key": "some-key"})
    assert (reply.status_code, reply.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_models_batches_and_caches_come_in_pages_too(client, gateway):
    assert len(client.models.list(config={"page_size": 2}).page) == 2
    assert [one.name for one in client.models.list(config={"page_size": 2})] == [one.name for one in client.models.list()]
    jobs = [client.batches.create(model=MODEL, src=[{"contents": contents()}]).name for _ in range(3)]
    assert [one.name for one in client.batches.list(config={"page_size": 2})] == jobs[::-1]
    config = types.CreateCachedContentConfig(contents=[LONG])
    caches = [client.caches.create(model=OLDER, config=config).name for _ in range(3)]
    assert [one.name for one in client.caches.list(config={"page_size": 2})] == caches


@pytest.fixture
def upload_raw(gateway):
    """The start of an upload, its headers; and what else is sent to the address that it gives."""

    def send(address="", content=b"", command="start", **headers):
        start = {"x-goog-api-key": os.environ["GEMINI_API_KEY"], "x-goog-upload-protocol": "resumable"} if not address else {}
        return httpx2.post(address or f"{gateway.base_url}/gemini/upload/v1beta/files", content=content, headers={**start, "x-goog-upload-command": command, **headers})

    return send


def test_an_upload_can_be_taken_up_where_it_broke_off(client, upload_raw):
    """The answers' headers as ruby_llm's recording of August 2026 has them."""
    start = upload_raw(content=b'{"file": {"display_name": "a.txt"}}', **{"x-goog-upload-header-content-type": "text/plain"})
    assert (start.content, start.headers["content-type"], start.headers["x-goog-upload-chunk-granularity"]) == (b"", "text/plain; charset=utf-8", "8388608")
    address = start.headers["x-goog-upload-url"]
    assert start.headers["x-goog-upload-control-url"] == address and start.headers["x-guploader-uploadid"] in address
    upload_raw(address, b"some ", "upload", **{"x-goog-upload-offset": "0"})
    asked = upload_raw(address, b"", "query")
    assert (asked.headers["x-goog-upload-status"], asked.headers["x-goog-upload-size-received"]) == ("active", "5")
    assert upload_raw(address, b"text", "upload, finalize", **{"x-goog-upload-offset": "4"}).status_code == 400, "not where it broke off"
    done = upload_raw(address, b"text", "upload, finalize", **{"x-goog-upload-offset": "5"})
    file = done.json()["file"]
    assert done.headers["x-goog-upload-status"] == "final" and (file["displayName"], file["sizeBytes"], file["mimeType"]) == ("a.txt", "9", "text/plain")
    assert b64decode(file["sha256Hash"]).decode() == hashlib.sha256(b"some text").hexdigest()
    assert upload_raw(address, b"more", "upload", **{"x-goog-upload-offset": "9"}).status_code == 404


def test_an_upload_can_be_given_up(client, upload_raw):
    address = upload_raw().headers["x-goog-upload-url"]
    assert upload_raw(address, b"", "cancel").headers["x-goog-upload-status"] == "cancelled"
    assert upload_raw(address, b"", "query").status_code == 404


def test_what_is_said_of_a_file_takes_its_room_too(gateway, upload_raw):
    before = gateway.batches.files.held
    assert upload_raw(content=json.dumps({"file": {"display_name": "n" * 1_000_000}}).encode()).status_code == 200
    assert gateway.batches.files.held - before > 1_000_000


def test_a_file_that_is_too_large_is_refused_before_it_comes(upload_raw):
    reply = upload_raw(**{"x-goog-upload-header-content-length": str(3 * 10**9)})
    assert reply.status_code == 400 and "at most" in reply.json()["error"]["message"]


@pytest.mark.parametrize("length", ["x", "-1", "9" * 30, ""])
def test_a_length_that_is_none_says_nothing(upload_raw, length):
    assert upload_raw(**{"x-goog-upload-header-content-length": length}).status_code == 200


def test_the_name_that_is_shown_says_nothing_of_what_a_file_is(client, gateway):
    file = upload(client, line("a"), display_name="batch_output")
    assert (file.display_name, file.source.name, file.download_uri) == ("batch_output", "UPLOADED", None)
    assert "Only generated files can be downloaded" in refused(400, "INVALID_ARGUMENT", client.files.download, file=file.name)
    assert gateway.batches.files[file.name].purpose == ""


def test_the_name_that_is_shown_is_measured(client, gateway):
    short, long = upload(client, "x", display_name="a"), upload(client, "x", display_name="a" * 300)
    sizes = [gateway.batches.files.size(file.name) for file in (short, long)]
    assert sizes[1] - sizes[0] == 299
