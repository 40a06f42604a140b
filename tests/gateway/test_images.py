"""What a picture counts, through every SDK: by its size and its model's documented rule."""

import base64
from io import BytesIO

import boto3
import httpx2
import pytest
from anthropic import Anthropic
from google import genai
from google.genai import types
from openai import OpenAI
from PIL import Image

from helpers import models
from helpers.gateway.dialects.images import size
from helpers.image_tokens import image_tokens

SIZES = [(40, 30), (1600, 900)]
NEW, OLD = "gemini-3.5-flash-lite", "gemini-2.5-flash"


def picture(width, height, kind="PNG"):
    stored = BytesIO()
    Image.new("RGB", (width, height), "gray").save(stored, kind)
    return stored.getvalue()


def encoded(data):
    return base64.b64encode(data).decode()


def openai_chat(data, model="gpt-4o"):
    url = {"url": f"data:image/png;base64,{encoded(data or b'')}"}
    shown = [{"type": "image_url", "image_url": url}] if data else []
    said = [{"role": "user", "content": [{"type": "text", "text": "Look."}, *shown]}]
    return OpenAI().chat.completions.create(model=model, messages=said, max_completion_tokens=20).usage.prompt_tokens


def openai_responses(data, model="gpt-6-luna"):
    shown = [{"type": "input_image", "image_url": f"data:image/png;base64,{encoded(data)}"}] if data else []
    said = [{"role": "user", "content": [{"type": "input_text", "text": "Look."}, *shown]}]
    return OpenAI().responses.input_tokens.count(model=model, input=said).input_tokens


def anthropic(data, model="claude-haiku-5-5"):
    source = {"type": "base64", "media_type": "image/png", "data": encoded(data or b"")}
    shown = [{"type": "image", "source": source}] if data else []
    said = [{"role": "user", "content": [{"type": "text", "text": "Look."}, *shown]}]
    return Anthropic().messages.count_tokens(model=model, messages=said).input_tokens


def gemini(data, model=OLD):
    shown = [types.Part.from_bytes(data=data, mime_type="image/png")] if data else []
    client = genai.Client()
    return client.models.count_tokens(model=model, contents=["Look.", *shown]).total_tokens


def bedrock(data, model="us.anthropic.claude-haiku-4-5-20251001-v1:0"):
    shown = [{"image": {"format": "png", "source": {"bytes": data}}}] if data else []
    asked = {"converse": {"messages": [{"role": "user", "content": [{"text": "Look."}, *shown]}]}}
    return boto3.client("bedrock-runtime").count_tokens(modelId=model, input=asked)["inputTokens"]


@pytest.mark.parametrize("count", [openai_chat, openai_responses, anthropic, gemini, bedrock])
@pytest.mark.parametrize("pixels", SIZES)
def test_a_picture_counts_by_its_size_and_its_models_rule(gateway, count, pixels):
    model = models.get(count.__defaults__[0])
    counted = count(picture(*pixels)) - count(None)
    assert abs(counted - image_tokens(model, *pixels)) <= 1  # the text beside it is rounded too


@pytest.mark.parametrize(("resolution", "tokens"), [(None, 1120), ("LOW", 280), ("MEDIUM", 560), ("HIGH", 1120)])
def test_gemini_3_counts_by_the_media_resolution(gateway, resolution, tokens):
    client = genai.Client()
    config = types.GenerateContentConfig(media_resolution=resolution and f"MEDIA_RESOLUTION_{resolution}")
    shown = types.Part.from_bytes(data=picture(40, 30), mime_type="image/png")
    used = client.models.generate_content(model=NEW, contents=[shown, "Look."], config=config).usage_metadata
    assert {d.modality.name: d.token_count for d in used.prompt_tokens_details}["IMAGE"] == tokens


def test_a_picture_by_address_counts_as_one_that_stands_in_the_request_where_size_is_all_one(gateway):
    client = genai.Client()
    shown = types.Part.from_uri(file_uri="https://example.com/a.png", mime_type="image/png")
    assert client.models.count_tokens(model=NEW, contents=[shown, "Look."]).total_tokens > 1120


def test_an_uploaded_picture_is_what_it_would_be_in_the_request(gateway):
    client = genai.Client()
    data = picture(1600, 900)
    file = client.files.upload(file=BytesIO(data), config={"mime_type": "image/png"})
    inline = types.Part.from_bytes(data=data, mime_type="image/png")
    counts = [client.models.count_tokens(model=OLD, contents=[shown, "Look."]).total_tokens for shown in (file, inline)]
    assert counts[0] == counts[1] > 1000


def test_a_file_that_is_gone_is_refused(gateway):
    client = genai.Client()
    file = client.files.upload(file=BytesIO(picture(40, 30)), config={"mime_type": "image/png"})
    client.files.delete(name=file.name)
    with pytest.raises(genai.errors.ClientError, match="permission to access the File"):
        client.models.generate_content(model=NEW, contents=[file, "Look."])


@pytest.mark.parametrize("kind", ["PNG", "GIF", "JPEG", "WEBP"])
@pytest.mark.parametrize("pixels", SIZES)
def test_the_size_is_read_from_the_head_of_a_file(kind, pixels):
    assert size(picture(*pixels, kind)) == pixels
    assert size(picture(*pixels, kind)[:20]) in (None, pixels)


@pytest.mark.parametrize("head", [b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"RIFF....WEBPVP8X", b"RIFF....WEBP", b""])
def test_what_only_begins_like_a_picture_has_no_size(head):
    assert size(head + b"\0" * 40) is None or head.startswith(b"RIFF")


def test_a_lossless_webp_has_its_size():
    stored = BytesIO()
    Image.new("RGBA", (1600, 900), "gray").save(stored, "WEBP", lossless=True)
    assert size(stored.getvalue()) == (1600, 900)


@pytest.mark.parametrize("resolution", [None, 5, [], ["x"], {}, {"level": []}, {"level": None}, "MEDIA_RESOLUTION_LOW", {"level": "MEDIA_RESOLUTION_LOW"}])
def test_any_value_in_the_place_of_a_resolution_is_taken_or_refused(gateway, resolution):
    part = {"inlineData": {"mimeType": "image/png", "data": encoded(picture(40, 30))}, "mediaResolution": resolution}
    url = f"{gateway.base_url}/gemini/v1beta/models/{NEW}:countTokens"
    for body in ({"contents": [{"parts": [part]}]}, {"generateContentRequest": {"contents": [{"parts": [{**part, "mediaResolution": None}]}], "generationConfig": {"mediaResolution": resolution}}}):
        answer = httpx2.post(url, json=body, headers={"x-goog-api-key": "some-key"})
        assert answer.status_code < 500, answer.text
