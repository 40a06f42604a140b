"""The hard budget: whatever a provider can charge for a body is set aside before the body is sent, or the body is refused."""

from __future__ import annotations

import base64
import json
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import genai_prices.data
import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from helpers import costs, models
from helpers.course import CourseError, gateway_for
from helpers.course import settings as course_settings
from helpers.gateway import tokens
from helpers.gateway.exchange import Message, Part, Question, Refusal, Usage
from helpers.gateway.server import Gateway
from helpers.gateway.sources import budget, charges
from helpers.gateway.sources.budget import Budget
from helpers.gateway.sources.upstream import Upstream, from_environment

NAMES = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
MOUNTS = ("openai", "azure", "anthropic", "gemini", "bedrock")
ANY_KEY = {**dict.fromkeys(("authorization", "x-api-key", "api-key", "x-goog-api-key"), "Bearer any"), "anthropic-version": "2023-06-01"}
LONG = "word " * 40_000


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# A grey PNG of 64 x 64 that is not compressed, so that its base64 would be long if it were read as text.
PIXELS = zlib.compress((b"\0" + b"\x80" * 64) * 64, 0)
HEAD = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
PNG = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", HEAD) + chunk(b"IDAT", PIXELS) + chunk(b"IEND", b"")
PICTURE = base64.b64encode(PNG).decode()
CLIENT = httpx2.Client(timeout=30)
PARAMETERS = {"type": "object", "properties": {}}


