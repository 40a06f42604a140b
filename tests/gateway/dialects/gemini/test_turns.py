"""The order of a conversation with Gemini, the signatures of its calls, and files that stand in a request, through the SDK."""

import hashlib

import pytest
from google import genai
from google.genai import errors, types

NEW, OLD = "gemini-3.5-flash-lite", "gemini-2.5-flash"
AS_MANY = "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn."
AFTER_USER = "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
AFTER_CALLS = "Please ensure that function response turn comes immediately after a function call turn."
FUNCTION = types.Tool(function_declarations=[types.FunctionDeclaration(name="look", parameters_json_schema={"type": "object"})])
FIRST = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff\xe0", "gif": b"GIF89a", "webp": b"RIFF\x00\x00\x00\x00WEBP", "heic": b"\x00\x00\x00\x18ftypheic"}


@pytest.fixture
def ask(gateway):
    client = genai.Client()

    def ask(*contents, model=NEW):
        config = types.GenerateContentConfig(tools=[FUNCTION], max_output_tokens=50)
        return client.models.generate_content(model=model, contents=list(contents), config=config)

    return ask


def refused(ask, *contents, **more):
    with pytest.raises(errors.ClientError) as caught:
        ask(*contents, **more)
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    return caught.value.message


def turn(role, *parts):
    return types.Content(role=role, parts=list(parts))


def user(*parts):
    return turn("user", *(parts or [types.Part(text="Say hello.")]))


def call(signature=b"signed"):
    return types.Part(function_call=types.FunctionCall(name="look", args={}), thought_signature=signature)


def result():
    return types.Part(function_response=types.FunctionResponse(name="look", response={"found": 7}))


@pytest.mark.parametrize("model", [NEW, OLD])
def test_pairs_are_taken(ask, model):
    assert ask(user(), turn("model", call()), user(result()), model=model).candidates
    assert ask(user(), turn("model", call(), call(None)), user(result(), result()), turn("model", call()), user(result()), model=model).candidates


@pytest.mark.parametrize("model", [NEW, OLD])
@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ([turn("model", call()), user(result())], AFTER_USER),
        ([user(), turn("model", types.Part(text="Look.")), turn("model", call()), user(result())], AFTER_USER),
        ([user(), turn("model", call()), user()], AS_MANY),
        ([user(), turn("model", call(), call()), user(result())], AS_MANY),
        ([user(), turn("model", call(), call()), user(result()), user(result())], AS_MANY),
        ([user(), turn("model", call()), user(result(), result())], AS_MANY),
        ([user(result())], AFTER_CALLS),
        ([user(), turn("model", types.Part(text="Look.")), user(result())], AFTER_CALLS),
    ],
)
def test_what_is_no_pair(ask, model, contents, message):
    assert refused(ask, *contents, model=model) == message


def test_gemini_3_wants_its_signatures_back(ask):
    words = (
        "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing "
        "thought_signature may lead to degraded model performance. Additional data, function call `default_api:look` , position {}. "
        "Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
    )
    bare = turn("model", call(None))
    assert refused(ask, user(), bare, user(result())) == words.format(2)
    assert refused(ask, user(), turn("model", call()), user(result()), bare, user(result())) == words.format(4)
    assert ask(user(), bare, user(result()), model=OLD).candidates
    assert ask(user(), bare, user(result()), turn("model", types.Part(text="Seven.")), user()).candidates  # asked for since the last question alone


@pytest.mark.parametrize("kind", FIRST)
def test_an_image_is_taken(ask, kind):
    assert ask(user(types.Part.from_bytes(data=FIRST[kind] + b"...", mime_type=f"image/{kind}"))).candidates


@pytest.mark.parametrize("kind", ["application/pdf", "text/plain", "text/csv", "audio/wav", "video/mp4"])
def test_other_files_are_taken_as_they_are(ask, kind):
    assert ask(user(types.Part.from_bytes(data=b"some bytes", mime_type=kind))).candidates


OFFICE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize("kind", ["image/jpg", "image/svg+xml", "image/tiff", "png", "application/octet-stream", "application/json", OFFICE])
def test_a_kind_of_file_that_gemini_does_not_read(ask, kind):
    assert refused(ask, user(types.Part.from_bytes(data=FIRST["png"], mime_type=kind))) == f"Unsupported MIME type: {kind}"


@pytest.mark.parametrize("data", [b"<html>Not found</html>", b""])
def test_an_image_that_is_none(ask, data):
    part = types.Part(inline_data=types.Blob(data=data, mime_type="image/png"))
    assert refused(ask, user(part)).startswith("Unable to process input image.")


