"""HTTP/2 with prior knowledge: the same answers, limits, faults and manners as HTTP/1.1, and bounds for what only HTTP/2 lets a client do."""

import http.client
import json
import random
import shutil
import socket
import subprocess
import threading
import time

import anthropic
import httpx2
import openai
import pytest
from h2.errors import ErrorCodes
from hpack import Encoder
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, PingFrame, PriorityFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from helpers.gateway import connections, http2, listener
from helpers.gateway.batches import File
from helpers.gateway.listener import PREFACE
from helpers.gateway.server import Gateway
from helpers.network import OFFLINE
from tests.gateway.http2_client import ASK, CHAT, Answer, Client

STREAMED = {**ASK, "stream": True}
USER = [{"role": "user", "content": "Say hello in five words."}]
BLOCKS = [{"role": "user", "content": [{"text": "Say hello in five words."}]}]
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Say hello in five words."}]}]}
CLAUDE = {"model": "claude-haiku-4-5", "max_tokens": 300, "messages": USER}
HOUSE = {"model": "house", "messages": USER, "max_tokens": 5, "temperature": 0, "seed": 1}
NOVA = "/bedrock/model/amazon.nova-lite-v1%3A0"
GEMINI = "/gemini/v1beta/models/gemini-3.5-flash-lite"
KEYS = {"authorization": "Bearer x", "x-api-key": "x", "api-key": "x", "x-goog-api-key": "x", "anthropic-version": "2023-06-01"}
CALLS = {
    "openai": (CHAT, ASK),
    "openai, streamed": (CHAT, STREAMED),
    "responses, streamed": ("/openai/v1/responses", {"model": "gpt-6-luna", "input": USER, "stream": True}),
    "azure": ("/azure/openai/deployments/gpt-6-luna/chat/completions?api-version=2024-10-21", {"messages": USER}),
    "azure v1, streamed": ("/azure/openai/v1/chat/completions", STREAMED),
    "anthropic": ("/anthropic/v1/messages", CLAUDE),
    "anthropic, streamed": ("/anthropic/v1/messages", {**CLAUDE, "stream": True}),
    "gemini": (GEMINI + ":generateContent", CONTENTS),
    "gemini, streamed": (GEMINI + ":streamGenerateContent?alt=sse", CONTENTS),
    "bedrock": (NOVA + "/converse", {"messages": BLOCKS}),
    "bedrock, streamed": (NOVA + "/converse-stream", {"messages": BLOCKS}),
    "compatible": ("/compatible/v1/chat/completions", HOUSE),
    "compatible, streamed": ("/compatible/v1/chat/completions", {**HOUSE, "stream": True}),
    "an error": (CHAT, {**ASK, "model": "no-such-model"}),
}


def until(true):
    """Wait for something that happens in the gateway's thread."""
    ends = time.monotonic() + 5
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.01)


def held(gateway):
    return gateway.in_loop(lambda: gateway._server.held)


def streams(gateway):
    """How many streams are open, on all connections."""
    return gateway.in_loop(lambda: sum(len(one._requests) for one in gateway._server.connections if isinstance(one, http2.Connection)))


@pytest.fixture
def client(gateway):
    with Client(gateway.port) as client:
        yield client


# ---- the same answers --------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", CALLS)
def test_every_mount_answers_as_over_http_1(gateway, kind):
    path, body = CALLS[kind]
    answers = []
    for first, second in ((True, False), (False, True)):
        with httpx2.Client(http1=first, http2=second, headers=KEYS) as client:
            answers.append(client.post(gateway.base_url + path, json=body))
    one, two = answers
    assert (one.http_version, two.http_version) == ("HTTP/1.1", "HTTP/2") and one.status_code == two.status_code
    of_the_connection = {"transfer-encoding", "connection"}
    assert [name for name in one.headers if name not in of_the_connection] == list(two.headers)
    assert shape(one) == shape(two)


def shape(answer):
    """The types of events and the keys of an answer, whose ids and times differ."""
    if "eventstream" in answer.headers["content-type"]:
        return [part for part in (b"messageStart", b"contentBlockDelta", b"metadata") if part in answer.content]
    lines = [line[5:].strip() for line in answer.text.splitlines() if line.startswith("data:")] or [answer.text]
    return [sorted(json.loads(line)) if line != "[DONE]" else line for line in lines]


