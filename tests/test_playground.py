"""The playground: the code that it shows is the code that runs, asks what the controls say, and is taken by the provider."""

import json
import os
import subprocess
import sys
import time
from html import unescape

import pytest

import helpers
from helpers import models, playground_code
from helpers.playground_code import Wish, code, efforts, fitted

SERVED = [m for row in models.table()["default"] for m in models.of(row) if not (m.is_retired(models.facts_date()) or m.profile_only)]
named = pytest.mark.parametrize("model", SERVED, ids=lambda model: f"{model.provider}/{model.id}")


def run(source):
    """What a program printed, and what it left in `usage`."""
    printed = []
    space = {"print": lambda *said, **_: printed.append("".join(said))}
    exec(source, space)
    return "".join(printed), space["usage"]


@named
def test_the_code_asks_every_model(gateway, model):
    text, usage = run(code(model, Wish("Say hello in five words.", system="Be kind.", max_tokens=300)))
    entry = gateway.meter.log()[-1]
    assert text and usage and (entry.status, entry.provider, entry.model) == (200, model.provider, model.id)


@named
def test_all_that_a_model_is_said_to_take_is_taken(gateway, model):
    for effort in ("", *efforts(model)):
        wish = Wish("Say hello in five words.", effort=effort, temperature=0.5, stop="five", max_tokens=300)
        run(code(model, wish))
        assert gateway.meter.log()[-1].status == 200
        assert not fitted(model, wish)[1].get("effort")


@named
def test_a_temperature_that_is_left_out_would_be_refused_or_passed_over(gateway, model):
    wish = Wish("Say hello in five words.", temperature=0.5, max_tokens=300)
    left = fitted(model, wish)[1].get("temperature")
    if model.provider == "anthropic":
        assert left == playground_code.REFUSED  # the SDK has no such argument: TypeError
    elif left and left != playground_code.IGNORED:
        write = playground_code._WRITERS[model.provider]
        with pytest.raises(Exception, match="emperature"):
            run(write(model, wish))


