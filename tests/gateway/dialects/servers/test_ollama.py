"""Ollama's own API over plain HTTP, and by its own client for Python, which `make ollama` puts into an environment of its own."""

import json
import os
import subprocess
from pathlib import Path

import httpx2
import pytest

ROOT = Path(__file__).parents[4]
PYTHON = Path(os.environ.get("COURSE_OLLAMA") or ROOT / ".ollama" / "bin" / "python")
HELLO, HELLO_ANSWER = "Say hello in five words.", "Hello, how are you today?"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city now.",
        "parameters": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string", "description": "Name of a city"}}},
    },
}
QUESTION = "What is the weather in Oslo?"
COLOUR = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]}


@pytest.fixture
def post(gateway):
    def send(path, **body):
        return httpx2.post(f"{gateway.base_url}/ollama/api/{path}", json=body, timeout=60)

    return send


def user(text):
    return [{"role": "user", "content": text}]


def lines(answer):
    return [json.loads(line) for line in answer.text.splitlines()]


def test_it_streams_lines_of_json_unless_told_not_to(post):
    answer = post("chat", model="llama3.1:8b", messages=user(HELLO))
    assert answer.headers["content-type"] == "application/x-ndjson"
    *pieces, last = lines(answer)
    assert "".join(piece["message"]["content"] for piece in pieces) == HELLO_ANSWER and not any(piece["done"] for piece in pieces)
    assert (last["done"], last["done_reason"], last["message"]["content"]) == (True, "stop", "")
    assert last["total_duration"] >= last["eval_duration"] + last["prompt_eval_duration"] and last["eval_count"] > 0


def test_plain(post):
    answer = post("chat", model="llama3.1:8b", messages=user(HELLO), stream=False)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    body = answer.json()
    assert (body["message"], body["done_reason"], body["model"]) == ({"role": "assistant", "content": HELLO_ANSWER}, "stop", "llama3.1:8b")


def test_a_prompt_and_settings_among_the_options(post):
    body = post("generate", model="house", prompt=HELLO, stream=False, options={"num_predict": 2, "temperature": 0}).json()
    assert (body["done_reason"], body["eval_count"], body["model"]) == ("length", 2, "house") and body["response"]
    assert post("generate", model="llama3.1:8b", prompt=HELLO, stream=False, options={"stop": [", how"]}).json()["response"] == "Hello"
    more = {"system": "Be brief.", "tools": 7, "messages": "of the other path", "options": {"num_predict": 1}}
    assert post("generate", model="house", prompt=HELLO, stream=False, **more).json()["eval_count"] == 1


def test_the_window_is_an_option_here(post):
    """By default it is 4,096 tokens whatever the model; here a request can set it."""
    long = {"model": "llama3.1:8b", "messages": user("word " * 5000), "stream": False}
    refused = post("chat", **long)
    assert refused.status_code == 400 and json.loads(refused.json()["error"])["error"]["n_ctx"] == 4096
    assert post("chat", **long, options={"num_ctx": 8192, "num_predict": 1}).status_code == 200


def test_a_form_for_the_answer(post):
    body = post("chat", model="house", messages=user("A colour, please."), stream=False, format=COLOUR, options={"num_predict": 30}).json()
    assert json.loads(body["message"]["content"])["colour"] in ("red", "blue")


def test_the_arguments_of_a_call_are_an_object(post):
    *_, call, last = lines(post("chat", model="llama3.1:8b", messages=user(QUESTION), tools=[WEATHER]))
    assert call["message"]["tool_calls"][0]["function"] == {"index": 0, "name": "get_weather", "arguments": {"city": "Oslo"}}
    assert (last["done_reason"], last["message"]["content"]) == ("stop", "")


