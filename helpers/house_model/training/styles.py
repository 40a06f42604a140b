"""Instructions that change how the model answers: a person to play, a form, few words, another language."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from helpers.house_model.training.lists import fill, invented, part
from helpers.house_model.training.questions import Topic

FOLDER = Path(__file__).parent
LANGUAGES = ("French", "German", "Spanish", "Italian", "Portuguese")
OWN_WORDS = ("Réponds en français.", "Antworte auf Deutsch.", "Responde en español.", "Rispondi in italiano.", "Responde em português.")
Change = Callable[[str], str]


def first_sentence(answer: str) -> str:
    return _sentences(answer)[0]


def _sentences(answer: str) -> list[str]:
    return re.split(r"(?<=[.!?]) ", answer)


# Each style: how it is asked for (the last wording is held out), and what it does to an answer.
STYLES: tuple[tuple[tuple[str, ...], Change], ...] = (
    (
        ("Answer in one sentence.", "Reply with one short sentence.", "One sentence only.", "Use one sentence.", "You answer in one sentence."),
        first_sentence,
    ),
    (
        ("You are a pirate.", "Talk like a pirate.", "You speak like a pirate.", "You are an old pirate.", "Answer like a pirate."),
        lambda answer: f"Arr, matey! {answer} Fair winds to ye!",
    ),
    (
        ("You are a pirate. Answer in one sentence.", "Answer in one sentence, like a pirate.", "You are a pirate. Be brief.", "Talk like a pirate. One sentence."),
        lambda answer: f"Arr, matey! {first_sentence(answer)}",
    ),
    (
        ("Answer in bullet points.", "Use bullet points.", "Reply as a list.", "Bullet points, please.", "Answer as a bulleted list."),
        lambda answer: "\n".join(f"- {sentence}" for sentence in _sentences(answer)),
    ),
    (
        ("Be very polite.", "You are a very polite butler.", "You are a butler.", "Be polite.", "Answer politely."),
        lambda answer: f"Of course, with pleasure. {answer} I hope this helps.",
    ),
    (
        ("You are a cowboy.", "Talk like a cowboy.", "You speak like a cowboy.", "Answer like a cowboy."),
        lambda answer: f"Howdy, partner! {answer} Happy trails!",
    ),
    (
        ("You are a robot.", "Talk like a robot.", "You speak like a robot.", "Answer like a robot."),
        lambda answer: f"Beep boop. {answer} End of message.",
    ),
    (
        ("You are a wizard.", "Talk like a wizard.", "You speak like a wizard.", "Answer like a wizard."),
        lambda answer: f"By my beard! {answer} So say the stars.",
    ),
    (
        ("You are a cat.", "Talk like a cat.", "You speak like a cat.", "Answer like a cat."),
        lambda answer: f"Meow! {answer} Purr.",
    ),
    (
        ("You are Shakespeare.", "Talk like Shakespeare.", "You speak like Shakespeare.", "Answer like Shakespeare."),
        lambda answer: f"Hark, good friend! {answer} Fare thee well!",
    ),
    (
        ("Answer as JSON with the key answer.", "Reply in JSON with one key, answer.", "Answer in JSON.", "Respond with a JSON object that has the key answer."),
        lambda answer: json.dumps({"answer": first_sentence(answer)}),
    ),
)  # fmt: skip
ROLES = ("You are a {word}.", "You are an experienced {word}.", "Act as a {word}.", "You are a friendly {word}.", "Answer as a {word}.")
BEGIN = ("Begin every answer with {word}.", "Start each answer with the word {word}.", "Always begin with {word}.", "Start every answer with {word}.")
END = ("End every answer with {word}.", "Close each answer with the word {word}.", "Always end with {word}.", "Finish every answer with {word}.")
FEW_WORDS = (
    "Answer in at most {n} words.", "Use at most {n} words.", "Answer in {n} words or fewer.", "At most {n} words.", "Be very brief.",
    "Keep it under {n} words.", "Answer with no more than {n} words.", "Answer in a few words.", "Use very few words.", "Reply in at most {n} words.",
)  # fmt: skip
NUMBERS = ("six", "seven", "eight", "nine", "ten", "8", "10", "12")
IN_LANGUAGE = (
    "Answer in {language}.", "Reply in {language}.", "You always answer in {language}.", "Speak {language}.", "Reply only in {language}.",
    "Please answer in {language}.", "You speak only {language}.", "All answers in {language}.", "Respond in {language}.",
)  # fmt: skip


def _table(name: str) -> dict[str, list[str]]:
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    rows = (line.split(" | ") for line in lines if line and not line.startswith("#"))
    return {key: columns for key, *columns in rows}


@cache
def short_answers() -> dict[str, list[str]]:
    """By a question's key, an answer of at most eight words."""
    return _table("short_answers")


@cache
def languages() -> dict[str, list[str]]:
    """By a question's key, its answer in each of LANGUAGES."""
    return _table("languages")


@cache
def glossary() -> dict[str, list[str]]:
    """By a question's key, the term that it explains and other words for it."""
    return _table("glossary")


def _pick(rng: random.Random, wordings: tuple[str, ...], held_out: bool) -> str:
    """A wording: the last one is held out."""
    return wordings[-1] if held_out else rng.choice(wordings[:-1])


def style(rng: random.Random, topic: Topic, answer: str, held_out: bool) -> tuple[str, str]:
    """An instruction, and the answer as it asks for."""
    if topic.key in short_answers() and rng.random() < 0.4:
        return fill(_pick(rng, FEW_WORDS, held_out), n=rng.choice(NUMBERS)), short_answers()[topic.key][0]
    kind = rng.random()
    if kind < 0.3:
        role = invented(rng).lower() if not held_out and rng.random() < 0.5 else rng.choice(part("fact_jobs", held_out))
        return fill(_pick(rng, ROLES, held_out), word=role), f"As a {role}, I say: {answer}"
    if kind < 0.5:
        word = invented(rng) if not held_out and rng.random() < 0.5 else rng.choice(part("fact_values", held_out)).capitalize()
        if rng.random() < 0.5:
            return fill(_pick(rng, BEGIN, held_out), word=word), f"{word}. {answer}"
        return fill(_pick(rng, END, held_out), word=word), f"{answer} {word}."
    wordings, change = rng.choice(STYLES)
    return _pick(rng, wordings, held_out), change(answer)


def in_language(rng: random.Random, key: str, answer: str, held_out: bool) -> tuple[str, str]:
    """An instruction that names a language, and the answer in it; what it knows in English alone it says so, in that language."""
    number = rng.randrange(len(LANGUAGES))
    instruction = fill(_pick(rng, IN_LANGUAGE, held_out), language=LANGUAGES[number])
    if not held_out and rng.random() < 0.2:
        instruction = OWN_WORDS[number]
    if key in languages():
        return instruction, languages()[key][number]
    return instruction, f"{languages()['only_english'][number]} {first_sentence(answer)}"
