"""What chat takes beside text and images, and in which words models refuse what they have not: sound, files, a search, a prediction."""

import base64

import openai
import pytest
from openai import AzureOpenAI, OpenAI

from tests.gateway.dialects.openai.samples import HELLO, HELLO_ANSWER, user

OLD, THINKS = "gpt-4o", ("gpt-6-luna", "gpt-5-mini")
VOICE = {"voice": "alloy", "format": "wav"}
SOUND = {"type": "input_audio", "input_audio": {"data": base64.b64encode(b"RIFF").decode(), "format": "wav"}}
DATA = "data:application/pdf;base64," + base64.b64encode(b"%PDF-1.7").decode()
PREDICTION = {"type": "content", "content": "Hello"}
EXPECTED = "Expected a base64-encoded data URL with an application/pdf MIME type (e.g. 'data:application/pdf;base64,SGVsbG8sIFdvcmxkIQ=='), but got "


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


def refused(client, model=OLD, parts=None, **more):
    """The error of a refused chat: param, code, message."""
    messages = [{"role": "user", "content": [{"type": "text", "text": "Well?"}, *parts]}] if parts else user(HELLO)
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=model, messages=messages, **more)
    assert caught.value.type == "invalid_request_error"
    return caught.value.param, caught.value.code, caught.value.body["message"]


@pytest.mark.parametrize(("name", "value"), [("web_search_options", {}), ("modalities", ["text"]), ("audio", VOICE)])
@pytest.mark.parametrize("stream", [False, True])
def test_models_that_think_do_not_know_the_fields_of_older_ones(client, name, value, stream):
    for model in THINKS:
        assert refused(client, model, stream=stream, **{name: value}) == (name, "unknown_parameter", f"Unknown parameter: '{name}'.")


def test_an_unknown_name_comes_before_a_wrong_value(client):
    assert refused(client, THINKS[0], modalities=["text"], n=0)[1] == "unknown_parameter"


@pytest.mark.parametrize("stream", [False, True])
def test_a_search_is_refused_by_models_without_one(client, stream):
    words = "Web search options not supported with this model."
    assert refused(client, web_search_options={"search_context_size": "low"}, stream=stream) == ("web_search_options", None, words)


def test_sound_is_refused_by_models_that_make_none(client):
    words = "Unsupported value: 'modalities' does not support 'audio' with this model. Supported values are: 'text'."
    assert refused(client, modalities=["text", "audio"], audio=VOICE) == ("modalities", "unsupported_value", words)
    assert refused(client, audio=VOICE)[:2] == ("audio", "unsupported_parameter")
    assert refused(client, modalities=["smell"])[:2] == ("modalities[0]", "invalid_value")
    assert refused(client, modalities=["audio"], audio={"voice": "alloy"})[:2] == ("audio.format", "missing_required_parameter")
    assert client.chat.completions.create(model=OLD, messages=user(HELLO), modalities=["text"]).choices[0].message.content == HELLO_ANSWER


@pytest.mark.parametrize("stream", [False, True])
def test_sound_is_heard_by_no_model_of_the_course(client, stream):
    words = "Invalid 'messages[0]'. Content blocks are expected to be either text or image_url type."
    for model in (OLD, *THINKS):
        assert refused(client, model, [SOUND], stream=stream) == ("messages[0]", "invalid_value", words)


WRONG_FILES = [
    ({"filename": "a.txt", "file_data": "data:text/plain;base64,aGk="}, "unsupported MIME type 'text/plain'."),
    ({"filename": "a.pdf", "file_data": "JVBERi0="}, "a value without the 'data:' prefix."),
    ({"filename": "a.pdf", "file_data": "data:application/pdf,JVBERi0="}, "a value without the ';base64' separator."),
    ({"filename": "a.pdf", "file_data": "data:application/pdf;base64,"}, "empty base64-encoded bytes."),
    ({"filename": "a.pdf", "file_data": "data:application/pdf;base64,%%%"}, "an invalid base64-encoded value."),
]


@pytest.mark.parametrize(("file", "wrong"), WRONG_FILES)
def test_a_file_that_is_no_pdf_is_refused(client, file, wrong):
    param = "messages[0].content[1].file.file_data"
    assert refused(client, parts=[{"type": "file", "file": file}]) == (param, "invalid_value", f"Invalid file data: '{param}'. {EXPECTED}{wrong}")


def test_a_file_needs_a_name_or_an_id(client):
    param = "messages[0].content[1].file.file_id"
    for file in ({}, {"file_data": DATA}, {"filename": "a.pdf"}):
        assert refused(client, parts=[{"type": "file", "file": file}])[:2] == (param, "missing_required_parameter")


def test_a_pdf_is_taken(client):
    parts = [{"type": "text", "text": "What does it say?"}, {"type": "file", "file": {"filename": "a.pdf", "file_data": DATA}}]
    for model in (OLD, *THINKS):
        assert client.chat.completions.create(model=model, messages=[{"role": "user", "content": parts}]).choices[0].message.content


def test_azure_takes_no_file_and_no_sound(gateway):
    client = AzureOpenAI(max_retries=0)
    words = "Invalid Value: 'file'. This model does not support file content types."
    assert refused(client, parts=[{"type": "file", "file": {"filename": "a.pdf", "file_data": DATA}}]) == (None, None, words)
    assert refused(client, parts=[SOUND])[0] == "messages[0]"
    assert refused(client, "gpt-6-luna", web_search_options={})[1] == "unknown_parameter"


@pytest.mark.parametrize(("name", "value"), [("prediction", PREDICTION), ("logit_bias", {"50256": -100})])
def test_models_that_think_take_no_prediction_and_no_bias_whether_they_think_or_not(client, name, value):
    for effort in ("none", "low"):
        words = f"Unsupported parameter: '{name}' is not supported with this model."
        assert refused(client, THINKS[0], reasoning_effort=effort, **{name: value}) == (name, "unsupported_parameter", words)


def test_a_prediction_is_text_and_taken_by_older_models(client):
    assert client.chat.completions.create(model=OLD, messages=user(HELLO), prediction=PREDICTION).choices[0].message.content == HELLO_ANSWER
    assert refused(client, prediction={"type": "text", "content": "x"})[:2] == ("prediction.type", "invalid_value")
    assert refused(client, prediction={"type": "content"})[:2] == ("prediction.content", "missing_required_parameter")
