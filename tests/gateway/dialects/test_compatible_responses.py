"""vLLM's Responses: what a real vLLM 0.32.0 with the house model answered on 2026-11-28, asked of the gateway anew, and by the OpenAI SDK."""

import json
import os
import re
from decimal import Decimal
from pathlib import Path

import httpx2
import openai
import pytest
from openai import OpenAI

from helpers.gateway.dialects.vllm_answer import USUAL_TEMPERATURE
from helpers.gateway.server import Gateway
from helpers.gateway.sources.upstream import Upstream
from tests.gateway.dialects.vllm_captured import asked, events, exchanges, same_error, stripped

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
HELLO, HELLO_ANSWER = "Say hello in five words.", "Hello, how are you today?"
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
CAPTURED = exchanges("vllm_responses.json")
CREATED = [one for one in CAPTURED if (one["method"], one["path"]) == ("POST", "/v1/responses")]
OTHERS = [one for one in CAPTURED if one not in CREATED]
ANSWERED = [one for one in CREATED if one["status"] == 200]


def is_forced(body):
    """Whether a function has to be called: the real one writes what is no object, as its parser does not see to the schema."""
    return body.get("tool_choice") == "required" or (isinstance(body.get("tool_choice"), dict) and body["tool_choice"]["type"] == "function")


SAID = [one for one in ANSWERED if not is_forced(one["body"])]
CALLED = [one for one in ANSWERED if is_forced(one["body"]) and '"type":"function_call"' in one["text"]]
PLAIN, STREAMED = ([one for one in SAID if bool(one["body"].get("stream")) is streamed] for streamed in (False, True))
REFUSED = [one for one in CREATED if one["status"] != 200]


@pytest.fixture(scope="module")
def served():
    """The address of one gateway for all that was captured: what one request asks does not change what the next is answered."""
    running = Gateway(pace=0).start()
    yield f"{running.base_url}/compatible"
    running.stop()


@pytest.fixture
def client(gateway):
    return OpenAI(base_url=os.environ["COMPATIBLE_BASE_URL"], api_key="not needed", max_retries=0, timeout=60)


def ask(one, base=None):
    content = None if one["body"] is None else json.dumps(one["body"])
    base = base or os.environ["COMPATIBLE_BASE_URL"].removesuffix("/v1")
    return httpx2.request(one["method"], base + one["path"], content=content, headers={"content-type": "application/json"}, timeout=60)


def post(body, base=None):
    return ask({"method": "POST", "path": "/v1/responses", "body": body}, base)


# ---- as captured ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("one", PLAIN, ids=asked)
def test_a_greedy_response_is_that_of_vllm_word_for_word(served, one):
    answer = ask(one, served)
    found, said = answer.json(), json.loads(one["text"])
    assert (answer.status_code, stripped(found)) == (200, stripped(said))
    assert [list(found), list(found["usage"]), *map(list, found["output"])] == [list(said), list(said["usage"]), *map(list, said["output"])]
    assert re.fullmatch(r"resp_[0-9a-f]{16}", found["id"]) or found["id"] == said["id"] == one["body"]["request_id"]
    assert all(re.fullmatch(r"msg_[0-9a-f]{16}", item["id"]) for item in found["output"])


def joined(sent):
    """The events of a stream with the pieces of its text in one: where these are cut depends on when they were written."""
    kept = [event for event in sent if not event["type"].endswith(".delta")]
    kept = [{name: value for name, value in event.items() if name != "sequence_number"} for event in kept]
    deltas = [event for event in sent if event["type"].endswith(".delta")]
    return [*kept, "".join(event["delta"] for event in deltas), [scored for event in deltas for scored in event.get("logprobs", ())]]


@pytest.mark.parametrize("one", STREAMED, ids=asked)
def test_a_greedy_stream_has_the_events_of_vllm(served, one):
    answer = ask(one, served)
    found, said = events(answer.text), events(one["text"])
    assert stripped(joined(found)) == stripped(joined(said))
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert {event["type"]: list(event) for event in found} == {event["type"]: list(event) for event in said}
    assert re.findall("^event: (.*)$", answer.text, re.M) == [event["type"] for event in found] and not answer.text.endswith("[DONE]\n\n")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"