class Provider:
    """A stand-in for all providers: keeps what it is sent, and answers each with `answer(path, body)`."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.answer = lambda path, body: answered(path, 10, 1)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append(body)
                said = outer.answer(self.path, body)
                data, kind = (said, "text/event-stream") if isinstance(said, bytes) else (json.dumps(said).encode(), "application/json")
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


def answered(path: str, given: int, made: int, *, tier: str | None = None, written: int = 0) -> dict:
    """An answer that states a usage in the words of the provider; `written` tokens of the input go to the dearest cache."""
    if path.startswith("/anthropic") or path.endswith("/invoke") and "anthropic." in path:
        cache = {"cache_creation_input_tokens": written, "cache_creation": {"ephemeral_1h_input_tokens": written}}
        return {"type": "message", "content": [], "usage": {"input_tokens": given - written, **cache, "output_tokens": made, "inference_geo": tier}}
    if path.startswith("/gemini"):
        return {"candidates": [], "usageMetadata": {"promptTokenCount": given, "candidatesTokenCount": made}}
    if "llama" in path and path.endswith("/invoke"):
        return {"generation": "", "prompt_token_count": given, "generation_token_count": made, "stop_reason": "stop"}
    if path.startswith("/bedrock"):
        details = {"cacheWriteInputTokens": written, "cacheDetails": [{"inputTokens": written, "ttl": "1h"}]}
        return {"output": {}, "usage": {"inputTokens": given - written, "outputTokens": made, **details}}
    if "responses" in path:
        details = {"input_tokens_details": {"cache_write_tokens": written}}
        return {"output": [], "usage": {"input_tokens": given, "output_tokens": made, **details}, "service_tier": tier}
    details = {"prompt_tokens_details": {"cache_write_tokens": written}}
    return {"choices": [], "usage": {"prompt_tokens": given, "completion_tokens": made, **details}, "service_tier": tier}


@pytest.fixture(scope="module")
def provider():
    standing = Provider()
    yield standing
    standing.server.shutdown()
    standing.server.server_close()


@pytest.fixture
def live(provider, tmp_path):
    """Starts a gateway in live mode before the stand-in, with a budget in USD; the last one that was asked for."""
    started: list[Gateway] = []
    provider.got.clear()
    provider.answer = lambda path, body: answered(path, 10, 1)

    def start(usd: str | Decimal) -> Gateway:
        started.append(gateway_before(provider, usd, tmp_path))
        return started[-1]

    yield start
    for gateway in started:
        gateway.stop()


def gateway_before(provider: Provider, usd: str | Decimal, folder: Path) -> Gateway:
    bases = {mount: f"{provider.url}/{mount}" for mount in MOUNTS}
    return Gateway(pace=0, recordings=folder, upstream=Upstream("live", dict.fromkeys(NAMES, "of-nobody"), budget_usd=Decimal(usd), bases=bases)).start()


def post(gateway: Gateway, path: str, body: dict) -> httpx2.Response:
    return CLIENT.post(gateway.base_url + path, json=body, headers=ANY_KEY)


# ---- one request in every dialect --------------------------------------------
LUNA, MINI, CLAUDE, GEMINI = "gpt-6-luna", "gpt-4o-mini", "claude-haiku-5-5", "gemini-3.5-flash-lite"
PROFILE, LLAMA, NOVA = "us.anthropic.claude-haiku-5-5", "meta.llama3-1-8b-instruct-v1:0", "amazon.nova-lite-v1:0"
TOOL = {"type": "function", "function": {"name": "look", "parameters": PARAMETERS}}
HELLO = [{"role": "user", "content": "Hi"}]
SAID = [{"role": "user", "content": [{"text": "Hi"}]}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
TOOL_USE = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
FUNCTION_CALL = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}


def chat(*messages: dict, **more) -> tuple[str, dict]:
    return "/openai/v1/chat/completions", {"model": MINI, "max_tokens": 5, "messages": [*HELLO, *messages], **more}


def responses(*items: dict, **more) -> tuple[str, dict]:
    return "/openai/v1/responses", {"model": LUNA, "max_output_tokens": 16, "input": [*HELLO, *items], **more}


def azure(*messages: dict, **more) -> tuple[str, dict]:
    return f"/azure/openai/deployments/{MINI}/chat/completions?api-version=2024-10-21", chat(*messages, **more)[1]


def claude(*turns: dict, **more) -> tuple[str, dict]:
    return "/anthropic/v1/messages", {"model": CLAUDE, "max_tokens": 5, "messages": [*HELLO, *turns], **more}


def gemini(*turns: dict, config: dict | None = None, **more) -> tuple[str, dict]:
    body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}, *turns], "generationConfig": config or {"maxOutputTokens": 5}, **more}
    return f"/gemini/v1beta/models/{GEMINI}:generateContent", body


def converse(*turns: dict, model: str = PROFILE, **more) -> tuple[str, dict]:
    return f"/bedrock/model/{model}/converse", {"messages": [*SAID, *turns], "inferenceConfig": {"maxTokens": 5}, **more}


def invoke(*turns: dict, **more) -> tuple[str, dict]:
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5, "messages": [*HELLO, *turns], **more}
    return f"/bedrock/model/{PROFILE}/invoke", body


def llama(prompt: str = "Hi", **more) -> tuple[str, dict]:
    return f"/bedrock/model/{LLAMA}/invoke", {"prompt": prompt, "max_gen_len": 5, **more}


def nova(*turns: dict, **more) -> tuple[str, dict]:
    return f"/bedrock/model/{NOVA}/invoke", {"messages": [*SAID, *turns], "inferenceConfig": {"maxTokens": 5}, **more}


WIRES = {
    **{"chat": chat, "responses": responses, "azure": azure, "claude": claude, "gemini": gemini},
    **{"converse": converse, "invoke": invoke, "llama": llama, "nova": nova},
}
TIGHT = "0.005"


@pytest.mark.parametrize("wire", WIRES)
def test_a_small_call_passes_under_a_tight_budget(live, provider, wire):
    gateway = live(TIGHT)
    answer = post(gateway, *WIRES[wire]())
    assert answer.status_code == 200 and len(provider.got) == 1, answer.text
    assert 0 < gateway.upstream.spent_usd < Decimal(TIGHT)


# ---- what costs more than it seems -------------------------------------------
def result(*blocks: dict) -> tuple[list[dict], dict]:
    """Claude's turns with a result of a tool, and the tool."""
    turns = [{"role": "assistant", "content": [TOOL_USE]}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": list(blocks)}]}]
    return turns, {"tools": [{"name": "look", "input_schema": PARAMETERS}]}


def output(*blocks: dict) -> tuple[str, dict]:
    item = {"type": "function_call_output", "call_id": "c", "output": list(blocks)}
    return responses(FUNCTION_CALL, item, tools=[{"type": "function", "name": "look", "parameters": PARAMETERS}])


def thought(**block) -> list[dict]:
    return [{"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "s", **block}, {"type": "text", "text": "x"}]}, *HELLO]


def tool_result(*blocks: dict) -> tuple[str, dict]:
    use = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "look", "input": {}}}]}
    spec = {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": PARAMETERS}}}]}
    return converse(use, {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": list(blocks)}}]}, toolConfig=spec)


def response_parts(*parts: dict) -> tuple[str, dict]:
    call = {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {}}, "thoughtSignature": "c2lnbmF0dXJl"}]}
    return gemini(call, {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {}, "parts": list(parts)}}]})


