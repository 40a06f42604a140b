"""One question to each provider through its own SDK, which does not retry by itself: an answer with headers, or the SDK's error."""

import anthropic
import boto3
import openai
from botocore.config import Config
from google import genai

TEXT = "Say hello in five words."
HELLO = [{"role": "user", "content": TEXT}]


def ask_openai(**options):
    return openai.OpenAI(max_retries=0, **options).chat.completions.with_raw_response.create(model="gpt-6-luna", messages=HELLO)


def ask_azure():
    client = openai.AzureOpenAI(api_version="2024-10-21", max_retries=0)
    return client.chat.completions.with_raw_response.create(model="gpt-6-luna", messages=HELLO)


def ask_anthropic(**options):
    client = anthropic.Anthropic(max_retries=0, **options)
    return client.messages.with_raw_response.create(model="claude-haiku-5-5", max_tokens=500, messages=HELLO)


def ask_gemini():
    client = genai.Client()  # kept in a name: a client that nobody holds closes itself
    return client.models.generate_content(model="gemini-3.5-flash-lite", contents=TEXT)


def ask_bedrock():
    client = boto3.client("bedrock-runtime", config=Config(retries={"total_max_attempts": 1}))
    asked = [{"role": "user", "content": [{"text": TEXT}]}]
    # Without maxTokens all that the model could ever write is taken of the quota.
    return client.converse(modelId="us.anthropic.claude-haiku-5-5", messages=asked, inferenceConfig={"maxTokens": 500})


ASKING = {"openai": ask_openai, "azure": ask_azure, "anthropic": ask_anthropic, "gemini": ask_gemini, "bedrock": ask_bedrock}


def refused(ask):
    """The error that a call ends with."""
    try:
        ask()
    except Exception as error:
        return error
    raise AssertionError("it was answered")
