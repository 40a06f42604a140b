"""However large a request is, others are answered meanwhile; and nothing that the gateway keeps grows for ever."""

import http.client
import inspect
import itertools
import json
import random
import socket
import string
import subprocess
import sys
import threading
import time
from collections import deque

import openai
import pytest

from helpers import models
from helpers.gateway import batches as gateway_batches
from helpers.gateway import connections, listener
from helpers.gateway import meter as gateway_meter
from helpers.gateway import prompt_cache, tokens, wire
from helpers.gateway.batches import Batches, File
from helpers.gateway.bounded import Bounded, weight
from helpers.gateway.clock import Clock
from helpers.gateway.dialects.gemini.fields import snake
from helpers.gateway.exchange import Message, Part, Question
from helpers.gateway.faults import MOST, Fault
from helpers.gateway.lazy import lazy
from helpers.gateway.server import Gateway
from helpers.gateway.sources import house
from helpers.house_model.circles import circles
from helpers.house_model.engine import FOLDER, Engine
from helpers.house_model.tokenizer import Tokenizer

KEYS = {"authorization": "Bearer some-key", "x-api-key": "some-key", "api-key": "some-key", "x-goog-api-key": "some-key"}
HEADERS = {**KEYS, "anthropic-version": "2023-06-01", "anthropic-beta": "files-api-2025-04-14", "content-type": "application/json"}
HELLO = [{"role": "user", "content": "Say hello in five words."}]
SMALL = ("POST", "/openai/v1/chat/completions", {"model": "gpt-6-luna", "messages": HELLO})
ENOUGH = 3  # small calls that are answered, one after the other, while a large one is under way

# ---- large requests ----------------------------------------------------------------------------------------
LONG = " ".join(map(str, range(150_000)))  # some 400,000 tokens, 1 MB
TURNS = [{"role": role, "content": f"{role} {number}"} for number in range(12_000) for role in ("user", "assistant")] + HELLO
BLOCKS = [{"role": turn["role"], "content": [{"text": turn["content"]}]} for turn in TURNS]
CONTENTS = [{"role": "model" if turn["role"] == "assistant" else "user", "parts": [{"text": turn["content"]}]} for turn in TURNS]
SAID = [{"type": "text", "text": turn["content"]} for turn in TURNS]
LONG_CONTENT = [{"parts": [{"text": LONG}]}]
NAMES = [f"function_{number}" for number in range(20_000)]
CHAT, SHORT = "/openai/v1/chat/completions", {"model": "gpt-6-luna", "max_completion_tokens": 1}
LINE = {"model": "gpt-4o-mini", "messages": HELLO}
AZURE = "/azure/openai/deployments/gpt-6-luna/chat/completions?api-version=2024-10-21"
GEMINI = "/gemini/v1beta/models/gemini-3.5-flash-lite"
MESSAGES = "/anthropic/v1/messages"
NOVA = "/bedrock/model/amazon.nova-lite-v1%3A0"


def form(content):
    purpose = b'--X\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    return purpose + b'--X\r\nContent-Disposition: form-data; name="file"; filename="in.jsonl"\r\n\r\n' + content + b"\r\n--X--\r\n"


def line(number):
    return json.dumps({"custom_id": str(number), "body": LINE}).encode() + b"\n"


def user(text):
    return [{"role": "user", "content": text}]


def schema_of(definitions):
    ring = {f"d{i}": {"type": "object", "properties": {"x": {"$ref": f"#/$defs/d{(i + 1) % definitions}"}}} for i in range(definitions)}
    return {"$ref": "#/$defs/d0", "$defs": ring}