def test_the_sdks_of_openai_and_anthropic_speak_it_too(gateway):
    with httpx2.Client(http1=False, http2=True) as http:
        said = openai.OpenAI(http_client=http).chat.completions.create(**ASK)
        assert len(said.choices[0].message.content.split()) == 5
        with anthropic.Anthropic(http_client=http).messages.stream(**CLAUDE) as stream:
            assert len(stream.get_final_text().split()) == 5


def test_many_requests_are_answered_at_once_on_one_connection(gateway, client):
    numbers = [client.ask(body=STREAMED if number % 2 else ASK) for number in range(http2.MOST_STREAMS)]
    answers = [client.answer(number, 20) for number in numbers]
    assert all(answer.status == 200 and answer.ended for answer in answers)
    assert len(gateway.in_loop(lambda: list(gateway._server.connections))) == 1
    assert streams(gateway) == held(gateway) == 0


def test_one_that_waits_holds_up_no_other(gateway, client):
    gateway.fault("stalled")
    waits = client.ask()
    assert client.get().status == 200 and not client.answers[waits].is_over


def test_a_client_may_send_byte_by_byte(gateway):
    with Client(gateway.port) as client:
        flush, sent = client.flush, []
        client.flush = lambda: sent.append(client.h2.data_to_send())
        number = client.ask()
        client.flush = flush
        for byte in b"".join(sent):
            client.socket.sendall(bytes([byte]))
        assert client.answer(number).status == 200


@pytest.mark.parametrize("size", range(1, len(PREFACE) + 1))
def test_the_first_bytes_may_come_in_two_pieces(gateway, size):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(PREFACE[:size])
        time.sleep(0.01)
        client.sendall(PREFACE[size:] + SettingsFrame(0).serialize())
        assert client.recv(9)[3] == 4  # the gateway's SETTINGS


@pytest.mark.parametrize("first", [b"PRI * HTTP/2.0\r\n\r\nno", b"PUT / HTTP/1.1\r\n\r\n", b"P", b"PRI"])
def test_what_begins_like_it_is_read_as_http_1(gateway, first):
    rest = b"OST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" if first == b"P" else b"\r\n\r\n" if first == b"PRI" else b""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as client:
        client.sendall(first)
        time.sleep(0.02)
        client.sendall(rest)
        assert client.recv(9) == b"HTTP/1.1 "


def test_an_answer_to_head_has_a_length_and_no_body(gateway, client):
    answer = client.get(body=None, method="HEAD")
    assert answer.status == 404 and answer.body == b"" and int(answer.headers["content-length"]) >= 0 and answer.ended


def test_a_client_that_asks_before_it_sends_a_body_is_told_to_go_on(gateway, client):
    number = client.ask(body=None, more=[("expect", "100-continue")], ends=False)
    told = []
    receive = client.h2.receive_data
    client.h2.receive_data = lambda data: told.extend(events := receive(data)) or events
    client.hear(lambda: "InformationalResponseReceived" in [type(event).__name__ for event in told])
    client.h2.send_data(number, json.dumps(ASK).encode(), end_stream=True)
    client.flush()
    assert client.answer(number).status == 200


def test_a_trailer_is_no_header(gateway, client):
    number = client.ask(ends=False)
    client.h2.send_headers(number, [("authorization", "Bearer invalid")], end_stream=True)
    client.flush()
    assert client.answer(number).status == 200


# ---- this machine alone ------------------------------------------------------------------------------------
@pytest.mark.parametrize("more", [[("host", "evil.example")], [("origin", "https://evil.example")], [("sec-fetch-site", "cross-site")]])
def test_a_foreign_web_page_is_refused(gateway, client, more):
    assert client.get(more=more).status == 403 and len(gateway.meter.log()) == 0


def test_nobody_is_connected_to_another_machine(gateway, client):
    number = client.h2.get_next_available_stream_id()
    client.h2.send_headers(number, [(":method", "CONNECT"), (":authority", "api.openai.com:443")])
    client.answers[number] = Answer()
    client.flush()
    answer = client.answer(number)
    assert answer.status == 403 and OFFLINE.encode() in answer.body and len(gateway.meter.log()) == 0


