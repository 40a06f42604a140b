"""OpenAI's moderations through its own SDK: the shape of recordings, and a verdict that follows the course's mark alone."""

import openai
import pytest
from openai import OpenAI

from tests.gateway.dialects.openai.samples import HELLO, PIXEL, user

MARK, MILD = "[[harm: harassment, medium]]", "[[harm: hate speech, low]]"
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
IN_IMAGES = {"sexual", "self-harm", "self-harm/intent", "self-harm/instructions", "violence", "violence/graphic"}


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


def refused(client, **asked):
    with pytest.raises(openai.APIStatusError) as caught:
        client.post("/moderations", body=asked, cast_to=object)
    return caught.value.status_code, caught.value.body["param"], caught.value.code, caught.value.body["message"]


def test_a_text_is_harmful_by_its_mark_alone(client):
    answer = client.moderations.create(model="omni-moderation-latest", input=f"You fool! {MARK}")
    assert answer.id.startswith("modr-") and answer.model == "omni-moderation-latest"
    (found,) = answer.results
    assert found.flagged and {name for name, is_found in found.to_dict()["categories"].items() if is_found} == {"harassment"}
    assert found.category_scores.harassment > 0.5 > found.category_scores.hate
    assert client.moderations.create(input="I will kill this process.").results[0].flagged is False


def test_what_is_hardly_probable_has_a_score_and_no_flag(client):
    (found,) = client.moderations.create(input=MILD).results
    assert not found.flagged and not found.categories.hate and found.category_scores.hate > found.category_scores.harassment


def test_each_text_of_a_list_has_a_verdict(client):
    verdicts = client.moderations.create(input=["fine", f"{MARK} [[harm: dangerous content, high]]", "[[harm in the answer: harassment, high]]"]).results
    assert [one.flagged for one in verdicts] == [False, True, False]
    assert verdicts[1].categories.illicit and verdicts[1].categories.harassment


@pytest.mark.parametrize(("parts", "kinds"), [([PICTURE], {"image"}), ([{"type": "text", "text": "hi"}, PICTURE], {"text", "image"}), ([{"type": "text", "text": "hi"}], {"text"})])
def test_the_kinds_of_input_are_named_by_category(client, parts, kinds):
    (found,) = client.moderations.create(input=parts).results
    body = found.to_dict()
    assert len(body["categories"]) == 13 and body["categories"].keys() == body["category_scores"].keys()
    for name, applied in body["category_applied_input_types"].items():
        assert set(applied) == kinds & ({"text", "image"} if name in IN_IMAGES else {"text"})
        assert bool(applied) is bool(body["category_scores"][name])


REFUSED = [
    ({}, 400, "input", "missing_required_parameter"),
    ({"input": 3}, 400, "input", "invalid_type"),
    ({"input": []}, 400, "input", "empty_array"),
    ({"input": ["a", PICTURE]}, 400, "input[0]", "invalid_type"),
    ({"input": [{"type": "text"}]}, 400, "input[0].text", "missing_required_parameter"),
    ({"input": [{"type": "video", "text": "x"}]}, 400, "input[0].type", "invalid_value"),
    ({"input": [{"type": "image_url", "image_url": {"url": "ftp:x"}}]}, 400, "input", "invalid_image_url"),
    ({"input": [{"type": "image_url", "image_url": {}}]}, 400, "input[0].image_url.url", "missing_required_parameter"),
    ({"input": [PICTURE, PICTURE]}, 400, "input", "too_many_images"),
    ({"input": "x", "model": "gpt-4o"}, 404, None, "model_not_found"),
    ({"input": "x", "model": "text-moderation-latest"}, 404, None, "model_not_found"),
    ({"input": "x", "stream": True}, 400, "stream", "unknown_parameter"),
]


@pytest.mark.parametrize(("asked", "status", "param", "code"), REFUSED)
def test_what_is_wrong_is_refused(client, asked, status, param, code):
    assert refused(client, **asked)[:3] == (status, param, code)


def test_two_images_are_one_too_many_in_openais_words(client):
    assert refused(client, input=[PICTURE, {"type": "image_url", "image_url": {"url": PIXEL}}])[3] == "Number of images (2) exceeds maximum of 1"


def test_the_log_and_a_header_say_that_the_verdict_is_scripted(gateway, client):
    raw = client.moderations.with_raw_response.create(input=MARK)
    assert raw.headers["x-course-source"] == "scripted" and "openai-version" in raw.headers
    (entry,) = gateway.meter.log()
    assert (entry.operation, entry.source.kind, entry.usage) == ("moderations", "scripted", None)


def test_a_chat_is_moderated_where_it_asks_for_that(client):
    asked = {"model": "gpt-6-luna", "messages": user(f"{HELLO} {MARK}"), "moderation": {"model": "omni-moderation-latest"}}
    plain = client.chat.completions.create(**asked)
    *_, finish, told, usage = client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    *_, last = client.chat.completions.create(**asked, stream=True)
    assert finish.choices[0].finish_reason == "stop" and usage.usage and not usage.choices
    for moderation in (plain.moderation, told.moderation, last.moderation):
        assert [one.flagged for one in moderation.input.results] == [True] and moderation.input.results[0].categories["harassment"]
        assert [one.flagged for one in moderation.output.results] == [False] and moderation.output.model == "omni-moderation-latest"
    assert client.chat.completions.create(**{**asked, "moderation": None}).moderation is None


def test_a_chat_that_is_moderated_by_no_such_model_is_refused(client):
    for wrong, error in (({"model": "gpt-4o"}, openai.NotFoundError), ({}, openai.BadRequestError), ({"model": 3}, openai.BadRequestError)):
        with pytest.raises(error):
            client.chat.completions.create(model="gpt-6-luna", messages=user(HELLO), moderation=wrong)
