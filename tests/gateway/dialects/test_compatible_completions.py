"""vLLM's completions and its tokenizer: what a real vLLM 0.32.0 with the house model answered on 2026-11-28, asked of the gateway anew."""

import json
import os
import re
from decimal import Decimal

import httpx2
import openai
import pytest
from openai import OpenAI

from helpers.gateway.server import Gateway
from helpers.gateway.sources.upstream import Upstream
from tests.gateway.dialects.vllm_captured import asked, events, exchanges, same_error, stripped

CAPTURED = exchanges("vllm_completions.json")
TOKENS = [one for one in CAPTURED if "tokenize" in one["path"]]
COMPLETIONS = [one for one in CAPTURED if one["path"] == "/v1/completions"]
UNSERVED = ({"echo", "logprobs"}, {"use_beam_search"})  # together in a body; these are refused in words of the gateway's own


def is_served(body):
    return not any(names <= body.keys() for names in UNSERVED)


GREEDY = [one for one in COMPLETIONS if one["status"] == 200 and one["body"].get("temperature") == 0 and is_served(one["body"])]
PLAIN = [one for one in GREEDY if not one["body"].get("stream")]
STREAMED = [one for one in GREEDY if one["body"].get("stream")]
REFUSED = [one for one in COMPLETIONS if one["status"] != 200]


@pytest.fixture
def client(gateway):
    return OpenAI(base_url=os.environ["COMPATIBLE_BASE_URL"], api_key="not needed", max_retries=0)


def post(path, body):
    return httpx2.post(os.environ["COMPATIBLE_BASE_URL"].removesuffix("/v1") + path, json=body, timeout=60)


# ---- completions ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("one", PLAIN, ids=asked)
def test_a_greedy_completion_is_that_of_vllm_word_for_word(gateway, one):
    answer = post("/v1/completions", one["body"])
    found, said = answer.json(), json.loads(one["text"])
    assert (answer.status_code, stripped(found)) == (200, stripped(said))
    assert [list(found), list(found["choices"][0]), list(found["usage"])] == [list(said), list(said["choices"][0]), list(said["usage"])]
    assert re.fullmatch(r"cmpl-[0-9a-f]{16}", found["id"])


@pytest.mark.parametrize("one", STREAMED, ids=asked)
def test_a_greedy_stream_has_the_chunks_of_vllm(gateway, one):
    answer = post("/v1/completions", one["body"])
    found, said = events(answer.text), events(one["text"])
    assert [stripped(chunk) for chunk in found] == [stripped(chunk) for chunk in said]
    assert [list(chunk) for chunk in found] == [list(chunk) for chunk in said]
    assert answer.text.endswith("data: [DONE]\n\n") and answer.headers["content-type"] == "text/event-stream; charset=utf-8"


@pytest.mark.parametrize("one", REFUSED, ids=asked)
def test_a_completion_is_refused_in_the_words_of_vllm(gateway, one):
    answer = post("/v1/completions", one["body"])
    assert answer.status_code == one["status"]
    same_error(answer.json(), json.loads(one["text"]))


def test_the_sdk_completes(client, gateway):
    answer = client.completions.create(model="house", prompt="What is a token?", temperature=0, max_tokens=6)
    assert (answer.choices[0].text, answer.choices[0].finish_reason, answer.usage.total_tokens) == (" A tokens.", "stop", 11)
    entry = gateway.meter.log()[0]
    assert (entry.operation, entry.usage.input_tokens, entry.usage.output_tokens) == ("completions", 5, 6)


def test_the_sdk_streams_a_completion(client):
    chunks = list(client.completions.create(model="house", prompt="A token", temperature=0, max_tokens=6, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == " bbbbb" and chunks[-1].choices[0].finish_reason == "length"


def test_choices_come_prompt_by_prompt(client):
    asked = {"model": "house", "prompt": ["A token", "An API"], "n": 2, "temperature": 1, "max_tokens": 4}
    answer = client.completions.create(**asked, seed=1, echo=True)
    starts = [choice.text[:6] for choice in answer.choices]
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3] and starts == ["A toke", "A toke", "An API", "An API"]
    streamed = ["", "", "", ""]
    for chunk in client.completions.create(**asked, seed=1, echo=True, stream=True):
        streamed[chunk.choices[0].index] += chunk.choices[0].text
    assert streamed == [choice.text for choice in answer.choices]


def test_token_ids_in_a_stream_are_those_of_a_plain_answer(gateway):
    body = {"prompt": "A token", "return_token_ids": True, "temperature": 0, "max_tokens": 6}
    choices = [chunk["choices"][0] for chunk in events(post("/v1/completions", {**body, "stream": True}).text)]
    assert [choice["prompt_token_ids"] for choice in choices] == [[35, 2658], *[None] * 5]
    assert sum((choice["token_ids"] for choice in choices), []) == post("/v1/completions", body).json()["choices"][0]["token_ids"]


def test_a_schema_is_kept(client):
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}}}
    text = client.completions.create(model="house", prompt="A token", max_tokens=200, extra_body={"response_format": form}, seed=3).choices[0].text
    assert text.lstrip().startswith("{")


@pytest.mark.parametrize(
    ("change", "param", "words"),
    [
        ({"model": "meta-llama/Llama-3.1-8B-Instruct"}, "model", "does not have the tokenizer of meta-llama/Llama-3.1-8B-Instruct"),
        ({"logprobs": 1, "echo": True}, "echo", "does not do this: echo"),
        ({"extra_body": {"prompt_logprobs": 1}}, "prompt_logprobs", "does not do this: prompt_logprobs"),
        ({"extra_body": {"use_beam_search": True}}, "use_beam_search", "does not do this: use_beam_search"),
        ({"prompt": ["a"] * 257}, "prompt", "takes 256 prompts"),
        ({"prompt": ["a"] * 200, "n": 2}, "n", "gives 256 answers"),
        ({"extra_body": {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "x"}}}}}, None, "Invalid JSON schema"),
    ],
    ids=str,
)
def test_what_is_not_served_is_refused_in_words(client, change, param, words):
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(**{"model": "house", "prompt": "A token", **change})
    assert words in caught.value.body["message"] and caught.value.body["param"] == param