@pytest.mark.parametrize("one", CALLED, ids=asked)
def test_a_forced_call_has_the_shape_of_vllm(served, one):
    def shape(value):
        if isinstance(value, list):
            return [shape(one) for one in value]
        if isinstance(value, dict):
            said = ("arguments", "usage", "status", "incomplete_details")
            return {name: "" if name in said else shape(one) for name, one in stripped(value).items()}
        return value

    answer = ask(one, served)
    if one["body"].get("stream"):
        found, said = joined(events(answer.text))[:-2], joined(events(one["text"]))[:-2]
    else:
        found, said = [answer.json()], [json.loads(one["text"])]
    assert shape(found) == shape(said)
    items = [body["output"][0] if body.get("object") == "response" else body["item"] for body in found if body.get("output") or body.get("item")]
    assert [list(item) for item in items] == [["arguments", "call_id", "name", "type", "id", "async", "caller", "namespace", "status"]] * len(items)
    assert all(re.fullmatch(r"fc_[0-9a-f]{16} chatcmpl-tool-[0-9a-f]{16}", f"{item['id']} {item['call_id']}") for item in items)


@pytest.mark.parametrize("one", REFUSED, ids=asked)
def test_a_response_is_refused_in_the_words_of_vllm(served, one):
    answer = ask(one, served)
    assert answer.status_code == one["status"]
    same_error(answer.json(), json.loads(one["text"]))


@pytest.mark.parametrize("one", OTHERS, ids=lambda one: f"{one['method']} {one['path']}")
def test_there_is_no_store_of_responses(served, one):
    answer = ask(one, served)
    assert (answer.status_code, answer.headers.get("allow")) == (one["status"], one.get("allow"))
    said = json.loads(one["text"])
    if said.get("error", {}).get("type") == "Bad Request":
        same_error(answer.json(), said)
    else:
        assert answer.json() == said


def test_a_response_without_a_temperature_says_which_was_taken(client):
    usual = json.loads((Path(__file__).parents[3] / "helpers" / "house_model" / "generation_config.json").read_text(encoding="utf-8"))
    assert client.responses.create(model="house", input="Hi", max_output_tokens=1).temperature == USUAL_TEMPERATURE == usual["temperature"]


def test_its_headers_are_no_openais(gateway):
    headers = post({"model": "house", "input": "Hi", "max_output_tokens": 1}).headers
    assert (headers["server"], headers["vary"], headers["content-type"]) == ("uvicorn", "Origin", "application/json")
    assert not [name for name in headers if name.startswith(("openai-", "x-ratelimit", "x-request-id"))]


# ---- by the SDK ----------------------------------------------------------------------------------------------
def test_the_sdk_has_a_response(client, gateway):
    answer = client.responses.create(model="house", input="What is a token?", temperature=0, instructions="Be brief.")
    assert answer.output_text.startswith("A token is a small piece of text") and (answer.status, answer.model) == ("completed", "house")
    [entry] = gateway.meter.log()
    assert (entry.operation, entry.usage.input_tokens, entry.usage.output_tokens) == ("responses", answer.usage.input_tokens, answer.usage.output_tokens)
    assert gateway.verdict().bad == []


def test_the_sdk_streams_a_response(client):
    with client.responses.stream(model="house", input="What is a token?", temperature=0, max_output_tokens=8) as stream:
        said = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        whole = stream.get_final_response()
    assert whole.output_text == said == "Tokens are the chunks of"
    assert (whole.status, whole.incomplete_details.reason, whole.usage.output_tokens) == ("incomplete", "max_output_tokens", 8)


def test_the_sdk_goes_on_with_what_was_said(client):
    items = [{"role": "user", "content": "What is a token?"}]
    first = client.responses.create(model="house", input=items, temperature=0)
    items += [*first.output, {"role": "user", "content": "And an API?"}]
    second = client.responses.create(model="house", input=items, temperature=0, max_output_tokens=20)
    chat = [items[0], {"role": "assistant", "content": first.output_text}, items[-1]]
    same = client.chat.completions.create(model="house", messages=chat, temperature=0, max_tokens=20)
    assert (second.output_text, second.usage.input_tokens) == (same.choices[0].message.content, same.usage.prompt_tokens)