LARGE = {
    "chat, a long prompt": (CHAT, lambda: {**SHORT, "messages": user(LONG)}),
    "chat, many turns": (CHAT, lambda: {**SHORT, "messages": TURNS}),
    "chat, a long word": (CHAT, lambda: {**SHORT, "messages": user("".join(random.choices(string.ascii_lowercase, k=500_000)))}),
    "chat, many tools": (
        CHAT,
        lambda: {
            "model": "gpt-4o-mini",
            "messages": HELLO,
            "tools": [{"type": "function", "function": {"name": name}} for name in NAMES[:6000]],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"function": {"name": n}} for n in NAMES]}},
        },
    ),
    "chat, many definitions": (
        CHAT,
        lambda: {**LINE, "max_tokens": 1, "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema_of(5000)}}},
    ),
    "responses": ("/openai/v1/responses", lambda: {"model": "gpt-6-luna", "input": TURNS, "max_output_tokens": 16}),
    "responses, many calls": (
        "/openai/v1/responses",
        lambda: {
            "model": "gpt-6-luna",
            "input": [
                *({"type": "function_call", "call_id": str(n), "name": "look", "arguments": "{}"} for n in range(20_000)),
                *({"type": "function_call_output", "call_id": str(n), "output": "7"} for n in range(20_000)),
            ],
            "max_output_tokens": 16,
        },
    ),
    "responses, streamed": ("/openai/v1/responses", lambda: {"model": "gpt-6-luna", "input": TURNS, "max_output_tokens": 16, "stream": True}),
    "responses, in the background": ("/openai/v1/responses", lambda: {"model": "gpt-6-luna", "input": TURNS, "max_output_tokens": 16, "background": True}),
    "responses, counted": ("/openai/v1/responses/input_tokens", lambda: {"model": "gpt-6-luna", "input": TURNS}),
    "azure": (AZURE, lambda: {"messages": TURNS, "max_completion_tokens": 1}),
    "compatible": ("/compatible/v1/chat/completions", lambda: {"model": "house", "messages": TURNS}),
    "messages": (MESSAGES, lambda: {"model": "claude-haiku-5-5", "max_tokens": 1, "messages": TURNS[:-1] + HELLO}),
    "messages, counted": (MESSAGES + "/count_tokens", lambda: {"model": "claude-haiku-4-5", "messages": user(LONG * 4)}),
    "messages, a batch": (
        MESSAGES + "/batches",
        lambda: {"requests": [{"custom_id": str(n), "params": {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": HELLO}} for n in range(20_000)]},
    ),
    "generateContent": (GEMINI + ":generateContent", lambda: {"contents": CONTENTS}),
    "generateContent, many functions": (
        GEMINI + ":generateContent",
        lambda: {"contents": CONTENTS[:1], "tools": [{"functionDeclarations": [{"name": name} for name in NAMES]}]},
    ),
    "generateContent, a long field name": (GEMINI + ":generateContent", lambda: {"contents": CONTENTS[:1], "aB" * 1_000_000: 1}),
    "countTokens": (GEMINI + ":countTokens", lambda: {"contents": CONTENTS}),
    "interactions, streamed": ("/gemini/v1beta/interactions", lambda: {"model": GEMINI.rpartition("/")[2], "input": SAID, "stream": True}),
    "interactions, in the background": ("/gemini/v1beta/interactions", lambda: {"model": GEMINI.rpartition("/")[2], "input": SAID, "background": True}),
    "a file's beginning": ("/gemini/upload/v1beta/files", lambda: {"file": {"displayName": "x", "source": ["a b"] * 1_000_000}}),
    "cachedContents": ("/gemini/v1beta/cachedContents", lambda: {"model": "models/gemini-3.5-flash-lite", "contents": CONTENTS}),
    "batchGenerateContent": (
        GEMINI + ":batchGenerateContent",
        lambda: {"batch": {"inputConfig": {"requests": {"requests": [{"request": {"contents": CONTENTS[:1]}} for _ in range(20_000)]}}}},
    ),
    "Converse": (NOVA + "/converse", lambda: {"messages": BLOCKS, "inferenceConfig": {"maxTokens": 1}}),
    "InvokeModel": (NOVA + "/invoke", lambda: {"messages": BLOCKS, "inferenceConfig": {"maxTokens": 1}}),
    "CountTokens": (NOVA + "/count-tokens", lambda: {"input": {"converse": {"messages": BLOCKS}}}),
    "embeddings, many texts": ("/openai/v1/embeddings", lambda: {"model": "text-embedding-3-large", "input": [f"text number {n}" for n in range(2048)]}),
    "embeddings, many tokens": ("/openai/v1/embeddings", lambda: {"model": "text-embedding-3-small", "input": [[1] * 8000] * 37}),
    "embeddings, a long text": ("/openai/v1/embeddings", lambda: {"model": "text-embedding-3-small", "input": LONG}),
    "batchEmbedContents": (
        "/gemini/v1beta/models/gemini-embedding-001:batchEmbedContents",
        lambda: {"requests": [{"model": "models/gemini-embedding-001", "content": {"parts": [{"text": LONG[:20_000]}]}} for _ in range(100)]},
    ),
    "an upload": ("/openai/v1/files", lambda: form(b"".join(map(line, range(150_000))))),
    "a control": ("/course/faults", lambda: {"kind": "slow", "x": "y" * 20_000_000}),
    "nothing that is there": ("/openai/v1/nothing", lambda: {"x": "y" * 20_000_000}),
}


def send(port, method, path, body=None):
    """Status and body of one request."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    headers = {**HEADERS, **({"content-type": "multipart/form-data; boundary=X"} if path.endswith("v1/files") else {})}
    headers |= {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"} if "/upload/" in path else {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, raw, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def elsewhere(port, code):
    """What code prints that runs in a process of its own, with `port`, `HEADERS`, `SMALL` and `send` as here.

    A client in this process shares Python's lock with the gateway: while that has work, each of the many steps of a call waits for it.
    """
    given = f"import http.client, json\nport, HEADERS, SMALL = {port!r}, {HEADERS!r}, {SMALL!r}\n{inspect.getsource(send)}\n{code}"
    return subprocess.run([sys.executable, "-c", given], capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.fixture
def unlimited(gateway):
    """A gateway whose limits none of these requests meets."""
    for provider, families in models.table()["limits"].items():
        gateway.in_loop(lambda: gateway.quotas.set_limits(provider, dict.fromkeys(families, 10**15)))
    assert send(gateway.port, *SMALL)[0] == 200
    return gateway


def beside(port, *large):
    """The status and the body of a large request, and how many small calls were answered one after the other before it was."""
    out, count = [], 0
    thread = threading.Thread(target=lambda: out.append(send(port, *large)))
    thread.start()
    while thread.is_alive():
        assert send(port, *SMALL)[0] == 200
        count += thread.is_alive()
    return *out[0], count


# ---- others are answered meanwhile -------------------------------------------------------------------------
@pytest.mark.parametrize("kind", LARGE)
def test_small_calls_are_answered_beside_the_largest_request(unlimited, kind):
    path, make = LARGE[kind]
    body = make()
    status, _, meanwhile = beside(unlimited.port, "POST", path, body if isinstance(body, bytes) else json.dumps(body).encode())
    assert status < 500 and meanwhile >= ENOUGH


def test_a_conversation_that_is_gone_on_with_counts_as_large_as_it_is(unlimited):
    """The second body is short, what it goes on with is not."""
    ask = {"model": "gpt-6-luna", "max_output_tokens": 16}
    first = json.loads(send(unlimited.port, "POST", "/openai/v1/responses", {**ask, "input": TURNS})[1])
    status, _, meanwhile = beside(unlimited.port, "POST", "/openai/v1/responses", {**ask, "input": "Go on.", "previous_response_id": first["id"]})
    assert status == 200 and meanwhile >= ENOUGH


def test_an_explicit_cache_counts_as_large_as_it_is(unlimited):
    made = json.loads(send(unlimited.port, "POST", "/gemini/v1beta/cachedContents", {"model": "models/gemini-3.5-flash-lite", "contents": LONG_CONTENT})[1])
    status, _, meanwhile = beside(unlimited.port, "POST", GEMINI + ":generateContent", {"contents": CONTENTS[:1], "cachedContent": made["name"]})
    assert status == 200 and meanwhile >= ENOUGH


@pytest.mark.parametrize("path", [MESSAGES, MESSAGES + "/count_tokens"])
def test_a_file_that_a_message_names_counts_as_large_as_it_is(unlimited, path):
    file = File("file_011Ca", "a.pdf", "", bytes(60_000_000), unlimited.clock.now(), None, "anthropic", "application/pdf")
    unlimited.in_loop(lambda: unlimited.batches.files.__setitem__(file.id, file))
    ask = {"model": "claude-haiku-5-5", "messages": user([{"type": "document", "source": {"type": "file", "file_id": file.id}}])}
    status, _, meanwhile = beside(unlimited.port, "POST", path, {**ask, **({"max_tokens": 1} if path == MESSAGES else {})})
    assert status == 200 and meanwhile >= ENOUGH


def test_a_large_batch_is_answered_in_the_background(unlimited, monkeypatch):
    """The first look at a batch that is due does not wait for all of its lines, and small calls are answered meanwhile."""
    monkeypatch.setattr(gateway_batches, "PATIENCE", 0.01)
    requests = [{"custom_id": str(n), "params": {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": HELLO}} for n in range(3000)]
    made = json.loads(send(unlimited.port, "POST", "/anthropic/v1/messages/batches", {"requests": requests})[1])
    path = f"/anthropic/v1/messages/batches/{made['id']}"
    unlimited.advance(hours=24)
    looks = """
states, small = [], 0
while not states or states[-1] != "ended":
    states.append(json.loads(send(port, "GET", path)[1])["processing_status"])
    small += send(port, *SMALL)[0] == 200
print(states[0], small)
"""
    first, small = elsewhere(unlimited.port, f"path = {path!r}{looks}").split()
    assert first == "in_progress" and int(small) >= ENOUGH
    status, body = send(unlimited.port, "GET", path + "/results")
    assert status == 200 and body.count(b'"succeeded"') == 3000


def test_a_batch_that_is_deleted_is_not_answered_any_more(unlimited, monkeypatch):
    monkeypatch.setattr(gateway_batches, "PATIENCE", 0.01)
    requests = [{"request": {"contents": CONTENTS[-1:]}} for _ in range(3000)]
    made = json.loads(send(unlimited.port, "POST", GEMINI + ":batchGenerateContent", {"batch": {"inputConfig": {"requests": {"requests": requests}}}})[1])
    unlimited.advance(hours=24)
    name = "/gemini/v1beta/" + made["name"]
    assert elsewhere(unlimited.port, f"send(port, 'GET', {name!r})\nprint(send(port, 'DELETE', {name!r})[0])") == "200\n"
    answered = len(unlimited.meter.log())
    time.sleep(0.1)
    assert len(unlimited.meter.log()) <= answered + 1 < 3000


def test_what_is_worked_out_once_is_worked_out_for_two_at_a_time():
    """functools.cached_property has one lock for all objects, up to Python 3.11."""
    begun, done = threading.Event(), threading.Event()

    class Text:
        def __init__(self, length):
            self._length = length

        @lazy
        def length(self):
            if self._length > 1:
                begun.set()
                assert done.wait(10)
            return self._length

    long = Text(2)
    thread = threading.Thread(target=lambda: long.length)
    thread.start()
    assert begun.wait(10) and Text(1).length == 1
    done.set()
    thread.join()
    assert long.length == 2 and "length" in vars(long)


@pytest.mark.parametrize(
    "text",
    ['{"a": [1, 2.5, -3e2, "x\\u00e9\\ud83d\\ude00", true, null, {}], "b": {}}', "[1,]", '{"a": NaN}', "1" * 30, '"\\ud800"', "[" * 200 + "]" * 200, "{} x", "", "nul"],
)
def test_large_json_is_read_as_small_json_is(monkeypatch, text):
    def read():
        try:
            return wire.parse_json(text)
        except ValueError as error:
            return str(error)

    small = read()
    monkeypatch.setattr(wire, "LONG", -1)
    assert read() == small


# ---- nothing grows for ever --------------------------------------------------------------------------------
def test_a_bounded_mapping_forgets_what_was_put_in_first():
    kept = Bounded(10, lambda key, value: len(value))
    kept["a"], kept["b"], kept["c"] = "1234", "1234", "12"
    assert list(kept) == ["a", "b", "c"] and kept.held == 10
    kept["d"] = "1"
    assert list(kept) == ["b", "c", "d"] and kept.held == 7 and kept.size("b") == 4 and kept.size("a") == 0
    kept.grow("c", 4)
    assert list(kept) == ["d", "c"] and kept.held == 7  # what has grown is in use, and goes last
    kept["e"] = "1" * 99
    assert kept.values() == ["1" * 99]  # the newest stays, whatever its size
    del kept["e"]
    assert not kept and kept.held == 0


def test_the_weight_of_a_value_is_that_of_all_in_it():
    assert weight(["x" * 1000, {"key": "y" * 1000}, ("z" * 1000,)]) > 3000
    assert weight(File("id", "name", "batch", b"1" * 5000, 0.0)) > 5000


def test_counted_texts_are_kept_by_their_bytes(monkeypatch):
    monkeypatch.setattr(tokens, "_known", Bounded(100_000, tokens._known._measure))
    for number in range(50):
        tokens.count(f"{number} " + "\N{WINKING FACE}" * 5000)
        assert tokens._known.held <= 100_000 or len(tokens._known) == 1


def test_a_full_prompt_cache_still_reads_what_was_last_written(monkeypatch):
    monkeypatch.setattr(prompt_cache, "MOST_ENTRIES", 6000)
    cache, model = prompt_cache.PromptCache(Clock()), models.get("gpt-6-luna", "openai")
    for number in (*range(10), 9):
        usage = cache.account(Question("openai", model, (Message("user", (Part(f"{number} " + "hello " * 2500),)),)))
        assert len(cache._young) + len(cache._old) <= 6000
    assert usage.cache_read_tokens > 2000


def test_the_log_keeps_the_last_requests_and_counts_all(gateway, monkeypatch):
    monkeypatch.setattr(gateway, "meter", gateway_meter.Meter(entries=deque(maxlen=3)))
    for _ in range(5):
        send(gateway.port, *SMALL)
    assert [entry.number for entry in gateway.meter.log()] == [3, 4, 5]
    assert json.loads(send(gateway.port, "GET", "/course/status")[1])["requests"] == 5


def test_files_and_batches_have_a_bound(monkeypatch):
    monkeypatch.setattr(gateway_batches, "MOST_FILES", 10 * File("", "x", "batch", b"1" * 1000, 0.0).size)
    kept = Batches(Clock(), speed=lambda: 1.0)
    for number in range(20):
        kept.files[str(number)] = File(str(number), "x", "batch", b"1" * 1000, 0.0)
    assert [file.id for file in kept.files.values()] == [str(number) for number in range(10, 20)]
    for number in range(100):
        kept.files[str(number)] = File(str(number), "x", "batch", b"", 0.0)
    assert len(kept.files) == 19, "empty ones take their place too"


def test_faults_have_a_bound(gateway):
    for _ in range(MOST):
        gateway.faults.add(Fault("slow", times=1))
    with pytest.raises(ValueError, match="clear_faults"):
        gateway.fault("slow")


# ---- connections -------------------------------------------------------------------------------------------
def test_clients_that_do_not_read_hold_little_of_their_answers(gateway):
    content = b"x" * 20_000_000
    gateway.in_loop(lambda: gateway.batches.files.__setitem__("file-1", File("file-1", "x", "batch", content, gateway.clock.now())))
    clients = []
    for _ in range(10):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50_000)
        client.connect(("127.0.0.1", gateway.port))
        client.sendall(b"GET /openai/v1/files/file-1/content HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\n\r\n")
        clients.append(client)
    for client in clients:
        assert client.recv(12) == b"HTTP/1.1 200"
    held = gateway.in_loop(lambda: [one.transport.get_write_buffer_size() for one in gateway._server.connections])
    assert max(held) <= 3 * connections.PIECE
    for client in clients:
        client.close()


def test_all_requests_at_once_have_a_bound(gateway, monkeypatch):
    monkeypatch.setattr(connections, "LARGEST_SUM", 10_000)
    head = b"POST /openai/v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\nContent-Length: 8000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port)) as first, socket.create_connection(("127.0.0.1", gateway.port)) as second:
        first.sendall(head + b"x" * 7999)
        while gateway.in_loop(lambda: gateway._server.held) < 7999:
            time.sleep(0.01)
        second.sendall(head + b"x" * 8000)
        assert second.recv(12) == b"HTTP/1.1 503"
        first.sendall(b"x")
        assert first.recv(12) == b"HTTP/1.1 400"
    assert send(gateway.port, *SMALL)[0] == 200
    while gateway.in_loop(lambda: gateway._server.held):
        time.sleep(0.01)


def test_an_idle_connection_makes_room_for_a_new_one(monkeypatch):
    monkeypatch.setattr(listener, "_most_connections", lambda: 4)
    running = Gateway(pace=0).start()
    idle = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(12)]
    assert send(running.port, *SMALL)[0] == 200
    assert len(running.in_loop(lambda: list(running._server.connections))) <= 4
    for client in idle:
        client.close()
    running.stop()


def test_clients_wait_where_no_descriptor_is_left_and_one_line_says_so(gateway, caplog):
    resource = pytest.importorskip("resource")
    clients = [socket.socket() for _ in range(30)]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(client.fileno() for client in clients) + 3, limits[1]))
    try:
        for client in clients:
            client.connect(("127.0.0.1", gateway.port))
        time.sleep(1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert send(gateway.port, *SMALL)[0] == 200
    assert [record.levelname for record in caplog.records if record.name in ("asyncio", "helpers.gateway")] == ["WARNING"]
    for client in clients:
        client.close()


def test_the_pieces_of_an_answer_do_not_wait_for_one_another(gateway):
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        client.sendall(b"GET /openai/v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"
        sockets = gateway.in_loop(lambda: [one.transport.get_extra_info("socket") for one in gateway._server.connections])
        assert all(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for found in sockets) and sockets


def test_a_head_of_many_equal_lines_is_read(gateway):
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        client.sendall(b"GET /openai/v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\n" + b"a: b\r\n" * 15_000 + b"\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"


# ---- the house model ---------------------------------------------------------------------------------------
def test_choices_beyond_the_places_wait_for_their_turn(gateway):
    ask = {"model": "house", "messages": [{"role": "user", "content": "What is a token?"}], "max_tokens": 5}
    send(gateway.port, "POST", "/compatible/v1/chat/completions", ask)  # loads it
    scheduler = gateway.house._core.scheduler
    scheduler.most_running = 2
    status, body = send(gateway.port, "POST", "/compatible/v1/chat/completions", {**ask, "n": 5})
    assert status == 200 and [choice["index"] for choice in json.loads(body)["choices"]] == list(range(5))
    assert not scheduler.is_busy


def test_a_client_that_leaves_gives_its_places_back(gateway):
    ask = {"model": "house", "messages": [{"role": "user", "content": "What is a token?"}], "max_tokens": 500, "stream": True}
    send(gateway.port, "POST", "/compatible/v1/chat/completions", ask)  # loads it
    gateway.house._core.scheduler.most_running = 1
    client = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    client.request("POST", "/compatible/v1/chat/completions", json.dumps(ask), HEADERS)
    client.getresponse().read(100)
    client.close()
    assert send(gateway.port, "POST", "/compatible/v1/chat/completions", {**ask, "stream": False, "max_tokens": 3})[0] == 200


def joined_slowly(tokenizer, word):
    """A word's tokens as the definition has it: itself where it is one (ignore_merges), else the pair that was learned first is joined, until none is left."""
    parts = [tokenizer._letters[byte] for byte in word.encode()]
    if "".join(parts) in tokenizer.ids:
        return (tokenizer.ids["".join(parts)],)
    while True:
        pairs = [(tokenizer._rank[pair], place) for place, pair in enumerate(itertools.pairwise(parts)) if pair in tokenizer._rank]
        if not pairs:
            return tuple(tokenizer.ids[part] for part in parts)
        _, place = min(pairs)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


def test_words_are_joined_in_the_order_that_was_learned():
    tokenizer, draw = Tokenizer(FOLDER / "tokenizer.json"), random.Random(1)
    words = ["".join(draw.choices("aeinorst", k=draw.randint(1, 40))) for _ in range(300)]
    for word in (*words, "aaaaaaaaaaaaaaa", "the" * 20, "\N{WINKING FACE}\u00e9", " tokens"):
        assert tokenizer._join(word) == joined_slowly(tokenizer, word)


def test_of_a_long_chat_the_newest_turns_are_read_and_the_instruction(gateway):
    engine = Engine()
    model = models.get("gpt-6-luna", "openai")
    turns = tuple(Message("user", (Part(f"turn {number}"),)) for number in range(5000))
    ids = house._prompt(engine, Question("openai", model, (Message("system", (Part("Be brief."),)), *turns)))
    text = engine.tokenizer.decode(ids)
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>") and "turn 4999<|im_end|>" in text and "turn 100<" not in text
    assert house.READ - 20 < len(ids) <= house.READ
    long = house._prompt(engine, Question("openai", model, (Message("user", (Part("word " * 500_000 + "end"),)),)))
    assert len(long) == house.READ and "end<|im_end|>" in engine.tokenizer.decode(long)
    system = Message("system", (Part("Be brief. " + "Plants need water. " * 500),))
    text = engine.tokenizer.decode(house._prompt(engine, Question("openai", model, (system, Message("user", (Part("What is a token?"),))))))
    assert text.startswith("<|im_start|>system\nBe brief. Plants") and text.count("Plants") < 20 and "What is a token?<|im_end|>" in text


def test_a_long_instruction_is_answered_as_its_beginning_is(gateway):
    """The house model writes nonsense after a prompt that is longer than those it learned from."""
    client = openai.OpenAI()
    handbook = "You answer customers of a shop for plants. " + "Ferns stand in half shade, at 12 degrees and more. " * 300

    def said(system):
        messages = [{"role": "system", "content": system}, {"role": "user", "content": "What is a prompt cache, in your shop?"}]
        answer = client.chat.completions.create(model="gpt-4o", messages=messages, temperature=0, max_tokens=40)
        return answer.choices[0].message.content

    assert said(handbook) == said(handbook[:300])


def test_what_leads_back_to_itself_is_found():
    draw = random.Random(2)
    for _ in range(500):
        size = draw.randint(1, 7)
        leads = {str(node): {str(draw.randrange(size)) for _ in range(draw.randint(0, 2))} for node in range(size)}
        reached = {node: set(others) for node, others in leads.items()}
        for _ in range(size):
            for others in reached.values():
                others.update(*(reached[other] for other in tuple(others)))
        assert circles(leads) == {node for node in leads if node in reached[node]}
    assert len(circles({str(node): [str((node + 1) % 100_000)] for node in range(100_000)})) == 100_000


def test_a_path_in_snake_case():
    assert snake("generationConfig.maxOutputTokens") == "generation_config.max_output_tokens"
    assert snake("responseSchema.properties[aB].anyOf[0]") == "response_schema.properties[aB].any_of[0]"
