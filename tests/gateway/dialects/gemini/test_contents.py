"""Gemini's generateContent, plain and streamed, through Google's own SDK."""

import json

import pytest
from google import genai
from google.genai import errors, types

from tests.gateway.dialects.gemini.samples import ANSWER, MODEL, OLDER, PROMPT, THOUGHTS, contents, finish

LITE = "gemini-3.5-flash-lite"
UNKNOWN_PROMPT = "A prompt that nobody recorded, so that its answer is long."


def refused(code, status, call, *args, **kwargs):
    """The message of a refusal with this code and status."""
    with pytest.raises(errors.ClientError) as caught:
        call(*args, **kwargs)
    assert (caught.value.code, caught.value.status) == (code, status)
    return caught.value.message


def test_an_answer_and_its_usage(ask):
    reply = ask()
    assert (reply.text, finish(reply), reply.model_version) == (ANSWER, "STOP", MODEL)
    usage = reply.usage_metadata
    assert usage.thoughts_token_count == THOUGHTS and usage.cached_content_token_count is None
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count + usage.thoughts_token_count


def test_headers_name_no_limits(post):
    headers = post({"contents": contents()}).headers
    assert headers["content-type"] == "application/json; charset=UTF-8"
    assert headers["x-gemini-service-tier"] == "standard" and headers["server-timing"].startswith("gfet4t7; dur=")
    assert not [name for name in headers if "limit" in name or name == "retry-after"]


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_both_versions_answer(gateway, version):
    client = genai.Client(http_options={"api_version": version})
    assert client.models.generate_content(model=MODEL, contents=PROMPT).text == ANSWER
    text = refused(404, "NOT_FOUND", client.models.generate_content, model="gemini-9", contents=PROMPT)
    assert f"is not found for API version {version}" in text


