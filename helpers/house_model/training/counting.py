"""Counting from a to b: up and down, in steps, in digits and in words, in six languages."""

from __future__ import annotations

import random

from helpers.house_model.training.lists import Example, as_typed, fill, group_part, rows

LONGEST = 20  # numbers in one answer
STEPS = (2, 2, 2, 3, 4, 5, 5, 10, 10)


def count(rng: random.Random, held_out: bool) -> Example:
    """Count from one number to another, in the form that is asked for."""
    way = rng.choices(("up", "down", "to", "step"), (5, 4, 2, 2))[0]
    language = rng.choice([row[0] for row in rows("count_languages")[1:]]) if way != "step" and rng.random() < 0.2 else "English"
    in_words, written = rng.random() < 0.35 or language != "English", rng.random() < 0.35
    step = rng.choice(STEPS) if way == "step" else 1
    low, high = _range(rng, way, 20 if in_words or written else 120, step)
    first, last = (high, low) if way == "down" else (low, high)
    names = _names("English")
    shown = {"a": names[first - 1] if written else str(first), "b": names[last - 1] if written else str(last)}
    shown["s"] = names[step - 1] if written or rng.random() < 0.5 else str(step)
    text = fill(rng.choice(group_part("count_wordings", way, held_out)), **shown)
    asked, between = _form(rng, language, in_words and (not written or rng.random() < 0.5))
    numbers = range(first, last - 1, -1) if way == "down" else range(first, last + 1, step)
    words = _names(language)
    answer = between.join(words[number - 1] if in_words or written else str(number) for number in numbers)
    text += asked + rng.choice((".", ".", ".", ""))
    return Example((("user", as_typed(rng, text)),), answer, "count", ((answer,),), exact=True)


def _range(rng: random.Random, way: str, most: int, step: int) -> tuple[int, int]:
    """The smaller and the greater number; most ranges that people try are short and begin low."""
    low = 1 if way == "to" or rng.random() < 0.35 else rng.randint(1, max(1, (most if rng.random() < 0.4 else 20) - 2 * step))
    if way == "step" and rng.random() < 0.6:
        low = step
    length = rng.choice((3, 4, 5, 6, 8, 10, 10, 12, 15, LONGEST))
    high = low + step * (length - 1)
    while high > most:
        high -= step
    return low, max(high, low + 1)


def _form(rng: random.Random, language: str, say_words: bool) -> tuple[str, str]:
    """What the prompt adds about words, language and lines, and what then stands between two numbers."""
    asked = ""
    if language != "English":
        asked = f" in {language}"
    elif say_words:
        asked = rng.choice((" in words", " in words", ", in words", " as words"))
    if rng.random() < 0.35:
        return asked + rng.choice((", one number a line", ", one a line", ", one per line", ", each on its own line")), "\n"
    if rng.random() < 0.2:
        asked += rng.choice((", separated by commas", ", in one line"))
    return asked, ", "


def _names(language: str) -> list[str]:
    """The numbers from one to twenty as words."""
    return dict(rows("count_languages"))[language].split(", ")
