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


@pytest.mark.parametrize(("new_at", "revoked_at", "failed", "refused"), [(5, 10, 0, 1), (10, 5, 5, 11), (0, 15, 0, 0)])
def test_a_program_that_reads_its_key_again_when_it_is_refused_loses_nothing_where_the_new_key_comes_first(gateway, new_at, revoked_at, failed, refused):
    """As in chapter 12f: the SDK takes a function in the place of a key, and calls it before each request."""
    store = {"key": OLD}
    held = {"key": OLD} if new_at else {"key": NEW}
    client = openai.OpenAI(api_key=lambda: held["key"], max_retries=0)

    def ask():
        return client.chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": "Say hello in five words."}])

    lost = 0
    for number in range(20):
        if number == new_at:
            store["key"] = NEW
        if number == revoked_at:
            gateway.revoke(OLD)
        try:
            ask()
        except openai.AuthenticationError:
            held["key"] = store["key"]
            try:
                ask()
            except openai.AuthenticationError:
                lost += 1
    assert (lost, sum(entry.status == 401 for entry in gateway.meter.log())) == (failed, refused)
