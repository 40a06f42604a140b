"""A question about a long text that nobody recorded in these very words: the length of a prompt is what chapter 06 changes."""

import anthropic
import pytest

from helpers.gateway.sources.wordings import LONGEST

QUESTION = "How often do I water a monstera?"


@pytest.fixture
def source(gateway):
    def ask(system, question=QUESTION):
        client = anthropic.Anthropic()
        client.messages.create(model="claude-haiku-5-5", max_tokens=1000, system=system, messages=[{"role": "user", "content": question}])
        return gateway.meter.log()[-1].source.kind

    return ask


def test_a_question_of_the_chapter_is_answered_whatever_the_length_of_the_text_before_it(source):
    long = "A plant has leaves. " * 40
    assert len(long) > LONGEST
    assert [source(long), source([{"type": "text", "text": long}]), source(long * 20)] == ["scripted"] * 3
    assert source(long, QUESTION.lower().rstrip("?")) == "scripted"


def test_a_short_instruction_is_not_taken_for_a_long_one(source):
    assert source("Be brief.") == "house"
    assert source("A plant has leaves. " * 40, "What is a plant?") == "house"
