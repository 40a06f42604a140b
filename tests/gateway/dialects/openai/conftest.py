"""The ways to Responses, for the tests of what all of them have."""

import pytest
from openai import AzureOpenAI, OpenAI


@pytest.fixture(params=["openai", "azure", "azure v1"])
def client(gateway, request):
    if request.param == "openai":
        return OpenAI(max_retries=0)
    if request.param == "azure":
        return AzureOpenAI(api_version="2025-04-01-preview", max_retries=0)
    return OpenAI(base_url=gateway.base_url + "/azure/openai/v1", max_retries=0)
