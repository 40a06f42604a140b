"""What the embedding model is trained on: wordings of one question, beside questions that look like it and mean something else.

Three kinds of questions: those of the course (questions/*.txt), actions on things ("delete my account"), and everyday ones (both in
likeness/*.txt). A batch holds families: some questions that are near misses of one another, each in two wordings. What is held out
(wordings of the course's questions, frames, the last wording of an everyday question, one in seven pairs of action and thing) is
never trained on.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from helpers.house_model.training import corpus, styles
from helpers.house_model.training.lists import fill, part, plain, split
from helpers.house_model.training.questions import topics
from helpers.house_model.training.tfidf import TfIdf

LISTS = Path(__file__).with_name("likeness")
NEAR = 10  # questions of the course among which the near misses of one are drawn
FAMILY = 4  # questions that are drawn together
KINDS = (("course", 0.44), ("action", 0.2), ("everyday", 0.28), ("alone", 0.08))
OPPOSITE_SHARE = 0.35  # of the questions: with its opposite beside it, if a word of it has one

Pair = tuple[str, str, str]  # the name of a question, and two wordings of it; the second is empty for a near miss alone


# ---------------------------------------------------------------------------- the lists
@cache
def _lines(name: str) -> tuple[str, ...]:
    lines = (LISTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if not line.startswith("#"))


def _rows(name: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(line.split(" | ")) for line in _lines(name) if line.strip())


@cache
def _frames(held_out: bool) -> tuple[str, ...]:
    return tuple(row[0] for row in split(tuple((line,) for line in _lines("frames")), held_out))


@cache
def families() -> tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]:
    """The everyday questions: for each family the list that fills its places, and its questions with their wordings."""
    found: list[tuple[str, list[tuple[str, ...]]]] = []
    for line in _lines("families"):
        if line.startswith("= "):
            found.append((line[2:], []))
        elif line.strip():
            found[-1][1].append(tuple(line.split(" | ")))
    return tuple((noun, tuple(questions)) for noun, questions in found)


def _values(noun: str) -> tuple[str, ...]:
    return ("",) if noun == "none" else part("off_words" if noun == "word" else f"off_{noun}", False)


def is_held_out(verb: str, thing: str) -> bool:
    """Whether this action on this thing is never trained on."""
    return zlib.crc32(f"{verb} {thing}".encode()) % 7 == 0


# ---------------------------------------------------------------------------- families of near misses
def batch(rng: random.Random, size: int) -> list[Pair]:
    """So many questions, most of them in families; no question twice."""
    made: dict[str, Pair] = {}
    kinds, weights = zip(*KINDS, strict=True)
    while len(made) < size:
        for pair in MAKERS[rng.choices(kinds, weights)[0]](rng):
            made.setdefault(pair[0], pair)
            near = opposite(rng, pair[1]) if rng.random() < OPPOSITE_SHARE else None
            if near and pair[0] in made and made[pair[0]] is pair:
                made[f"not {near}"] = (f"not {near}", near, "")
    return list(made.values())[:size]


def _course(rng: random.Random) -> Iterator[Pair]:
    """A question of the course and some that look like it."""
    first = rng.randrange(len(topics()))
    for number in (first, *rng.sample(neighbors()[first], FAMILY - 1)):
        topic = topics()[number]
        yield topic.key, corpus.asked_for(rng, topic), corpus.asked_for(rng, topic)


@cache
def neighbors() -> tuple[tuple[int, ...], ...]:
    """For each question of the course, those whose wordings have the most words in common with its own."""
    texts = [" ".join((*topic.ask, *topic.more)) for topic in topics()]
    vectors = TfIdf(texts).vectors(texts)
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -1)
    return tuple(tuple(map(int, row)) for row in np.argsort(-alike, axis=1)[:, :NEAR])


def _action(rng: random.Random) -> Iterator[Pair]:
    """Some actions on one thing, and one of them on other things."""
    verbs, things = rng.sample(_rows("verbs"), FAMILY), rng.sample(_rows("things"), 3)
    for verb, thing in [*((verb, things[0]) for verb in verbs), *((verbs[0], thing) for thing in things[1:])]:
        if not is_held_out(verb[0], thing[0]):
            yield f"{verb[0]} {thing[0]}", action(rng, verb, thing, False), action(rng, verb, thing, False)


def action(rng: random.Random, verb: tuple[str, ...], thing: tuple[str, ...], held_out: bool) -> str:
    """One wording of an action on a thing."""
    return fill(rng.choice(_frames(held_out)), v=rng.choice(verb), t=rng.choice(thing))


def _everyday(rng: random.Random) -> Iterator[Pair]:
    """Some questions about one thing, and one of them about another."""
    noun, questions = rng.choice(families())
    values = _values(noun)
    a, b = rng.sample(values, 2) if len(values) > 1 else ("", "")
    chosen = rng.sample(questions, FAMILY)
    for question, first, second in [*((question, a, b) for question in chosen), (chosen[0], b, a)]:
        wordings = rng.sample(question[:-1], 2)
        yield fill(question[0], a=first, b=second), *(as_typed(rng, fill(text, a=first, b=second)) for text in wordings)


@cache
def _prompts() -> tuple[str, ...]:
    """What people ask outside the course, but for what the score asks too."""
    scored = {plain(text) for row in triples() for text in row}
    return tuple(text for text in part("off_subject_prompts", False) if plain(text) not in scored)


def _alone(rng: random.Random) -> Iterator[Pair]:
    """Anything that people say, twice: other letters, other little words."""
    for text in rng.sample(_prompts(), FAMILY):
        yield plain(text), corpus.vary(rng, text), corpus.vary(rng, text)


# ---------------------------------------------------------------------------- what is held out
def held_out_actions(rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """Pairs of action and thing that are never trained on: a name, one wording, and another in other frames."""
    for verb in _rows("verbs"):
        for thing in _rows("things"):
            if is_held_out(verb[0], thing[0]):
                yield f"{verb[0]} {thing[0]}", fill(_frames(False)[0], v=verb[0], t=thing[0]), action(rng, verb, thing, True)


def held_out_everyday(rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """Everyday questions, each about one thing: the first wording, and the one that is never trained on."""
    for noun, questions in families():
        values = _values(noun)
        a, b = rng.sample(values, 2) if len(values) > 1 else ("", "")
        for question in questions:
            yield fill(question[0], a=a, b=b), fill(question[0], a=a, b=b), fill(question[-1], a=a, b=b)


@cache
def of_terms() -> frozenset[str]:
    """The plain forms of what the glossary's wordings make of its terms."""
    terms = [term for known in styles.glossary().values() for term in known]
    return frozenset(plain(fill(text, term=term)) for text in part("glossary_wordings", False) for term in terms)


