"""What the house model is trained on: questions and tasks, mixed, with wordings, styles and earlier turns varied."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from helpers.house_model.training import styles, tasks
from helpers.house_model.training.lists import Example, as_typed, capital, fill, part, plain, rows
from helpers.house_model.training.questions import Topic, topics

CHOICES = Path(__file__).with_name("choices.txt")
CHOICE_SHARE = 0.07
SYSTEM_SHARE, STYLE_SHARE, LANGUAGE_SHARE = 0.12, 0.24, 0.14  # of the questions: with an instruction that changes nothing, the style, the language
IN_MESSAGE_SHARE = 0.2  # of these instructions: in the user's message, before or after the question
GLOSSARY_SHARE = 0.4  # of the questions about a term of the glossary: asked in a wording that fits any term
EARLIER_SHARE, LONG_SHARE = 0.1, 0.015

OPENINGS = ("", "", "", "", "", "Hi, ", "Hello. ", "Please tell me: ", "Quick question: ", "I am new to this. ", "Question: ", "Sorry to ask, but ")
ENDINGS = ("", "", "", "", "", "", " Thanks!", " Please explain.", " Keep it short.")
# What may stand for what in a question without changing it.
ALIKE = (
    ("what is the", "what's the", "tell me the"), ("what is", "what's", "explain", "define", "tell me what is"), ("how do i", "how can i", "how to", "how would i", "what do i do to"),
    ("how does", "in what way does"), ("why does", "why would", "what is the reason that"), ("can i", "may i", "is it possible to", "could i"), ("should i", "do i need to", "must i"),
    ("what does", "tell me what"), ("do i", "must i"), ("reply", "response", "answer", "output"), ("request", "call"), ("provider", "vendor", "company"),
    ("model", "LLM", "language model"), ("price", "cost"), ("cheap", "inexpensive", "low-cost"), ("cheaper", "less expensive"), ("fast", "quick"), ("faster", "quicker"),
    ("use", "work with"), ("get", "receive", "obtain"), ("send", "pass"), ("many", "a lot of"), ("error", "failure", "problem"), ("difference between", "distinction between"),
    ("mean", "stand for"), ("explain", "describe"), ("kind", "type", "sort"), ("start", "begin"), ("end", "stop", "finish"), ("big", "large"), ("prompt", "input"), ("limit", "cap", "maximum"),
)  # fmt: skip


def examples(rng: random.Random, count: int, task_share: float, kinds: Iterable[str] | None = None) -> Iterator[Example]:
    """Yield `count` chats to train on, `task_share` of them small tasks of some kinds (all, if not said); the same rng gives the same ones."""
    small = tasks.examples(rng, count, kinds)
    for _ in range(count):
        kind = rng.random()
        if kind < task_share:
            yield next(small)
        elif kind < task_share + CHOICE_SHARE:
            yield _choice(rng)
        else:
            yield _question(rng)


def _question(rng: random.Random) -> Example:
    kind = rng.random()
    if kind < LANGUAGE_SHARE:
        return _in_language(rng)
    topic = rng.choice(topics())
    answer, asked = rng.choice(topic.answers), asked_for(rng, topic)
    if kind < LANGUAGE_SHARE + STYLE_SHARE:
        return _instructed(rng, *styles.style(rng, topic, answer, False), _earlier(rng), asked, "style")
    if rng.random() < LONG_SHARE:
        asked = f"{_document(rng)}\n\n{asked}"
    turns = (*_earlier(rng), ("user", asked))
    if rng.random() < SYSTEM_SHARE:
        turns = (("system", rng.choice(tasks.PLAIN_SYSTEMS)), *turns)
    return Example(turns, answer, "question", ())


def asked_for(rng: random.Random, topic: Topic) -> str:
    """A wording of its own, or one that fits any term of the glossary: never one that is held out."""
    if topic.key in styles.glossary() and rng.random() < GLOSSARY_SHARE:
        asked = vary(rng, glossary_wording(rng, topic.key, False))
    else:
        asked = vary(rng, rng.choice((*topic.ask, *topic.more)))
    return asked if plain(asked) not in _held_out() else asked_for(rng, topic)


@cache
def _held_out() -> frozenset[str]:
    """Every wording of a question, or for a term, that the score asks."""
    wordings = (fill(text, term=term) for text in part("glossary_wordings", True) for terms in styles.glossary().values() for term in terms)
    return frozenset(plain(text) for text in (*wordings, *(text for topic in topics() for text in topic.held_out)))


def glossary_wording(rng: random.Random, key: str, held_out: bool) -> str:
    """A question for a term, or for other words for it."""
    text = fill(rng.choice(part("glossary_wordings", held_out)), term=rng.choice(styles.glossary()[key]))
    return text[:1].upper() + text[1:] if rng.random() < 0.5 else text


@cache
def _by_key() -> dict[str, Topic]:
    return {topic.key: topic for topic in topics()}


def _in_language(rng: random.Random) -> Example:
    """Mostly what it knows in that language; else small talk, what lies outside, or what it knows in English alone."""
    kind = rng.random()
    if kind < 0.16:
        example = next(tasks.examples(rng, 1, ("off_subject",) if kind < 0.1 else ("small_talk",)))
        if example.must_say and kind >= 0.1 and not example.answer.startswith(("Hello", "Hi", "Welcome")):
            return _in_language(rng)
        instruction, answer = styles.in_language(rng, "off_subject" if kind < 0.1 else "greeting", "", False)
        return _instructed(rng, instruction, answer, (), example.messages[-1][1], "language")
    known = [key for key in styles.languages() if key in _by_key()]
    topic = _by_key()[rng.choice(known)] if kind < 0.85 else rng.choice(topics())
    instruction, answer = styles.in_language(rng, topic.key, rng.choice(topic.answers), False)
    return _instructed(rng, instruction, answer, (), asked_for(rng, topic), "language")


def _instructed(rng: random.Random, instruction: str, answer: str, earlier: tuple[tuple[str, str], ...], asked: str, kind: str) -> Example:
    """The instruction as a system prompt, or in the user's message."""
    if rng.random() < IN_MESSAGE_SHARE:
        text = f"{asked} {instruction}" if rng.random() < 0.6 else f"{instruction} {asked}"
        return Example((*earlier, ("user", text)), answer, kind, ())
    return Example((("system", instruction), *earlier, ("user", asked)), answer, kind, ())


