"""OpenAI's embeddings through its own SDK and over HTTP."""

import base64
import json

import httpx2
import numpy as np
import openai
import pytest
import tiktoken
from openai import OpenAI

import helpers
from helpers.costs import Bill
from helpers.gateway import tokens
from helpers.gateway.server import Gateway

SMALL, LARGE, ADA = "text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002"
TEXTS = ["What is a token?", "Explain tokens to me.", "How do I cancel a batch?"]
COUNT = 18  # tokens of the three, by tiktoken


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


def vectors(client, given, model=SMALL, **more):
    return np.array([one.embedding for one in client.embeddings.create(model=model, input=given, **more).data])


def refusal(client, **asked):
    """Status, message, field and code of a refused call."""
    with pytest.raises(openai.APIStatusError) as caught:
        client.embeddings.create(**{"model": SMALL, "input": "a", **asked})
    body = caught.value.body
    return caught.value.status_code, body["message"], body["param"], body["code"]


def test_each_text_gets_a_vector_in_its_place(client):
    found = client.embeddings.create(model=SMALL, input=TEXTS)
    assert (found.object, found.model) == ("list", SMALL)
    assert [(one.index, one.object, len(one.embedding)) for one in found.data] == [(n, "embedding", 1536) for n in range(3)]
    assert found.usage.prompt_tokens == found.usage.total_tokens == sum(map(tokens.count_older, TEXTS)) == COUNT


def test_one_text_need_not_be_a_list(client):
    assert np.allclose(vectors(client, TEXTS[0]), vectors(client, TEXTS[:1]))


@pytest.mark.parametrize(("model", "length"), [(SMALL, 1536), (LARGE, 3072), (ADA, 1536)])
def test_vectors_have_the_models_length_and_the_length_one(client, model, length):
    found = vectors(client, TEXTS, model)
    assert found.shape == (3, length) and np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_texts_that_mean_the_same_are_nearer(client):
    same, other = vectors(client, TEXTS)[1:] @ vectors(client, TEXTS[0])[0]
    assert same > other + 0.2


def test_cosines_are_the_same_with_any_model_and_at_any_multiple_of_256(client):
    first = vectors(client, TEXTS)
    for other in (vectors(client, TEXTS, LARGE), vectors(client, TEXTS, dimensions=256), vectors(client, TEXTS, LARGE, dimensions=1024)):
        assert np.allclose(first @ first.T, other @ other.T, atol=1e-5)


def test_vectors_of_two_models_have_nothing_to_do_with_each_other(client):
    small, ada = vectors(client, TEXTS), vectors(client, TEXTS, ADA)
    assert abs(np.sum(small * ada, axis=1)).max() < 0.3


@pytest.mark.parametrize("length", [1, 64, 100, 128, 700, 1535])
def test_a_shortened_vector_is_the_beginning_of_the_whole_one_made_to_length_one(client, length):
    whole, short = vectors(client, TEXTS), vectors(client, TEXTS, dimensions=length)
    cut = whole[:, :length] / np.linalg.norm(whole[:, :length], axis=1, keepdims=True)
    assert short.shape == (3, length) and np.allclose(short, cut, atol=1e-5)


def test_the_sdk_asks_for_base64_and_floats_are_the_same_numbers(client, gateway):
    raw = client.embeddings.with_raw_response.create(model=SMALL, input="a", encoding_format="base64").http_response.json()
    floats = client.embeddings.with_raw_response.create(model=SMALL, input="a", encoding_format="float").http_response.json()
    decoded = np.frombuffer(base64.b64decode(raw["data"][0]["embedding"]), "<f4")
    assert np.allclose(decoded, floats["data"][0]["embedding"], atol=1e-8)


def test_over_http_the_answer_is_floats_unless_asked(gateway):
    body = {"model": SMALL, "input": ["a", "b"], "dimensions": 3}
    answer = httpx2.post(f"{gateway.base_url}/openai/v1/embeddings", json=body, headers={"authorization": "Bearer any"}).json()
    assert [list(map(type, row["embedding"])) for row in answer["data"]] == [[float] * 3] * 2
    assert answer == json.loads(json.dumps(answer)) and list(answer) == ["object", "data", "model", "usage"]


def test_tokens_stand_for_their_text(client):
    encoding = tiktoken.get_encoding("cl100k_base")
    ids = [encoding.encode(text) for text in TEXTS]
    found = client.embeddings.create(model=SMALL, input=ids)
    assert np.allclose([one.embedding for one in found.data], vectors(client, TEXTS), atol=1e-6)
    assert found.usage.prompt_tokens == sum(map(len, ids))
    assert np.allclose(vectors(client, ids[0]), vectors(client, TEXTS[0]), atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"input": ""}, 400, "Invalid 'input': input cannot be an empty string."),
        ({"input": []}, 400, "Invalid 'input': input cannot be an empty array."),
        ({"input": ["a", ""]}, 400, "Invalid 'input[1]': input cannot be an empty string."),
        ({"input": ["a"] * 2049}, 400, "Invalid 'input': array length must be 2048 or less."),
        ({"input": "hello " * 8192 + "hello"}, 400, "Invalid 'input[0]': maximum input length is 8192 tokens."),
        ({"input": ["a", [1] * 8193]}, 400, "Invalid 'input[1]': maximum input length is 8192 tokens."),
        ({"input": [[1] * 8000] * 38}, 400, "Invalid 'input': maximum request size is 300000 tokens per request."),
        ({"input": [[-1]]}, 400, "Invalid 'input[0]': "),
        ({"dimensions": 1537}, 400, "Invalid value for 'dimensions' = 1537. Must be less than or equal to 1536."),
        ({"dimensions": 256, "model": ADA}, 400, "This model does not support specifying dimensions."),
        ({"model": "gpt-6-luna"}, 403, "You are not allowed to generate embeddings from this model"),
    ],
)  # fmt: skip
def test_what_the_provider_refuses(client, asked, status, words):
    found = refusal(client, **asked)
    assert (found[0], *found[2:]) == (status, None, None) and found[1].startswith(words)


