"""An OpenAI-compatible server's wire through the OpenAI SDK: few limits, fields of its own, numbers for error codes."""

import json
import os
import re

import httpx2
import openai
import pytest
from openai import OpenAI

HELLO = "Say hello in five words."
HELLO_ANSWER = "Hello, how are you today?"
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


@pytest.fixture
def client(gateway):
    return OpenAI(base_url=os.environ["COMPATIBLE_BASE_URL"], api_key="not needed", max_retries=0)


def user(text):
    return [{"role": "user", "content": text}]


def chat(client, text=HELLO, **more):
    return client.chat.completions.create(**{"model": LLAMA, "messages": user(text), **more})


def test_completion(client):
    answer = chat(client)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason, answer.model) == (HELLO_ANSWER, "stop", LLAMA)
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{16}", answer.id) and "prompt_logprobs" in answer.model_extra
    assert answer.usage.prompt_tokens_details is None and answer.usage.completion_tokens_details is None


def test_usage_in_the_order_of_vllm(client):
    raw = client.chat.completions.with_raw_response.create(model=LLAMA, messages=user(HELLO))
    used = json.loads(raw.text)["usage"]
    assert list(used)[:3] == ["prompt_tokens", "total_tokens", "completion_tokens"]
    assert used["total_tokens"] == used["prompt_tokens"] + used["completion_tokens"]


def test_stream(client):
    chunks = list(chat(client, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[-1].choices[0].finish_reason == "stop"
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == HELLO_ANSWER
    assert not any("usage" in c.model_fields_set or "obfuscation" in c.to_dict() for c in chunks)


def test_stream_with_usage(client):
    *chunks, last = chat(client, stream=True, stream_options={"include_usage": True})
    assert all(c.choices for c in chunks) and last.choices == []
    plain = chat(client).usage
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (plain.prompt_tokens, plain.completion_tokens)


def test_stop_reason_names_the_stop(client):
    choice = chat(client, stop=[", how"]).choices[0]
    assert (choice.message.content, choice.finish_reason, choice.model_extra["stop_reason"]) == ("Hello", "stop", ", how")
    assert chat(client).choices[0].model_extra["stop_reason"] is None


def test_stop_reason_in_a_stream(client):
    last = list(chat(client, stop=[", how"], stream=True))[-1].choices[0]
    assert (last.finish_reason, last.model_extra["stop_reason"]) == ("stop", ", how")


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_truncation(client, limit):
    answer = chat(client, **{limit: 2})
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 2)


def test_fields_of_its_own_and_unknown_ones(client):
    assert chat(client, extra_body={"top_k": 20, "min_p": 0.1, "repetition_penalty": 1.1, "no_such_field": True}, temperature=0.7).choices


def test_no_rate_limit_headers(client):
    headers = client.chat.completions.with_raw_response.create(model=LLAMA, messages=user(HELLO)).headers
    assert headers["server"] == "uvicorn"
    assert not any("ratelimit" in name or name == "x-request-id" for name in headers)


def test_no_key_is_needed(gateway):
    answer = httpx2.post(f"{os.environ['COMPATIBLE_BASE_URL']}/chat/completions", json={"model": LLAMA, "messages": user(HELLO)})
    assert answer.status_code == 200


def test_models(client):
    listed = {model.id: model for model in client.models.list()}
    assert listed[LLAMA].owned_by == "vllm" and listed[LLAMA].model_extra["max_model_len"] == 131_072


@pytest.mark.parametrize(
    ("change", "error", "kind", "code"),
    [
        ({"model": "llama-99"}, openai.NotFoundError, "NotFoundError", 404),
        ({"temperature": 9}, openai.BadRequestError, "BadRequestError", 400),
        ({"messages": []}, openai.BadRequestError, "BadRequestError", 400),
        ({"extra_body": {"top_k": "many"}}, openai.BadRequestError, "Bad Request", 400),
        ({"messages": user("word " * 135_000)}, openai.BadRequestError, "BadRequestError", 400),
    ],
)
def test_error_codes_are_numbers(client, change, error, kind, code):
    with pytest.raises(error) as caught:
        chat(client, **change)
    assert (caught.value.body["code"], caught.value.type) == (code, kind)


def test_prompt_too_long_says_so(client):
    with pytest.raises(openai.BadRequestError, match="maximum context length is 131072 tokens"):
        chat(client, "word " * 135_000)


def test_an_unknown_model_is_told_which_there_are(client):
    with pytest.raises(openai.NotFoundError) as caught:
        chat(client, model="llama-99")
    served = ", ".join(model.id for model in client.models.list())
    assert caught.value.body["message"] == f"The model `llama-99` does not exist. Valid aliases: {served}."


def test_unknown_path(client):
    with pytest.raises(openai.NotFoundError):
        client.get("/nothing", cast_to=object)


CALL = {"id": "call_a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "look"}}
USAGE = 'Correct usage: `{"type": "function", "function": {"name": "my_function"}}`'
SPOKEN = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
REFUSED = [
    ({"stream_options": {"include_usage": True}}, "stream_options", "Stream options can only be defined when `stream=True`."),
    ({"top_logprobs": 2}, "top_logprobs", "when using `top_logprobs`, `logprobs` must be set to true."),
    ({"tools": []}, "tools", "`tools` must not be an empty array. Either provide at least one tool or omit the field entirely."),
    ({"tool_choice": "auto"}, "tool_choice", "When using `tool_choice`, `tools` must be set."),
    (
        {"tool_choice": "x", "tools": [TOOL]},
        *("tool_choice", 'Invalid value for `tool_choice`: x! Only named tools, "none", "auto" or "required" are supported.'),
    ),
    (
        {"tool_choice": {"function": {"name": "other"}}, "tools": [TOOL]},
        *("tool_choice", "The tool specified in `tool_choice` does not match any of the specified `tools`"),
    ),
    (
        {"tool_choice": {"type": "function"}, "tools": [TOOL]},
        *("tool_choice.function", f"Invalid value for `function`: `None` in `tool_choice`! {USAGE}"),
    ),
    (
        {"response_format": {"type": "json_schema"}},
        *("response_format", "When response_format type is 'json_schema', the 'json_schema' field must be provided."),
    ),
    ({"temperature": 9}, "temperature", "temperature must be in [0, 2], got 9.0."),
    ({"temperature": -1}, "temperature", "temperature must be non-negative, got -1.0."),
    ({"max_tokens": 0}, "max_tokens", "max_tokens must be at least 1, got 0."),
    ({"presence_penalty": 3}, None, "presence_penalty must be in [-2, 2], got 3.0."),
    ({"n": 0}, None, "n must be at least 1, got 0."),
    ({"stop": [""]}, None, "stop cannot contain an empty string."),
    ({"logprobs": True, "top_logprobs": 21}, "logprobs", "Requested sample logprobs of 21, which is greater than max allowed: 20"),
    ({"messages": [{"role": "user", "content": [SPOKEN]}]}, None, f"{LLAMA} is not a multimodal model"),
    ({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}, "type", "Missing 'type' field in multimodal part."),
]
BY_TYPE = [
    ({"n": "many"}, "body.n", "Input should be a valid integer, unable to parse string as an integer"),
    ({"stream": []}, "body.stream", "Input should be a valid boolean"),
    ({"tools": [{"type": "function"}]}, "body.tools.0.function", "Field required"),
    ({"tools": [{**TOOL, "type": "custom"}]}, "body.tools.0.type", "Input should be 'function'"),
]


@pytest.mark.parametrize(("change", "param", "text"), REFUSED, ids=str)
def test_what_vllm_refuses(client, change, param, text):
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body={"model": LLAMA, "messages": user(HELLO), **change}, cast_to=object)
    error = caught.value.body
    assert (error["type"], error["code"], error["param"]) == ("BadRequestError", 400, param)
    assert error["message"].partition(" (parameter=")[0] == text and ("(parameter=" in error["message"]) is (param is not None)


@pytest.mark.parametrize(("change", "param", "text"), BY_TYPE, ids=str)
def test_types_are_refused_in_the_words_of_pydantic(client, change, param, text):
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body={"model": LLAMA, "messages": user(HELLO), **change}, cast_to=object)
    error = caught.value.body
    assert (error["type"], error["code"], error["param"]) == ("Bad Request", 400, param)
    assert error["message"].startswith("1 validation error:\n  {") and text in error["message"]


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [*user("Hi"), {"role": "tool", "tool_call_id": "call_a", "content": "7"}]},
        {"messages": [*user("Hi"), {"role": "assistant", "tool_calls": [CALL]}, *user("Hi")]},
        {"messages": [{"role": "wizard", "name": "Jane Doe"}, {"role": "user", "content": ["Hi", {"type": "input_text", "text": "!"}, {"type": "text"}]}]},
        {"messages": [*user("Hi"), {"role": "assistant", "content": "x", "function_call": {"no": "name"}}, *user("Hi")]},
        {"max_tokens": 2, "max_completion_tokens": 2},
        {"tools": [{"type": "function", "function": {"name": "my tool"}}] * 2},
        {"parallel_tool_calls": False, "tool_choice": "none"},
        {"response_format": {"type": "json_object"}, "model": "house"},
    ],
    ids=str,
)
def test_vllm_takes_what_openai_refuses(client, change):
    client.post("/chat/completions", body={"model": LLAMA, "messages": user(HELLO), "max_tokens": 2, **change}, cast_to=object)