# ---- limits ------------------------------------------------------------------------------------------------
def test_a_body_that_is_too_large_is_refused_and_the_connection_goes_on(gateway, client, monkeypatch):
    monkeypatch.setattr(connections, "LARGEST_REQUEST", 8_000)
    answer = client.get(body=b"x" * 300_000)
    assert (answer.status, answer.body) == (413, b"a request has at most 8,000 bytes\n")
    assert client.get().status == 200 and held(gateway) == 0


def test_a_head_that_is_too_large_is_refused_and_the_connection_goes_on(gateway, monkeypatch):
    monkeypatch.setattr(connections, "LARGEST_HEAD", 8_000)
    with Client(gateway.port) as client:
        answer = client.get(more=[("x-long", "y" * 9_000)])
        assert (answer.status, answer.body) == (400, b"the head of a request has at most 8,000 bytes\n")
        assert client.get().status == 200 and held(gateway) == 0


def test_all_requests_at_once_have_a_bound(gateway, client, monkeypatch):
    monkeypatch.setattr(connections, "LARGEST_SUM", 10_000)
    first = client.ask(body=b"x" * 7_000, ends=False)
    until(lambda: held(gateway) > 7_000)
    assert client.get(body=b"x" * 7_000).status == 503
    client.h2.end_stream(first)
    client.flush()
    assert client.answer(first).status == 400 and held(gateway) == 0


def test_a_large_body_comes_whole(gateway, client):
    client.h2.max_outbound_frame_size = 16_384
    content = b"x" * 5_000_000
    form = b'--X\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'
    form += b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n' + content + b"\r\n--X--\r\n"
    with httpx2.Client(http1=False, http2=True, headers=KEYS | {"content-type": "multipart/form-data; boundary=X"}) as http:
        made = http.post(gateway.base_url + "/openai/v1/files", content=form).json()
    assert made["bytes"] == len(content) and held(gateway) == 0


# ---- faults ------------------------------------------------------------------------------------------------
def test_a_stream_that_is_cut_breaks_off_and_others_go_on(gateway, client):
    gateway.fault("stream_cut", chunk=2)
    cut, whole = client.ask(body=STREAMED), client.ask(body=STREAMED)
    answer = client.answer(cut)
    assert answer.reset == ErrorCodes.INTERNAL_ERROR and answer.body.count(b"data: ") == 2 and not answer.ended
    assert client.answer(whole).body.endswith(b"data: [DONE]\n\n")


def test_half_of_a_plain_answer_comes_with_its_whole_length(gateway, client):
    gateway.fault("stream_cut")
    answer = client.get()
    assert answer.reset == ErrorCodes.INTERNAL_ERROR and 2 * len(answer.body) == pytest.approx(int(answer.headers["content-length"]), abs=1)


def test_a_reset_is_one_of_the_connection(gateway, client):
    """The SDK of Bedrock for JavaScript tries again after one, and not where a stream alone was broken off."""
    gateway.fault("connection_reset")
    number = client.ask()
    client.hear(lambda: client.closed)
    assert client.answers[number].status is None
    until(lambda: held(gateway) == 0)
    assert not gateway.meter.log()[-1].evidence.was_left


def test_a_reset_is_one_of_the_stream_where_others_are_on_the_connection(gateway, client):
    gateway.fault("stalled")
    waits = client.ask()
    until(lambda: gateway.meter.log() and gateway.meter.log()[-1].fault == "stalled")
    gateway.fault("connection_reset")
    answer = client.get()
    assert answer.reset == ErrorCodes.INTERNAL_ERROR and answer.status is None
    assert client.get().status == 200 and not client.answers[waits].is_over and not client.goodbye


def test_a_stream_that_ended_too_soon_ends_properly(gateway, client):
    gateway.fault("stream_ended", chunk=2)
    answer = client.get(body=STREAMED)
    assert answer.ended and answer.reset is None and b"[DONE]" not in answer.body


def test_a_stalled_stream_says_no_more(gateway, client):
    gateway.fault("stalled", chunk=2)
    number = client.ask(body=STREAMED)
    client.hear(lambda: client.answers[number].body.count(b"data: ") == 2)
    with pytest.raises(TimeoutError):
        client.answer(number, 0.2)


def test_a_slow_answer_is_slow_and_a_limit_says_when_to_come_again(gateway, client):
    gateway.fault("slow", seconds=0.3)
    began = time.monotonic()
    assert client.get().status == 200 and time.monotonic() - began > 0.29
    gateway.fault("rate_limited", seconds=7)
    answer = client.get()
    assert answer.status == 429 and answer.headers["retry-after"] == "7"