@pytest.mark.parametrize(
    ("asked", "words", "param", "code"),
    [
        ({"dimensions": 0}, "Invalid 'dimensions': integer below minimum value. Expected a value >= 1, but got 0 instead.", "dimensions", "integer_below_min_value"),
        ({"encoding_format": "int8"}, "Invalid value: 'int8'. Supported values are: 'float' and 'base64'.", "encoding_format", "invalid_value"),
        ({"input": [1, "a"]}, "Invalid type for 'input[1]': expected an integer, but got a string instead.", "input[1]", "invalid_type"),
        ({"input": [{"a": 1}]}, "Invalid type for 'input[0]': expected a string, but got an object instead.", "input[0]", "invalid_type"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_field(client, asked, words, param, code):
    assert refusal(client, **asked) == (400, words, param, code)


def test_an_unknown_model_is_not_found(client):
    assert refusal(client, model="text-embedding-4") == (404, "The model `text-embedding-4` does not exist or you do not have access to it.", None, "model_not_found")


def test_2048_inputs_and_8192_tokens_are_taken(client):
    assert vectors(client, ["a"] * 2048, dimensions=2).shape == (2048, 2)
    assert client.embeddings.create(model=SMALL, input=[[1] * 8192], dimensions=2).usage.prompt_tokens == 8192


def test_an_embedding_model_does_not_chat(client):
    with pytest.raises(openai.NotFoundError, match="This is not a chat model") as caught:
        client.chat.completions.create(model=SMALL, messages=[{"role": "user", "content": "Hello"}])
    assert caught.value.param == "model"
    with pytest.raises(openai.BadRequestError, match="cannot be used with the Responses API"):
        client.responses.create(model=SMALL, input="Hello")


def test_it_is_in_the_list_of_models(client):
    assert {SMALL, LARGE, ADA} <= {model.id for model in client.models.list()} and client.models.retrieve(SMALL).id == SMALL


def test_the_log_and_the_bill_say_what_answered_and_what_it_would_cost(client, gateway):
    raw = client.embeddings.with_raw_response.create(model=SMALL, input=TEXTS)
    [entry] = gateway.meter.log()
    assert raw.headers["x-course-source"] == "house-embed" and str(entry.source) == "house-embed model on this machine"
    assert (entry.operation, entry.model, entry.usage.input_tokens, entry.usage.output_tokens) == ("embeddings", SMALL, COUNT, 0)
    assert Bill([entry]).live == COUNT * helpers.price(SMALL).input / 1_000_000


def test_limits_count_requests_and_tokens(client, gateway):
    gateway.limit("openai", requests=2, tokens=40)
    raw = client.embeddings.with_raw_response.create(model=SMALL, input=TEXTS)
    assert (raw.headers["x-ratelimit-remaining-requests"], raw.headers["x-ratelimit-remaining-tokens"]) == ("1", str(40 - COUNT))
    with pytest.raises(openai.RateLimitError, match="tokens per min"):
        client.embeddings.create(model=SMALL, input=TEXTS * 2)


@pytest.mark.parametrize(("fault", "error"), [("rate_limited", openai.RateLimitError), ("overloaded", openai.InternalServerError), ("connection_reset", openai.APIConnectionError)])
def test_faults_strike(client, gateway, fault, error):
    gateway.fault(fault, "openai")
    with pytest.raises(error):
        client.embeddings.create(model=SMALL, input="a")


def test_a_filter_waits_for_a_question_that_it_looks_at(client, gateway):
    gateway.fault("blocked", "openai")
    assert len(client.embeddings.create(model=SMALL, input="a").data) == 1
    asked = client.chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": "Say hello in five words."}])
    assert asked.choices[0].finish_reason == "content_filter"


def test_a_batch_of_embeddings(client, gateway):
    lines = [{"custom_id": str(n), "method": "POST", "url": "/v1/embeddings", "body": {"model": SMALL, "input": text}} for n, text in enumerate([*TEXTS, ""])]
    file = client.files.create(file=("in.jsonl", "\n".join(map(json.dumps, lines)).encode()), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")
    gateway.advance(hours=1)
    done = client.batches.retrieve(batch.id)
    rows = [json.loads(line) for line in client.files.content(done.output_file_id).text.splitlines()]
    assert (done.request_counts.completed, done.request_counts.failed, done.usage.input_tokens) == (3, 1, COUNT)
    found = {row["custom_id"]: row["response"]["body"]["data"][0]["embedding"] for row in rows}
    assert np.allclose([found[str(n)] for n in range(3)], vectors(client, TEXTS), atol=1e-6)


def test_strict_mode_has_only_our_own_model(monkeypatch):
    strict = Gateway(pace=0, strict=True).start()
    try:
        client = OpenAI(api_key="any", base_url=f"{strict.base_url}/openai/v1", max_retries=0)
        with pytest.raises(openai.NotFoundError, match="strict mode"):
            client.embeddings.create(model=SMALL, input="a")
        ours = OpenAI(api_key="any", base_url=f"{strict.base_url}/compatible/v1", max_retries=0)
        assert len(ours.embeddings.create(model="house-embed", input="a").data[0].embedding) == 256
    finally:
        strict.stop()
