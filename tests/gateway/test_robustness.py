"""Whatever a program sends, the gateway answers in the provider's words, goes on answering, and stays on this machine."""

import asyncio
import copy
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import httpx2
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.gateway.handler import Handler
from helpers.gateway.server import Gateway

ROOT = Path(__file__).parents[2]
PROMPT, ANSWER = "Say hello in five words.", "Hello, it's nice meeting you."
KEYS = {"authorization": "Bearer some-key", "x-api-key": "some-key", "api-key": "some-key", "x-goog-api-key": "some-key"}
HEADERS = {**KEYS, "content-type": "application/json", "anthropic-version": "2023-06-01"}

# ---- a valid body, as rich as it gets, for every route that takes one --------------------------------------
PIXEL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CHAT = {
    "model": "gpt-6-luna",
    "messages": [
        {"role": "developer", "content": "Be brief.", "name": "dev"},
        {"role": "user", "content": [{"type": "text", "text": PROMPT}, PIXEL]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "7"},
    ],
    "max_completion_tokens": 300,
    "n": 2,
    "stop": ["STOP"],
    "reasoning_effort": "none",
    "temperature": 0.5,
    "metadata": {"a": "b"},
    "response_format": {"type": "text"},
    "seed": 1,
    "stream": True,
    "stream_options": {"include_usage": True},
    "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
}
RESPONSE = {
    "model": "gpt-6-luna",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": PROMPT}, {"type": "input_image", "image_url": "https://example.com/x.png"}]},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "7"},
    ],
    "instructions": "Be brief.",
    "max_output_tokens": 300,
    "previous_response_id": None,
    "prompt_cache_key": "k",
    "reasoning": {"effort": "low"},
    "stream": False,
    "store": True,
    "metadata": {"a": "b"},
    "text": {"format": {"type": "text"}},
    "tools": [{"type": "function", "name": "look"}],
}
PNG = "iVBORw0KGgo="
THOUGHT = {"type": "thinking", "thinking": "", "signature": "c2lnbmVk"}
MESSAGES = {
    "model": "claude-haiku-4-5",
    "max_tokens": 3000,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": PROMPT}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]},
        {"role": "assistant", "content": [THOUGHT, {"type": "tool_use", "id": "t", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "7"}]}]},
    ],
    "stop_sequences": ["STOP"],
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "cache_control": {"type": "ephemeral"},
    "stream": True,
    "top_p": 0.95,
    "tools": [{"name": "look", "input_schema": {"type": "object"}}],
}
COUNTED = {name: MESSAGES[name] for name in ("model", "messages", "system", "tools", "thinking", "cache_control")}
CONTENTS = {
    "contents": [
        {"role": "user", "parts": [{"text": PROMPT}, {"inlineData": {"mimeType": "image/png", "data": PNG}}]},
        {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {"a": 1}}, "thoughtSignature": "c2lnbmVk"}]},
        {"role": "user", "parts": [{"function_response": {"name": "look", "response": {"b": 2}}}]},
    ],
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "generationConfig": {
        "maxOutputTokens": 300,
        "stopSequences": ["STOP"],
        "candidateCount": 2,
        "temperature": 0.5,
        "thinkingConfig": {"thinkingBudget": 100},
        "response_schema": {"type": "OBJECT"},
    },
    "tools": [{"functionDeclarations": [{"name": "look"}]}],
    "cachedContent": "",
    "labels": {"a_b": "c"},
}
CACHE = {"model": "models/gemini-2.5-flash", "displayName": "d", "ttl": "60s", "contents": [{"role": "user", "parts": [{"text": "word " * 1100}]}]}
REASONING = {"reasoningContent": {"reasoningText": {"text": "", "signature": "c2lnbmVk"}}}
CONVERSE = {
    "messages": [
        {"role": "user", "content": [{"text": PROMPT}, {"image": {"format": "png", "source": {"bytes": PNG}}}, {"cachePoint": {"type": "default", "ttl": "5m"}}]},
        {"role": "assistant", "content": [REASONING, {"toolUse": {"toolUseId": "t", "name": "look", "input": {}}}]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": "7"}]}}]},
    ],
    "system": [{"text": "Be brief."}],
    "inferenceConfig": {"maxTokens": 3000, "topP": 0.95, "stopSequences": ["STOP"]},
    "toolConfig": {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {}}}}]},
    "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
}
INVOKE = {**{name: value for name, value in MESSAGES.items() if name not in ("model", "stream")}, "anthropic_version": "bedrock-2023-05-31"}
LLAMA = {"prompt": PROMPT, "max_gen_len": 30, "temperature": 0.5, "top_p": 0.9}
NOVA = {"schemaVersion": "messages-v1", "messages": [{"role": "user", "content": [{"text": PROMPT}]}], "inferenceConfig": {"max_new_tokens": 30}}
COMPATIBLE = {"model": "meta-llama/Llama-3.1-8B-Instruct", "messages": [{"role": "user", "content": [{"type": "text", "text": PROMPT}]}], "max_tokens": 30, "top_k": 3, "min_p": 0.1, "n": 2, "logprobs": True}
BATCH = {"input_file_id": "file-none", "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {"a": "b"}}
OLD_CLAUDE = "/bedrock/model/us.anthropic.claude-haiku-4-5-20251001-v1:0"
ROUTES = {
    "/openai/v1/chat/completions": CHAT,
    "/openai/v1/responses": RESPONSE,
    "/openai/v1/responses/input_tokens": RESPONSE,
    "/openai/v1/batches": BATCH,
    "/azure/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21": {**CHAT, "stream": False, "stream_options": None, "reasoning_effort": None},
    "/azure/openai/v1/chat/completions": CHAT,
    "/compatible/v1/chat/completions": COMPATIBLE,
    "/anthropic/v1/messages": MESSAGES,
    "/anthropic/v1/messages/count_tokens": COUNTED,
    "/gemini/v1beta/models/gemini-2.5-flash:generateContent": CONTENTS,
    "/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent": CONTENTS,
    "/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse": CONTENTS,
    "/gemini/v1beta/models/gemini-2.5-flash:countTokens": {"generateContentRequest": {"model": "m", **CONTENTS}},
    "/gemini/v1beta/cachedContents": CACHE,
    f"{OLD_CLAUDE}/converse": CONVERSE,
    f"{OLD_CLAUDE}/converse-stream": CONVERSE,
    f"{OLD_CLAUDE}/invoke": INVOKE,
    f"{OLD_CLAUDE}/invoke-with-response-stream": INVOKE,
    f"{OLD_CLAUDE}/count-tokens": {"input": {"converse": CONVERSE}},
    "/bedrock/model/meta.llama3-1-8b-instruct-v1:0/invoke": LLAMA,
    "/bedrock/model/amazon.nova-lite-v1:0/invoke-with-response-stream": NOVA,
    "/course/faults": {"kind": "slow", "provider": "compatible", "times": 1, "seconds": 0.0, "chunk": 1},
    "/course/answers": {"text": "Yes.", "to": "words that nobody says", "provider": "compatible", "times": 1},
    "/course/advance": {"seconds": 1, "minutes": 1, "hours": 1},
    "/course/revoke": {"key": "a key that nobody has"},
    "/course/limits": {"provider": "openai", "family": "requests", "per_minute": 10**9},
}
# The keys that an error of each provider has, at the top and inside.
SHAPES = {
    "openai": ({"error"}, {"message", "type", "param", "code"}),
    "azure": ({"error"}, {"message", "code"}),
    "compatible": ({"error"}, {"message", "type", "param", "code"}),
    "anthropic": ({"type", "error", "request_id"}, {"type", "message"}),
    "gemini": ({"error"}, {"code", "message", "status"}),
    "bedrock": ({"message"}, set()),
    "course": ({"error"}, set()),
}


# ---- how a body can be wrong -------------------------------------------------------------------------------
NAMES = sorted({"type", "text", "role", "content", "thinking", "cachePoint", "fileData", "expireTime", "reasoningContent", "refusal", "previous_response_id"})
ODD = st.sampled_from(
    [None, True, False, 0, -1, 1, 7, 2**31, 2**63, 10**30, 10**400, 0.5, -0.5, 1.0, 1e308, float("nan"), float("inf"), -float("inf")]
    + ["", " ", "x", "\ud800", "\udfff\ud800", "\x00", "é" * 50, "text", "image", "image_url", "tool", "assistant", "system", "none", "max", "enabled"]
    + ["adaptive", "1e999s", "99999999999999s", "gpt-4o", "claude-haiku-5-5", "9999-12-31T23:59:59-23:59", "0001-01-01", "../..", "a\r\nb"]
    + [[], {}, [None], [[]], [{}], {"": None}, {"type": "text"}, {"type": "text", "text": None}, {"type": "image"}, {"text": "\ud800"}, [1, "a", {}]]
)
ODD = ODD.map(copy.deepcopy)  # what was drawn may be changed by the next mutation


def places(value, path=()):
    """The path of every value inside a body."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from places(item, (*path, name))


@st.composite
def mutated(draw, body):
    """A valid body in which one to three things are wrong."""
    body = copy.deepcopy(body)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([place for place in places(body) if place] or [()]))
        if not path:
            break
        owner = body
        for name in path[:-1]:
            owner = owner[name]
        last = path[-1]
        match draw(st.sampled_from(["replace", "replace", "drop", "list", "object", "double", "add"])):
            case "replace":
                owner[last] = draw(ODD)
            case "drop":
                del owner[last]
            case "list":
                owner[last] = [owner[last]]
            case "object":
                owner[last] = {draw(st.sampled_from(NAMES)): owner[last]}
            case "double":
                owner[last] = [owner[last], copy.deepcopy(owner[last])]
            case "add":
                if isinstance(owner, dict):
                    owner[draw(st.sampled_from(NAMES))] = draw(ODD)
                else:
                    owner.append(draw(ODD))
    return body


def no_json(body):
    """Bytes that are no JSON object: noise, a body cut short, a body that is not UTF-8, other JSON."""
    whole = json.dumps(body).encode()
    deep = [json.dumps({**body, name: "HERE"}).replace('"HERE"', "[" * n + "]" * n).encode() for name in body for n in (90, 450, 900)]
    cut = st.integers(0, len(whole) - 1).map(lambda end: whole[:end])
    return st.binary(max_size=60) | cut | st.sampled_from(deep) | st.sampled_from([b"[" * 100_000, whole + b"}", b"\xff\xfe" + whole, whole.decode().encode("utf-16"), b"[]", b"1", b'"a"', b"null"])


@pytest.fixture(scope="module")
def fuzzed():
    """A gateway whose limits nobody meets, so that a 429 hides nothing."""
    running = Gateway(pace=0).start()
    unlimit(running)
    yield running
    running.stop()


def unlimit(gateway):
    for provider in ("openai", "azure", "anthropic", "gemini", "bedrock"):
        gateway.limit(provider, requests=10**9, tokens=10**15)


def send(gateway, path, body, method="POST", headers=HEADERS):
    """Status, headers and body of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=5)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


