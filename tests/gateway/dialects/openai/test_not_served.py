"""What OpenAI's SDK can ask for and the gateway does not serve: each gets a 404 in OpenAI's shape, and stands in DEVIATIONS."""

import io
from functools import cached_property
from pathlib import Path

import httpx2
import openai
import pytest
from openai import OpenAI

from helpers.gateway.dialects.openai.dialect import OpenAI as Dialect

DEVIATIONS = Path(__file__).parents[4] / "helpers/gateway/DEVIATIONS.md"
IN_OTHER_WORDS = {"beta": "`beta`", "admin": "`admin`", "realtime": "Realtime", "vector_stores": "vector stores", "fine_tuning": "fine-tuning"}
IN_OTHER_WORDS |= {"content_provenance_checks": "content provenance checks"}
HERE = {"webhooks"}  # verified on this machine, without a request
SOUND = ("a.wav", io.BytesIO(b"RIFF"))
CALLS = {
    "images": lambda c: c.images.generate(prompt="a dot"),
    "image edits": lambda c: c.images.edit(image=("a.png", io.BytesIO(b"x")), prompt="a dot"),
    "speech": lambda c: c.audio.speech.create(model="tts-1", voice="alloy", input="hi"),
    "transcriptions": lambda c: c.audio.transcriptions.create(model="whisper-1", file=SOUND),
    "uploads": lambda c: c.uploads.create(bytes=1, filename="a", mime_type="text/plain", purpose="batch"),
    "vector stores": lambda c: c.vector_stores.create(name="a"),
    "vector stores' list": lambda c: c.vector_stores.list(),
    "assistants": lambda c: c.beta.assistants.create(model="gpt-4o"),
    "threads": lambda c: c.beta.threads.create(),
    "evals": lambda c: c.evals.list(),
    "fine-tuning": lambda c: c.fine_tuning.jobs.create(model="gpt-4o", training_file="file-a"),
    "containers": lambda c: c.containers.create(name="a"),
    "realtime": lambda c: c.realtime.client_secrets.create(),
    "videos": lambda c: c.videos.create(prompt="a dot"),
    "skills": lambda c: c.skills.list(),
    "a model that is deleted": lambda c: c.models.delete("ft:gpt-4o:me"),
}


def test_each_is_refused_in_openais_shape(gateway):
    client = OpenAI(max_retries=0)
    for name, act in CALLS.items():
        with pytest.raises(openai.NotFoundError) as caught:
            act(client)
        request = caught.value.request
        words = f"Invalid URL ({request.method} {request.url.path.removeprefix('/openai')})"
        assert caught.value.body == {"message": words, "type": "invalid_request_error", "param": None, "code": None}, name


def test_all_that_the_sdk_has_is_served_or_stands_in_deviations():
    found = {name for name in dir(OpenAI) if isinstance(getattr(OpenAI, name, None), cached_property) and not name.startswith("with_")}
    served = {name for name in found if any(route.pattern.pattern.startswith(f"/v1/{name}") for route in Dialect().routes())}
    said = DEVIATIONS.read_text().partition("\n## OpenAI\n")[2].partition("\n## ")[0]
    left = {name for name in found - served - HERE if IN_OTHER_WORDS.get(name, name) not in said}
    assert {"chat", "completions", "moderations", "responses"} <= served and left == set()


def test_a_method_that_a_path_does_not_have_is_refused_too(gateway):
    answer = httpx2.put(f"{gateway.base_url}/openai/v1/chat/completions", json={}, headers={"authorization": "Bearer k"})
    assert answer.status_code == 404 and answer.json()["error"]["message"] == "Invalid URL (PUT /v1/chat/completions)"
