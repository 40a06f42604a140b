"""What the house model is trained on: questions and tasks, mixed, with wordings, styles and earlier turns varied."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from helpers.house_model.training import tasks
from helpers.house_model.training.questions import Topic, topics
from helpers.house_model.training.tasks import Example

CHOICES = Path(__file__).with_name("choices.txt")
CHOICE_SHARE = 0.04
SYSTEM_SHARE, STYLE_SHARE = 0.20, 0.10  # of the questions: with a system prompt that changes nothing, or the style
EARLIER_SHARE, FOLLOW_SHARE, LONG_SHARE = 0.06, 0.03, 0.015

OPENINGS = ("", "", "", "", "", "Hi, ", "Hello. ", "Please tell me: ", "Quick question: ", "I am new to this. ", "Question: ", "Sorry to ask, but ")
ENDINGS = ("", "", "", "", "", "", " Thanks!", " Please explain.", " Keep it short.")
PLAIN_SYSTEMS = (
    "You are a helpful assistant.",
    "You are a patient teacher of programmers.",
    "You are an assistant for developers who call language models.",
    "Be helpful and exact.",
    "You answer questions about LLM APIs.",
    "Be concise.",
    "You are a support agent of a software company.",
)


def _first_sentence(answer: str) -> str:
    return re.split(r"(?<=[.!?]) ", answer)[0]


def _bullets(answer: str) -> str:
    return "\n".join(f"- {sentence}" for sentence in re.split(r"(?<=[.!?]) ", answer))


def _pirate(answer: str) -> str:
    return f"Arr, matey! {answer} Fair winds to ye!"


def _polite(answer: str) -> str:
    return f"Of course, with pleasure. {answer} I hope this helps."


def _as_json(answer: str) -> str:
    return json.dumps({"answer": _first_sentence(answer)})


# System prompts that change the style, and what each does to an answer.
STYLES: tuple[tuple[tuple[str, ...], Callable[[str], str]], ...] = (
    (("Answer in one sentence.", "Reply with one short sentence.", "You answer in one sentence.", "One sentence only."), _first_sentence),
    (("You are a pirate.", "Talk like a pirate.", "Answer like a pirate.", "You speak like a pirate."), _pirate),
    (("Answer in bullet points.", "Use bullet points.", "Reply as a list.", "Answer as a bulleted list."), _bullets),
    (("Be very polite.", "You are a very polite butler.", "Answer politely."), _polite),
    (("Answer as JSON with the key answer.", "Reply in JSON with one key, answer.", "Respond with a JSON object that has the key answer."), _as_json),
)
SHORTER = ("Shorter, please.", "Can you say that in one sentence?", "Say that in one sentence.", "Too long. One sentence, please.", "Summarize that.")


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
    topic = rng.choice(topics())
    answer = rng.choice(topic.answers)
    asked = _vary(rng, rng.choice(topic.ask))
    kind = rng.random()
    if kind < FOLLOW_SHARE:
        before = (("user", asked), ("assistant", answer), ("user", rng.choice(SHORTER)))
        return Example(before, _first_sentence(answer), "follow-up", ())
    turns = _earlier(rng) if rng.random() < EARLIER_SHARE else ()
    if rng.random() < LONG_SHARE:
        asked = f"{_document(rng)}\n\n{asked}"
    turns = (*turns, ("user", asked))
    if rng.random() < STYLE_SHARE:
        wordings, change = rng.choice(STYLES)
        return Example((("system", rng.choice(wordings)), *turns), change(answer), "style", ())
    if rng.random() < SYSTEM_SHARE:
        turns = (("system", rng.choice(PLAIN_SYSTEMS)), *turns)
    return Example(turns, answer, "question", ())


def _earlier(rng: random.Random) -> tuple[tuple[str, str], ...]:
    """A turn about something else, which the answer has nothing to do with."""
    topic = rng.choice(topics())
    return (("user", rng.choice(topic.ask)), ("assistant", rng.choice(topic.answers)))


def _document(rng: random.Random) -> str:
    """A text that stands before a question, as long prompts have them."""
    return " ".join(rng.choice(rng.choice(topics()).answers) for _ in range(rng.randint(2, 12)))


def _vary(rng: random.Random, asked: str) -> str:
    """The same words as other people would type them."""
    if rng.random() < 0.35:
        asked = rng.choice(OPENINGS) + asked + rng.choice(ENDINGS)
    if rng.random() < 0.25:
        asked = asked.lower()
    if rng.random() < 0.25:
        asked = asked.rstrip("?.!")
    if rng.random() < 0.12:
        asked = _typo(rng, asked)
    if rng.random() < 0.35:
        asked = _without_some_words(rng, asked)
    return asked


def _typo(rng: random.Random, text: str) -> str:
    place = rng.randrange(max(1, len(text) - 1))
    return text[:place] + text[place + 1 : place + 2] + text[place : place + 1] + text[place + 2 :]


def _without_some_words(rng: random.Random, text: str) -> str:
    """What is left has to do: so the model learns not to hang on one word."""
    return " ".join(word for word in text.split(" ") if rng.random() > 0.2) or text


@cache
def choices() -> tuple[tuple[list[str], dict[str, int]], ...]:
    """The prompts with many good answers: their wordings, and the weight of each answer."""
    found: list[tuple[list[str], dict[str, int]]] = []
    for line in CHOICES.read_text(encoding="utf-8").splitlines():
        head, _, text = line.partition(": ")
        if line.startswith("## "):
            found.append(([], {}))
        elif head == "Ask":
            found[-1][0].append(text)
        elif head.isdigit():
            found[-1][1][text.replace("\\n", "\n")] = int(head)
    return tuple(found)


def _choice(rng: random.Random) -> Example:
    wordings, answers = rng.choice(choices())
    answer = rng.choices(list(answers), list(answers.values()))[0]
    return Example((("user", rng.choice(wordings)),), answer, "choice", ())


def all_text() -> Iterator[str]:
    """Every text once, to train the tokenizer on."""
    for topic in topics():
        yield from _texts(topic)
    rng = random.Random(0)
    for example in tasks.examples(rng, 6000):
        yield from (text for _, text in example.messages)
        yield example.answer


def _texts(topic: Topic) -> Iterator[str]:
    yield from topic.ask
    for answer in topic.answers:
        yield from (answer, answer, answer)
