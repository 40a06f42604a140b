"""Fixtures that several tests of this folder use."""

import os

import httpx2
import pytest
from google import genai
from google.genai import types

from tests.gateway.dialects.gemini.samples import MODEL, PROMPT


@pytest.fixture
def client(gateway):
    return genai.Client()


@pytest.fixture
def ask(client):
    """generate_content with its config as keywords."""

    def ask(contents=PROMPT, model=MODEL, **config):
        return client.models.generate_content(model=model, contents=contents, config=types.GenerateContentConfig(**config))

    return ask


@pytest.fixture
def post(gateway):
    """A raw request, for what the SDK would not send."""

    def post(body, method="generateContent", version="v1beta"):
        url = f"{gateway.base_url}/gemini/{version}/models/{MODEL}:{method}"
        return httpx2.post(url, json=body, headers={"x-goog-api-key": os.environ["GEMINI_API_KEY"]})  # as the SDK's, which has files of its own

    return post
