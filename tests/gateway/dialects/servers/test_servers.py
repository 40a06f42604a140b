"""The compatible servers through the OpenAI SDK: the same requests to each, and what each makes of them."""

import json
import re

import httpx2
import openai
import pytest
from openai import OpenAI

HELLO, HELLO_ANSWER = "Say hello in five words.", "Hello, how are you today?"
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
MODEL = {"ollama": "llama3.1:8b", "tgi": LLAMA, "sglang": LLAMA, "llamacpp": LLAMA}
HOUSE = {"ollama": "house:latest", "tgi": "house", "sglang": "house", "llamacpp": "house"}
SERVERS = list(MODEL)
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"at": {"enum": ["sea", "sky"]}}, "required": ["at"]}}}
SCHEMA = {"type": "object", "properties": {"at": {"enum": ["sea", "sky"]}}, "required": ["at"], "additionalProperties": False}
JSON = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}
every = pytest.mark.parametrize("name", SERVERS)


def user(text):
    return [{"role": "user", "content": text}]


@pytest.fixture
def at(gateway):
    """A client of one of the servers."""
    return lambda name: OpenAI(base_url=f"{gateway.base_url}/{name}/v1", api_key="none needed", max_retries=0, timeout=60)


@pytest.fixture
def chat(at):
    def ask(name, text=HELLO, **more):
        return at(name).chat.completions.create(**{"model": MODEL[name], "messages": user(text), **more})

    return ask


@pytest.fixture
def refusal(at):
    """What a server says to a body that it refuses: the SDK's error."""

    def ask(name, **more):
        with pytest.raises(openai.APIStatusError) as caught:
            at(name).post("/chat/completions", body={"model": MODEL[name], "messages": user(HELLO), **more}, cast_to=object)
        return caught.value

    return ask


# ---- what is the same everywhere ---------------------------------------------------------------------------
@every
def test_plain_and_streamed_answers_are_the_same(chat, name):
    answer, chunks = chat(name), list(chat(name, stream=True))
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (HELLO_ANSWER, "stop")
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == HELLO_ANSWER
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[-1].choices[0].finish_reason == "stop"
    assert not any(c.usage for c in chunks) and answer.object == "chat.completion"


@every
def test_the_usage_comes_in_a_last_chunk_without_choices(chat, name):
    *chunks, last = chat(name, stream=True, stream_options={"include_usage": True})
    assert all(c.choices for c in chunks) and last.choices == []
    assert last.usage.total_tokens == chat(name).usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens


@every
def test_no_key_and_no_limits(gateway, name):
    answer = httpx2.post(f"{gateway.base_url}/{name}/v1/chat/completions", json={"model": MODEL[name], "messages": user(HELLO)})
    assert answer.status_code == 200 and not any("ratelimit" in header for header in answer.headers)


@every
def test_a_limit_cuts(chat, name):
    choice = chat(name, max_tokens=2).choices[0]
    assert choice.finish_reason == "length" and len(choice.message.content) < len(HELLO_ANSWER)


@every
def test_log_probabilities_of_the_house_model(chat, name):
    scored = chat(name, model=HOUSE[name], logprobs=True, top_logprobs=2, max_tokens=3).choices[0].logprobs.content
    assert [len(token.top_logprobs) for token in scored] == [2, 2, 2]
    streamed = [c.choices[0].logprobs for c in chat(name, model=HOUSE[name], logprobs=True, max_tokens=3, stream=True) if c.choices]
    assert sum(len(logprobs.content) for logprobs in streamed if logprobs) == 3


def test_the_sdk_shows_what_tgi_says_only_to_who_looks_at_the_body(refusal):
    """Its errors are no objects, and the message of the exception is made of one."""
    refused = refusal("tgi", top_p=2)
    assert str(refused) == "Error code: 422" and refused.code is None and "`top_p` must be" in refused.body


@every
def test_every_server_says_what_it_is(at, name):
    owner = {"ollama": "library", "tgi": "house", "sglang": "sglang", "llamacpp": "llamacpp"}
    listed = {model.id: model.owned_by for model in at(name).models.list()}
    assert listed[HOUSE[name]] == owner[name]


@every
@pytest.mark.parametrize("kind", ["rate_limited", "overloaded", "server_error"])
def test_ordered_faults_have_the_servers_shape(gateway, chat, name, kind):
    gateway.fault(kind, "compatible")
    with pytest.raises(openai.APIStatusError) as caught:
        chat(name)
    assert caught.value.status_code == {"rate_limited": 429, "overloaded": 429 if name == "tgi" else 503, "server_error": 500}[kind]
    gateway.fault("overloaded_in_stream", "compatible", chunk=1)
    with pytest.raises(openai.APIError):
        list(chat(name, stream=True))