@pytest.mark.parametrize(("fault", "error"), [("connection_reset", openai.APIConnectionError), ("overloaded", openai.InternalServerError), ("wrong_key", openai.AuthenticationError)])
def test_an_sdk_meets_the_same_errors_as_over_http_1(gateway, fault, error):
    gateway.fault(fault, times=3)
    with httpx2.Client(http1=False, http2=True) as http, pytest.raises(error):
        openai.OpenAI(http_client=http, max_retries=1).chat.completions.create(**ASK)
    assert len(gateway.meter.log()) == (1 if fault == "wrong_key" else 2)


# ---- pace --------------------------------------------------------------------------------------------------
def test_the_pieces_of_a_stream_come_when_they_are_due():
    running = Gateway(pace=1).start()
    try:
        with Client(running.port) as client:
            number, sizes = client.ask(body={**STREAMED, "reasoning_effort": "none"}), []
            while not client.answers[number].is_over:
                client.read()
                sizes.append(len(client.answers[number].body))
        assert len(set(sizes)) > 4  # and not all at once
    finally:
        running.stop()


# ---- a client that leaves ----------------------------------------------------------------------------------
@pytest.mark.parametrize("way", ["resets the stream", "closes", "says goodbye", "says no more"])
def test_a_client_that_leaves_is_noted(gateway, client, way):
    gateway.fault("stalled", chunk=2)
    number = client.ask(body=STREAMED)
    client.hear(lambda: client.answers[number].body.count(b"data: ") == 2)
    if way == "resets the stream":
        client.h2.reset_stream(number, ErrorCodes.CANCEL)
    elif way == "says goodbye":
        client.h2.close_connection()
    elif way == "says no more":
        client.socket.shutdown(socket.SHUT_WR)
    else:
        client.socket.close()
    if way in ("resets the stream", "says goodbye"):
        client.flush()
    until(lambda: gateway.meter.log()[-1].note == "the client went away")
    assert gateway.meter.log()[-1].evidence.was_left and streams(gateway) == held(gateway) == 0
    if way == "resets the stream":
        assert client.get().status == 200


def test_a_client_that_leaves_before_its_request_is_whole_leaves_nothing(gateway, client):
    number = client.ask(body=b"x" * 5_000, ends=False)
    until(lambda: held(gateway) > 5_000)
    client.h2.reset_stream(number)
    client.flush()
    until(lambda: held(gateway) == 0)
    assert len(gateway.meter.log()) == 0


# ---- windows -----------------------------------------------------------------------------------------------
def large_file(gateway, size):
    content = random.Random(1).randbytes(size)
    gateway.in_loop(lambda: gateway.batches.files.__setitem__("file-1", File("file-1", "x", "batch", content, gateway.clock.now())))
    return content


def test_a_large_answer_comes_whole_through_a_small_window(gateway):
    content = large_file(gateway, 500_000)
    with Client(gateway.port, window=1_000) as client:
        assert client.get("/openai/v1/files/file-1/content", None, method="GET").body == content


def test_a_client_that_never_opens_its_window_holds_nothing(gateway):
    """Its streams wait. Others are answered, and so is it, as soon as it opens one."""
    content = large_file(gateway, 2_000_000)
    with Client(gateway.port, window=0) as client:
        numbers = [client.ask("/openai/v1/files/file-1/content", None, method="GET") for _ in range(50)]
        client.hear(lambda: all(client.answers[number].status for number in numbers))
        size = gateway.in_loop(lambda: [one.transport.get_write_buffer_size() for one in gateway._server.connections])
        assert max(size) == 0 and not any(client.answers[number].body for number in numbers)
        assert httpx2.post(gateway.base_url + CHAT, json=ASK, headers=KEYS).status_code == 200
        client.h2.increment_flow_control_window(len(content), numbers[7])
        client.flush()
        assert client.answer(numbers[7]).body == content
    until(lambda: streams(gateway) == 0)
    assert [entry.note for entry in gateway.meter.log()].count("the client went away") == 49