def test_the_sdk_calls_a_function_and_gives_its_output_back(client):
    items = [{"role": "user", "content": "Weather in Oslo?"}]
    asked = {"model": "house", "tools": [WEATHER]}
    [call] = client.responses.create(**asked, input=items, tool_choice="required").output
    assert call.type == "function_call" and isinstance(json.loads(call.arguments)["city"], str)
    items += [call, {"type": "function_call_output", "call_id": call.call_id, "output": "Rain, 7 degrees."}]
    answer = client.responses.create(**asked, input=items, temperature=0, max_output_tokens=8)
    assert answer.output_text == "That is outside what I know:"


def test_a_schema_shapes_the_text(client):
    form = {"type": "json_schema", "name": "a", "schema": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}}
    answer = client.responses.create(model="house", input="Hi", text={"format": form})
    assert isinstance(json.loads(answer.output_text)["a"], int) and answer.text.format.name == "a"


def test_another_model_has_its_recorded_answer(client):
    answer = client.responses.create(model=LLAMA, input=HELLO)
    assert (answer.output_text, answer.model) == (HELLO_ANSWER, LLAMA)
    assert answer.usage.input_tokens_details.cached_tokens == 0 and answer.max_output_tokens == 131_072 - answer.usage.input_tokens
    streamed = list(client.responses.create(model=LLAMA, input=HELLO, stream=True))
    assert streamed[-1].response.output_text == HELLO_ANSWER


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"model": "nope"}, 404, "The model `nope` does not exist"),
        ({"previous_response_id": "resp_1"}, 404, "Response with id 'resp_1' not found"),
        ({"background": True}, 400, "VLLM_ENABLE_RESPONSES_API_STORE=1"),
        ({"input": "word " * 3000}, 400, "maximum context length is 2048 tokens"),
        ({"input": "word " * 200_000, "model": LLAMA}, 400, "maximum context length is 131072 tokens"),
        ({"max_output_tokens": 2049}, 400, "max_output_tokens=2049 cannot be greater than max_model_len=2048"),
        ({"tools": [{"type": "custom", "name": "c"}], "tool_choice": "required"}, 400, "calls functions alone"),
        ({"tools": [{"type": "custom", "name": "c"}], "tool_choice": {"type": "custom", "name": "c"}}, 400, "calls functions alone"),
        ({"model": LLAMA, "input": [{"role": "assistant", "content": "A", "status": "incomplete"}]}, 400, "does not have the tokenizer of"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_it_does_not_do_is_refused_in_words(client, change, status, words):
    for stream in (False, True):
        with pytest.raises(openai.APIStatusError) as caught:
            client.responses.create(**{"model": "house", "input": "Hi", "stream": stream, **change})
        assert caught.value.status_code == status and words in caught.value.body["message"]


def test_the_end_of_a_long_input_is_read_where_it_may_be_truncated(client):
    answer = client.responses.create(model="house", input="word " * 3000, truncation="auto", max_output_tokens=8, temperature=0)
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.max_output_tokens, answer.output_text) == (2047, 1, 1, ".")


def test_a_conversation_fills_the_window(client):
    answer = client.responses.create(model="house", input="word " * 2032, max_output_tokens=100, temperature=0)
    assert (answer.usage.input_tokens, answer.max_output_tokens, answer.status) == (2041, 7, "incomplete")


@pytest.mark.parametrize("server", ["ollama", "tgi", "sglang", "llamacpp"])
def test_other_servers_have_no_responses(gateway, server):
    assert httpx2.post(f"{gateway.base_url}/{server}/v1/responses", json={"model": "house", "input": "Hi"}).status_code == 404


