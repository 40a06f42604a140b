"""What an answer is asked to be: text is given, and pictures, sound and film are refused in Google's words."""

import httpx2
import pytest
from google import genai
from google.genai import types
from google.genai.errors import ClientError

from tests.gateway.dialects.gemini.samples import MODEL, PROMPT

ALONE = "This model only supports text output."
KIND = "type.googleapis.com/google.ai.generativelanguage.v1beta.GenerationConfig.Modality"


@pytest.mark.parametrize("asked", [None, [], ["TEXT"], ["MODALITY_UNSPECIFIED"], [types.Modality.TEXT]])
def test_text_is_what_every_model_makes(ask, asked):
    assert ask(response_modalities=asked).text


@pytest.mark.parametrize("asked", [["IMAGE"], ["AUDIO"], ["VIDEO"], ["TEXT", "IMAGE"], ["AUDIO", "TEXT"], [types.Modality.IMAGE]])
def test_what_a_text_model_does_not_make_is_refused(client, ask, asked):
    config = types.GenerateContentConfig(response_modalities=asked)
    calls = (
        lambda: ask(response_modalities=asked),
        lambda: list(client.models.generate_content_stream(model=MODEL, contents=PROMPT, config=config)),
    )
    for call in calls:
        with pytest.raises(ClientError) as caught:
            call()
        assert (caught.value.code, caught.value.status, caught.value.message) == (400, "INVALID_ARGUMENT", ALONE)


@pytest.mark.parametrize("version", ["v1", "v1beta"])
@pytest.mark.parametrize("names", [["responseModalities"], ["response_modalities"]])
def test_names_of_modalities_may_be_in_any_case(post, version, names):
    for value, status in ((["Text"], 200), (["text"], 200), (["Text", "Image"], 400), (["image"], 400)):
        body = {"contents": [{"parts": [{"text": PROMPT}]}], "generationConfig": dict.fromkeys(names, value)}
        assert post(body, version=version).status_code == status


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["BANANA"], f"Invalid value at 'generation_config.response_modalities[0]' ({KIND}), \"BANANA\""),
        (["TEXT", ""], f"Invalid value at 'generation_config.response_modalities[1]' ({KIND}), \"\""),
    ],
)
def test_what_is_no_modality_is_refused_as_such(post, asked, message):
    answer = post({"contents": [{"parts": [{"text": PROMPT}]}], "generationConfig": {"responseModalities": asked}})
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, message)


@pytest.mark.parametrize("kind", ["image", "audio", "video"])
def test_a_format_of_what_is_no_text_is_refused(post, kind):
    answer = post({"contents": [{"parts": [{"text": PROMPT}]}], "generationConfig": {"responseFormat": {kind: {}}}})
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, ALONE)


@pytest.mark.parametrize("form", [{"mimeType": "application/json"}, {"banana": {}}, 5, "x", {"image": 5}])
def test_a_format_that_there_is_not_is_refused_as_such(post, form):
    answer = post({"contents": [{"parts": [{"text": PROMPT}]}], "generationConfig": {"responseFormat": form}})
    message = answer.json()["error"]["message"]
    assert answer.status_code == 400 and message.startswith("Invalid ") and "response_format" in message


@pytest.mark.parametrize("asked", ["IMAGE", 5, {"a": 1}, [["TEXT"]], [None], [7]])
def test_what_is_no_list_of_names_is_a_400(post, asked):
    answer = post({"contents": [{"parts": [{"text": PROMPT}]}], "generationConfig": {"responseModalities": asked}})
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_a_request_of_a_batch_fails_by_itself(client, gateway):
    config = types.GenerateContentConfig(response_modalities=["IMAGE"])
    requests = [types.InlinedRequest(contents=PROMPT, config=one) for one in (None, config)]
    made = client.batches.create(model=MODEL, src=requests)
    gateway.advance(hours=24)
    good, bad = client.batches.get(name=made.name).dest.inlined_responses
    assert good.response.text and bad.response is None and bad.error.message == ALONE


@pytest.mark.parametrize(
    "more",
    [
        {"response_modalities": ["image"]},
        {"response_modalities": ["text", "audio"]},
        {"response_modalities": ["document"]},
        {"response_format": {"type": "image"}},
        {"response_format": [{"type": "text"}, {"type": "audio"}]},
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_interaction_is_refused_too(gateway, more, stream):
    body = {"model": MODEL, "input": PROMPT, "stream": stream, **more}
    answer = httpx2.post(f"{gateway.base_url}/gemini/v1beta/interactions", json=body, headers={"x-goog-api-key": "any"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, ALONE)


def test_an_interaction_of_text_is_answered(gateway):
    client = genai.Client()
    made = client.interactions.create(model=MODEL, input=PROMPT, response_modalities=["text"])
    assert made.status == "completed"
