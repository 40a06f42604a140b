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