def test_models(gateway, post):
    listed = httpx2.get(f"{gateway.base_url}/ollama/api/tags").json()["models"]
    assert [model["name"] for model in listed] == ["house:latest", "llama3.1:8b", "llama3.2:1b"] and listed[1]["details"]["parameter_size"] == "8.0B"
    assert post("show", model="llama3.1:8b").json()["model_info"]["llama.context_length"] == 131_072
    assert httpx2.get(f"{gateway.base_url}/ollama/api/version").json()["version"]


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("chat", {"model": "nobody", "messages": [{"role": "user", "content": "Hi"}]}, 404, "model 'nobody' not found"),
        ("show", {"model": "nobody"}, 404, "model 'nobody' not found"),
        ("show", {"model": []}, 400, "cannot unmarshal array into Go struct field ShowRequest.model of type string"),
        ("chat", {"messages": [{"role": "user", "content": "Hi"}]}, 400, "model is required"),
        ("chat", {"model": "house", "messages": "Hi"}, 400, "cannot unmarshal string into Go struct field ChatRequest.messages of type []"),
        ("chat", {"model": "house", "messages": [{"role": "user", "content": "Hi"}], "think": True}, 400, '"house" does not support thinking'),
        ("chat", {"model": "house", "messages": [{"role": "user", "content": "Hi"}], "top_logprobs": 21}, 400, "top_logprobs must be between 0 and 20"),
        ("generate", {"model": "house", "prompt": "Hi", "format": "xml"}, 400, "invalid format"),
        ("chat", {"model": "house"}, 400, "without any, which loads a model, is not served"),
    ],
)
def test_refusals_are_one_sentence(post, path, body, status, text):
    refused = post(path, **body)
    assert refused.status_code == status and list(refused.json()) == ["error"] and text in refused.json()["error"]


def test_an_error_within_a_stream_is_a_line(gateway, post):
    gateway.fault("overloaded_in_stream", "compatible", chunk=2)
    *pieces, last = lines(post("chat", model="llama3.1:8b", messages=user(HELLO)))
    assert len(pieces) == 2 and list(last) == ["error"]


# ---- its own client ----------------------------------------------------------------------------------------
PROGRAM = '''
import json, os
import ollama

HELLO = [{"role": "user", "content": "Say hello in five words."}]
client = ollama.Client()  # it reads OLLAMA_HOST
found = {"plain": client.chat("llama3.1:8b", HELLO).message.content}
pieces = list(client.chat("llama3.1:8b", HELLO, stream=True))
found["streamed"] = ["".join(piece.message.content for piece in pieces), pieces[-1].done_reason, pieces[-1].eval_count > 0]
found["generated"] = client.generate("llama3.1:8b", "Say hello in five words.").response


def get_weather(city: str) -> str:
    """The weather in a city now.

    Args:
        city: Name of a city
    """
    return f"{city}: 4 degrees, rain"


messages = [{"role": "user", "content": "What is the weather in Oslo?"}]
answer = client.chat("llama3.1:8b", messages, tools=[get_weather])
call = answer.message.tool_calls[0].function
found["called"] = [call.name, dict(call.arguments)]
messages += [answer.message, {"role": "tool", "tool_name": call.name, "content": get_weather(**call.arguments)}]
found["answered"] = client.chat("llama3.1:8b", messages, tools=[get_weather]).message.content
streamed = [piece.message.tool_calls for piece in client.chat("llama3.1:8b", messages[:1], tools=[get_weather], stream=True) if piece.message.tool_calls]
found["called in a stream"] = streamed[0][0].function.name
schema = {"type": "object", "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}}, "required": ["colour"]}
found["json"] = json.loads(client.chat("house", [{"role": "user", "content": "A colour?"}], format=schema, options={"temperature": 0}).message.content)
found["models"] = [model.model for model in client.list().models]
found["window"] = client.show("llama3.1:8b").modelinfo["llama.context_length"]
found["loaded"] = [model.model for model in client.ps().models]
for name, ask in {
    "unknown": lambda: client.chat("nobody", HELLO),
    "unknown in a stream": lambda: list(client.chat("nobody", HELLO, stream=True)),
    "too long": lambda: client.chat("house", [{"role": "user", "content": "word " * 3000}]),
}.items():
    try:
        ask()
    except ollama.ResponseError as error:
        found[name] = [error.status_code, error.error]
print(json.dumps(found))
'''


@pytest.mark.skipif(not PYTHON.exists(), reason="there is no client of Ollama's: make ollama builds an environment with one")
def test_ollamas_own_client(gateway):
    environment = {"PATH": os.environ["PATH"], "OLLAMA_HOST": os.environ["OLLAMA_HOST"], "NO_PROXY": "127.0.0.1"}
    done = subprocess.run([PYTHON, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["plain"] == found["generated"] == HELLO_ANSWER and found["streamed"] == [HELLO_ANSWER, "stop", True]
    assert found["called"] == ["get_weather", {"city": "Oslo"}] and found["called in a stream"] == "get_weather"
    assert "4 degrees" in found["answered"] and found["json"]["colour"] in ("red", "blue")
    assert found["models"] == ["house:latest", "llama3.1:8b", "llama3.2:1b"] and found["window"] == 131_072 and found["loaded"] == ["house:latest"]
    assert found["unknown"] == found["unknown in a stream"] == [404, "model 'nobody' not found"]
    assert found["too long"][0] == 400 and "exceeds the available context size (2048 tokens)" in found["too long"][1]
