"""What Google offers beside what is served here: each answers 404 in Google's shape, which its SDK reads."""

import io

import httpx2
import pytest
from google.genai import errors, types

from tests.gateway.dialects.gemini.samples import MODEL

OLDER_KIND = {
    "file search": lambda client: client.file_search_stores.create(config={"display_name": "mine"}),
    "file search, list": lambda client: list(client.file_search_stores.list()),
    "documents": lambda client: client.file_search_stores.documents.list(parent="fileSearchStores/mine"),
    "operations": lambda client: client.operations.get(types.GenerateVideosOperation(name="models/veo-3.1-generate-preview/operations/1")),
    "tokens of a session": lambda client: client.auth_tokens.create(config={"http_options": {"api_version": "v1alpha"}}),
}
NEWER_KIND = {
    "agents": lambda client: client.agents.list(),
    "webhooks": lambda client: client.webhooks.list(),
    "environments": lambda client: client.environments.list(),
    "triggers": lambda client: client.triggers.list(),
    "voices": lambda client: client.voices.list(),
    "credentials": lambda client: client.credentials.list(),
}


@pytest.mark.parametrize("name", OLDER_KIND)
def test_what_is_not_served_is_a_404(client, name):
    with pytest.raises(errors.ClientError) as caught:
        OLDER_KIND[name](client)
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


@pytest.mark.parametrize("name", NEWER_KIND)
def test_what_is_not_served_of_the_newer_kind_is_a_404(client, name):
    with pytest.raises(Exception) as caught:
        NEWER_KIND[name](client)
    assert caught.value.status_code == 404 and caught.value.body["error"]["code"] == "not_found"


@pytest.mark.parametrize("method", ["predict", "predictLongRunning", "asyncBatchEmbedContent", "generateAnswer"])
def test_a_method_that_a_model_does_not_have_is_named(post, method):
    """Those of pictures and films, which the SDK calls for other Google services alone."""
    reply = post({}, method)
    assert (reply.status_code, reply.json()["error"]["status"]) == (404, "NOT_FOUND")
    assert f"models/{MODEL} is not found for API version v1beta, or is not supported for {method}. Call ListModels" in reply.json()["error"]["message"]


@pytest.mark.parametrize("path", ["tunedModels", "corpora", "fileSearchStores/mine/documents", "operations/some", "files/a/b", "auth_tokens"])
def test_other_resources_are_not_found(gateway, path):
    reply = httpx2.get(f"{gateway.base_url}/gemini/v1beta/{path}", headers={"x-goog-api-key": "some-key"})
    assert (reply.status_code, reply.json()["error"]["status"]) == (404, "NOT_FOUND")


def test_live_is_not_served(gateway):
    url = f"{gateway.base_url}/gemini/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    reply = httpx2.get(url, headers={"x-goog-api-key": "some-key", "connection": "Upgrade", "upgrade": "websocket"})
    assert (reply.status_code, reply.json()["error"]["status"]) == (404, "NOT_FOUND")


def test_a_file_for_a_store_is_not_taken(client):
    with pytest.raises(errors.ClientError) as caught:
        client.file_search_stores.upload_to_file_search_store(file_search_store_name="fileSearchStores/mine", file=io.BytesIO(b"x"), config={"mime_type": "text/plain"})
    assert caught.value.code == 404


def test_a_model_by_its_name(client):
    assert client.models.get(model=MODEL).name == f"models/{MODEL}"
    with pytest.raises(errors.ClientError, match="is not found"):
        client.models.get(model="gemini-9")


def test_the_compatible_route_has_the_same_shape_in_a_list(gateway):
    reply = httpx2.post(f"{gateway.base_url}/gemini/v1beta/openai/images/generations", json={}, headers={"authorization": "Bearer some-key"})
    assert (reply.status_code, reply.json()[0]["error"]["status"]) == (404, "NOT_FOUND")