def _earlier(rng: random.Random) -> tuple[tuple[str, str], ...]:
    """Now and then a turn about something else, which the answer has nothing to do with."""
    if rng.random() >= EARLIER_SHARE:
        return ()
    topic = rng.choice(topics())
    return (("user", rng.choice(topic.ask)), ("assistant", rng.choice(topic.answers)))


def _document(rng: random.Random) -> str:
    """A text that stands before a question, as long prompts have them."""
    return " ".join(rng.choice(rng.choice(topics()).answers) for _ in range(rng.randint(2, 12)))


def vary(rng: random.Random, asked: str) -> str:
    """The same question as other people would type it."""
    if rng.random() < 0.5:
        asked = _in_other_words(rng, asked)
    if rng.random() < 0.35:
        asked = rng.choice(OPENINGS) + asked + rng.choice(ENDINGS)
    if rng.random() < 0.25:
        asked = asked.lower()
    if rng.random() < 0.25:
        asked = asked.rstrip("?.!")
    if rng.random() < 0.12:
        asked = typo(rng, asked)
    if rng.random() < 0.35:
        asked = _without_some_words(rng, asked)
    return asked


@cache
def _alike() -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
    return tuple((re.compile(rf"\b{re.escape(word)}\b", re.IGNORECASE), tuple(other for other in words if other != word)) for words in ALIKE for word in words)


def _in_other_words(rng: random.Random, text: str) -> str:
    """One or two of its words as others say them."""
    fitting = [(word, others) for word, others in _alike() if word.search(text)]
    for word, others in rng.sample(fitting, min(len(fitting), rng.choice((1, 1, 2)))):
        text = word.sub(rng.choice(others), text, count=1)
    return text[:1].upper() + text[1:]


def typo(rng: random.Random, text: str) -> str:
    place = rng.randrange(max(1, len(text) - 1))
    return text[:place] + text[place + 1 : place + 2] + text[place : place + 1] + text[place + 2 :]


def _without_some_words(rng: random.Random, text: str) -> str:
    """What is left has to do: so the model learns not to hang on one word."""
    return " ".join(word for word in text.split(" ") if rng.random() > 0.2) or text


@cache
def choices(wording: str = "Ask") -> tuple[tuple[str, list[str], dict[str, int]], ...]:
    """The prompts with many good answers: a name, their wordings ("Ask", or "Held out"), and the weight of each answer."""
    found: list[tuple[str, list[str], dict[str, int]]] = []
    for line in CHOICES.read_text(encoding="utf-8").splitlines():
        head, _, text = line.partition(": ")
        if line.startswith("## "):
            found.append((line[3:].strip(), [], {}))
        elif head == wording:
            found[-1][1].append(text)
        elif head.isdigit():
            found[-1][2][text.replace("\\n", "\n")] = int(head)
    return tuple(found)


def _choice(rng: random.Random) -> Example:
    _, wordings, answers = rng.choices(choices(), [len(wordings) for _, wordings, _ in choices()])[0]
    answer = rng.choices(list(answers), list(answers.values()))[0]
    return Example((("user", as_typed(rng, rng.choice(wordings))),), answer, "choice", ())


def all_text() -> Iterator[str]:
    """Every text once, to train the tokenizer on."""
    for topic in topics():
        yield from _texts(topic)
    rng = random.Random(0)
    for texts in styles.languages().values():
        yield from texts
    for example in tasks.examples(rng, 6000):
        yield from (text for _, text in example.messages)
        yield example.answer
    for _, _, names in rows("kinds_of_things"):  # often, so that a name is one token: then it is drawn whole at any temperature
        for name in names.split(", "):
            yield from [name] * 30
            yield from [capital(name)] * 40
    for _, _, answers in choices():
        yield from [*answers] * 20


def _texts(topic: Topic) -> Iterator[str]:
    yield from topic.ask
    for answer in topic.answers:
        yield from (answer, answer, answer)