def assistant(**more) -> dict:
    return {"role": "assistant", "content": "x", **more}


IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
INPUT_IMAGE = {"type": "input_image", "image_url": "https://example.com/a.png"}
INLINE = {"inlineData": {"mimeType": "image/png", "data": PICTURE}}
CONVERSE_IMAGE = {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://bucket/a.png"}}}}
turns, tools = result(*[IMAGE] * 20)
document = result({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": LONG}})
# Each would cost more than what was set aside for it before its kind was known.
ODD = {
    # text that the neutral question does not keep
    "chat: arguments of the older function_call": chat(assistant(function_call={"name": "f", "arguments": LONG}), *HELLO),
    "chat: arguments of a call": chat(assistant(tool_calls=[{**CALL, "function": {"name": "look", "arguments": LONG}}]), {"role": "tool", "tool_call_id": "call_1", "content": "x"}, tools=[TOOL]),
    "chat: a refusal": chat(assistant(refusal=LONG), *HELLO),
    "chat: a name": chat(assistant(name=LONG), *HELLO),
    "azure: a refusal": azure(assistant(refusal=LONG), *HELLO),
    "responses: encrypted thoughts": responses({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "A" * 100_000}),
    "responses: thoughts kept at the provider": responses(*[{"type": "reasoning", "id": "rs_1", "summary": []}] * 5),
    "responses: the schema of the answer": responses(text={"format": {"type": "json_schema", "name": "s", "schema": {**PARAMETERS, "description": LONG}}}),
    "claude: thinking": claude(*thought(thinking=LONG)),
    "claude: a signature": claude(*thought(signature="A" * 100_000)),
    "claude: redacted thinking": claude({"role": "assistant", "content": [{"type": "redacted_thinking", "data": "A" * 100_000}]}, *HELLO),
    "gemini: a signature of thoughts": gemini({"role": "model", "parts": [{"text": "x", "thoughtSignature": "A" * 100_000}]}, *gemini()[1]["contents"]),
    "gemini: metadata of a part": gemini({"role": "model", "parts": [{"text": "x", "partMetadata": {"about": LONG}}]}, *gemini()[1]["contents"]),
    "converse: thinking": converse({"role": "assistant", "content": [{"reasoningContent": {"reasoningText": {"text": LONG}}}]}, *SAID),
    "invoke: thinking": invoke(*thought(thinking=LONG)),
    # images and files, wherever they stand
    "responses: images in an output": output(*[INPUT_IMAGE] * 20),
    "responses: a file in an output": output({"type": "input_file", "file_id": "file-1"}),
    "responses: an image that was made there": responses({"type": "image_generation_call", "id": "ig_1"}),
    "claude: images in a result": claude(*turns, **tools),
    "claude: a document in a result": claude(*document[0], **document[1]),
    "claude: pages of a search": claude({"role": "assistant", "content": [{"type": "web_search_tool_result", "tool_use_id": "t", "content": []}]}, *HELLO),
    "gemini: images in a response": response_parts(*[INLINE] * 20),
    "gemini: a file in a response": response_parts({"fileData": {"fileUri": "https://example.com/a.mp4"}}),
    "gemini: a video in a response": response_parts({"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}),
    "converse: images in a result": tool_result(*[CONVERSE_IMAGE] * 20),
    "converse: a document in a result": tool_result({"document": {"format": "pdf", "name": "a", "source": {"s3Location": {"uri": "s3://bucket/a"}}}}),
    "converse: a video in a result": tool_result({"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://bucket/a"}}}}),
    "converse: what a guardrail reads": converse({"role": "user", "content": [{"guardContent": {"text": {"text": "x"}}}]}),
    "nova: a video": nova({"role": "user", "content": [{"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://bucket/a"}}}}]}),
    # limits and choices
    "chat: a limit under two names": chat(max_completion_tokens=16_000),
    "chat: many choices": chat(n=128, max_tokens=500),
    "gemini: a limit in two spellings": gemini(config={"max_output_tokens": 60_000, "maxOutputTokens": 1}),
    "gemini: a configuration in two spellings": gemini(generation_config={"maxOutputTokens": 60_000}),
    "gemini: choices in two spellings": gemini(config={"candidate_count": 8, "candidateCount": 1, "maxOutputTokens": 500}),
    "nova: a limit under two names": nova(inferenceConfig={"max_new_tokens": 60_000, "maxTokens": 1}),
    "converse: a limit that it does not know": converse(inferenceConfig={}, maxTokens=5),
    "converse: a limit of the model's own": converse(additionalModelRequestFields={"max_tokens": 60_000}),
    # text and thoughts that are stored, and work at the provider
    "responses: an item by its id": responses({"type": "item_reference", "id": "msg_1"}),
    "responses: an item by its id alone": responses({"id": "msg_1"}),
    "chat: a type that is no word": chat({"role": "user", "content": "x", "type": []}),
    "chat: a part's type that is no word": chat({"role": "user", "content": [{"type": {"a": 1}, "text": "x"}]}),
    "gemini: data that is no text": gemini({"inlineData": {"mimeType": "image/png", "data": 5}}),
    "responses: an item by its id and how it is": responses({"id": "msg_1", "status": "completed", "phase": "final_answer"}),
    "responses: a thought by its id": responses({"id": "rs_1", "summary": []}),
    "responses: an item by its id, without a type": responses({"type": None, "id": "msg_1"}),
    "responses: a conversation made short": responses({"type": "compaction", "encrypted_content": "A"}),
    "responses: in the background": responses(background=True),
    "responses: another mode of thinking": responses(reasoning={"mode": "pro"}),
    "responses: a server of tools": responses(tools=[{"type": "mcp", "server_label": "x", "server_url": "https://example.com"}]),
    "responses: code": responses(tools=[{"type": "code_interpreter", "container": {"type": "auto"}}]),
    "responses: files searched": responses(tools=[{"type": "file_search", "vector_store_ids": ["vs_1"]}]),
    "chat: a search without options": chat(web_search_options={}),
    "chat: a sound of an earlier answer": chat(assistant(audio={"id": "audio_1"}), *HELLO),
    "chat: sound": chat(modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"}),
    "chat: a prediction": chat(prediction={"type": "content", "content": "x"}),
    "claude: code": claude(tools=[{"type": "code_execution_20250825", "name": "code_execution"}]),
    "claude: pages fetched": claude(tools=[{"type": "web_fetch_20250910", "name": "web_fetch"}]),
    "claude: servers of tools": claude(mcp_servers=[{"type": "url", "url": "https://example.com", "name": "x"}]),
    "claude: a context made short": claude(context_management={"edits": [{"type": "compact_20260112"}]}),
    "gemini: pages fetched": gemini(tools=[{"urlContext": {}}]),
    "gemini: a tool beside functions": gemini(tools=[{"functionDeclarations": [{"name": "look"}], "google_maps": {}}]),
    "gemini: code": gemini(tools={"code_execution": {}}),
    "gemini: pictures": gemini(config={"maxOutputTokens": 5, "responseModalities": ["TEXT", "IMAGE"]}),
    "converse: a tool of the model's maker": converse(toolConfig={"tools": [{"systemTool": {"name": "nova_grounding"}}]}),
    "converse: a guardrail": converse(guardrailConfig={"guardrailIdentifier": "x", "guardrailVersion": "1"}),
    "converse: variables of a stored prompt": converse(promptVariables={"x": {"text": "x"}}),
    # dearer ways of processing
    "chat: a tier": chat(service_tier="fast"),
    "chat: a cache for 12 hours": chat(model=LUNA, max_completion_tokens=5, max_tokens=None, prompt_cache_options={"ttl": "12h"}),
    "azure: a tier": azure(service_tier="priority"),
    "claude: a place": claude(inference_geo="us"),
    "claude: speed": claude(speed="fast"),
    "gemini: a tier": gemini(serviceTier="PRIORITY"),
    "converse: a tier": converse(serviceTier={"type": "priority"}),
    "converse: speed": converse(performanceConfig={"latency": "optimized"}),
    "converse: a field that nobody knows": converse(somethingNew={"x": 1}),
    "gemini: another model in the body": gemini(model="models/gemini-4-argon"),
    "converse: a document that says it is an image": converse({"role": "user", "content": [{"type": "image", "document": {"format": "pdf", "name": "a", "source": {"s3Location": {"uri": "s3://b/a"}}}}]}),
    "converse: a tool of many small values": converse(toolConfig={"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object", "enum": [1] * 6000}}}}]}),
    # languages that other tokenizers cut finer than OpenAI's
    "claude: Khmer": claude({"role": "user", "content": "សួស្តី" * 900}),
    "llama: Georgian": llama("გამარჯობა მსოფლიო " * 800),
}


