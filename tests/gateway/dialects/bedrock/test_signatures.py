"""Signatures of the course's own key are checked, those of others cannot be: with boto3, Anthropic's client and requests by hand."""

from hashlib import sha256

import anthropic
import boto3
import httpx2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from helpers import environment
from helpers.gateway.dialects.bedrock import signatures
from tests.gateway import http2_client
from tests.gateway.dialects.bedrock.samples import MESSAGES, client

CLAUDE, LLAMA = "us.anthropic.claude-haiku-5-5", "meta.llama3-1-8b-instruct-v1:0"
BODY = b'{"messages": [{"role": "user", "content": [{"text": "Say hello in five words."}]}]}'


def test_the_key_is_the_one_that_start_sets():
    assert signatures.KEY == environment.PLACEHOLDER


def signed(gateway, path, body=BODY, secret=environment.PLACEHOLDER, headers=None, token=None):
    request = AWSRequest("POST", f"{gateway.base_url}/bedrock{path}", data=body, headers={"Content-Type": "application/json", **(headers or {})})
    SigV4Auth(Credentials(environment.PLACEHOLDER, secret, token), "bedrock", "us-east-1").add_auth(request)
    return request


def send(request, body=BODY, **headers):
    return httpx2.post(request.url, content=body, headers={**dict(request.headers.items()), **headers})


@pytest.mark.parametrize(
    "path",
    [f"/model/{CLAUDE}/converse", f"/model/{LLAMA.replace(':', '%3A')}/converse", "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2F" + CLAUDE + "/converse"],
)
def test_what_botocore_signs_is_right(gateway, path):
    assert send(signed(gateway, path)).status_code == 200
    assert send(signed(gateway, path, headers={"X-Amzn-Bedrock-Trace": "a   b", "x-two": "2"}, token="a-token")).status_code == 200


def test_a_wrong_secret_and_a_changed_byte_are_noticed(gateway):
    path = f"/model/{CLAUDE}/converse"
    refused = send(signed(gateway, path, secret="another"))
    assert (refused.status_code, refused.headers["x-amzn-errortype"].partition(":")[0]) == (403, "InvalidSignatureException")
    assert "does not match the signature you provided" in refused.json()["message"]
    assert send(signed(gateway, path), body=BODY.replace(b"five", b"six")).status_code == 403
    digest = {"X-Amz-Content-SHA256": sha256(BODY).hexdigest()}  # as some SDKs send it: who changes the body can leave it as it is
    assert send(signed(gateway, path, headers=digest)).status_code == 200
    assert send(signed(gateway, path, headers=digest), body=BODY.replace(b"five", b"six")).status_code == 403
    request = signed(gateway, path)
    request.url = request.url.replace("haiku", "sonnet")
    assert send(request).status_code == 403
    request = signed(gateway, path)
    assert send(request, **{"X-Amz-Date": "20200101T000000Z"}).status_code == 403


def test_the_host_may_be_signed_as_http_2_calls_it(gateway, monkeypatch):
    """As the JavaScript SDK does it, whose default that is."""

    class Authority(SigV4Auth):
        def headers_to_sign(self, request):
            names = super().headers_to_sign(request)
            names[":authority"] = names["host"]
            del names["host"]
            return names

    for secret, status in ((environment.PLACEHOLDER, 200), ("another", 403)):
        request = AWSRequest("POST", f"{gateway.base_url}/bedrock/model/{CLAUDE}/converse", data=BODY, headers={"Content-Type": "application/json"})
        Authority(Credentials(environment.PLACEHOLDER, secret), "bedrock", "us-east-1").add_auth(request)
        assert "SignedHeaders=:authority;" in request.headers["Authorization"]
        monkeypatch.setattr(http2_client, "FIXED", [(":scheme", "http"), *((name.lower(), value) for name, value in request.headers.items())])
        with http2_client.Client(gateway.port) as connection:
            assert connection.get(f"/bedrock/model/{CLAUDE}/converse", BODY).status == status


def test_boto3_says_what_is_wrong(gateway):
    wrong = boto3.client("bedrock-runtime", aws_access_key_id=environment.PLACEHOLDER, aws_secret_access_key="wrong", config=Config(retries={"total_max_attempts": 1}))
    for call in (
        lambda: wrong.converse(modelId=CLAUDE, messages=MESSAGES),
        lambda: wrong.apply_guardrail(guardrailIdentifier="thecourse", guardrailVersion="1", source="INPUT", content=[{"text": {"text": "x"}}]),
        lambda: wrong.count_tokens(modelId=CLAUDE, input={"converse": {"messages": MESSAGES}}),
    ):
        with pytest.raises(ClientError, match="signature we calculated") as caught:
            call()
        assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"


def test_every_client_of_the_course_signs_rightly(gateway):
    assert client().converse(modelId=LLAMA, messages=MESSAGES)["stopReason"] == "end_turn"
    assert list(client().converse_stream(modelId=CLAUDE, messages=MESSAGES)["stream"])
    assert anthropic.AnthropicBedrock().messages.create(model=CLAUDE, max_tokens=300, messages=[{"role": "user", "content": "Say hello in five words."}]).content


@pytest.mark.parametrize("header", ["AWS4-HMAC-SHA256 Credential={key}", "AWS4-HMAC-SHA256 Credential={key}/x/y, SignedHeaders=, Signature=", "AWS4-HMAC-SHA256 Credential={key}/20261127/us-east-1/bedrock/aws4_request, SignedHeaders=host;absent, Signature=0"])
def test_half_of_a_signature_is_wrong(gateway, header):
    url = f"{gateway.base_url}/bedrock/model/{CLAUDE}/converse"
    sent = httpx2.post(url, content=BODY, headers={"Authorization": header.format(key=environment.PLACEHOLDER)})
    assert sent.status_code == 403


def test_other_keys_and_bearer_keys_are_taken(gateway):
    url = f"{gateway.base_url}/bedrock/model/{CLAUDE}/converse"
    for header in ("Bearer some-key", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261127/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0"):
        assert httpx2.post(url, content=BODY, headers={"Authorization": header}).status_code == 200
