"""Gemini's files, and batches that read and write them, through Google's own SDK."""

import io
import json

import pytest
from google.genai import types

from tests.gateway.dialects.gemini.samples import ANSWER, MODEL, contents
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