@pytest.mark.parametrize("name", ODD)
def test_what_costs_more_than_it_seems_is_refused_and_not_sent(live, provider, name):
    gateway = live(TIGHT)
    answer = post(gateway, *ODD[name])
    assert answer.status_code == 400, answer.text
    assert provider.got == [] and gateway.upstream.spent_usd == gateway.upstream.reserved_usd == 0


@pytest.mark.parametrize("name", ODD)
def test_the_budget_does_not_rely_on_what_the_dialects_refuse(name):
    path, body = ODD[name]
    provider = path.split("/")[1]
    model = next((model for model in models.of(provider) if f"/{model.id}/" in path or f"/{model.id}:" in path), None)
    limit = None if body.get("inferenceConfig") == {} else 1  # all that the dialect knows of the limit
    question = Question(provider, model or models.get(body["model"], provider), (), limit=limit)
    with pytest.raises(Refusal, match="This call was not sent"):
        Budget(Decimal(TIGHT)).reserve(question, json.dumps(body).encode())


@pytest.mark.parametrize("more", [{"model": None}, {"requests": None}, {"model": GEMINI}, {"model": f"models/{GEMINI}"}])
def test_null_is_as_good_as_absent(more):
    _, body = gemini(**more)
    question = Question("gemini", models.get(GEMINI, "gemini"), (), limit=5)
    assert Budget(Decimal("1")).reserve(question, json.dumps(body).encode())


