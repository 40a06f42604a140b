"""OpenAI's files through its own SDK, and uploads as other clients write them."""

import http.client
import json
import re

import openai
import pytest
from openai import OpenAI

LINE = b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}'
KEY = {"authorization": "Bearer any"}


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


def upload(client, name="in.jsonl", content=LINE, purpose="batch", **more):
    return client.files.create(file=(name, content), purpose=purpose, **more)


def refusal(act, *arguments, **more):
    """The error of a refused call: its words, its field, its code."""
    with pytest.raises(openai.BadRequestError) as caught:
        act(*arguments, **more)
    return caught.value.body["message"], caught.value.param, caught.value.code


def test_files(client):
    file = upload(client)
    assert re.fullmatch(r"file-[A-Za-z0-9]{22}", file.id)
    assert (file.filename, file.purpose, file.status, file.expires_at - file.created_at) == ("in.jsonl", "batch", "processed", 30 * 86400)
    assert client.files.retrieve(file.id) == file and [f.id for f in client.files.list()] == [file.id]
    assert client.files.content(file.id).content == LINE and file.bytes == len(LINE)
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_files_are_listed_by_purpose(client):
    batch, data = upload(client), upload(client, "notes.pdf", b"%PDF \xff", "user_data")
    assert [f.id for f in client.files.list(purpose="user_data")] == [data.id]
    assert [f.id for f in client.files.list()] == [data.id, batch.id]


def test_an_unknown_purpose_is_refused(client):
    words = "'batches' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'] - 'purpose'"
    assert refusal(upload, client, purpose="batches") == (words, "purpose", None)


@pytest.mark.parametrize("name", ["in.txt", "in.json", "jsonl", ""])
def test_a_batch_file_has_to_be_named_jsonl(client, name):
    assert refusal(upload, client, name) == ("Invalid file format for Batch API. Must be .jsonl", None, None)


@pytest.mark.parametrize("content", ["caf\u00e9".encode("latin-1"), '{"a": 1}'.encode("utf-16"), b'"\xed\xa0\x80"'])
def test_a_batch_file_has_to_be_utf_8(client, content):
    assert refusal(upload, client, content=content) == ("Invalid file for Batch API. Must be utf-8 encoded", None, None)


def test_a_file_expires_by_the_courses_clock(client, gateway):
    file = upload(client, expires_after={"anchor": "created_at", "seconds": 3600})
    data = upload(client, purpose="user_data")
    assert (file.expires_at - file.created_at, data.expires_at) == (3600, None), "files for no batch are kept"
    gateway.advance(minutes=61)
    assert [f.id for f in client.files.list()] == [data.id]
    for act in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError):
            act(file.id)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ({"anchor": "created_at", "seconds": 3599}, "Expected a value >= 3600, but got 3599 instead."),
        ({"anchor": "created_at", "seconds": 2592001}, "Expected a value <= 2592000, but got 2592001 instead."),
        ({"anchor": "created_at", "seconds": "soon"}, "Invalid type for 'expires_after.seconds': expected an integer, but got a string instead."),
        ({"anchor": "today", "seconds": 3600}, "Invalid value: 'today'. Supported values are: 'created_at'."),
        ({"seconds": 3600}, "Missing required parameter: 'expires_after.anchor'."),
    ],
)
def test_a_wrong_expiry_is_refused(client, after, words):
    assert words in refusal(upload, client, expires_after=after)[0]


# ---- forms, as other clients write them ----------------------------------------------------------------------
def send(gateway, disposition, content_type="multipart/form-data; boundary=b", purpose="batch", end=b"\r\n--b--\r\n"):
    """Status and JSON of an upload whose part has this Content-Disposition."""
    body = b"".join((b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n', purpose.encode(), b"\r\n--b\r\nContent-Disposition: ", disposition, b"\r\n\r\n", LINE, end))
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=5)
    try:
        connection.request("POST", "/openai/v1/files", body, {**KEY, "content-type": content_type})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


NAMES = [
    (b'filename="caf\xe9.jsonl"', "caf\u00e9.jsonl"),
    ('filename="caf\u00e9.jsonl"'.encode(), "caf\u00e9.jsonl"),
    ('filename="a\u2028b\u0085c.jsonl"'.encode(), "a\u2028b\u0085c.jsonl"),
    (b"filename*=UTF-8''caf%C3%A9.jsonl", "caf\u00e9.jsonl"),
    (b"filename*=iso-8859-1'en'caf%E9.jsonl", "caf\u00e9.jsonl"),
    (b"filename*=utf-7''a+2AA-.jsonl", "a?.jsonl"),
    (b"filename*=unicode_escape''a%5Cud800.jsonl", "a?.jsonl"),
    (b"filename*=undefined''a.jsonl", "a.jsonl"),
    (b"filename*=no-charset''a%20b.jsonl", "a b.jsonl"),
    (b"filename*=utf-8''a%0D%0Ab.jsonl", "a\r\nb.jsonl"),
    (b'filename="a\\"b;c.jsonl"', 'a"b;c.jsonl'),
    (b"filename=bare.jsonl", "bare.jsonl"),
    (b'filename*0="a"; filename*1="b.jsonl"', "ab.jsonl"),
]


@pytest.mark.parametrize(("given", "name"), NAMES)
def test_a_file_with_an_odd_name_is_kept_and_listed(client, gateway, given, name):
    status, file = send(gateway, b'form-data; name="file"; ' + given)
    assert (status, file.get("filename")) == (200, name), file
    assert [f.filename for f in client.files.list()] == [name]
    assert client.files.content(file["id"]).content == LINE


def test_of_two_files_the_last_counts_and_a_text_is_a_file_without_a_name(client, gateway):
    second = b'form-data; name="file"; filename="b.jsonl"\r\n\r\n{}\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="c.jsonl"'
    assert send(gateway, second)[1]["filename"] == "c.jsonl"
    assert send(gateway, b'form-data; name="file"', purpose="user_data")[1]["filename"] == "upload"


@pytest.mark.parametrize("disposition", [b'form-data; filename="a.jsonl"', b"", b"attachment; name=file", b"form-data; name*=a; name*0=file", b"form-data; name=file; filename=" + b"a" * 20_000])
def test_a_garbled_part_is_refused(client, gateway, disposition):
    status, answer = send(gateway, disposition)
    assert (status, answer["error"]["message"]) == (400, "Could not parse multipart form")
    assert list(client.files.list()) == []


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=b", "multipart/form-data; boundary=other", "multipart/form-data; boundary*=x''b; boundary*0=\xe9"])
def test_a_form_without_its_boundary_is_refused(gateway, content_type):
    status, answer = send(gateway, b'form-data; name="file"; filename="a.jsonl"', content_type)
    assert (status, answer["error"]["message"]) == (400, "Could not parse multipart form")


def test_a_form_that_breaks_off_or_has_no_end_of_parts_is_refused(gateway):
    assert send(gateway, b'form-data; name="file"; filename="a.jsonl"', end=b"")[0] == 400
    assert send(gateway, b'form-data; name="file"; filename="a.jsonl"', end=b"\r\n--b" * 100_000 + b"--")[0] == 400


def test_a_form_says_what_it_lacks(client, gateway):
    status, answer = send(gateway, b'form-data; name="other"')
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, "missing_required_parameter", "file")