def test_a_client_that_opens_its_window_and_reads_nothing_holds_little(gateway):
    large_file(gateway, 20_000_000)
    with Client(gateway.port, window=2**31 - 1) as client:
        client.h2.increment_flow_control_window(2**31 - 1 - 65_535)
        for _ in range(20):
            client.ask("/openai/v1/files/file-1/content", None, method="GET")
        time.sleep(0.5)
        sizes = gateway.in_loop(lambda: [one.transport.get_write_buffer_size() for one in gateway._server.connections])
        assert sizes and max(sizes) <= http2.MOST_UNREAD
    until(lambda: streams(gateway) == 0)


def test_a_setting_that_shrinks_the_window_is_obeyed(gateway):
    content = large_file(gateway, 200_000)
    with Client(gateway.port, window=10_000, acks=False) as client:
        number = client.ask("/openai/v1/files/file-1/content", None, method="GET")
        client.hear(lambda: len(client.answers[number].body) == 10_000)
        client.h2.update_settings({4: 5_000})  # the window is below nothing now
        client.h2.increment_flow_control_window(4_000, number)
        client.flush()
        with pytest.raises(TimeoutError):
            client.hear(lambda: len(client.answers[number].body) > 10_000, 0.2)
        client.h2.increment_flow_control_window(300_000, number)
        client.h2.increment_flow_control_window(300_000)
        client.flush()
        assert client.answer(number).body == content


# ---- what only an enemy does -------------------------------------------------------------------------------
def frame(kind, number, data=b"", *flags, **more):
    made = kind(number, data, **more) if kind in (DataFrame, HeadersFrame, ContinuationFrame) else kind(number, **more)
    for flag in flags:
        made.flags.add(flag)
    return made.serialize()


HEAD = [(":method", "POST"), (":scheme", "http"), (":path", CHAT), (":authority", "127.0.0.1")]
HEADERS = Encoder().encode([*HEAD, ("authorization", "Bearer x")])  # of a new connection: it refers to nothing


def reset_at_once(count):
    """A request and its end, in one packet."""
    plain = bytes.fromhex("838644") + bytes([len(CHAT)]) + CHAT.encode() + bytes.fromhex("0109") + b"127.0.0.1"
    number = 2 * count + 1
    return frame(HeadersFrame, number, plain, "END_HEADERS", "END_STREAM") + frame(RstStreamFrame, number, error_code=8)


FLOODS = {
    "rapid reset": reset_at_once,
    "pings": frame(PingFrame, 0, opaque_data=b"12345678"),
    "settings": frame(SettingsFrame, 0, settings={1: 4096}),
    "settings that change tables": lambda count: frame(SettingsFrame, 0, settings={1: count % 4096}),
    "priorities": frame(PriorityFrame, 1001, depends_on=3, stream_weight=1, exclusive=False),
    "windows": lambda count: frame(WindowUpdateFrame, 0, window_increment=1),
    "acknowledgements": frame(PingFrame, 0, b"", "ACK", opaque_data=b"12345678"),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_of_frames_that_ask_for_nothing_ends_the_connection(gateway, client, flood, caplog):
    count = client.send_until_closed(FLOODS[flood], 100_000)
    assert count < 10_000
    client.hear(lambda: False, 5) if not client.closed else None
    assert client.goodbye is None or client.goodbye.error_code == ErrorCodes.ENHANCE_YOUR_CALM
    assert httpx2.post(gateway.base_url + CHAT, json=ASK, headers=KEYS).status_code == 200
    assert streams(gateway) == held(gateway) == 0 and not caplog.records


def test_a_flood_of_empty_data_ends_the_connection(gateway, client):
    number = client.ask(body=None, ends=False)
    assert client.send_until_closed(frame(DataFrame, number), 100_000) < 10_000
    until(lambda: streams(gateway) == held(gateway) == 0)


def test_a_client_that_pings_and_never_reads_is_hung_up_on(gateway, monkeypatch):
    monkeypatch.setattr(http2, "PATIENCE", 10**9)
    with socket.socket() as enemy:
        enemy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 5_000)
        enemy.connect(("127.0.0.1", gateway.port))
        enemy.sendall(PREFACE + SettingsFrame(0).serialize())
        enemy.settimeout(20)
        until(lambda: gateway.in_loop(lambda: any(isinstance(one, http2.Connection) for one in gateway._server.connections)))
        [ours] = gateway.in_loop(lambda: [one.transport.get_extra_info("socket") for one in gateway._server.connections])
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 5_000)  # else the system keeps some megabytes for it
        with pytest.raises(ConnectionError):
            while True:
                enemy.sendall(FLOODS["pings"] * 1000)