# ---- a model that other tables list, and the course does not ------------------
OTHER = {
    "chat": ("/openai/v1/chat/completions", {"model": "gpt-4.1", "max_tokens": 5, "messages": HELLO}, LUNA),
    "chat, streamed": ("/openai/v1/chat/completions", {"model": "gpt-4.1", "max_tokens": 5, "messages": HELLO, "stream": True}, LUNA),
    "responses": ("/openai/v1/responses", {"model": "gpt-5", "max_output_tokens": 16, "input": "Hi"}, LUNA),
    "azure": ("/azure/openai/deployments/gpt-4.1/chat/completions?api-version=2024-10-21", {"max_tokens": 5, "messages": HELLO}, LUNA),
    "azure's v1": ("/azure/openai/v1/chat/completions", {"model": "gpt-4.1", "max_tokens": 5, "messages": HELLO}, LUNA),
    "claude": ("/anthropic/v1/messages", {"model": "claude-sonnet-4-6", "max_tokens": 5, "messages": HELLO}, CLAUDE),
    "gemini": ("/gemini/v1beta/models/gemini-3.5-flash:generateContent", gemini()[1], GEMINI),
    "gemini, streamed": ("/gemini/v1beta/models/gemini-3.5-flash:streamGenerateContent?alt=sse", gemini()[1], GEMINI),
    "converse": ("/bedrock/model/us.meta.llama3-3-70b-instruct-v1:0/converse", converse()[1], PROFILE),
    "converse, streamed": ("/bedrock/model/global.anthropic.claude-sonnet-4-6/converse-stream", converse()[1], PROFILE),
    "invoke": ("/bedrock/model/global.anthropic.claude-sonnet-4-6/invoke", invoke()[1], PROFILE),
}


@pytest.mark.parametrize("name", OTHER)
def test_a_model_that_the_course_did_not_check_is_not_called_and_the_refusal_says_what_can_be(live, provider, name):
    path, body, instead = OTHER[name]
    gateway = live("5")
    answer = post(gateway, path, body)
    assert answer.status_code == 400, answer.text
    said = answer.json()
    said = said[0] if isinstance(said, list) else said
    words = said["message"] if "message" in said else said["error"]["message"]
    assert "This call was not sent" in words and "is not in helpers/models.toml" in words and instead in words
    assert provider.got == [] and gateway.upstream.spent_usd == gateway.upstream.reserved_usd == 0
    [entry] = gateway.meter.log()
    assert entry.status == 400 and entry.facts, "the log says whose facts are not checked"


