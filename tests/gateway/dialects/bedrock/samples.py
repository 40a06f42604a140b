"""What several tests of this folder ask, and expect."""


import boto3
from botocore.config import Config

PROMPT, ANSWER = "Say hello in five words.", "Hello there, lovely meeting you."


def said(text):
    return [{"role": "user", "content": [{"text": text}]}]


MESSAGES = said(PROMPT)


def client(**more):
    return boto3.client("bedrock-runtime", config=Config(retries={"total_max_attempts": 1}), **more)


FROM_MODEL = "The model returned the following errors: "