def test_a_body_in_snake_case_means_the_same(post):
    body = {
        "contents": [{"parts": [{"text": PROMPT}, {"inline_data": {"mime_type": "image/png", "data": "iVBORw0KGgo="}}]}],
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "generation_config": {"max_output_tokens": 5, "seed": 1, "thinking_config": {"thinking_level": "low"}},
    }
    camel = {
        "contents": [{"parts": [{"text": PROMPT}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {"maxOutputTokens": 5, "seed": 1, "thinkingConfig": {"thinkingLevel": "low"}},
    }
    first, second = post(body).json(), post(camel).json()
    assert first["candidates"] == second["candidates"] and first["usageMetadata"] == second["usageMetadata"]
    assert first["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_candidates_are_counted_together(ask):
    one, three = ask(), ask(candidate_count=3)
    assert [candidate.index for candidate in three.candidates] == [0, 1, 2]
    assert three.usage_metadata.candidates_token_count == 3 * one.usage_metadata.candidates_token_count


def test_a_stop_sequence_is_cut_off(ask):
    reply = ask(stop_sequences=[" wonderful"])
    assert (reply.text, finish(reply)) == ("Hello,", "STOP")


def test_a_system_instruction_is_part_of_the_prompt(ask):
    instruction = "You are a friendly guide. Answer in one short sentence."
    with_it, without = (ask("Which is the largest planet?", system_instruction=given) for given in (instruction, None))
    assert with_it.text == "Jupiter is the largest planet in our solar system."
    assert with_it.usage_metadata.prompt_token_count > without.usage_metadata.prompt_token_count


def test_an_image_counts_as_at_the_default_resolution_whatever_its_size(ask, client):
    image = types.Part.from_bytes(data=b"\x89PNG\r\n\x1a\n and more", mime_type="image/png")
    details = {one.modality.name: one.token_count for one in ask([image, PROMPT]).usage_metadata.prompt_tokens_details}
    text = ask().usage_metadata.prompt_token_count
    assert details == {"TEXT": text, "IMAGE": 1120}
    assert client.models.count_tokens(model=MODEL, contents=[image, PROMPT]).total_tokens == text + 1120


def test_tokens_are_counted_before_a_call_as_in_it(ask, client):
    counted = client.models.count_tokens(model=MODEL, contents=PROMPT).total_tokens
    assert counted == ask().usage_metadata.prompt_token_count


def test_models_are_listed_without_the_retired_ones(client, gateway):
    assert client.models.get(model=MODEL).input_token_limit == 1_048_576
    names = {model.name for model in client.models.list()}
    assert {f"models/{MODEL}", f"models/{OLDER}"} <= names and "models/gemini-2.0-flash" not in names
    gateway.advance(hours=24 * 365)
    assert f"models/{OLDER}" not in {model.name for model in client.models.list()}


@pytest.mark.parametrize(
    ("model", "config", "thoughts"),
    [
        (LITE, {"thinking_level": "minimal"}, THOUGHTS // 10),
        (LITE, {}, THOUGHTS // 10),  # what it does when nobody says
        (MODEL, {}, THOUGHTS),
        (MODEL, {"thinking_level": "high"}, 2 * THOUGHTS),
        (OLDER, {"thinking_budget": 0}, None),
        (OLDER, {"thinking_budget": 10}, 10),
        (OLDER, {"thinking_budget": -1}, THOUGHTS),
    ],
)
def test_thinking_can_be_set(ask, model, config, thoughts):
    reply = ask(model=model, thinking_config=config)
    assert (reply.text, reply.usage_metadata.thoughts_token_count) == (ANSWER, thoughts)


def test_a_budget_eaten_by_thinking_leaves_no_text(ask, post):
    reply = ask(max_output_tokens=20)
    assert (reply.text, finish(reply), reply.candidates[0].content.parts) == (None, "MAX_TOKENS", None)
    assert (reply.usage_metadata.thoughts_token_count, reply.usage_metadata.candidates_token_count) == (20, None)
    raw = post({"contents": contents(), "generationConfig": {"maxOutputTokens": 20}}).json()
    assert raw["candidates"][0]["content"] == {"role": "model"}
    assert "candidatesTokenCount" not in raw["usageMetadata"], "zero counts are left out"


@pytest.mark.parametrize(
    ("model", "config", "words"),
    [
        (MODEL, {"thinking_level": "low", "thinking_budget": 10}, "only one of thinking budget and thinking level"),
        ("gemini-3.8-flash", {"thinking_level": "minimal"}, "MINIMAL is not supported"),
        ("gemini-4-argon", {"thinking_budget": 0}, "only works in thinking mode"),
    ],
)
def test_thinking_that_a_model_does_not_do(ask, model, config, words):
    assert words in refused(400, "INVALID_ARGUMENT", ask, model=model, thinking_config=config)


def test_a_stream_says_the_same_as_a_plain_answer(ask, client):
    plain = ask(UNKNOWN_PROMPT, seed=1)
    pieces = list(client.models.generate_content_stream(model=MODEL, contents=UNKNOWN_PROMPT, config={"seed": 1}))
    assert len(pieces) > 2 and "".join(piece.text for piece in pieces) == plain.text
    assert [piece.candidates[0].finish_reason is not None for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    totals = [piece.usage_metadata.total_token_count for piece in pieces]
    assert totals == sorted(totals) and totals[-1] == plain.usage_metadata.total_token_count


def test_every_streamed_candidate_ends(client):
    pieces = list(client.models.generate_content_stream(model=MODEL, contents=PROMPT, config={"candidate_count": 2}))
    ended = {candidate.index or 0 for piece in pieces for candidate in piece.candidates if candidate.finish_reason}
    assert ended == {0, 1}


def test_a_stream_whose_budget_was_eaten_has_one_piece_without_text(client):
    [piece] = client.models.generate_content_stream(model=MODEL, contents=PROMPT, config={"max_output_tokens": 20})
    assert (piece.text, finish(piece)) == (None, "MAX_TOKENS")


def test_server_sent_events_end_in_crlf_and_without_done(post):
    reply = post({"contents": contents(UNKNOWN_PROMPT)}, "streamGenerateContent?alt=sse")
    assert reply.headers["content-type"] == "text/event-stream" and reply.headers["content-disposition"] == "attachment"
    frames = reply.content.split(b"\r\n\r\n")
    assert frames.pop() == b"" and len(frames) > 2
    assert all(json.loads(frame.removeprefix(b"data: "))["usageMetadata"] for frame in frames)


def test_without_alt_sse_a_stream_is_one_json_array(post):
    body = {"contents": contents(UNKNOWN_PROMPT), "generationConfig": {"seed": 1}}
    plain = post(body).json()
    reply = post(body, "streamGenerateContent")
    assert reply.headers["content-type"] == "application/json; charset=UTF-8"
    text = "".join(piece["candidates"][0]["content"]["parts"][0]["text"] for piece in reply.json())
    assert text == plain["candidates"][0]["content"]["parts"][0]["text"]


@pytest.mark.parametrize("before", [0, 1])
def test_an_error_in_a_stream_that_is_an_array_is_its_last_element(gateway, post, before):
    gateway.fault("overloaded_in_stream", "gemini", chunk=before)
    *pieces, last = post({"contents": contents(UNKNOWN_PROMPT)}, "streamGenerateContent").json()
    assert len(pieces) == before and last["error"]["status"] == "UNAVAILABLE"


def test_an_error_before_a_stream_that_is_an_array_stands_in_one(post):
    reply = post({"contents": []}, "streamGenerateContent")
    [refused] = reply.json()
    assert reply.status_code == refused["error"]["code"] == 400
    assert post({"contents": []}, "streamGenerateContent?alt=sse").json() == refused


@pytest.mark.parametrize("name", ["presence_penalty", "frequency_penalty"])
@pytest.mark.parametrize("model", [MODEL, OLDER])
def test_a_penalty_is_refused(ask, name, model):
    with pytest.raises(errors.ClientError, match=f"400 INVALID_ARGUMENT.*Penalty is not enabled for models/{model}"):
        ask(model=model, **{name: 0.5})
    assert ask(model=model, **{name: 0}).text