def test_a_model_that_no_table_knows_is_not_found_in_live_mode_either(live, provider):
    answer = post(live("5"), "/openai/v1/chat/completions", {"model": "gpt-4.1-nova", "max_tokens": 5, "messages": HELLO})
    assert answer.status_code == 404 and provider.got == []


FINE = {
    "chat: an answer put back": chat({"role": "assistant", "content": "x", "refusal": None, "annotations": [], "audio": None, "function_call": None, "tool_calls": None}, *HELLO),
    "chat: an image": chat({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + PICTURE}}]}),
    "chat: the standard tier": chat(service_tier="default", store=False, prompt_cache_key="a", metadata={"service_tier": "priority"}),
    "responses: thoughts put back": responses(
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "A" * 500}, {"id": "msg_1", "role": "assistant", "content": "Yes."}, *HELLO
    ),
    "responses: an output": output({"type": "input_text", "text": "x"}, INPUT_IMAGE),
    "claude: a result with an image": claude(*result(IMAGE)[0], **tools),
    "claude: thoughts put back": claude(*thought(signature="A" * 500)),
    "claude: a cache for an hour": claude(system=[{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]),
    "gemini: an image in a response": response_parts(INLINE),
    "gemini: in snake_case": gemini(config={"max_output_tokens": 5, "thinking_config": {"thinking_level": "minimal"}}, safety_settings=[]),
    "gemini: one content, no list": (gemini()[0], {"contents": {"parts": {"text": "Hi"}}, "generationConfig": {"maxOutputTokens": 5}}),
    "converse: thinking": converse(additionalModelRequestFields={"thinking": {"type": "adaptive"}}),
    "converse: a result": tool_result({"json": {"document": 1}}, {"text": "x"}),
    "arguments with names of every kind": claude({"role": "assistant", "content": [{**TOOL_USE, "input": {"file_data": 1, "fileData": 2, "type": "document"}}]}, *result()[0][1:], **tools),
}


@pytest.mark.parametrize("name", FINE)
def test_what_has_a_bound_is_sent(live, provider, name):
    answer = post(live("0.05"), *FINE[name])
    assert answer.status_code == 200 and len(provider.got) == 1, answer.text


# ---- the bound ---------------------------------------------------------------
CLAUDE_2 = tokens.files() / "anthropic_tokenizer.json"


@pytest.fixture(scope="module")
def claude_2() -> Tokenizer:
    return Tokenizer.from_file(str(CLAUDE_2))


LETTERS = st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("ﷺ㌀㍿ ﬃ½Å™ก็ខ្🙂\u0344\u0958"))