PREFILLED = (user(), turn("model", types.Part(text="The answer is")))


def test_newer_models_begin_their_answer_themselves(ask):
    assert refused(ask, *PREFILLED) == "Requests ending with a model turn are not supported unless the last part is a function response."
    assert ask(*PREFILLED, model=OLD).candidates


def test_any_turn_may_be_the_last_of_what_is_counted(gateway):
    assert genai.Client().models.count_tokens(model=NEW, contents=list(PREFILLED)).total_tokens > 0


@pytest.mark.parametrize("kind", ["text/plain", "application/pdf", "video/mp4"])
def test_a_picture_that_is_said_to_be_something_else_is_another_file(gateway, kind):
    data, tokens = FIRST["png"] + b" and more", {}
    client = genai.Client()
    shown = {"kind": "scripted", "date": "2026-11-23", "provider": "gemini", "models": [NEW], "answers": [{"text": "A picture."}]}
    digest = hashlib.sha256(data).hexdigest()[:16]
    gateway.in_loop(lambda: gateway.recordings.add({**shown, "messages": [["user", [["image", digest], ["text", "What is it?"]]]]}))
    for mime in ("image/png", kind):
        part = types.Part.from_bytes(data=data, mime_type=mime)
        tokens[mime] = client.models.generate_content(model=NEW, contents=[part, "What is it?"]).text
    assert tokens["image/png"] == "A picture." != tokens[kind]


@pytest.mark.filterwarnings("ignore:.* is not a valid")
def test_a_whole_request_knows_no_ultra_high_resolution(gateway):
    client, high = genai.Client(), "MEDIA_RESOLUTION_ULTRA_HIGH"
    kind = "type.googleapis.com/google.ai.generativelanguage.v1beta.GenerationConfig.MediaResolution"
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model=NEW, contents="Hello", config={"media_resolution": high})
    assert caught.value.message == f"Invalid value at 'generation_config.media_resolution' ({kind}), \"{high}\""


def test_a_part_that_only_brings_back_a_signature_says_nothing(gateway):
    """As clients keep the last piece of a stream."""
    client = genai.Client()
    signature = types.Part(thought_signature=b"signed")

    def said(*parts):
        turns = [user(), turn("model", *parts), user(types.Part(text="And again."))]
        return client.models.generate_content(model=NEW, contents=turns).usage_metadata.prompt_token_count

    text = types.Part(text="Hello.")
    assert said(text, signature) == said(signature, text) == said(text, types.Part(thought=True, thought_signature=b"signed")) == said(text)
    assert said(signature) == said(types.Part(text="")), "a turn with nothing else is one that says nothing"


def test_a_signature_alone_is_no_answer_to_go_on_from(ask):
    assert "ending with a model turn" in refused(ask, user(), turn("model", types.Part(thought_signature=b"signed")))
    assert "one initialized field" in refused(ask, turn("user", types.Part(thought=True)))


@pytest.mark.parametrize("model", [NEW, OLD])
def test_calls_in_two_turns_are_answered_in_one(ask, model):
    """As pydantic-ai sends them, in a recording of 2026."""
    calls = turn("model", call()), turn("model", call())
    assert ask(user(), *calls, user(result(), result()), model=model).candidates
    assert refused(ask, user(), *calls, user(result()), model=model) == AS_MANY
    assert refused(ask, user(), turn("model", types.Part(text="Well.")), turn("model", call()), user(result()), model=model) == AFTER_USER


def test_how_to_read_a_video_may_stand_behind_it(gateway):
    """As pydantic-ai sent it in 2025."""
    video = types.Part.from_bytes(data=b"a film", mime_type="video/mp4")
    how = types.Part(video_metadata=types.VideoMetadata(start_offset="2s", end_offset="10s"))
    client = genai.Client()
    counts = [client.models.count_tokens(model=NEW, contents=user(types.Part(text="Look."), *parts)).total_tokens for parts in ([video], [video, how])]
    assert counts[0] == counts[1]


def test_the_way_of_calling_may_stand_beside_tools_of_googles_own(gateway):
    config = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="AUTO"), include_server_side_tool_invocations=True)
    search = types.GenerateContentConfig(tools=[types.Tool(google_search=types.GoogleSearch())], tool_config=config, max_output_tokens=50)
    assert genai.Client().models.generate_content(model=NEW, contents="Say hello.", config=search).candidates