@pytest.mark.parametrize("bomb", ["of references", "of a long value", "of small ones", "in pieces without end"])
def test_a_head_that_unpacks_into_a_large_one_ends_the_connection(gateway, client, bomb):
    """HPACK: one byte names four thousand that were said before (CVE-2016-6581); pieces of a head without end are CVE-2024-27316."""
    encoder = Encoder()
    start = encoder.encode(HEAD)
    if bomb == "of references":
        kept = encoder.encode([("x", "y" * 4_000)], huffman=False)
        heads = [start + kept + bytes([0x80 | 62]) * 16_000]
    elif bomb == "of a long value":
        heads = [start + encoder.encode([("x-long", "y" * 900_000)], huffman=False)]
    elif bomb == "of small ones":
        heads = [start + bytes.fromhex("00017801") + b"y" + bytes.fromhex("82") * 800_000]
    else:
        heads = [start + b"\x82" * 16_000 * 200]
    pieces = [heads[0][place : place + 16_000] for place in range(0, len(heads[0]), 16_000)]
    ends = ["END_HEADERS"] if bomb != "in pieces without end" else []
    sent = frame(HeadersFrame, 1, pieces[0], *(ends if len(pieces) == 1 else []))
    sent += b"".join(frame(ContinuationFrame, 1, piece, *(ends if place == len(pieces) - 2 else [])) for place, piece in enumerate(pieces[1:]))
    answered, slowest = threading.Event(), []

    def others():
        while not answered.is_set():
            began = time.monotonic()
            assert httpx2.post(gateway.base_url + CHAT, json=ASK, headers=KEYS).status_code == 200
            slowest.append(time.monotonic() - began)

    thread = threading.Thread(target=others)
    thread.start()
    try:
        client.socket.sendall(sent)
    except ConnectionError:
        pass
    client.hear(lambda: client.goodbye)
    answered.set()
    thread.join()
    assert client.goodbye is None or client.goodbye.error_code in (ErrorCodes.ENHANCE_YOUR_CALM, ErrorCodes.PROTOCOL_ERROR)
    until(lambda: streams(gateway) == held(gateway) == 0)
    assert max(slowest) < 2


def test_more_streams_at_once_than_were_offered_end_the_connection(gateway, client):
    gateway.fault("stalled", times=None)
    client.hear(lambda: client.h2.remote_settings.max_concurrent_streams == http2.MOST_STREAMS)
    for _ in range(http2.MOST_STREAMS):
        client.ask()
    until(lambda: streams(gateway) == http2.MOST_STREAMS)
    client.h2.remote_settings[3] = 10**6
    client.h2.remote_settings.acknowledge()
    client.ask()
    client.hear(lambda: client.goodbye)
    assert client.goodbye.error_code == ErrorCodes.PROTOCOL_ERROR
    until(lambda: streams(gateway) == held(gateway) == 0)


def test_a_client_cannot_make_the_compression_remember_much(gateway, client):
    client.h2.update_settings({1: 2**30})
    client.flush()
    for _ in range(30):
        assert client.get().status == 200
    [size] = gateway.in_loop(lambda: [one._h2.encoder.header_table_size for one in gateway._server.connections])
    assert size == http2.TABLE


def test_others_are_answered_beside_a_flood_of_small_frames(gateway, monkeypatch):
    monkeypatch.setattr(http2, "PATIENCE", 10**9)
    over = threading.Event()

    def flood():
        with Client(gateway.port) as enemy:
            enemy.send_until_closed(lambda _: b"" if over.is_set() else FLOODS["priorities"] * 5_000, 60)

    thread = threading.Thread(target=flood)
    thread.start()
    slowest = 0.0
    for _ in range(10):
        began = time.monotonic()
        assert httpx2.post(gateway.base_url + CHAT, json=ASK, headers=KEYS).status_code == 200
        slowest = max(slowest, time.monotonic() - began)
    over.set()
    thread.join()
    assert slowest < 2