@given(text=st.text(LETTERS, max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_has_more_tokens_than_its_bound(claude_2, text):
    """By OpenAI's tokenizer, and by one that takes a text by NFKC, however the text is set into JSON."""
    question = Question("anthropic", models.get("claude-haiku-4-5"), (Message("user", (Part(text),)),), limit=1)
    most = charges.bound(question, claude({"role": "user", "content": text})[1]).input_tokens
    for said in (text, json.dumps(text), json.dumps(text, ensure_ascii=False)):
        assert len(claude_2.encode(said).ids) <= most and tokens.count(said) <= most


def test_every_tier_costs_no_more_than_what_is_set_aside_for_it():
    """OpenAI's projects may be set to a dearer tier, which the request does not name."""
    [openai] = [provider for provider in genai_prices.data.providers if provider.id == "openai"]
    for model in models.of("openai"):
        row = next((row for row in openai.models if row.id == model.id), None)
        listed_rates = costs._calculate(Usage(input_tokens=1), model.id, "openai", models.facts_date(), False).model_price if row else None
        for variant in row.price_variants or () if row else ():
            for rate in ("input_mtok", "output_mtok", "cache_write_mtok"):
                dearer, listed = getattr(variant.prices, rate), getattr(listed_rates, rate)
                if dearer is not None and listed is not None:
                    assert costs._tier(dearer, 1) <= budget.DEARER["openai"]["priority"] * costs._tier(listed, 1), model.id


# ---- whatever is charged -----------------------------------------------------
RATES = {"chat": MINI, "responses": LUNA, "azure": MINI, "claude": CLAUDE, "gemini": GEMINI, "converse": PROFILE, "invoke": PROFILE, "llama": LLAMA, "nova": NOVA}
MULTIPLE = {"azure": Decimal("2.2"), "chat": Decimal(2), "responses": Decimal(2), "claude": Decimal("1.1")}
TIER = {"azure": "priority", "chat": "priority", "responses": "priority", "claude": "us"}


@st.composite
def calls(draw) -> tuple[str, str, dict, int]:
    """A call: its wire, path and body, and the most output tokens that the body allows."""
    wire = draw(st.sampled_from(sorted(WIRES)))
    text, limit = "Q" + draw(st.text(max_size=120)), draw(st.integers(16, 400))
    images, n = draw(st.integers(0, 2)), 1
    if wire in ("chat", "azure"):
        n = draw(st.integers(1, 4))
        image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + PICTURE}}] * images
        path, body = WIRES[wire]({"role": "user", "content": [{"type": "text", "text": text}, *image]}, assistant(refusal=text), *HELLO, n=n, max_tokens=limit)
    elif wire == "responses":
        path, body = output({"type": "input_text", "text": text}, *[INPUT_IMAGE] * images)
        body |= {"max_output_tokens": limit, "instructions": text}
    elif wire in ("claude", "invoke"):
        more, with_tools = result({"type": "text", "text": text}, *[IMAGE] * images)
        path, body = WIRES[wire](*more, **with_tools, max_tokens=limit)
    elif wire == "gemini":
        n = draw(st.integers(1, 4))
        path, body = response_parts(*[INLINE] * images)
        body |= {"generation_config": {"max_output_tokens": limit, "candidateCount": n}, "systemInstruction": {"parts": [{"text": text}]}}
        del body["generationConfig"]
    elif wire in ("converse", "nova"):
        images = 0
        path, body = WIRES[wire]({"role": "assistant", "content": [{"text": text}]}, *SAID, inferenceConfig={"maxTokens": limit})
    else:
        images = 0
        path, body = llama(text, max_gen_len=limit)
    return wire, path, body, limit * n


@given(asked=st.lists(st.tuples(calls(), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6), usd=st.decimals("0.0001", "0.05", places=5))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whatever_a_provider_charges_the_budget_holds(provider, standing, asked, usd):
    """Every byte of what was sent may be a token of the input, written to the dearest cache, at the dearest tier."""
    standing.upstream._budget, charged = Budget(usd), Decimal(0)
    for (wire, path, body, most), greed, luxury in asked:
        said = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        images, pictures = said.count("a.png") + said.count(PICTURE), said.count(PICTURE)
        text = len(said.encode()) - pictures * len(PICTURE)
        given_tokens = int(text * greed) + images * (4784 if wire in ("claude", "invoke") else 10_000) + 1
        written = given_tokens if luxury > 0.5 and wire not in ("gemini", "llama", "nova") else 0
        made, tier = int(most * luxury), TIER.get(wire) if greed > 0.5 else None
        provider.answer = lambda path, _, a=given_tokens, b=made, t=tier, w=written: answered(path, a, b, tier=t, written=w)
        if post(standing, path, body).status_code == 200:
            charged += bill(wire, given_tokens, written, made, tier)
        assert charged <= standing.upstream.spent_usd <= usd and standing.upstream.reserved_usd == 0


@pytest.fixture(scope="module")
def standing(provider, tmp_path_factory):
    """A gateway whose budget each example of a property sets anew."""
    gateway = gateway_before(provider, 0, tmp_path_factory.mktemp("standing"))
    yield gateway
    gateway.stop()


def bill(wire: str, given_tokens: int, written: int, made: int, tier: str | None) -> Decimal:
    """What the provider takes, from the listed prices alone."""
    provider = next(name for name in MOUNTS if WIRES[wire]()[0].startswith(f"/{name}"))
    price = costs.price(RATES[wire], provider, on=budget._today())
    dearest = price.cache_write_1h or price.cache_write or price.input
    usd = (written * dearest + (given_tokens - written) * price.input + made * price.output) / costs.MILLION
    return usd * (MULTIPLE[wire] if tier else 1)


# ---- what an answer says -----------------------------------------------------
def test_an_answer_of_a_dearer_tier_costs_what_that_tier_costs(live, provider):
    provider.answer = lambda path, body: answered(path, 100, 5, tier="priority")
    gateway = live(TIGHT)
    post(gateway, *chat())
    assert gateway.upstream.spent_usd == 2 * (100 * Decimal("0.15") + 5 * Decimal("0.60")) / 1_000_000
    assert [entry.tier for entry in gateway.meter.log()] == ["priority"]


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -5, "completion_tokens": 1},
        {"prompt_tokens": 5, "completion_tokens": -1},
        {"prompt_tokens": 5},
        {"prompt_tokens": "5", "completion_tokens": 1},
        {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 6}},
        {"prompt_tokens": 5, "completion_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 2}},
    ],
    ids=str,
)
def test_a_usage_that_makes_no_sense_costs_all_that_was_set_aside(live, provider, usage, caplog):
    provider.answer = lambda path, body: {"choices": [], "usage": usage}
    gateway = live(TIGHT)
    post(gateway, *chat())
    path, body = chat()
    question = Question("openai", models.get(MINI, "openai"), (), limit=5)
    assert gateway.upstream.spent_usd == budget.most(question, json.dumps(body).encode())[1] and gateway.upstream.reserved_usd == 0
    assert "makes no sense" in caplog.text and gateway.meter.log()[0].usage is None


