"""HTTP as any program may speak it: what the SDKs never send is understood or refused too."""

import asyncio
import gc
import http.client
import io
import json
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx2
import openai
import pytest

from helpers.gateway import connections, listener
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


def answers(gateway, pieces, count=1, method="POST", pause=0.0):
    """(status, body) of the answers to bytes that are sent piece by piece, and whether the connection was then closed."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as client:
        for piece in pieces:
            client.sendall(piece)
            time.sleep(pause)  # nothing is read meanwhile
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
    found, closed = answers(gateway, [post(more=UPGRADE) * 50 + post()], 51)
    assert {status for status, _ in found} == {200} and says_hello(found[0][1]) and not closed
    _, closed = answers(gateway, [post(more=UPGRADE.replace("Upgrade,", "close, Upgrade,"))])
    assert closed


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
        (b"CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: 127.0.0.1:443\r\n\r\n", 403),
        (post(more="Host: evil.example\r\n"), 403),
    ],
)
def test_what_is_no_request_for_us_is_refused(gateway, sent, status):
    [(found, body)], _ = answers(gateway, [sent])
    assert found == status and body.endswith(b"\n")
    assert len(gateway.meter.log()) == 0


@pytest.mark.parametrize(
    ("limit", "sent", "status", "why"),
    [
        ("LARGEST_REQUEST", post(b"x" * 9_000), 413, b"a request has at most 8,000 bytes\n"),
        ("LARGEST_HEAD", b"GET /" + b"x" * 9_000, 400, b"the head of a request has at most 8,000 bytes\n"),
    ],
)
def test_a_request_that_is_too_large_is_refused(gateway, monkeypatch, limit, sent, status, why):
    monkeypatch.setattr(connections, limit, 8_000)
    found, closed = answers(gateway, [sent])
    assert found == [(status, why)] and closed


def test_many_requests_on_one_connection_are_not_one_large_head(gateway, monkeypatch):
    monkeypatch.setattr(connections, "LARGEST_HEAD", 8_000)
    kept = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=5)
    for _ in range(50):
        kept.request("POST", "/openai/v1/chat/completions", BODY, {"authorization": "Bearer x", "content-type": "application/json"})
        assert json.loads(kept.getresponse().read())["object"] == "chat.completion"
    kept.close()


def test_a_head_that_begins_after_a_large_body_is_its_own(gateway, monkeypatch):
    """Pieces of a body that come together with the beginning of the next head are no part of that."""
    monkeypatch.setattr(connections, "LARGEST_HEAD", 8_000)
    body = BODY + b" " * 60_000
    second = post()
    found, _ = answers(gateway, [post(body) + second[:50], second[50:]], 2, pause=0.1)
    assert [status for status, _ in found] == [200, 200]


@pytest.mark.parametrize("sent", [[b"GET /", *[b"x" * 3_000] * 3], [b"GET / HTTP/1.1\r\n", *[b"x: " + b"y" * 900 + b"\r\n"] * 9], [b"GET / HTTP/1.1\r\nx: ", *[b"y" * 3_000] * 3]])
def test_a_head_that_comes_in_pieces_has_an_end_too(gateway, monkeypatch, sent):
    monkeypatch.setattr(connections, "LARGEST_HEAD", 8_000)
    found, closed = answers(gateway, sent, pause=0.02)
    assert found == [(400, b"the head of a request has at most 8,000 bytes\n")] and closed


def test_what_is_wrong_after_a_request_does_not_spoil_its_answer(gateway):
    """A client that counts characters in place of bytes states too small a length: the rest is no request."""
    found, closed = answers(gateway, [post() + b"}}", b"more", b"of", b"it"], 2, pause=0.1)
    assert [status for status, _ in found] == [200, 400] and closed


def test_what_comes_after_a_body_is_no_header(gateway):
    chunks = b"%x\r\n%b\r\n0\r\nAuthorization: Bearer invalid\r\nHost: evil.example\r\n\r\n" % (len(BODY), BODY)
    [(status, _)], _ = answers(gateway, [post(chunks, "Transfer-Encoding: chunked\r\n", length=False)])
    assert status == 200


@pytest.mark.parametrize("fault", [None, "stalled"])
def test_a_gateway_that_stops_hangs_up(gateway, fault):
    """Nobody is left to wait for an answer that will not come."""
    if fault:
        gateway.fault(fault)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as client:
        client.sendall(post() if fault else b"POST /op")
        until(lambda: len(gateway.meter.log()) if fault else gateway.in_loop(lambda: len(gateway._server.connections)))
        gateway.stop()
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
    assert [entry.note for entry in gateway.meter.log()] == (["the client went away"] if fault else [])


@pytest.mark.parametrize("ticks", range(5))
def test_a_client_that_comes_while_the_server_closes_is_hung_up_on(ticks):
    """Whether it still waits to be let in, is being let in, or is in."""

    async def come_and_close():
        server, open_port = listener.Server(print), socket.create_server(("127.0.0.1", 0))
        await server.listen(open_port)
        with socket.create_connection(open_port.getsockname()[:2], timeout=1) as client:
            for _ in range(ticks):
                await asyncio.sleep(0)
            await server.close()
            await asyncio.sleep(0.05)
            gc.collect()  # at one of the ticks asyncio itself drops the connection unclosed
            with suppress(ConnectionResetError):
                return client.recv(1)
        return b""

    assert asyncio.run(come_and_close()) == b""


def test_a_defect_of_ours_is_not_blamed_on_the_client(gateway, monkeypatch, caplog):
    monkeypatch.setattr(gateway._server, "then", lambda request: {}["no such key"])
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as client:
        client.sendall(post())
        assert client.recv(1000) == b""
    assert "KeyError: 'no such key'" in caplog.text


def test_a_client_that_leaves_while_it_reads_nothing_ends_its_stream(gateway):
    """What is still to be sent to it can never be sent, so nobody may wait for that."""
    client = openai.OpenAI()
    file = client.files.create(file=("large.jsonl", b"x" * 20_000_000), purpose="assistants")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as reader:
        reader.sendall(f"GET /openai/v1/files/{file.id}/content HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\n\r\n".encode())
        until(lambda: len(gateway.meter.log()) == 2)
        reader.shutdown(socket.SHUT_WR)
        until(lambda: gateway.meter.log()[-1].note == "the client went away")


def until(true):
    """Wait for something that happens in the gateway's thread."""
    ends = time.monotonic() + 5
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_client_that_is_slow_to_read_gets_all_of_a_large_file(gateway):
    client = openai.OpenAI()
    content = (json.dumps({"line": "x" * 1000}) + "\n").encode() * 20_000
    file = client.files.create(file=("large.jsonl", content), purpose="batch")
    with client.files.with_streaming_response.content(file.id) as answer:
        assert len(gateway.meter.log()) == 2  # others are served while this client has read nothing yet
        assert b"".join(answer.iter_bytes(100_000)) == content