# ---- what is not ------------------------------------------------------------------------------------------
def test_a_name_that_nobody_serves(at, chat, refusal):
    """Ollama refuses it; the others answer with the model that they have, and two of them under the name that was asked for."""
    assert refusal("ollama", model="gpt-4o").body == {"message": "model 'gpt-4o' not found", "type": "not_found_error", "param": None, "code": None}
    answered = {name: chat(name, model="gpt-4o", max_tokens=1).model for name in ("tgi", "sglang", "llamacpp")}
    assert answered == {"tgi": "gpt-4o", "sglang": "gpt-4o", "llamacpp": "house"}


def test_several_answers(chat):
    count = {name: len(chat(name, n=2).choices) for name in SERVERS}
    assert count == {"ollama": 1, "tgi": 1, "sglang": 2, "llamacpp": 2}


def test_stop_sequences(chat, refusal):
    ends = {name: chat(name, stop=[", how"]).choices[0] for name in SERVERS}
    assert {name: (end.message.content, end.finish_reason) for name, end in ends.items()} == {
        "ollama": ("Hello", "stop"), "tgi": ("Hello, how", "stop_sequence"), "sglang": ("Hello", "stop"), "llamacpp": ("Hello", "stop"),
    }  # fmt: skip
    assert ends["sglang"].model_extra["matched_stop"] == ", how"
    assert chat("llamacpp", stop=", how").choices[0].message.content == "Hello"
    refused = refusal("tgi", stop=", how")
    assert isinstance(refused, openai.UnprocessableEntityError) and "expected a sequence" in refused.response.text
    assert refused.response.headers["content-type"].startswith("text/plain")


def test_the_newer_name_of_the_limit(chat):
    """Ollama does not know it, and so has none."""
    ends = {name: chat(name, max_completion_tokens=2).choices[0].finish_reason for name in SERVERS}
    assert ends == {"ollama": "stop", "tgi": "length", "sglang": "length", "llamacpp": "length"}


def test_a_tool_that_has_to_be_called(chat):
    asked = {name: chat(name, model=HOUSE[name], tools=[TOOL], tool_choice="required", max_tokens=40).choices[0] for name in SERVERS}
    assert asked["ollama"].message.tool_calls is None  # it has no tool_choice
    calls = {name: choice.message.tool_calls[0] for name, choice in asked.items() if name != "ollama"}
    assert all(json.loads(call.function.arguments)["at"] in ("sea", "sky") for call in calls.values())
    assert {name: asked[name].finish_reason for name in calls} == {"tgi": "stop", "sglang": "tool_calls", "llamacpp": "tool_calls"}
    assert calls["tgi"].id == "0" and re.fullmatch("call_[0-9a-f]{24}", calls["sglang"].id) and len(calls["llamacpp"].id) == 32


@pytest.mark.parametrize("name", ["tgi", "sglang", "llamacpp"])
def test_a_call_in_a_stream(chat, name):
    choice = {"type": "function", "function": {"name": "look"}}
    deltas = [c.choices[0].delta for c in chat(name, model=HOUSE[name], tools=[TOOL], tool_choice=choice, max_tokens=40, stream=True)]
    pieces = [delta.tool_calls[0] for delta in deltas if delta.tool_calls]
    assert pieces[0].function.name == "look" and not any(piece.function.name for piece in pieces[1:])
    assert json.loads("".join(piece.function.arguments for piece in pieces))["at"] in ("sea", "sky")


def test_json_by_a_schema(chat, refusal):
    for name in ("ollama", "sglang", "llamacpp"):
        assert json.loads(chat(name, model=HOUSE[name], response_format=JSON, max_tokens=40).choices[0].message.content)["at"] in ("sea", "sky")
    assert "response_format: missing field `value`" in refusal("tgi", response_format=JSON).response.text
    own = {"type": "json", "value": SCHEMA}
    assert json.loads(chat("tgi", model="house", extra_body={"response_format": own}, max_tokens=40).choices[0].message.content)["at"] in ("sea", "sky")


def test_tools_and_a_schema_exclude_each_other_at_tgi(refusal):
    refused = refusal("tgi", tools=[TOOL], response_format={"type": "json", "value": SCHEMA})
    assert refused.response.json() == {"error": "Tool error: Grammar and tools are mutually exclusive", "error_type": "tool_error"}