# ---- what chat learned from it -------------------------------------------------------------------------------
def test_a_chat_is_read_as_a_response_is(client):
    """The template shows every role by its name, no calls, and each part of a text in a line of its own."""
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    said = [
        {"role": "user", "content": [{"type": "text", "text": "Weather"}, {"type": "text", "text": "in Oslo?"}]},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain, 7 degrees."},
    ]
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather"}, {"type": "input_text", "text": "in Oslo?"}]},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Oslo"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "Rain, 7 degrees."},
    ]
    chat = client.chat.completions.create(model="house", messages=said, temperature=0, max_tokens=8)
    response = client.responses.create(model="house", input=items, temperature=0, max_output_tokens=8)
    assert (chat.choices[0].message.content, chat.usage.prompt_tokens) == (response.output_text, response.usage.input_tokens)
    tokens = httpx2.post(os.environ["COMPATIBLE_BASE_URL"].removesuffix("/v1") + "/tokenize", json={"model": "house", "messages": said}).json()
    assert tokens["count"] == response.usage.input_tokens


def test_a_role_may_be_any_but_has_to_fit(client):
    def chat(role):
        return client.chat.completions.create(model="house", messages=[{"role": role, "content": "Hi"}], temperature=0, max_tokens=2).usage.prompt_tokens

    assert chat("a critic of books") > chat("user")
    with pytest.raises(openai.BadRequestError, match="maximum context length is 2048 tokens"):
        chat("critic " * 100_000)


# ---- live and record mode ------------------------------------------------------------------------------------
@pytest.fixture
def make(gateway, tmp_path):
    """Starts a gateway in another mode, before the learner's own server (the other gateway) or before none; gives its address."""
    started = []

    def start(mode, keys):
        upstream = Upstream(mode, keys, budget_usd=Decimal("0.05"), record_to=tmp_path) if mode != "offline" else None
        started.append(Gateway(pace=0, recordings=tmp_path, upstream=upstream).start())
        return f"{started[-1].base_url}/compatible"

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def own(gateway):
    return {"COMPATIBLE_BASE_URL": os.environ["COMPATIBLE_BASE_URL"]}


BODY = {"model": "house", "input": "What is a token?", "temperature": 0, "max_output_tokens": 8}


@pytest.mark.parametrize("more", [{}, {"stream": True}, {"previous_response_id": "resp_1"}, {"background": True}], ids=str)
def test_live_mode_passes_it_on_to_the_server_of_ones_own(gateway, make, own, more):
    before = len(gateway.meter.log())
    found, said = post({**BODY, **more}, make("live", own)), post({**BODY, **more})
    assert len(gateway.meter.log()) == before + 2 and found.status_code == said.status_code  # the other gateway answered both
    if more == {"stream": True}:
        assert stripped(joined(events(found.text))) == stripped(joined(events(said.text)))
    else:
        assert stripped(found.json()) == stripped(said.json())


def test_live_mode_without_a_server_has_the_house_model_alone(make):
    base = make("live", {})
    assert post(BODY, base).json()["output"][0]["content"][0]["text"]
    for change in ({"previous_response_id": "resp_1"}, {"background": True}, {"model": LLAMA}):
        assert post({**BODY, **change}, base).status_code >= 400


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/responses/resp_1"), ("POST", "/v1/responses/resp_1/cancel")])
def test_live_mode_looks_for_a_response_where_it_may_be_and_cancels_none(gateway, make, own, method, path):
    one = {"method": method, "path": path, "body": None}
    asked = ask(one, make("live", own))
    if method == "GET":
        assert (asked.status_code, asked.json()) == (404, ask(one).json())
    else:
        assert "This call was not sent" in asked.json()["error"]["message"]
    assert "COMPATIBLE_BASE_URL" in ask(one, make("live", {})).text or method == "POST"


def test_what_is_recorded_answers_the_same_response_and_no_chat(make, own):
    post(BODY, make("record", own))
    offline = make("offline", {})
    again = post(BODY, offline)
    assert again.headers["x-course-source"] == "captured" and again.json()["output"][0]["content"][0]["text"]
    other = {"model": "house", "messages": [{"role": "user", "content": BODY["input"]}], "temperature": 0, "max_tokens": 8}
    chat = httpx2.post(f"{offline}/v1/chat/completions", json=other)
    assert chat.headers["x-course-source"].startswith("house") and chat.json()["object"] == "chat.completion"
    assert post({**BODY, "previous_response_id": "resp_1"}, offline).status_code == 404


