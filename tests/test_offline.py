"""Nothing leaves this machine: every client that the installed SDKs can make, in a shell that would lead them all elsewhere."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from helpers import environment, network

ROOT = Path(__file__).parent.parent
ELSEWHERE = "https://elsewhere.example"
HOSTILE = {
    **{name: "a-real-key" for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "AZURE_API_KEY", "GROQ_API_KEY", "AWS_SECRET_ACCESS_KEY")},
    **{name: ELSEWHERE for name in environment.variables("") if name.endswith(("URL", "BASE", "ENDPOINT"))},
    **{f"AWS_ENDPOINT_URL_{name}": ELSEWHERE for name in ("STS", "S3", "BEDROCK")},
    "AWS_ACCESS_KEY_ID": "a-real-key",
    "AWS_PROFILE": "work",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "regional",
    "CLOUD_ML_REGION": "us-east5",
    "GOOGLE_CLOUD_PROJECT": "somebody",
    "GOOGLE_GENAI_USE_VERTEXAI": "true",
    "VERTEXAI_PROJECT": "somebody",
    "ALL_PROXY": "socks5://proxy.example:1080",
    "HTTPS_PROXY": "http://somebody:a-real-password@proxy.example:3128",
    "https_proxy": "ftp://proxy.example",
    "NO_PROXY": "*,[::1],müller.example",
    "SSL_CERT_FILE": "/no/such/cacert.pem",
    "REQUESTS_CA_BUNDLE": "/no/such/cacert.pem",
    "CURL_CA_BUNDLE": "/no/such/cacert.pem",
    "AWS_CA_BUNDLE": "/no/such/cacert.pem",
    "SSLKEYLOGFILE": "/no/such/folder/keys",
    "COURSE_PACE": "0",
}
# A release that brings another class fails the test below: say in environment.variables where it may go, and write it here.
SERVED = {"openai.OpenAI", "openai.AzureOpenAI", "anthropic.Anthropic", "anthropic.AnthropicBedrock", "anthropic.AnthropicFoundry", "genai.Client", "openai module"}
REFUSED = {
    "openai.BedrockOpenAI",
    "anthropic.AnthropicAWS",
    "anthropic.AnthropicBedrockMantle",
    "anthropic.AnthropicGoogleCloud",
    "anthropic.AnthropicVertex",
    "genai.Client for Vertex AI",
    "genai.Client for Vertex AI with a key",
    "genai.Client for enterprises",
}
OUTSIDE = {"openai to its own address"}


@pytest.fixture
def made(tmp_path):
    """Runs tests/clients.py in a home where AWS's own file leads elsewhere too; what came of each client."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(f"[default]\nendpoint_url = {ELSEWHERE}\nregion = eu-central-1\n[profile work]\nregion = eu-central-1\n")

    def run(what: str) -> dict[str, str]:
        # In the shell of a learner; HOME hides what the machine of a tester has.
        shell = {**os.environ, **HOSTILE, "HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"}
        ran = subprocess.run([sys.executable, ROOT / "tests/clients.py", what], env=shell, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert ran.returncode == 0, ran.stderr
        found = json.loads(ran.stdout)
        assert set(found["reached"]) <= set(network.LOOPBACK), found
        return found["outcomes"]

    return run


def test_every_client_of_the_sdks_stays_on_this_machine_or_says_why_not(made):
    came = made("sdks")
    plain = {name.replace(".Async", ".") for name in came}
    assert plain == SERVED | REFUSED | OUTSIDE, "an SDK has other clients than before"
    for name, text in came.items():
        if name.replace(".Async", ".") in SERVED:
            assert text.startswith("answered: "), f"{name}: {text}"
        elif name not in OUTSIDE:
            assert "the course's gateway" in text.lower(), f"{name}: {text}"
    assert "Connection error" in came["openai to its own address"]


def test_every_service_of_boto3_stays_on_this_machine_and_says_why(made):
    came = made("boto3")
    calls = {name: text for name, text in came.items() if name.startswith("call of ")}
    assert len(came) > 400 and len(calls) == 5
    assert [name for name in came.keys() - calls.keys() if not came[name].startswith("http://127.0.0.1:")] == []
    assert [text for text in calls.values() if "ClientError" not in text or "The course's gateway has nothing under /aws" not in text] == []


def test_every_provider_of_litellm_stays_on_this_machine(made):
    came = made("litellm")
    assert len(came) > 100
    assert "kernel is offline" in came["groq"] and "kernel is offline" in came["groq, awaited"]
    assert "does not exist" in came["azure"] and "does not exist" in came["hosted_vllm"], "the gateway's own refusal of the model"


@pytest.mark.parametrize("package", ["openai", "anthropic", "google.genai"])
def test_every_address_that_an_sdk_reads_from_the_environment_is_set(package):
    folder = Path(find_spec(package).submodule_search_locations[0])
    sources = (path.read_text(encoding="utf-8") for path in folder.rglob("*.py") if "tests" not in path.parts)
    names = {name for text in sources for name in re.findall(r"""["']([A-Z][A-Z_]*(?:BASE_URL|API_BASE|ENDPOINT))["']""", text)}
    assert names and names <= environment.variables("").keys()


def test_what_asks_the_providers_is_not_even_loaded():
    """Nobody waits for a start longer than it takes."""
    code = "import sys, helpers; helpers.start(); print({'httpx2', 'helpers.gateway.sources.upstream'} & set(sys.modules))"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COURSE_")}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=environ).stdout
    assert told.splitlines()[-1] == "set()", told