# ---- embeddings ----------------------------------------------------------------------------------------------
def test_embeddings_as_vllm_shapes_them(client, gateway):
    raw = client.embeddings.with_raw_response.create(model="house-embed", input=["What is a token?", "b"], encoding_format="float")
    found = raw.http_response.json()
    assert list(found) == ["id", "object", "created", "model", "data", "usage"] and found["id"].startswith("embd-")
    assert [(row["index"], row["object"], len(row["embedding"])) for row in found["data"]] == [(0, "embedding", 256), (1, "embedding", 256)]
    assert found["usage"]["prompt_tokens"] == found["usage"]["total_tokens"] == gateway.meter.log()[0].usage.input_tokens
    short = client.embeddings.create(model="house-embed", input="b", dimensions=64)  # the SDK asks for base64
    assert len(short.data[0].embedding) == 64


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"model": "house"}, 501, "The model does not support Embeddings API"),
        ({"dimensions": 257}, 400, "Dimensions must be between 1 and 256; got 257"),
        ({"input": "a b " * 1000}, 400, "This model's maximum context length is 1024 tokens."),
    ],
)
def test_embeddings_that_are_refused(client, asked, status, words):
    with pytest.raises(openai.APIStatusError) as caught:
        client.embeddings.create(**{"model": "house-embed", "input": "a", **asked})
    assert caught.value.status_code == status and caught.value.body["message"].startswith(words)


def test_the_embedding_model_does_not_chat(client):
    with pytest.raises(openai.APIStatusError, match="The model does not support Chat Completions API"):
        client.chat.completions.create(model="house-embed", messages=[{"role": "user", "content": "Hello"}])