def test_a_long_prompt_is_refused(client):
    for prompt in ("word " * 3000, "a" * 200_000, [5] * 2048):
        with pytest.raises(openai.BadRequestError, match="maximum context length is 2048 tokens"):
            client.completions.create(model="house", prompt=prompt)


def test_several_greedy_answers_are_refused(client):
    with pytest.raises(openai.BadRequestError, match="n must be 1 when using greedy sampling, got 2"):
        client.completions.create(model="house", prompt="Hi", n=2, temperature=0)


# ---- tokens --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("one", TOKENS, ids=lambda one: one["path"] + asked(one))
def test_the_tokenizer_answers_as_that_of_vllm(gateway, one):
    answer = post(one["path"], one["body"])
    assert answer.status_code == one["status"]
    if one["status"] == 200:
        assert answer.text == one["text"]
    else:
        same_error(answer.json(), json.loads(one["text"]))


def test_a_tokenized_chat_is_what_the_chat_reads(client, gateway):
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "What is a token?"}]
    counted = post("/tokenize", {"model": "house", "messages": messages}).json()
    assert counted["count"] == client.chat.completions.create(model="house", messages=messages, max_tokens=1).usage.prompt_tokens
    assert post("/detokenize", {"tokens": counted["tokens"]}).json()["prompt"].startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n")


def test_a_long_text_has_its_tokens_counted(gateway):
    assert post("/tokenize", {"prompt": "word" + " word" * 9999}).json()["count"] == 10_000


def test_only_the_house_model_is_tokenized(gateway):
    answer = post("/tokenize", {"model": "meta-llama/Llama-3.1-8B-Instruct", "prompt": "a"})
    assert answer.status_code == 400 and "ask for `house`" in answer.json()["error"]["message"]


def test_another_method_is_not_allowed(gateway):
    url = os.environ["COMPATIBLE_BASE_URL"]
    answer = httpx2.get(f"{url}/completions")
    assert (answer.status_code, answer.json(), answer.headers["allow"]) == (405, {"detail": "Method Not Allowed"}, "POST")
    assert httpx2.get(f"{url}/nothing").status_code == 404


@pytest.mark.parametrize("server", ["ollama", "tgi", "sglang", "llamacpp"])
def test_other_servers_have_no_tokenizer_of_vllm(gateway, server):
    url = os.environ["COMPATIBLE_BASE_URL"].removesuffix("/compatible/v1") + f"/{server}"
    assert httpx2.post(f"{url}/detokenize", json={"tokens": [5]}).status_code in (404, 405)


# ---- live mode -----------------------------------------------------------------------------------------------
@pytest.fixture
def live(gateway, tmp_path):
    """Starts a gateway in live mode, before the learner's own server (the other gateway) or before none; gives its address."""
    started = []

    def start(keys):
        budget = Decimal("0.05")
        started.append(Gateway(pace=0, recordings=tmp_path, upstream=Upstream("live", keys, budget_usd=budget)).start())
        return f"{started[-1].base_url}/compatible"

    yield start
    for one in started:
        one.stop()


ASKED = [
    ("/v1/completions", {"model": "house", "prompt": "A token", "temperature": 0, "max_tokens": 6}),
    ("/tokenize", {"model": "house", "prompt": "A token"}),
    ("/detokenize", {"model": "house", "tokens": [5]}),
]


@pytest.mark.parametrize(("path", "body"), ASKED)
def test_live_mode_passes_them_on_to_the_server_of_ones_own(gateway, live, path, body):
    base = live({"COMPATIBLE_BASE_URL": os.environ["COMPATIBLE_BASE_URL"]})
    before = len(gateway.meter.log())
    assert stripped(httpx2.post(base + path, json=body).json()) == stripped(post(path, body).json())
    assert len(gateway.meter.log()) == before + 2  # the other gateway answered both


def test_live_mode_without_a_server_has_the_house_model_alone(live):
    base = live({})
    assert httpx2.post(base + ASKED[0][0], json=ASKED[0][1]).json()["choices"][0]["text"] == " bbbbb"
    for path, body in ASKED[1:]:
        answer = httpx2.post(base + path, json=body)
        assert answer.status_code >= 400 and "COMPATIBLE_BASE_URL" in answer.json()["error"]["message"]


@pytest.mark.parametrize("order", ["script", "blocked"])
def test_each_prompt_has_its_answer_whoever_gives_it(client, gateway, order):
    for _ in range(2):
        gateway.script("") if order == "script" else gateway.fault("blocked", "compatible")
    asked = {"model": "house", "prompt": ["A", "B", "C"], "n": 2}
    assert [choice.index for choice in client.completions.create(**asked).choices] == list(range(6))
    ended = [choice for chunk in client.completions.create(**asked, stream=True) for choice in chunk.choices if choice.finish_reason]
    assert sorted(choice.index for choice in ended) == list(range(6))


@pytest.mark.parametrize("path", ["chat/completions", "completions"])
def test_fields_that_are_not_vllms_mean_nothing(gateway, path):
    body = {"model": "house", "messages": [{"role": "user", "content": "Hi"}], "prompt": "Hi", "max_tokens": 2, "put_in": 1, "given": {"new": []}}
    assert httpx2.post(f"{gateway.base_url}/compatible/v1/{path}", json=body).status_code == 200
