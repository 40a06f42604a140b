"""Gemini's embeddings through google-genai, over HTTP, and through OpenAI's SDK at Google's compatible endpoint."""

import httpx2
import numpy as np
import openai
import pytest
from google import genai
from google.genai import errors, types

OLDER, NEWER = "gemini-embedding-001", "gemini-embedding-2"
TEXTS = ["What is a token?", "Explain tokens to me.", "How do I cancel a batch?"]


@pytest.fixture
def client(gateway):
    return genai.Client(http_options=types.HttpOptions(retry_options=types.HttpRetryOptions(attempts=1)))


def apart(texts):
    """Each text as a content: texts in a list are the parts of one content to the newer model's clients (google-genai)."""
    return [types.Content(parts=[types.Part(text=text)]) for text in texts]


def embed(client, contents, model=OLDER, **config):
    return client.models.embed_content(model=model, contents=contents, config=config or None)


def vectors(client, contents, model=OLDER, **config):
    return np.array([one.values for one in embed(client, contents, model, **config).embeddings])


@pytest.mark.parametrize("model", [OLDER, NEWER])
def test_each_content_gets_a_vector(client, model):
    found = vectors(client, apart(TEXTS), model)
    assert found.shape == (3, 3072) and np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert vectors(client, "a", model).shape == (1, 3072)


def test_the_older_model_leaves_shortened_vectors_as_they_are_cut(client):
    whole = vectors(client, TEXTS)
    assert np.allclose(vectors(client, TEXTS, output_dimensionality=768), whole[:, :768], atol=1e-7)
    newer = vectors(client, apart(TEXTS), NEWER, output_dimensionality=768)
    assert newer.shape == (3, 768) and np.allclose(np.linalg.norm(newer, axis=1), 1, atol=1e-5)
    assert np.allclose(newer @ newer.T, whole @ whole.T, atol=1e-5)


def test_texts_in_a_list_are_one_content_to_the_newer_model(client):
    assert len(vectors(client, TEXTS, OLDER)) == 3
    assert len(vectors(client, TEXTS, NEWER)) == 1  # so does google-genai 3.6.1


def test_parts_of_one_content_make_one_vector(client):
    together = types.Content(parts=[types.Part(text="a"), types.Part(text="b")])
    assert vectors(client, [together, "c"]).shape == (2, 3072)


def test_the_newer_model_says_how_many_tokens_it_read(client, gateway):
    assert embed(client, TEXTS, NEWER).usage_metadata.prompt_token_count == gateway.meter.log()[-1].usage.input_tokens > 0
    assert embed(client, TEXTS, OLDER).usage_metadata is None


def test_embed_content_over_http(client, gateway):
    url, key = f"{gateway.base_url}/gemini/v1beta/models/{NEWER}:embedContent", {"x-goog-api-key": "any"}
    body = {"content": {"parts": [{"text": TEXTS[0]}]}, "embed_content_config": {"output_dimensionality": 256, "task_type": "RETRIEVAL_QUERY"}}
    answer = httpx2.post(url, json=body, headers=key)
    assert list(answer.json()) == ["embedding", "usageMetadata"] and answer.headers["x-course-source"] == "house-embed"
    assert np.allclose(answer.json()["embedding"]["values"], vectors(client, TEXTS[0], NEWER, output_dimensionality=256)[0], atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"contents": ["a"] * 101}, 400, "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n"),
        ({"contents": ["a", ""]}, 400, "The text content is empty."),
        ({"contents": "a", "output_dimensionality": 3073}, 400, "* EmbedContentRequest.output_dimensionality: "),
        ({"contents": "a", "task_type": "SIMILARITY"}, 400, "Invalid value at 'requests[0].task_type' (type.googleapis.com/google.ai.generativelanguage.v1beta.TaskType)"),
        ({"contents": "a", "model": "gemini-3.8-flash"}, 404, "models/gemini-3.8-flash is not found for API version"),
        ({"contents": "a", "model": "gemini-embedding-9"}, 404, "models/gemini-embedding-9 is not found for API version"),
        ({"contents": types.Part.from_bytes(data=b"x", mime_type="image/png")}, 400, "The course's gateway makes vectors of texts alone."),
    ],
)  # fmt: skip
def test_what_is_refused(client, asked, status, words):
    with pytest.raises(errors.ClientError) as caught:
        embed(client, **asked)
    assert caught.value.code == status and caught.value.message.startswith(words)


def test_an_embedding_model_does_not_generate(client):
    with pytest.raises(errors.ClientError, match="is not found for API version .* or is not supported for generateContent"):
        client.models.generate_content(model=OLDER, contents="Hello")


def test_it_is_in_the_list_of_models_with_what_it_does(client):
    assert client.models.get(model=OLDER).supported_actions[0] == "embedContent"
    assert {f"models/{OLDER}", f"models/{NEWER}"} <= {model.name for model in client.models.list()}


def test_each_text_counts_as_a_request_towards_the_limit(client, gateway):
    gateway.limit("gemini", requests=5)
    embed(client, TEXTS)
    with pytest.raises(errors.ClientError, match="RESOURCE_EXHAUSTED") as caught:
        embed(client, TEXTS)
    assert "embed_content_paid_tier_requests" in caught.value.message


def test_googles_compatible_endpoint(client, gateway):
    other = openai.OpenAI(base_url=f"{gateway.base_url}/gemini/v1beta/openai/", api_key="any", max_retries=0)
    found = other.embeddings.create(model=NEWER, input=TEXTS, dimensions=256)
    assert np.allclose([one.embedding for one in found.data], vectors(client, apart(TEXTS), NEWER, output_dimensionality=256), atol=1e-6)
    assert found.usage.prompt_tokens == gateway.meter.log()[0].usage.input_tokens
    with pytest.raises(openai.BadRequestError) as caught:
        other.embeddings.create(model=NEWER, input=["a"] * 101)
    assert "at most 100 requests can be in one batch" in caught.value.response.text


def test_the_404_of_a_batch_names_the_method_of_one(client):
    """As recorded: of a model that there is not, batchEmbedContents says what embedContent does."""
    with pytest.raises(errors.ClientError, match="is not found for API version v1(beta)?, or is not supported for embedContent. Call"):
        embed(client, TEXTS, "gemini-embedding-9")
