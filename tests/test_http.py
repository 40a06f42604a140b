"""HTTP as any program may speak it: what the SDKs never send is understood or refused too."""

import http.client
import io
import json
import socket

import openai
import pytest

from helpers.gateway import http as gateway_http

BODY = json.dumps({"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Say hello in five words."}]}).encode()
STREAMED = BODY[:-1] + b', "stream": true}'
UPGRADE = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"


def post(body=BODY, more="", version="1.1", length=True):
    """The bytes of a call, as a client would send them."""
    size = f"Content-Length: {len(body)}\r\n" if length else ""
    head = f"POST /openai/v1/chat/completions HTTP/{version}\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\nContent-Type: application/json\r\n"
    return f"{head}{more}{size}\r\n".encode() + body


class Kept(io.BufferedReader):
    """Stays open after an answer, as the next one comes from it too."""

    def close(self):
        pass


def answers(gateway, pieces, count=1, method="POST"):
    """(status, body) of the answers to bytes that are sent piece by piece, and whether the connection was then closed."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as client:
        for piece in pieces:
            client.sendall(piece)
        stream = Kept(socket.SocketIO(client, "r"))
        found = [_answer(client, stream, method) for _ in range(count)]
        client.settimeout(0.2)
        try:
            return found, client.recv(1) == b""
        except TimeoutError:
            return found, False


def _answer(client, stream, method):
    """One answer, read as the standard library reads it; the next one stays in the stream."""
    answer = http.client.HTTPResponse(client, method=method)
    answer.fp = stream
    answer.begin()
    status, body = answer.status, b"".join(iter(lambda: answer.read1(), b""))
    return status, body


def says_hello(body):
    return json.loads(body)["choices"][0]["message"]["content"]


def test_requests_sent_before_the_answers_are_answered_in_order(gateway):
    other = BODY.replace(b"gpt-6-luna", b"no-such-model")
    found, closed = answers(gateway, [post() + post(other) + post() + post(other)], 4)
    assert [status for status, _ in found] == [200, 404, 200, 404] and not closed


def test_a_request_may_come_byte_by_byte(gateway):
    [(status, body)], closed = answers(gateway, [bytes([byte]) for byte in post()])
    assert status == 200 and says_hello(body) and not closed


def test_a_body_may_come_in_chunks(gateway):
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:7], BODY[7:]))
    [(status, body)], _ = answers(gateway, [post(chunks + b"0\r\n\r\n", "Transfer-Encoding: chunked\r\n", length=False)])
    assert status == 200 and says_hello(body)


def test_a_client_that_asks_before_it_sends_a_body_is_told_to_go_on(gateway):
    head, _, body = post(more="Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as client:
        client.sendall(head + b"\r\n\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_client_that_offers_another_protocol_is_answered_in_this_one(gateway):
    found, closed = answers(gateway, [post(more=UPGRADE) + post()], 2)
    assert [says_hello(body) for status, body in found if status == 200] == [says_hello(found[0][1])] * 2 and not closed


@pytest.mark.parametrize(("version", "more"), [("1.0", ""), ("1.0", "Connection: keep-alive\r\n"), ("1.1", "Connection: close\r\n")])
@pytest.mark.parametrize("body", [BODY, STREAMED])
def test_a_connection_that_is_not_kept_is_closed_after_the_answer(gateway, version, more, body):
    [(status, answer)], closed = answers(gateway, [post(body, more, version)])
    assert status == 200 and closed
    assert answer.endswith(b"data: [DONE]\n\n") if body is STREAMED else says_hello(answer)


def test_an_answer_to_head_has_a_length_and_no_body(gateway):
    head = post(b"").replace(b"POST", b"HEAD")
    found, closed = answers(gateway, [head + head], 2, "HEAD")
    assert found == [(404, b"")] * 2 and not closed


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"good morning\r\n\r\n", 400),
        (bytes.fromhex("160301020001") + bytes(200), 400),  # a client that speaks TLS
        (post(more="Content-Length: 3\r\n"), 400),
        (post(more="Transfer-Encoding: chunked\r\n"), 400),
        (b"CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: 127.0.0.1:443\r\n\r\n", 405),
        (post(more="Host: evil.example\r\n"), 403),
    ],
)
def test_what_is_no_request_for_us_is_refused(gateway, sent, status):
    [(found, body)], _ = answers(gateway, [sent])
    assert found == status and body.endswith(b"\n")
    assert len(gateway.meter.log()) == 0


@pytest.mark.parametrize("sent", [post(b"x" * 9_000), post(more="X-Long: " + "x" * 9_000 + "\r\n")])
def test_a_request_that_is_too_large_is_refused(gateway, monkeypatch, sent):
    monkeypatch.setattr(gateway_http, "LARGEST_REQUEST", 8_000)
    [(status, body)], closed = answers(gateway, [sent])
    assert (status, body, closed) == (413, b"a request has at most 8,000 bytes\n", True)


def test_a_client_that_is_slow_to_read_gets_all_of_a_large_file(gateway):
    client = openai.OpenAI()
    content = (json.dumps({"line": "x" * 1000}) + "\n").encode() * 20_000
    file = client.files.create(file=("large.jsonl", content), purpose="batch")
    with client.files.with_streaming_response.content(file.id) as answer:
        assert len(gateway.meter.log()) == 2  # others are served while this client has read nothing yet
        assert b"".join(answer.iter_bytes(100_000)) == content


def test_a_header_cannot_smuggle_in_another(gateway):
    """Whatever an answer's headers are made of, a line break in one is an error and no second header."""
    request = gateway_http.Request(connection=None)
    with pytest.raises(ValueError, match="line break"):
        request._head(200, [("x-course-recording", "a\r\nset-cookie: b")])
