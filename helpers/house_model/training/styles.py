"""Instructions that change how the model answers: a person to play, a form, few words, another language."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from helpers.house_model.training.lists import article, fill, new_word, part
from helpers.house_model.training.questions import Topic

FOLDER = Path(__file__).parent
LANGUAGES = ("French", "German", "Spanish", "Italian", "Portuguese")
OWN_WORDS = ("Réponds en français.", "Antworte auf Deutsch.", "Responde en español.", "Rispondi in italiano.", "Responde em português.")
Change = Callable[[str], str]


def first_sentence(answer: str) -> str:
    return _sentences(answer)[0]


def _sentences(answer: str) -> list[str]:
    return re.split(r"(?<=[.!?]) ", answer)


PERSONS = (
    "You are {person}.", "Talk like {person}.", "You speak like {person}.", "Speak like {person}.", "Act as {person}.", "Pretend to be {person}.",
    "Reply like {person}.", "You talk like {person}.", "Imagine you are {person}.", "Play {person}.", "Answer as {person}.", "Respond like {person}.",
    "Respond as {person}.", "Reply as {person}.", "You answer like {person}.", "Always talk like {person}.",
    "You are {person} and answer so.", "I want you to talk like {person}.", "Write like {person}.", "Be {person}.", "Answer like {person}.",
)  # fmt: skip
# Who can be played: how he is named, and what he says before and after an answer.
PERSONAS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("a pirate", "an old pirate", "a pirate captain"), "Arr, matey! ", " Fair winds to ye!"),
    (("a butler", "a very polite butler", "an English butler"), "Of course, with pleasure. ", " I hope this helps."),
    (("a cowboy", "an old cowboy"), "Howdy, partner! ", " Happy trails!"),
    (("a robot", "an old robot"), "Beep boop. ", " End of message."),
    (("a wizard", "an old wizard"), "By my beard! ", " So say the stars."),
    (("a cat", "a proud cat"), "Meow! ", " Purr."),
    (("a dog", "a friendly dog"), "Woof! ", " Wag, wag."),
    (("Shakespeare", "William Shakespeare"), "Hark, good friend! ", " Fare thee well!"),
    (("Yoda", "Master Yoda"), "Hmm. ", " Yes, young one."),
    (("a king", "a queen"), "We, the crown, declare: ", " So be it."),
    (("a child", "a five-year-old child"), "Oh, I know that! ", " Cool, right?"),
    (("a grumpy old man", "a grumpy person"), "Oh well, if I must. ", " Now let me rest."),
)
# Each form: how it is asked for (the last wording is held out), and what it does to an answer.
FORMS: tuple[tuple[tuple[str, ...], Change], ...] = (
    (
        (
            "Answer in one sentence.", "Reply with one short sentence.", "One sentence only.", "Use one sentence.", "Reply in one sentence.",
            "Be brief: one sentence.",
            "Use only one sentence.", "Always answer with one sentence.", "In one sentence, please.", "Answer with a single sentence.",
            "You answer in one sentence.",
        ),
        first_sentence,
    ),
    (
        (
            "Answer in bullet points.", "Use bullet points.", "Reply as a list.", "Bullet points, please.", "Answer with bullets.",
            "Reply in bullet points.", "Answer as bullets.", "Answer as a list.", "Reply as a list with bullets.", "Make a bulleted list.",
            "Write bullet points.", "Use bullets.", "Always answer in bullet points.", "Answer as a list with bullets.", "Answer as a bulleted list.",
        ),
        lambda answer: "\n".join(f"- {sentence}" for sentence in _sentences(answer)),
    ),
    (
        (
            "Be very polite.", "Be polite.", "Be extremely polite.", "Answer very politely.", "You are very polite.", "Always be polite.", "Reply politely.",
            "Stay polite.", "Please answer politely.", "Speak politely.", "Be so polite.", "Answer politely.",
        ),
        lambda answer: f"Of course, with pleasure. {answer} I hope this helps.",
    ),
    (
        (
            "Answer as JSON with the key answer.", "Reply in JSON with one key, answer.", "Answer in JSON.", "Reply in JSON.", "Answer as JSON.", "Use JSON.",
            "Return JSON.", "Answer as a JSON object.", "Always answer in JSON.", "Only JSON, please.",
            "Respond in JSON.", "Respond with JSON.", "Give a JSON object with the key answer.", "Return a JSON object with one key: answer.",
            "Reply with a JSON object.",
            "Respond as JSON, key answer.", "Your output is a JSON object.", "Write a JSON object that holds the answer.", "Output JSON with the key answer.",
            "Respond only with a JSON object.", "The answer is a JSON object with the key answer.", "Respond with a JSON object that has the key answer.",
        ),
        lambda answer: json.dumps({"answer": first_sentence(answer)}),
    ),
    (
        ("Answer in capital letters.", "Use only capital letters.", "Write everything in capitals.", "ALL CAPS, please.", "Answer in uppercase.", "Shout.",
            "Reply in capitals.", "Use capital letters.", "Respond in capital letters.", "Only capital letters.", "Reply in uppercase.", "Always shout.",
            "WRITE IN CAPITALS.",
            "Reply in capital letters."),
        lambda answer: first_sentence(answer).upper(),
    ),
)  # fmt: skip
ONE_SENTENCE = ("Answer in one sentence.", "Be brief.", "One sentence.", "Use one sentence.", "Keep it short.", "One sentence only.")
ROLES = (
    "You are {a} {word}.", "You are an experienced {word}.", "Act as {a} {word}.", "You are a friendly {word}.", "Talk like {a} {word}.",
    "Reply as {a} {word}.",
    "Pretend to be {a} {word}.", "You are a good {word}.", "Respond as {a} {word}.", "Be {a} {word}.", "You answer as {a} {word}.", "Talk as {a} {word}.",
    "Speak as {a} {word}.", "Imagine you are {a} {word}.", "You work as {a} {word}.", "Answer as {a} {word}.",
)
BEGIN = (
    "Begin every answer with {word}.", "Start each answer with the word {word}.", "Always begin with {word}.", "Begin with {word}.", "Start with {word}.",
    "Always start with the word {word}.", "Your answers begin with {word}.", "Begin each reply with {word}.", "Say {word} first.",
    "Each answer begins with {word}.", "Start all answers with {word}.", "Start each answer with {word}.", "First say {word}, then answer.",
    "Begin all your answers with the word {word}.", "Start every reply with {word}.", "Each answer starts with {word}.", "Start every answer with {word}.",
)
END = (
    "End every answer with {word}.", "Close each answer with the word {word}.", "Always end with {word}.", "End with {word}.", "Finish with {word}.",
    "Always close with the word {word}.", "Your answers end with {word}.", "End each reply with {word}.", "Say {word} last.",
    "Each answer closes with {word}.", "Finish all answers with {word}.", "Finish each answer with {word}.", "Say {word} when you are done.",
    "End all your answers with the word {word}.", "Finish every reply with {word}.", "Each answer ends with {word}.", "Finish every answer with {word}.",
)
FEW_WORDS = (
    "Answer in at most {n} words.", "Use at most {n} words.", "Answer in {n} words or fewer.", "At most {n} words.", "Be very brief.",
    "Keep it under {n} words.", "Answer with no more than {n} words.", "Answer in a few words.", "Use very few words.", "Reply in {n} words at most.",
    "Reply in few words.", "Reply with at most {n} words.", "Answer in under {n} words.", "No more than {n} words.", "Reply in at most {n} words.",
)  # fmt: skip
NUMBERS = ("six", "seven", "eight", "nine", "ten", "8", "10", "12")
IN_LANGUAGE = (
    "Answer in {language}.", "Reply in {language}.", "You always answer in {language}.", "Speak {language}.", "Reply only in {language}.",
    "Please answer in {language}.", "You speak only {language}.", "All answers in {language}.", "Respond only in {language}.",
    "Your answers are in {language}.", "Write in {language}.", "Reply in {language}, please.", "Respond in {language}.",
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
        role = new_word(rng).lower() if not held_out and rng.random() < 0.5 else rng.choice(part("fact_jobs", held_out))
        return fill(_pick(rng, ROLES, held_out), word=role, a=article(role)), f"As {article(role)} {role}, I say: {answer}"
    if kind < 0.5:
        word = new_word(rng) if not held_out and rng.random() < 0.5 else rng.choice(part("fact_values", held_out)).capitalize()
        if rng.random() < 0.5:
            return fill(_pick(rng, BEGIN, held_out), word=word), f"{word}. {answer}"
        return fill(_pick(rng, END, held_out), word=word), f"{answer} {word}."
    if kind < 0.75:
        return _persona(rng, answer, held_out)
    wordings, change = rng.choice(FORMS if held_out else (*FORMS, *FORMS[3:], *FORMS[4:], *FORMS[4:]))  # the last ones are the hardest
    return _pick(rng, wordings, held_out), change(answer)


def _persona(rng: random.Random, answer: str, held_out: bool) -> tuple[str, str]:
    """Somebody to play; now and then in one sentence."""
    persons, before, after = rng.choice(PERSONAS)
    instruction = fill(_pick(rng, PERSONS, held_out), person=rng.choice(persons))
    if rng.random() < 0.25:
        short = rng.choice(ONE_SENTENCE)
        return f"{short} {instruction}" if rng.random() < 0.3 else f"{instruction} {short}", before + first_sentence(answer)
    return instruction, before + answer + after


def in_language(rng: random.Random, key: str, answer: str, held_out: bool) -> tuple[str, str]:
    """An instruction that names a language, and the answer in it; what it knows in English alone it says so, in that language."""
    number = rng.randrange(len(LANGUAGES))
    instruction = fill(_pick(rng, IN_LANGUAGE, held_out), language=LANGUAGES[number])
    if not held_out and rng.random() < 0.2:
        instruction = OWN_WORDS[number]
    if key in languages():
        return instruction, languages()[key][number]
    return instruction, f"{languages()['only_english'][number]} {first_sentence(answer)}"