@pytest.mark.parametrize("more", [{"user": "x" * 2_000_000}, {"tools": [{"type": "image_generation"}] * 1001}])
def test_what_an_answer_repeats_has_an_end(client, more):
    with pytest.raises(openai.BadRequestError, match="at most 2,000,000 bytes, with at most 1,000 tools"):
        client.responses.create(model="house", input="Hi", **more)


@pytest.mark.parametrize("truncation", ["auto", "disabled"])
def test_tools_that_the_template_does_not_show_take_no_room(client, truncation):
    long = {**WEATHER, "description": "word " * 3000}
    assert client.responses.create(model="house", input="Hi", tools=[long], truncation=truncation, max_output_tokens=4).usage.input_tokens < 20
    chat = {"type": "function", "function": {name: value for name, value in long.items() if name != "type"}}
    assert client.chat.completions.create(model="house", messages=[{"role": "user", "content": "Hi"}], tools=[chat], max_tokens=4).usage.prompt_tokens < 20


# ---- faults --------------------------------------------------------------------------------------------------
def test_a_program_sets_what_is_answered(client, gateway):
    gateway.script("Rain.")
    assert client.responses.create(model="house", input="Hi").output_text == "Rain."
    gateway.script("Sun.")
    assert list(client.responses.create(model="house", input="Hi", stream=True))[-1].response.output_text == "Sun."


def test_a_blocked_prompt_has_an_answer_without_a_text(client, gateway):
    for stream in (False, True):
        gateway.fault("blocked", "compatible")
        given = client.responses.create(model="house", input="Hi", stream=stream)
        whole = list(given)[-1].response if stream else given
        assert (whole.output, whole.status, whole.incomplete_details.reason) == ([], "incomplete", "content_filter")


def test_a_fault_in_a_stream_ends_it(client, gateway):
    gateway.fault("overloaded_in_stream", "compatible")
    with pytest.raises(openai.APIError, match="overloaded"):
        list(client.responses.create(model="house", input="Hi", stream=True))
    gateway.fault("overloaded_in_stream", "compatible", chunk=2)
    with client.responses.with_streaming_response.create(model="house", input="Hi", stream=True) as response:
        *_, last = response.read().decode().strip().split("\n\n")
    assert json.loads(last.removeprefix("data: "))["error"].keys() == {"message", "type", "param", "code"}
    gateway.fault("stream_ended", "compatible")
    assert "response.completed" not in [event.type for event in client.responses.create(model="house", input="Hi", stream=True)]


@pytest.mark.parametrize(
    "more",
    [
        {"tool_choice": {"type": "web_search_preview"}},
        {"tool_choice": {"type": "mcp", "server_label": "x"}, "tools": [WEATHER]},
        {"tools": [WEATHER, {"type": "image_generation"}, {"type": "tool_search"}, {"type": "file_search", "vector_store_ids": []}]},
        {"input": [{"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}]},
        {"input": [{"type": "message", "role": "assistant", "content": []}, {"role": "user", "content": "Hi"}]},
        {"input": [{"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "x"}, {"type": "custom_tool_call_output", "call_id": "c", "output": "y"}]},
        {"metadata": None, "text": None, "reasoning": None, "include": None, "background": None, "stop": None, "top_logprobs": None},
    ],
    ids=lambda more: str(more)[:80],
)
def test_what_vllm_takes_is_answered(gateway, more):
    body = {"model": "house", "input": "Hi", "max_output_tokens": 2, **more}
    assert post(body).status_code == 200 and "response.completed" in post({**body, "stream": True}).text


@pytest.mark.parametrize("choice", [{"type": "function", "name": "c"}, {"type": "custom", "name": "c"}])
def test_a_custom_tool_is_not_called(gateway, choice):
    tools = [WEATHER, {"type": "custom", "name": "c"}]
    answer = post({"model": "house", "input": "Hi", "max_output_tokens": 2, "tools": tools, "tool_choice": choice})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "tool_choice") and "calls functions alone" in answer.text


def test_fields_that_are_not_vllms_mean_nothing(gateway):
    assert post({"model": "house", "input": "Hi", "max_output_tokens": 2, "put_in": 1, "given": {"new": []}, "n": 3}).status_code == 200