def triples() -> tuple[tuple[str, ...], ...]:
    """Sentences about anything: one, another wording of it, and a near miss. For the score alone."""
    return _rows("everyday")


MAKERS = {"course": _course, "action": _action, "everyday": _everyday, "alone": _alone}


def as_typed(rng: random.Random, text: str) -> str:
    """With a capital letter or a mark at the end, or with a slip, now and then."""
    if rng.random() < 0.4:
        text = text[:1].upper() + text[1:]
    if rng.random() < 0.4:
        text += "?"
    return corpus.typo(rng, text) if rng.random() < 0.06 else text


def _other_digits(rng: random.Random, digits: str) -> str:
    """A number of as many digits, of which one is another."""
    place = rng.randrange(len(digits))
    return digits[:place] + rng.choice([one for one in "123456789" if one != digits[place]]) + digits[place + 1 :]


NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def opposite(rng: random.Random, text: str) -> str | None:
    """The text with one word turned into its opposite, or with another number; None where it has neither."""
    number = re.search(rf"\b(?:\d+|{'|'.join(NUMBERS)})\b", text)
    if number and rng.random() < 0.5:
        others = [one for one in NUMBERS if one != number[0]]
        other = rng.choice(others) if number[0] in NUMBERS else _other_digits(rng, number[0])
        return text[: number.start()] + other + text[number.end() :]
    fitting = [(word, other) for words in _rows("opposites") for word, other in (words, words[::-1]) if re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)]
    if not fitting:
        return None
    word, other = rng.choice(fitting)
    return re.sub(rf"\b{re.escape(word)}\b", other, text, count=1, flags=re.IGNORECASE)
