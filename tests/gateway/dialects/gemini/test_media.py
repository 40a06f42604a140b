"""Files in a prompt: the modality that they are counted as, as recorded in 2025 and 2026, and their tokens."""

import pytest
from google.genai import types

from tests.gateway.dialects.gemini.samples import LONG, MODEL, OLDER, PROMPT

PDF = b"%PDF-1.4\n" + b"<< /Type /Page /Parent 1 0 R >>\n" * 3 + b"<< /Type /Pages /Kids [] >>\n%%EOF"
PNG = b"\x89PNG\r\n\x1a\n and more"


def given(kind, data=b"some bytes"):
    return types.Part.from_bytes(data=data, mime_type=kind)


def counts(rows):
    return {row.modality.name: row.token_count for row in rows or ()}


def beside_text(ask, part, model, **config):
    """What a file adds to the counts of a prompt, by modality."""
    used, plain = (ask(prompt, model=model, **config).usage_metadata for prompt in ([part, PROMPT], PROMPT))
    assert used.prompt_token_count == sum(counts(used.prompt_tokens_details).values())
    found = counts(used.prompt_tokens_details)
    return {name: count for name, count in {**found, "TEXT": found["TEXT"] - plain.prompt_token_count}.items() if count}


@pytest.mark.parametrize(
    ("kind", "model", "modality"),
    [
        ("application/pdf", OLDER, "DOCUMENT"),
        ("application/pdf", MODEL, "IMAGE"),
        *(("audio/mpeg", model, "AUDIO") for model in (OLDER, MODEL)),
        *(("video/mp4", model, "VIDEO") for model in (OLDER, MODEL)),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_a_file_is_counted_as_what_it_is(ask, kind, model, modality, named):
    part = types.Part.from_uri(file_uri="https://example.org/file", mime_type=kind) if named else given(kind)
    assert list(beside_text(ask, part, model)) == [modality]


def test_a_video_on_youtube_needs_no_type(ask):
    part = types.Part(file_data=types.FileData(file_uri="https://www.youtube.com/watch?v=some"))
    assert list(beside_text(ask, part, MODEL)) == ["VIDEO"]


@pytest.mark.parametrize("model", [OLDER, MODEL])
def test_a_text_is_counted_as_its_words(ask, client, model):
    words = "Some words of a plain text."
    counted = client.models.count_tokens(model=model, contents=words).total_tokens
    assert beside_text(ask, given("text/plain", words.encode()), model) == {"TEXT": counted}


@pytest.mark.parametrize(
    ("model", "resolution", "expected"),
    [
        (OLDER, None, {"DOCUMENT": 3 * 258}),
        (OLDER, "MEDIA_RESOLUTION_LOW", {"DOCUMENT": 3 * 258}),
        (MODEL, None, {"IMAGE": 3 * 560}),
        (MODEL, "MEDIA_RESOLUTION_LOW", {"IMAGE": 3 * 280}),
        (MODEL, "MEDIA_RESOLUTION_HIGH", {"IMAGE": 3 * 1120}),
    ],
)
def test_the_pages_of_a_pdf_are_counted(ask, model, resolution, expected):
    config = {"media_resolution": resolution} if resolution else {}
    assert beside_text(ask, given("application/pdf", PDF), model, **config) == expected


def test_a_stream_and_a_count_say_the_same(ask, client, post):
    parts = [given("application/pdf", PDF), PROMPT]
    plain = counts(ask(parts, model=OLDER).usage_metadata.prompt_tokens_details)
    *_, last = client.models.generate_content_stream(model=OLDER, contents=parts)
    assert counts(last.usage_metadata.prompt_tokens_details) == plain
    body = {"contents": [{"parts": [{"inlineData": {"mimeType": "audio/wav", "data": "QUFB"}}, {"text": PROMPT}]}]}
    counted = post(body, "countTokens").json()
    assert [one["modality"] for one in counted["promptTokensDetails"]] == ["TEXT", "AUDIO"]


def test_what_is_read_from_the_cache_has_the_same_shares(ask):
    parts = [given("application/pdf", PDF), LONG]
    ask(parts, model=OLDER)
    used = ask(parts, model=OLDER).usage_metadata
    cached, whole = counts(used.cache_tokens_details), counts(used.prompt_tokens_details)
    assert sum(cached.values()) == used.cached_content_token_count > 0
    assert cached["DOCUMENT"] == round(used.cached_content_token_count * whole["DOCUMENT"] / used.prompt_token_count)


def test_an_explicit_cache_states_what_it_holds(ask, client):
    held = types.Content(role="user", parts=[given("application/pdf", PDF), types.Part(text=LONG)])
    cache = client.caches.create(model=OLDER, config=types.CreateCachedContentConfig(contents=[held]))
    used = ask([given("audio/mpeg"), PROMPT], model=OLDER, cached_content=cache.name).usage_metadata
    cached = counts(used.cache_tokens_details)
    assert cached["DOCUMENT"] == 3 * 258 and "AUDIO" not in cached and sum(cached.values()) == used.cached_content_token_count
    assert counts(used.prompt_tokens_details)["AUDIO"]


def test_a_file_in_a_result_is_counted_as_what_it_is(ask):
    call = types.Part(function_call=types.FunctionCall(name="look", args={}), thought_signature=b"signed")
    blob = types.FunctionResponseBlob(mime_type="application/pdf", data=PDF)
    response = types.FunctionResponse(name="look", response={"found": 1}, parts=[types.FunctionResponsePart(inline_data=blob)])
    turns = [types.Content(role=role, parts=[part]) for role, part in (("user", types.Part(text=PROMPT)), ("model", call), ("user", types.Part(function_response=response)))]
    found = [counts(ask(turns, model=model).usage_metadata.prompt_tokens_details) for model in (OLDER, MODEL)]
    assert found[0]["DOCUMENT"] == 3 * 258 and found[1]["IMAGE"] == 3 * 560


@pytest.mark.parametrize("method", ["generateContent", "countTokens"])
@pytest.mark.parametrize("address", ["http://[", "//[::1", "http://a]b/", ""])
def test_an_address_that_is_none_is_that_of_an_image(post, address, method):
    """Nothing is fetched, so that nobody finds out."""
    assert post({"contents": [{"parts": [{"fileData": {"fileUri": address}}, {"text": PROMPT}]}]}, method).status_code in (200, 400)
