"""Prompts and answers that are blocked, by the settings of a request and by a fault, with Google's own SDK and others'."""

import anthropic
import boto3
import openai
import pytest
from google import genai

from helpers.gateway import harm

MODEL = "gemini-3.5-flash-lite"
CATEGORY = "HARM_CATEGORY_HARASSMENT"
MEDIUM = "[[harm: harassment, medium]] Say hello."
IN_ANSWER = MEDIUM.replace("harm:", "harm in the answer:")


def ask(prompt, threshold=None, category=CATEGORY):
    config = {"safety_settings": [{"category": category, "threshold": threshold}]} if threshold else None
    client = genai.Client()
    return client.models.generate_content(model=MODEL, contents=prompt, config=config)


@pytest.mark.parametrize("threshold", [None, "OFF", "BLOCK_NONE", "BLOCK_ONLY_HIGH"])
def test_a_threshold_above_the_level_blocks_nothing(gateway, threshold):
    assert ask(MEDIUM, threshold).text
    assert ask(IN_ANSWER, threshold).text


@pytest.mark.parametrize("threshold", ["BLOCK_MEDIUM_AND_ABOVE", "BLOCK_LOW_AND_ABOVE"])
def test_a_blocked_prompt_has_feedback_and_no_candidates(gateway, threshold):
    response = ask(MEDIUM, threshold)
    assert (response.text, response.candidates) == (None, None)
    (rating,) = response.prompt_feedback.safety_ratings
    assert response.prompt_feedback.block_reason.name == "SAFETY"
    assert (rating.category.name, rating.probability.name, rating.blocked) == (CATEGORY, "MEDIUM", True)
    used = response.usage_metadata
    assert used.total_token_count == used.prompt_token_count > 0 and used.candidates_token_count is None


def test_a_blocked_answer_has_a_finish_reason_and_no_parts(gateway):
    response = ask(IN_ANSWER, "BLOCK_LOW_AND_ABOVE")
    assert response.text is None and response.prompt_feedback is None
    (candidate,) = response.candidates
    assert candidate.finish_reason.name == "SAFETY" and not candidate.content.parts
    assert [(rating.category.name, rating.blocked) for rating in candidate.safety_ratings] == [(CATEGORY, True)]


def test_a_setting_holds_for_its_own_category(gateway):
    assert ask(MEDIUM, "BLOCK_LOW_AND_ABOVE", "HARM_CATEGORY_HATE_SPEECH").text


@pytest.mark.parametrize("prompt", [MEDIUM, IN_ANSWER])
def test_a_stream_that_is_blocked_has_one_piece(gateway, prompt):
    config = {"safety_settings": [{"category": CATEGORY, "threshold": "BLOCK_LOW_AND_ABOVE"}]}
    client = genai.Client()
    (piece,) = client.models.generate_content_stream(model=MODEL, contents=prompt, config=config)
    assert piece.text is None
    assert piece.prompt_feedback or piece.candidates[0].finish_reason.name == "SAFETY"


@pytest.mark.parametrize("level", harm.LEVELS)
@pytest.mark.parametrize("category", harm.CATEGORIES)
def test_every_category_and_level_can_be_blocked(gateway, category, level):
    name = "HARM_CATEGORY_" + category.upper().replace(" ", "_")
    feedback = ask(f"[[harm: {category}, {level}]]", "BLOCK_LOW_AND_ABOVE", name).prompt_feedback
    assert feedback.safety_ratings[0].probability.name == level.upper()


def test_the_fault_blocks_the_next_prompt_whatever_it_says(gateway):
    gateway.fault("blocked", "gemini")
    assert ask("Say hello.").prompt_feedback.block_reason.name == "SAFETY"
    assert ask("Say hello.").text


def test_the_fault_stops_every_provider_in_its_own_words(gateway):
    gateway.fault("blocked", times=None)
    said = [{"role": "user", "content": "Say hello."}]
    choice = openai.OpenAI().chat.completions.create(model="gpt-6-luna", messages=said).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("content_filter", "")
    assert openai.OpenAI().responses.create(model="gpt-6-luna", input="Say hello.").incomplete_details.reason == "content_filter"
    message = anthropic.Anthropic().messages.create(model="claude-haiku-5-5", max_tokens=50, messages=said)
    assert (message.stop_reason, message.content) == ("refusal", [])
    asked = {"modelId": "us.anthropic.claude-haiku-5-5", "messages": [{"role": "user", "content": [{"text": "Say hello."}]}]}
    assert boto3.client("bedrock-runtime").converse(**asked)["stopReason"] == "content_filtered"


def refused(**setting):
    client = genai.Client()
    with pytest.raises(genai.errors.ClientError) as caught:
        client.models.generate_content(model=MODEL, contents="Hello", config={"safety_settings": [setting]})
    assert caught.value.code == 400
    return caught.value.message


@pytest.mark.filterwarnings("ignore:.* is not a valid")  # the SDK's own, which sends it all the same
@pytest.mark.parametrize("name", ["HARASSMENT", "HARM_CATEGORY_RUDENESS", "HARM_CATEGORY_IMAGE_HATE"])
def test_a_category_that_is_none_is_refused_in_googles_words(gateway, name):
    kind = "type.googleapis.com/google.ai.generativelanguage.v1beta.HarmCategory"
    assert refused(category=name, threshold="OFF") == f"Invalid value at 'safety_settings[0].category' ({kind}), \"{name}\""


def test_a_category_of_older_models_is_refused(gateway):
    said = refused(category="HARM_CATEGORY_UNSPECIFIED", threshold="OFF")
    assert said.startswith("* GenerateContentRequest.safety_settings[0]: element predicate failed: $.category in (HarmCategory.HARM_CATEGORY_HATE_SPEECH, ")


@pytest.mark.filterwarnings("ignore:.* is not a valid")
def test_a_threshold_that_is_none_is_refused_in_googles_words(gateway):
    kind = "type.googleapis.com/google.ai.generativelanguage.v1beta.SafetySetting.HarmBlockThreshold"
    said = refused(category=CATEGORY, threshold="BLOCK_ALL")
    assert said == f"Invalid value at 'safety_settings[0].threshold' ({kind}), \"BLOCK_ALL\""


@pytest.mark.parametrize("mark", ["[[harm: harassment, low]]", "[[harm in the answer: hate speech, high]]", "[[harm: rudeness, high]]"])
def test_what_stands_beside_a_mark_is_answered_as_without_it(gateway, mark):
    assert ask(f"{mark} Say hello in five words.").text == ask("Say hello in five words.").text
    house = f"{mark} What is a token, in a prompt that nobody recorded?"
    assert ask(house).text and "[[" not in ask(house).text
    assert gateway.meter.log()[-1].source.kind == "house"