def test_whatever_bytes_come_after_the_preface_nothing_breaks(gateway, caplog):
    draw = random.Random(5)
    heads = [HEADERS, b"\x82" * 50, b"\xff" * 20, b""]
    for _ in range(150):
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as client:
            client.sendall(PREFACE + SettingsFrame(0).serialize())
            for _ in range(draw.randint(1, 15)):
                data = draw.choice(heads) if draw.random() < 0.5 else draw.randbytes(draw.randint(0, 40))
                kind, flags, number = draw.randint(0, 11), draw.choice([0, 1, 4, 5, 8, 0x20, 0xFF]), draw.choice([0, 1, 1, 3, 5, 2])
                try:
                    client.sendall(len(data).to_bytes(3, "big") + bytes([kind, flags]) + number.to_bytes(4, "big") + data)
                except ConnectionError:
                    break
    until(lambda: streams(gateway) == held(gateway) == 0)
    assert not caplog.records and httpx2.post(gateway.base_url + CHAT, json=ASK, headers=KEYS).status_code == 200


# ---- the end -----------------------------------------------------------------------------------------------
def test_a_gateway_that_stops_says_so(gateway, client):
    gateway.fault("stalled")
    assert client.get("/openai/v1/models", None, method="GET").status == 200
    client.ask()
    until(lambda: streams(gateway) == 1)
    gateway.stop()
    client.hear(lambda: client.closed)
    assert client.goodbye.error_code == ErrorCodes.NO_ERROR and client.goodbye.last_stream_id == 3
    assert gateway.meter.log()[-1].note == "the client went away"


def test_a_connection_that_does_nothing_makes_room_and_says_so(monkeypatch):
    monkeypatch.setattr(listener, "_most_connections", lambda: 2)
    running = Gateway(pace=0).start()
    try:
        with Client(running.port) as client:
            assert client.get().status == 200
            kept = [http.client.HTTPConnection("127.0.0.1", running.port, timeout=5) for _ in range(2)]
            for one in kept:
                one.request("GET", "/openai/v1/models", headers=KEYS)
                assert one.getresponse().read()
            client.hear(lambda: client.closed)
            assert client.goodbye.error_code == ErrorCodes.NO_ERROR
            for one in kept:
                one.close()
    finally:
        running.stop()


def test_a_defect_of_ours_is_not_blamed_on_the_client(gateway, client, monkeypatch, caplog):
    monkeypatch.setattr(gateway._server, "then", lambda request: {}["no such key"])
    client.ask()
    client.hear(lambda: client.closed)
    assert "KeyError: 'no such key'" in caplog.text and held(gateway) == 0


def test_a_header_cannot_smuggle_in_another():
    for breaking in ("a\r\nset-cookie: b", "a\nb", "a\rb"):
        with pytest.raises(ValueError, match="line break"):
            http2._lines([("x-course-recording", breaking)])


# ---- other programs ----------------------------------------------------------------------------------------
@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")
@pytest.mark.parametrize("body", [ASK, STREAMED])
def test_curl_speaks_it(gateway, body):
    if "HTTP2" not in subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("this curl does not speak HTTP/2")
    command = ["curl", "--silent", "--http2-prior-knowledge", "--write-out", "%{http_version}", "--noproxy", "*", "-d", json.dumps(body)]
    ran = subprocess.run([*command, "-H", "authorization: Bearer x", "-H", "content-type: application/json", gateway.base_url + CHAT], capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0 and ran.stdout.endswith("2"), ran
    assert ("data: [DONE]" if body is STREAMED else '"chat.completion"') in ran.stdout


NODE = """
const client = require("node:http2").connect(process.argv[1]);
const body = JSON.stringify({model: "gpt-6-luna", stream: true, messages: [{role: "user", content: "Say hello in five words."}]});
let open = 150;
for (let i = 0; i < 150; i++) {
  const stream = client.request({":method": "POST", ":path": "/openai/v1/chat/completions", authorization: "Bearer x", "content-type": "application/json"});
  let text = "";
  stream.on("response", headers => { if (headers[":status"] !== 200) throw new Error(JSON.stringify(headers)); });
  stream.on("data", piece => text += piece);
  stream.on("end", () => { if (!text.endsWith("data: [DONE]\\n\\n")) throw new Error(text); if (--open === 0) { console.log("all"); client.close(); } });
  stream.end(body);
}
"""


@pytest.mark.skipif(not shutil.which("node"), reason="there is no node")
def test_node_speaks_it_and_keeps_to_the_streams_that_are_offered(gateway):
    ran = subprocess.run(["node", "-e", NODE, gateway.base_url], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0 and ran.stdout == "all\n", ran.stderr
    assert len(gateway.meter.log()) == 150
