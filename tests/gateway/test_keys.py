"""A key that is revoked while a program uses it: each SDK is told so in its provider's words, and every other key goes on."""

import anthropic
import boto3
import openai
import pytest
from botocore.exceptions import ClientError
from google import genai
from google.genai import errors

OLD, NEW = "the-key-of-last-month", "the-key-of-this-month"


def ask_openai(key):
    messages = [{"role": "user", "content": "Say hello in five words."}]
    return openai.OpenAI(api_key=key, max_retries=0).chat.completions.create(model="gpt-6-luna", messages=messages)


def ask_claude(key):
    messages = [{"role": "user", "content": "Say hello in five words."}]
    return anthropic.Anthropic(api_key=key, max_retries=0).messages.create(model="claude-haiku-5-5", max_tokens=500, messages=messages)


def ask_gemini(key):
    client = genai.Client(api_key=key)
    return client.models.generate_content(model="gemini-3.5-flash-lite", contents="Say hello in five words.")


def ask_bedrock(key):
    client = boto3.client("bedrock-runtime", aws_access_key_id=key, aws_secret_access_key="made-up")
    return client.converse(modelId="us.anthropic.claude-haiku-5-5", messages=[{"role": "user", "content": [{"text": "Say hello in five words."}]}])


ASK = {ask_openai: openai.AuthenticationError, ask_claude: anthropic.AuthenticationError, ask_gemini: errors.ClientError, ask_bedrock: ClientError}


@pytest.mark.parametrize("ask", ASK)
def test_a_revoked_key_is_refused_and_another_is_not(gateway, ask):
    ask(OLD)
    gateway.revoke(OLD)
    with pytest.raises(ASK[ask]):
        ask(OLD)
    assert ask(NEW)
    gateway.reset()
    assert ask(OLD), "reset() forgets it"


def test_a_revoked_key_is_not_kept(gateway):
    gateway.revoke(OLD)
    assert OLD not in repr(vars(gateway.keys))


@pytest.mark.parametrize("wrong", ["", None, 5])
def test_what_is_no_key_is_said_so(gateway, wrong):
    with pytest.raises(ValueError, match="give the key that is revoked"):
        gateway.revoke(wrong)


def test_the_revoked_keys_are_bounded(gateway):
    for number in range(1000):
        gateway.keys.revoke(f"key {number}")
    with pytest.raises(ValueError, match="1,000 keys are revoked"):
        gateway.revoke("one more")