PYTHONS = re.compile(rb"unhashable|NoneType|has no attribute|not subscriptable|not iterable|not supported between|indices must|must be str|required positional|[a-z]Error\b: ")


def check_answer(path, status, headers, body):
    assert "x-course-error" not in headers, body
    assert status < 400 or not PYTHONS.search(body), f"worded by Python: {body}"
    assert status < 500, body
    if status >= 400:
        outer, inner = SHAPES[path.split("/")[1]]
        error = json.loads(body)
        error = error[0] if isinstance(error, list) else error  # of a stream of Gemini's that is an array
        assert outer <= error.keys(), error
        assert not inner or inner <= error["error"].keys(), error


BOUNDED = settings(max_examples=50, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("path", ROUTES)
def test_the_valid_body_is_valid(fuzzed, path):
    status, headers, body = send(fuzzed, path, json.dumps(ROUTES[path]))
    assert status == 200, body
    check_answer(path, status, headers, body)


@pytest.mark.parametrize("path", ROUTES)
def test_a_wrong_body_is_refused_in_the_providers_words(fuzzed, path):
    @BOUNDED
    @given(mutated(ROUTES[path]).map(json.dumps) | no_json(ROUTES[path]))
    def holds(body):
        check_answer(path, *send(fuzzed, path, body))

    holds()
    fuzzed.reset()  # an order may have moved the clock to where models have retired
    unlimit(fuzzed)
    after = ROUTES["/compatible/v1/chat/completions"]
    assert send(fuzzed, "/compatible/v1/chat/completions", json.dumps(after))[0] == 200, "the gateway answers no longer"


@pytest.mark.parametrize("path", ROUTES)
def test_a_body_that_is_not_utf8_is_refused_without_words_of_python(fuzzed, path):
    status, _, body = send(fuzzed, path, b'{"model": "\xff"}')
    assert status == 400 and b"byte 11 is not UTF-8" in body and b"codec" not in body, body


def upload(gateway, lines, name="in.jsonl"):
    """Upload a file for a batch; the answer as `send` gives it."""
    head = f'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return send(gateway, "/openai/v1/files", head.encode() + lines + b"\r\n--b--\r\n", headers={**KEYS, "content-type": "multipart/form-data; boundary=b"})


def run_openai(gateway, item):
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": item}
    file = json.loads(upload(gateway, json.dumps(line).encode())[2])["id"]
    batch = json.loads(send(gateway, "/openai/v1/batches", json.dumps({**BATCH, "input_file_id": file}))[2])["id"]
    gateway.advance(seconds=1)
    return f"/openai/v1/batches/{batch}"


def run_anthropic(gateway, item):
    answer = send(gateway, "/anthropic/v1/messages/batches", json.dumps({"requests": [{"custom_id": "a", "params": item}]}))
    gateway.advance(seconds=1)
    return f"/anthropic/v1/messages/batches/{json.loads(answer[2]).get('id', 'none')}/results"


def run_gemini(gateway, item):
    body = {"batch": {"inputConfig": {"requests": {"requests": [{"request": item, "metadata": {"key": "a"}}]}}}}
    answer = send(gateway, "/gemini/v1beta/models/gemini-2.5-flash:batchGenerateContent", json.dumps(body))
    gateway.advance(seconds=1)
    return f"/gemini/v1beta/{json.loads(answer[2]).get('name', 'batches/none')}"


@pytest.mark.parametrize("run, body", [(run_openai, CHAT), (run_anthropic, MESSAGES), (run_gemini, CONTENTS)])
def test_a_wrong_request_inside_a_batch_is_an_error_of_its_own(fuzzed, run, body):
    @BOUNDED
    @given(mutated(body))
    def holds(item):
        path = run(fuzzed, item)
        check_answer(path, *send(fuzzed, path, None, method="GET"))

    holds()


@pytest.mark.parametrize("content", [b"", b"{}\n[]\n1", b"\n\n", b'{"custom_id": "\\ud800"}', b"[" * 5000, b"x" * 200_000])
@pytest.mark.parametrize("name", ["in.jsonl", ".jsonl", "日本.jsonl", 'a"b.jsonl', "../../etc/passwd.JSONL"])
def test_any_file_can_be_uploaded_read_and_refused_as_a_batch(fuzzed, content, name):
    status, _, body = upload(fuzzed, content, name)
    assert status == 200
    id = json.loads(body)["id"]
    assert send(fuzzed, f"/openai/v1/files/{id}/content", None, method="GET")[::2] == (200, content)
    status, _, body = send(fuzzed, "/openai/v1/batches", json.dumps({**BATCH, "input_file_id": id}))
    assert status == 200
    fuzzed.advance(seconds=1)
    batch = json.loads(send(fuzzed, f"/openai/v1/batches/{json.loads(body)['id']}", None, method="GET")[2])
    assert batch["status"] == "failed" and batch["errors"]["data"]


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("body", [b"", b"--x--", b"\xff" * 50, b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n\xff\r\n--x--\r\n'])
def test_an_upload_that_is_none_is_refused(fuzzed, content_type, body):
    assert send(fuzzed, "/openai/v1/files", body, headers={**KEYS, "content-type": content_type})[0] == 400


PATHS = ["/", "/nothing", "/openai", "/openai/", "/openai/v1/%ff%00", "/bedrock/model/%2F/converse", "/bedrock/model/a%0d%0ab/invoke", "/gemini/v1beta/models/:x"]
PATHS += ["/azure/openai/deployments/%25/chat/completions?api-version=", "/course/", "/course/none", "/openai/v1/models/%F0%9F%98%80", "/anthropic/v1/models/a/b?%zz=%ff&limit=x"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_leads_nowhere_is_refused(fuzzed, method, path):
    status, headers, _ = send(fuzzed, path, b"{}", method=method)
    assert 400 <= status < 500 and "x-course-error" not in headers


# ---- many at once, and clients that go away ----------------------------------------------------------------
def test_64_streams_at_once_are_all_answered_and_each_is_metered_once(gateway):
    async def one(client):
        messages = [{"role": "user", "content": PROMPT}]
        stream = await client.chat.completions.create(model="gpt-6-luna", messages=messages, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def all_of_them():
        async with openai.AsyncOpenAI(max_retries=0) as client:
            return await asyncio.gather(*(one(client) for _ in range(64)))

    assert asyncio.run(all_of_them()) == [ANSWER] * 64
    log = gateway.meter.log()
    assert [(entry.status, entry.model, entry.note) for entry in log] == [(200, "gpt-6-luna", "")] * 64
    assert len({entry.number for entry in log}) == 64 and all(entry.usage.output_tokens for entry in log)


def test_a_client_that_goes_away_ends_its_own_stream_alone(gateway):
    gateway.fault("stalled", "openai", chunk=2)
    client = openai.OpenAI(max_retries=0)
    messages = [{"role": "user", "content": PROMPT}]
    leaving = client.chat.completions.create(model="gpt-6-luna", messages=messages, stream=True)
    next(leaving)
    leaving.close()
    staying = client.chat.completions.create(model="gpt-6-luna", messages=messages, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in staying) == ANSWER
    for _ in range(500):
        if all(entry.seconds for entry in gateway.meter.log()):
            break
        time.sleep(0.01)
    assert [entry.note for entry in gateway.meter.log()] == ["the client went away", ""]
    assert gateway.in_loop(lambda: [task for task in asyncio.all_tasks() if task.get_coro().__qualname__ == Handler._serve.__qualname__]) == []


# ---- this machine alone ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "foreign",
    [{"host": "evil.example"}, {"host": "evil.example:8080"}, {"host": "127.0.0.1.evil.example"}, {"host": "[2001:db8::1]:80"}, {"host": ""}]
    + [{"origin": "https://evil.example"}, {"origin": "http://127.0.0.1.evil.example:80"}, {"origin": "null"}, {"origin": "http://localhost@evil.example"}]
    + [{"origin": "http://localhost:8888"}, {"sec-fetch-site": "cross-site"}],
)
@pytest.mark.parametrize("path", ["/openai/v1/models", "/course/log", "/nothing"])
def test_a_foreign_web_page_is_refused(gateway, foreign, path):
    assert send(gateway, path, None, "GET", {**HEADERS, **foreign})[0] == 403
    assert len(gateway.meter.log()) == 0


@pytest.mark.parametrize("own", [{"host": "localhost:1234"}, {"host": "[::1]:80"}, {"host": "127.0.0.1"}, {"host": "localhost:80", "origin": "http://localhost:80"}])
def test_programs_of_this_machine_are_welcome(gateway, own):
    assert send(gateway, "/openai/v1/models", None, "GET", {**HEADERS, **own})[0] == 200


def test_only_loopback_is_bound(gateway):
    assert gateway.in_loop(lambda: gateway._server.addresses) == ["127.0.0.1"]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.2", gateway.port)) != 0


GUARDED = """
    import json, socket
    tried = []

    def guard(name, host_of):
        original = getattr(socket.socket, name)
        def guarded(self, address, *more):
            if self.family != socket.AF_UNIX and host_of(address) not in ("127.0.0.1", "::1"):
                tried.append(repr(address))
                raise OSError("outside connections are forbidden")
            return original(self, address, *more)
        setattr(socket.socket, name, guarded)

    for name in ("connect", "connect_ex"):
        guard(name, lambda address: address[0])
    look_up = socket.getaddrinfo

    def guarded_look_up(host, *more, **options):
        if host not in ("127.0.0.1", "localhost", "::1", None):
            tried.append(str(host))
            raise OSError("outside names are forbidden")
        return look_up(host, *more, **options)

    socket.getaddrinfo = guarded_look_up

    import helpers
    from helpers.calls import _ASKERS
    helpers.start(show=False)
    texts = {provider: helpers.ask(provider, "Say hello in five words.").text for provider in _ASKERS}
    print(json.dumps({"texts": texts, "tried": tried}))
"""


def test_nothing_leaves_this_machine_whatever_the_shell_holds():
    shell = {name: "nonsense" for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    shell |= {"AWS_SESSION_TOKEN": "nonsense", "AWS_PROFILE": "nobody", "AWS_REGION": "mars-1", "AZURE_OPENAI_API_KEY": "nonsense", "ANTHROPIC_AUTH_TOKEN": "nonsense"}
    shell |= dict.fromkeys(("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "COMPATIBLE_BASE_URL", "AZURE_OPENAI_ENDPOINT"), "http://outside.example")
    shell |= dict.fromkeys(("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"), "http://outside.example")
    shell |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), "http://192.0.2.1:3128")
    shell |= {"GOOGLE_GENAI_USE_VERTEXAI": "true", "OPENAI_ORG_ID": "org-nonsense", "COURSE_PACE": "0"}
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COURSE_") and name.lower() != "no_proxy"}
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(GUARDED)], env=environ | shell, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["tried"] == []
    assert len(found["texts"]) == 6 and all(len(text.split()) == 5 for text in found["texts"].values()), found


def test_a_broken_form_gets_the_providers_own_error(gateway):
    """The parser of the HTTP server once answered such a body itself, with an empty 400."""
    sent = {"Authorization": "Bearer x", "Content-Type": "multipart/form-data; boundary=here"}
    reply = httpx2.post(f"{gateway.base_url}/openai/v1/files", headers=sent, content=b"--here\r\nno such form")
    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"