def test_a_prompt_that_is_too_long(refusal):
    long = {"messages": user("word " * 3000)}
    said = {name: refusal(name, model=HOUSE[name], **long) for name in SERVERS}
    assert {name: error.status_code for name, error in said.items()} == {"ollama": 400, "tgi": 422, "sglang": 400, "llamacpp": 400}
    assert "must be <= 2048. Given: 30" in said["tgi"].response.json()["error"] and said["tgi"].response.json()["error_type"] == "validation"
    assert said["sglang"].response.json()["object"] == "error" and said["sglang"].response.json()["code"] == 400
    assert said["llamacpp"].type == "exceed_context_size_error" and said["llamacpp"].body["n_ctx"] == 2048
    assert json.loads(said["ollama"].body["message"])["error"]["n_ctx"] == 2048  # an error in the text of an error


def test_ollama_cuts_a_long_conversation_without_a_word(chat):
    short = chat("ollama").usage.prompt_tokens
    older = user("word " * 5000)
    answer = chat("ollama", messages=[*older, *user(HELLO)])
    assert answer.choices[0].message.content == HELLO_ANSWER  # the answer to the last turn alone
    assert short <= answer.usage.prompt_tokens < 100
    kept = chat("ollama", messages=[{"role": "system", "content": "Be kind."}, *older, *user(HELLO)], max_tokens=2)
    assert kept.usage.prompt_tokens > short  # the system prompt stays


def test_values_out_of_range(chat, refusal):
    """Two servers look at them."""
    said = {name: refusal(name, top_p=2).response.text for name in ("tgi", "sglang")}
    assert "`top_p` must be > 0.0 and < 1.0" in said["tgi"] and "top_p must be in (0, 1], got 2" in said["sglang"]
    assert all(chat(name, top_p=2).choices for name in ("ollama", "llamacpp"))
    assert "strictly positive" in refusal("tgi", temperature=-1).response.text and "must be > 0.0 and < 1.0" in refusal("tgi", top_p=1).response.text


def test_values_of_the_wrong_type(chat, refusal):
    said = {name: refusal(name, temperature="hot").response.text for name in ("ollama", "tgi", "sglang")}
    assert "cannot unmarshal string into Go struct field ChatCompletionRequest.temperature of type float64" in said["ollama"]
    assert 'temperature: invalid type: string "hot", expected f32' in said["tgi"]
    assert "Input should be a valid number" in said["sglang"]
    assert chat("llamacpp", extra_body={"temperature": "hot"}).choices  # it takes its default


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        ("ollama", {"messages": []}, "[] is too short - 'messages'"),
        ("ollama", {"model": ""}, "model is required"),
        ("ollama", {"reasoning_effort": "high"}, "does not support thinking"),
        ("sglang", {"messages": []}, "Messages cannot be empty."),
        ("sglang", {"tool_choice": "required"}, "Tools cannot be empty if tool choice is set to required."),
        ("sglang", {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "run"}}}, "Tool 'run' not found in tools list."),
        ("sglang", {"model": "house:poet"}, "LoRA adapter that has never been loaded"),
        ("llamacpp", {"n": 9}, "n_cmpl cannot be greater than the number of slots"),
        ("llamacpp", {"top_logprobs": 2}, "top_logprobs requires logprobs to be set to true"),
        ("llamacpp", {"response_format": {"type": "xml"}}, 'must be one of \\"text\\" or \\"json_object\\", but got: xml'),
        ("tgi", {"tools": [TOOL], "tool_choice": "run"}, "Tool with name run not found"),
        ("tgi", {"response_format": {"type": "text"}}, "unknown variant `text`"),
        ("tgi", {"stop": list("abcde")}, "supports up to 4 stop sequences"),
    ],
)
def test_other_refusals(refusal, name, change, text):
    assert text in refusal(name, **change).response.text


@every
def test_a_body_without_messages(refusal, name):
    refused = refusal(name, messages=None)
    assert refused.status_code in (400, 422)


@every
def test_unknown_paths(at, name):
    with pytest.raises(openai.NotFoundError):
        at(name).get("/nothing", cast_to=object)


def test_llamacpp_says_how_long_it_took(chat):
    timings = chat("llamacpp").model_extra["timings"]
    assert timings["predicted_n"] == chat("llamacpp").usage.completion_tokens and timings["predicted_ms"] > 0
    assert list(chat("llamacpp", stream=True))[-1].model_extra["timings"]["prompt_n"] == timings["prompt_n"]


def test_tgi_counts_in_headers(at):
    raw = at("tgi").chat.completions.with_raw_response.create(model="tgi", messages=user(HELLO), max_tokens=4)
    assert raw.headers["x-generated-tokens"] == "4" and raw.parse().model == "house"
    assert httpx2.get(str(at("tgi").base_url).removesuffix("v1/") + "info").json()["max_total_tokens"] == 2048
