"""Vectors by Bedrock's InvokeModel: Titan's and Cohere's bodies through boto3."""

import json

import numpy as np
import pytest
from botocore.exceptions import ClientError

from tests.gateway.dialects.bedrock.samples import client

TITAN, COHERE, OLDER = "amazon.titan-embed-text-v2:0", "cohere.embed-v4:0", "cohere.embed-english-v3"
TEXTS = ["What is a token?", "Explain tokens to me.", "How do I cancel a batch?"]


@pytest.fixture
def bedrock(gateway):
    return client()


def invoke(bedrock, model, **body):
    answer = bedrock.invoke_model(modelId=model, body=json.dumps(body))
    return json.loads(answer["body"].read()), answer["ResponseMetadata"]["HTTPHeaders"]


def refusal(act, *arguments, **more):
    with pytest.raises(ClientError) as caught:
        act(*arguments, **more)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return caught.value.response["Error"]["Message"]


@pytest.mark.parametrize("length", [None, 256, 512, 1024])
def test_titan(bedrock, length):
    found, headers = invoke(bedrock, TITAN, inputText=TEXTS[0], **({"dimensions": length} if length else {}))
    assert list(found) == ["embedding", "embeddingsByType", "inputTextTokenCount"] and found["embedding"] == found["embeddingsByType"]["float"]
    assert len(found["embedding"]) == (length or 1024) and np.isclose(np.linalg.norm(found["embedding"]), 1, atol=1e-5)
    assert str(found["inputTextTokenCount"]) == headers["x-amzn-bedrock-input-token-count"] == "5"


def test_titan_in_bits_and_as_it_is_cut(bedrock):
    floats, _ = invoke(bedrock, TITAN, inputText=TEXTS[0], dimensions=256, normalize=False)
    bits, _ = invoke(bedrock, TITAN, inputText=TEXTS[0], dimensions=256, embeddingTypes=["binary"])
    assert "embedding" not in bits and bits["embeddingsByType"]["binary"] == [int(number > 0) for number in floats["embedding"]]
    assert np.isclose(np.linalg.norm(floats["embedding"]), 0.5, atol=1e-5)


@pytest.mark.parametrize(("model", "length"), [(COHERE, 1536), ("us." + COHERE, 1536), (OLDER, 1024), ("cohere.embed-multilingual-v3", 1024)])
def test_cohere(bedrock, model, length):
    found, _ = invoke(bedrock, model, texts=TEXTS, input_type="search_document")
    assert list(found) == ["embeddings", "id", "response_type", "texts"] and (found["response_type"], found["texts"]) == ("embeddings_floats", TEXTS)
    vectors = np.array(found["embeddings"])
    assert vectors.shape == (3, length) and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_cohere_by_types(bedrock):
    kinds = ["float", "int8", "uint8", "binary", "ubinary"]
    found, _ = invoke(bedrock, COHERE, texts=TEXTS, input_type="clustering", embedding_types=kinds, output_dimension=256)
    assert found["response_type"] == "embeddings_by_type" and list(found["embeddings"]) == kinds
    floats, small, large, signed, bits = (np.array(found["embeddings"][kind]) for kind in kinds)
    assert floats.shape == small.shape == large.shape == (3, 256) and signed.shape == bits.shape == (3, 32)
    assert np.abs(small).max() == 127 and (large == small + 128).all() and (signed == bits - 128).all()
    assert (np.unpackbits(bits.astype(np.uint8), axis=1) == (floats > 0)).all()


@pytest.mark.parametrize(
    ("model", "body", "words"),
    [
        (TITAN, {}, "Malformed input request: #: required key [inputText] not found, please reformat your input and try again."),
        (TITAN, {"inputText": ""}, "Malformed input request: #/inputText: expected minLength: 1, actual: 0, please reformat your input and try again."),
        (TITAN, {"inputText": "a" * 50_001}, "Malformed input request: #/inputText: expected maxLength: 50000, actual: 50001, please reformat"),
        (TITAN, {"inputText": "a", "dimensions": 300}, "Malformed input request: #/dimensions: 300 is not a valid enum value, please reformat"),
        (TITAN, {"inputText": "a", "texts": []}, "Malformed input request: #: extraneous key [texts] is not permitted, please reformat"),
        (TITAN, {"inputText": "a b " * 5000}, "400 Bad Request: Too many input tokens. Max input tokens: 8192, request input token count: "),
        (COHERE, {"texts": ["a"]}, "Malformed input request: #: required key [input_type] not found, please reformat"),
        (COHERE, {"input_type": "search_query"}, "Malformed input request: #: required key [texts] not found, please reformat"),
        (COHERE, {"input_type": "question", "texts": ["a"]}, "Malformed input request: #/input_type: question is not a valid enum value"),
        (COHERE, {"input_type": "search_query", "texts": ["a"] * 97}, "Malformed input request: #/texts: expected maximum item count: 96, found: 97"),
        (OLDER, {"input_type": "search_query", "texts": ["a" * 2049]}, "Malformed input request: #/texts/0: expected maxLength: 2048, actual: 2049"),
        (OLDER, {"input_type": "search_query", "texts": ["a"], "output_dimension": 256}, "Malformed input request: #: extraneous key [output_dimension]"),
    ],
)  # fmt: skip
def test_what_is_refused(bedrock, model, body, words):
    assert refusal(invoke, bedrock, model, **body).startswith(words)


def test_an_embedding_model_does_not_chat_and_does_not_stream(bedrock):
    said = [{"role": "user", "content": [{"text": "Hello"}]}]
    assert refusal(bedrock.converse, modelId=TITAN, messages=said).startswith("This action doesn't support the model that you provided.")
    assert refusal(bedrock.invoke_model_with_response_stream, modelId=TITAN, body=b'{"inputText": "a"}') == "The model is unsupported for streaming"
    assert refusal(invoke, bedrock, "meta.llama3-1-8b-instruct-v1:0", inputText="a").startswith("Malformed input request: ")


def test_throttling(bedrock, gateway):
    gateway.limit("bedrock", requests=1)
    invoke(bedrock, TITAN, inputText="a")
    with pytest.raises(ClientError) as caught:
        invoke(bedrock, TITAN, inputText="a")
    assert caught.value.response["Error"]["Code"] == "ThrottlingException"
