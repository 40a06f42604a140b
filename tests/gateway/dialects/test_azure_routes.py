"""The routes that Azure has beside chat: stored Responses, lists of models, and the versions that a request has to name."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime

import httpx2
import openai
import pytest
from openai import AzureOpenAI, OpenAI

HELLO = "Say hello in five words."
MODEL = "gpt-6-luna"
KEY = {"api-key": "any"}
CHAT = {"messages": [{"role": "user", "content": HELLO}]}
NOT_FOUND = {"error": {"code": "404", "message": "Resource not found"}}


@pytest.fixture(params=["dated", "v1"])
def client(gateway, request):
    """A client of either route."""
    if request.param == "dated":
        return AzureOpenAI(max_retries=0)
    return OpenAI(base_url=f"{gateway.base_url}/azure/openai/v1", max_retries=0)


def send(gateway, method, path, **more):
    return httpx2.request(method, f"{gateway.base_url}/azure/openai{path}", headers=KEY, **more)


# ---- Responses -----------------------------------------------------------------------------------------------
def test_a_stored_response_is_fetched_and_deleted(client):
    response = client.responses.create(model=MODEL, input=HELLO)
    again = client.responses.retrieve(response.id)
    assert again.output_text == response.output_text == "Hello, it's nice meeting you."
    assert again.model_extra["content_filters"] == response.model_extra["content_filters"]
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.delete(response.id)


def test_responses_are_laid_out_as_openais(client):
    raw = client.responses.with_raw_response.create(model=MODEL, input=HELLO)
    assert raw.text.startswith('{\n  "id": "resp_')


def test_a_response_that_has_not_ended_has_no_filters_yet(client):
    events = list(client.responses.create(model=MODEL, input=HELLO, stream=True))
    begun = [event.response.model_extra["content_filters"] for event in events if event.type in ("response.created", "response.in_progress")]
    assert begun == [None, None]
    prompt, completion = events[-1].response.model_extra["content_filters"]
    assert "jailbreak" in prompt["content_filter_results"] and "protected_material_text" in completion["content_filter_results"]


def test_responses_have_headers_of_another_service(client):
    headers = client.responses.with_raw_response.create(model=MODEL, input=HELLO).headers
    assert (headers["x-ms-served-model"], headers["x-ms-is-spilled-over"], headers["x-ratelimit-key"]) == (MODEL, "false", MODEL)
    assert headers["x-ms-aoai-configured-data-retention-days"] == "30"
    assert not {"x-ms-deployment-name", "x-ms-rai-invoked", "azureml-model-session"} & set(headers)


def test_older_versions_have_no_responses(gateway):
    with pytest.raises(openai.BadRequestError, match="enabled only for api-version 2025-03-01-preview and later") as caught:
        AzureOpenAI(api_version="2024-10-21", max_retries=0).responses.create(model=MODEL, input=HELLO)
    assert caught.value.code == "BadRequest"
    assert AzureOpenAI(api_version="2025-03-01-preview").responses.create(model=MODEL, input=HELLO).output_text


# ---- versions ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("version", ["", "latest", "v1", "preview", "2024", "2024-10-21-beta"])
@pytest.mark.parametrize(("method", "path"), [("POST", f"/deployments/{MODEL}/chat/completions"), ("POST", "/responses"), ("GET", "/models"), ("GET", f"/models/{MODEL}")])
def test_the_older_routes_want_a_date(gateway, method, path, version):
    answer = send(gateway, method, f"{path}?api-version={version}", json={"model": MODEL, "input": HELLO, **CHAT})
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


@pytest.mark.parametrize(("version", "status"), [("", 200), ("v1", 200), ("preview", 200), ("latest", 200), ("2024-10-21", 400)])
def test_v1_takes_a_word_and_no_date(gateway, version, status):
    query = f"?api-version={version}" if version else ""
    bodies = {"/v1/chat/completions": CHAT, "/v1/responses": {"input": HELLO}, "/v1/embeddings": {"input": HELLO, "model": "text-embedding-3-small"}}
    answers = [send(gateway, "POST", path + query, json={"model": MODEL, **body}) for path, body in bodies.items()]
    answers.append(send(gateway, "GET", "/v1/models" + query))
    assert [answer.status_code for answer in answers] == [status] * 4
    if status == 400:
        assert all(answer.json() == {"error": {"code": "BadRequest", "message": "API version not supported"}} for answer in answers)


# ---- models --------------------------------------------------------------------------------------------------
def test_models_are_listed_on_either_route(client):
    ids = [model.id for model in client.models.list()]
    assert "gpt-6-luna" in ids and any("embedding" in id for id in ids)
    assert client.models.retrieve("gpt-6-luna").id == "gpt-6-luna"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no-such-model")
    assert caught.value.code == "404"


def test_a_dated_version_says_what_a_model_can_do(gateway):
    answer = send(gateway, "GET", "/models?api-version=2024-10-21").json()
    rows = {row["id"]: row for row in answer["data"]}
    assert answer["object"] == "list" and "gpt-4o" not in rows, "base models have their dated names"
    assert rows["gpt-4o-2024-08-06"]["capabilities"] == {"fine_tune": False, "inference": True, "completion": False, "chat_completion": True, "embeddings": False}
    assert rows["text-embedding-3-small"]["capabilities"]["embeddings"] and rows["gpt-6-luna"]["lifecycle_status"] == "generally-available"
    assert rows["gpt-4o-2024-08-06"]["deprecation"]["inference"] == datetime(2027, 4, 14, tzinfo=UTC).timestamp()
    assert send(gateway, "GET", "/models/gpt-4o-2024-08-06?api-version=2024-10-21").json() == rows["gpt-4o-2024-08-06"]


def test_a_model_that_has_ended_is_not_listed(gateway, client):
    gateway.advance(hours=24 * 365)
    assert not [model.id for model in client.models.list() if model.id.startswith("gpt-4o")]


def test_a_token_that_has_ended_sees_neither_models_nor_responses(gateway):
    claims = urlsafe_b64encode(json.dumps({"exp": 1, "aud": "https://ai.azure.com"}).encode()).decode().rstrip("=")
    bearer = {"authorization": f"Bearer a.{claims}.c"}
    for path in ("/models?api-version=2024-10-21", "/models/gpt-4o?api-version=2024-10-21", "/v1/models", "/v1/models/gpt-4o", "/v1/responses/resp_a"):
        assert httpx2.get(f"{gateway.base_url}/azure/openai{path}", headers=bearer).status_code == 401


# ---- a model of null, and errors -----------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "operation", "body"), [(MODEL, "chat/completions", CHAT), ("text-embedding-3-small", "embeddings", {"input": HELLO})])
def test_on_the_deployment_route_a_model_of_null_is_as_good_as_none(gateway, name, operation, body):
    path = f"/deployments/{name}/{operation}?api-version=2024-10-21"
    replies = [send(gateway, "POST", path, json={**body, **model}) for model in ({}, {"model": None})]
    assert [reply.status_code for reply in replies] == [200, 200] and replies[0].json()["model"] == replies[1].json()["model"]
    assert send(gateway, "POST", path, json={**body, "model": 3}).status_code == 400


def test_an_unknown_deployment_is_refused_with_a_type_and_without_a_content_type(gateway):
    answer = send(gateway, "POST", "/deployments/none/chat/completions?api-version=2024-10-21", json=CHAT)
    assert answer.status_code == 404 and answer.json()["error"]["type"] == "invalid_request_error"
    assert "content-type" not in answer.headers and {"apim-request-id", "x-ms-region"} <= set(answer.headers)


@pytest.mark.parametrize(("method", "path"), [("POST", f"/deployments/{MODEL}/completions"), ("GET", "/files"), ("POST", "/batches"), ("GET", "/deployments"), ("POST", f"/deployments/{MODEL}/audio/speech")])
def test_what_is_not_served_is_not_found_in_azures_words(gateway, method, path):
    answer = send(gateway, method, f"{path}?api-version=2024-10-21", json={} if method == "POST" else None)
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