def test_the_code_runs_as_a_program_of_its_own(gateway):
    for name in ("openai/gpt-6-luna", "azure/gpt-6-luna", "claude-haiku-5-5", "gemini-3.5-flash-lite", "us.anthropic.claude-haiku-5-5", "house"):
        model = playground_code.known(name)
        ran = subprocess.run([sys.executable, "-c", code(model, Wish("Say hello in five words."))], env=os.environ, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0 and ran.stdout.strip(), ran.stderr
        entry = gateway.meter.log()[-1]
        assert (entry.provider, entry.model, entry.status) == (model.provider, model.id, 200)


@pytest.mark.parametrize("text", ['He said "hi"\n\\ and left.', "{braces} 'and' \"\"\" quotes", "naïve 🙂 \u2028 \x7f \x00", "\ud800", "#%!"])
@named
def test_any_text_arrives_as_it_was_written(model, text):
    source = code(model, Wish(text, system=text, stop=text, effort="none"))
    compile(source, "code", "exec")
    sent = []

    class Found(Exception):
        pass

    class Client:
        def __getattr__(self, name):
            return self

        def __call__(self, **fields):
            sent.append(fields)
            raise Found

    call = source[source.index("\n", source.index("client = ")) + 1 :]
    with pytest.raises(Found):
        exec(call, {"client": Client()})
    assert json.dumps(text) in json.dumps(sent)
    assert max(map(len, source.splitlines())) < 120 or len(text) > 60


def test_a_model_of_two_providers_is_known_by_both_names():
    assert playground_code.known("azure/gpt-6-luna").provider == "azure"
    assert playground_code.known("gpt-6-luna").provider == "openai"
    assert playground_code.known("meta-llama/Llama-3.1-8B-Instruct").provider == "compatible"
    with pytest.raises(models.UnknownModel):
        playground_code.known("azure/gpt-0")


# ---- the widget ------------------------------------------------------------------------------------------------
HELLO = "Say hello in five words."


def labelled(widget):
    """All controls inside a widget that can be typed into, ticked or pressed."""
    inner = [control for child in getattr(widget, "children", ()) for control in labelled(child)]
    return [widget, *inner] if hasattr(widget, "description") and type(widget).__name__ != "HTML" else inner


def read(html):
    """HTML as it is read."""
    return unescape(html.replace("<wbr>", ""))


def test_asking_shows_each_answer_with_its_counts_cost_and_times(gateway):
    play = helpers.playground(HELLO, models=["gpt-6-luna", "claude-haiku-5-5", "house"])
    answers = play.ask()
    entries = {f"{entry.provider}/{entry.model}": entry for entry in gateway.meter.log()}
    assert [answer.model for answer in answers] == ["openai/gpt-6-luna", "anthropic/claude-haiku-5-5", "compatible/house"] and len(entries) == 3
    for answer, column in zip(answers, play._columns.children, strict=True):
        assert answer.text in read(column.value) and answer.model in column.value and "tokens in" in column.value
        used, counted = answer.usage, entries[answer.model].usage
        assert (used.input_tokens, used.output_tokens, used.thinking_tokens) == (counted.input_tokens, counted.output_tokens, counted.thinking_tokens)
        assert answer.seconds >= answer.first_token_seconds > 0
        assert answer.text.splitlines()[0] in read(play.words.data)
    assert [answer.cost is None for answer in answers] == [False, False, True]


def test_the_code_below_is_the_code_that_ran(gateway):
    play = helpers.playground(HELLO, models=["gpt-6-luna", "gemini-3.5-flash-lite"])
    play.max_tokens.value, play.effort.value, play.stop.value = 77, "low", "five"
    first = play.ask()
    shown = {box.description: box.value for box in play._codes.children}
    assert all("77" in source and "low" in source and "five" in source for source in shown.values())
    for answer in first:
        text, _ = run(shown[answer.model])
        assert text == answer.text and shown[answer.model] == play.code(answer.model)
    asked = sorted((entry.provider, entry.usage.input_tokens, entry.usage.output_tokens) for entry in gateway.meter.log())
    assert asked[::2] == asked[1::2], "the same two calls, twice"


def test_what_is_not_sent_is_said_with_the_reason(gateway):
    play = helpers.playground(HELLO, models=["gpt-6-luna", "claude-haiku-5-5"])
    play.temperature.value = 0.7
    assert "taken only where the effort is none" in play._columns.children[0].value and "not take it" in play.words.data
    play.effort.value = "none"
    assert "not sent" not in play._columns.children[0].value and "temperature=0.7" in play.code("gpt-6-luna")
    assert all(not answer.error for answer in play.ask())


def test_a_refusal_is_an_answer(gateway):
    gateway.fault("wrong_key", "anthropic")
    play = helpers.playground(HELLO, models=["gpt-6-luna", "claude-haiku-5-5"])
    good, bad = play.ask()
    assert good.text and not good.error and bad.error.startswith("AuthenticationError") and bad.usage is None
    assert "AuthenticationError" in play._columns.children[1].value and "AuthenticationError" in read(play.words.data) and not play.button.disabled


def test_markup_in_prompts_and_answers_is_text(gateway):
    play = helpers.playground("<script>alert(1)</script> & <b>", models=["house"])
    play.ask()
    assert "<script>" not in play.words.data + "".join(column.value for column in play._columns.children)


def test_without_a_model_it_says_what_to_do(gateway):
    play = helpers.playground(HELLO, models=["house"])
    play.models["compatible/house"].value = False
    assert play.ask() == [] and "Choose a model" in play._status.value and play._codes.children == ()


def test_every_control_has_a_name(gateway):
    controls = labelled(helpers.playground().widget)
    assert len(controls) > 15 and all(control.description for control in controls)


def test_another_wish_takes_back_the_answers_and_another_tick_does_not(gateway):
    play = helpers.playground(HELLO, models=["gpt-6-luna"])
    play.ask()
    play.models["azure/gpt-6-luna"].value = True
    assert len(play.answers) == 1 and len(play._columns.children) == 2
    play.prompt.value = "Say hello."
    assert play.answers == [] and "Nothing is asked yet" in play.words.data and "Say hello." in play.code("gpt-6-luna")


def test_without_widgets_the_words_are_shown(gateway):
    play = helpers.playground(HELLO, models=["gpt-6-luna"])
    shown = play._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in shown and shown["text/html"] == play.words.data and "gpt-6-luna" in shown["text/plain"]
    assert play.words.data in play._words.value


def test_every_list_shows_its_choice(gateway):
    play = helpers.playground(HELLO, models=["house"])
    assert (play.temperature.label, play.effort.label) == ("as the provider has it", "as the model has it")


def test_a_cut_answer_is_shown_as_far_as_it_came(gateway):
    gateway.fault("stream_cut", "compatible", chunk=8)
    play = helpers.playground("What is a token?", models=["house"])
    (answer,) = play.ask()
    assert answer.text and answer.error and answer.usage is None
    for shown in (play._columns.children[0].value, play.words.data):
        assert answer.text in read(shown) and answer.error[:20] in read(shown)


def test_without_a_prompt_nothing_is_asked(gateway):
    play = helpers.playground("  \n", models=["house"])
    assert play.ask() == [] and "Write a prompt" in play._status.value and not gateway.meter.log()


def finished(play):
    """Wait for the answers that a press has asked for."""
    while play._asked is not None:
        time.sleep(0.01)


def test_a_press_while_answers_come_asks_nothing_more_and_keeps_the_button(gateway):
    gateway.fault("slow", "openai", seconds=0.3)
    play = helpers.playground(HELLO, models=["gpt-6-luna"])
    play.button.click()
    play.button.click()
    assert not play.button.disabled, "a button that is switched off under the keyboard loses its place"
    finished(play)
    assert len(play.answers) == len(gateway.meter.log()) == 1


def test_answers_to_what_the_controls_said_before_are_left_out(gateway):
    gateway.fault("slow", "openai", seconds=0.3)
    play = helpers.playground(HELLO, models=["gpt-6-luna"])
    play.button.click()
    play.prompt.value = "What is a token?"
    finished(play)
    assert play.answers == [] and "have changed" in play._status.value and "Nothing is asked yet" in play.words.data


def test_another_question_is_asked_while_the_one_before_is_waited_for(gateway):
    gateway.fault("slow", "openai", seconds=1)
    play = helpers.playground("What is an API?", models=["gpt-6-luna"])
    play.button.click()
    while not gateway.meter.log():  # it has come to the gateway, which lets it wait
        time.sleep(0.01)
    play.prompt.value = HELLO
    play.button.click()
    finished(play)
    (answer,) = play.answers
    assert answer.text in read(play._columns.children[0].value) and "1 of 1" in play._status.value


def test_a_model_that_is_ticked_again_has_its_answer_still(gateway):
    play = helpers.playground(HELLO, models=["gpt-6-luna", "house"])
    asked = play.ask()
    box = play.models["compatible/house"]
    box.value = False
    assert [answer.model for answer in play.answers] == ["openai/gpt-6-luna"]
    box.value = True
    assert play.answers == asked


def test_a_client_that_cannot_be_made_is_an_answer(gateway, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    bad, good = helpers.playground(HELLO, models=["gpt-6-luna", "house"]).ask()
    assert "OPENAI_API_KEY" in bad.error and good.text


def test_a_long_prompt_is_shortened_in_words_alone(gateway):
    play = helpers.playground("The kettle leaks. " * 500, models=["house"])
    assert len(play.words.data) < 5000 and "9,000 characters" in play.words.data and play.code("house").count("leaks") == 500
