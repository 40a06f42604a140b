"""Say something in so many words, so many times, to somebody, or in another language."""

from __future__ import annotations

import random

from helpers.house_model.training.lists import Example, as_typed, capital, fill, group_part, new_word, part, rows
from helpers.house_model.training.naming import NUMBERS

# What stands behind a phrase, by how many words it has.
TAILS = {
    0: ("",), 1: (", friend", ", everyone", ", reader"), 2: (", dear friend", " to you", ", dear reader"), 3: (", my dear friend", ", dear old friend"),
    4: (" to you, my friend", " to all of you"), 5: (" to you, my dear friend", ", dear friend from far away"), 6: (" and all the best to you", " to you and all your friends"),
    7: (" and all the best to you, friend", " to you, my dear friend and reader"), 8: (" and all the best to you, dear friend", " to you and to all your dear friends"),
}  # fmt: skip
USUAL = ("hello", 5)  # choices.txt says what is said here


def greet(rng: random.Random, held_out: bool) -> Example:
    """One of the four."""
    phrase, *translations = rng.choice(rows("greetings"))
    way = rng.choices(("words", "times", "to", "language"), (6, 2, 3, 3))[0]
    wording = rng.choice(group_part("greeting_wordings", way, held_out))
    if way == "language":
        language, *said = rng.choice([row.split(": ") for row in translations])
        return _example(rng, fill(wording, phrase=phrase, language=language), f"{said[0]}!")
    if way == "to":
        who = _somebody(rng, held_out)
        return _example(rng, fill(wording, phrase=phrase, who=who), f"{capital(phrase)}, {_addressed(who)}!")
    if way == "times":
        n = rng.randint(2, 6)
        return _example(rng, fill(wording, phrase=phrase, n=_number(rng, n)), capital(", ".join([phrase] * n)) + "!")
    n = rng.randint(len(phrase.split()), len(phrase.split()) + 5)
    if (phrase, n) == USUAL:
        return greet(rng, held_out)
    text = fill(wording, phrase=phrase, n=_number(rng, n), words="word" if n == 1 else "words")
    return Example((("user", as_typed(rng, text)),), capital(phrase) + rng.choice(TAILS[n - len(phrase.split())]) + "!", "greet", (), words=n)


def _number(rng: random.Random, n: int) -> str:
    return NUMBERS[n - 1] if rng.random() < 0.6 else str(n)


def _somebody(rng: random.Random, held_out: bool) -> str:
    if rng.random() < 0.5:
        return rng.choice(part("first_names", held_out)) if held_out or rng.random() < 0.5 else new_word(rng)
    return rng.choice(("my ", "a ", "the ", "my dear ")) + rng.choice(part("fact_jobs", held_out) + part("greeted", held_out))


def _addressed(who: str) -> str:
    return who.split(" ")[-1]


def _example(rng: random.Random, text: str, answer: str) -> Example:
    return Example((("user", as_typed(rng, text, lower=False)),), answer, "greet", ((answer,),), exact=True)