class Counted:
    """A connection's transport that counts what is handed to the system."""

    def __init__(self, transport, writes):
        self._transport, self._writes = transport, writes

    def write(self, data):
        self._writes.append(bytes(data))
        self._transport.write(data)

    def __getattr__(self, name):
        return getattr(self._transport, name)


@pytest.mark.parametrize("pace", [0, 1])
def test_what_is_due_at_the_same_moment_goes_out_in_one_piece(gateway, monkeypatch, pace):
    writes, made = [], gateway_http.Connection.connection_made
    monkeypatch.setattr(gateway_http.Connection, "connection_made", lambda self, transport: made(self, Counted(transport, writes)))
    gateway.pace = pace
    [(status, body)], _ = answers(gateway, [post(STREAMED)])
    assert status == 200 and body.endswith(b"data: [DONE]\n\n")
    assert (len(writes) == 1) if pace == 0 else 3 < len(writes) <= body.count(b"data: ") + 2


def test_a_header_cannot_smuggle_in_another(gateway):
    """Whatever an answer's headers are made of, a line break in one is an error and no second header."""
    for breaking in ("a\r\nset-cookie: b", "a\nb", "a\rb"):
        with pytest.raises(ValueError, match="line break"):
            gateway_http._lines("HTTP/1.1 200 OK", [("x-course-recording", breaking)])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", [None, "rate_limited"])
def test_an_answer_and_a_refusal_have_the_date_of_the_course_s_clock(gateway, fault, stream):
    if fault:
        gateway.fault(fault)
    gateway.stop_clock()
    gateway.advance(hours=30)
    body = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Say hello in five words."}], "stream": stream}
    answer = httpx2.post(f"{gateway.base_url}/openai/v1/chat/completions", json=body, headers={"authorization": "Bearer a-key"})
    assert answer.headers.get_list("date") == [format_datetime(datetime.fromtimestamp(int(gateway.clock.now()), UTC), usegmt=True)]