def test_capacity_that_was_paid_beforehand_costs_the_listed_price(live, provider):
    """Anthropic's priority tier, unlike OpenAI's."""
    said = answered("/anthropic", 100, 5)
    provider.answer = lambda path, body: {**said, "usage": {**said["usage"], "service_tier": "priority"}}
    gateway = live(TIGHT)
    post(gateway, *claude())
    assert gateway.upstream.spent_usd == (100 * Decimal("0.10") + 5 * Decimal("0.50")) / 1_000_000


def test_an_unknown_way_of_processing_costs_all_that_was_set_aside(live, provider):
    provider.answer = lambda path, body: answered(path, 10, 1, tier="ultrafast")
    gateway = live(TIGHT)
    post(gateway, *chat())
    assert gateway.upstream.spent_usd > Decimal("0.00001")


CUT = {
    "claude": (claude(stream=True), [{"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}}]),
    "gemini": (gemini(), [{"candidates": [{"content": {}}], "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 1}}] * 2),
}


@pytest.mark.parametrize("wire", CUT)
def test_a_stream_that_ends_before_its_end_costs_all_that_was_set_aside(live, provider, wire):
    (path, body), events = CUT[wire]
    provider.answer = lambda path, _: b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    gateway = live("0.05")
    post(gateway, path.replace(":generateContent", ":streamGenerateContent?alt=sse"), body)
    assert gateway.meter.log()[0].usage is None and gateway.upstream.spent_usd > Decimal("0.00001")


# ---- one budget --------------------------------------------------------------
def test_all_gateways_of_a_process_share_one_budget(monkeypatch, provider, tmp_path):
    monkeypatch.setattr(budget, "_of_process", None)
    environ = dict.fromkeys(NAMES, "of-nobody")
    (tmp_path / ".env").touch()
    with ThreadPoolExecutor(8) as pool:
        upstreams = list(pool.map(lambda _: from_environment("live", environ=environ, dotenv_path=tmp_path / ".env"), range(8)))
    assert len({id(upstream._budget) for upstream in upstreams}) == 1
    question = Question("openai", models.get(MINI, "openai"), (), limit=5)
    upstreams[0]._budget.settle(question, upstreams[0]._budget.reserve(question, b"{}"), None)
    assert {upstream.spent_usd for upstream in upstreams} == {upstreams[7].spent_usd} != {Decimal(0)}
    with pytest.raises(CourseError, match="is set once"):
        gateway_for(course_settings("live", budget_usd=9))


def test_threads_do_not_overspend_together():
    shared = Budget(Decimal("0.01"))
    question = Question("openai", models.get(MINI, "openai"), (), limit=500)

    def call(_: int) -> None:
        try:
            shared.settle(question, shared.reserve(question, b"{}"), None)
        except Exception:
            pass
        assert shared.spent_usd + shared.reserved_usd <= shared.usd

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(call, range(64)))
    assert shared.reserved_usd == 0 and Decimal("0.009") < shared.spent_usd <= shared.usd
