"""What a user says about anything: remembered and said again, and yes or no to questions about it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

from helpers.house_model.training.lists import Example, Row, as_typed, fill, grouped, more, new_word, part

NOT_TOLD = "You have not told me that in this conversation, and I remember nothing from other calls."
INVENTED_NOUNS, INVENTED_VALUES = 0.3, 0.5  # shares, in the training: so the model learns to copy whatever it is

NUMBER_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve", "twenty")

Turns = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Fact:
    """One fact: the group of its wordings, what it is about, and its value."""

    group: str
    noun: str
    value: str

    def say(self, text: str) -> str:
        return fill(text, noun=self.noun, value=self.value)

    @property
    def said(self) -> str:
        return self.say(_lines(self.group, "says", False)[0])


@lru_cache(maxsize=None)
def _lines(group: str, what: str, held_out: bool) -> Row:
    """The wordings of a group, the held-out or the trained-on ones; what the model says is always the same."""
    texts = [text for kind, text in grouped("facts")[group] if kind == what]
    if what == "nouns":
        texts = texts[0].split(", ")
    if what in ("says", "values"):
        return tuple(texts)
    every = min(7, len(texts))
    here = tuple(text for index, text in enumerate(texts) if len(texts) == 1 or (index % every == every - 1) == held_out)
    if held_out:
        return here
    return (*here, *(text for name, kind, text in more("facts") if (name, kind) == (group, what) and (len(texts) == 1 or text not in texts)))


def fact(rng: random.Random, held_out: bool, group: str | None = None) -> Fact:
    """Any fact; for the training, often about an invented thing or with an invented value."""
    group = group or rng.choice(tuple(grouped("facts")))
    noun = rng.choice(_lines(group, "nouns", held_out))
    if not held_out and group in ("called", "is", "the", "have") and rng.random() < INVENTED_NOUNS:
        noun = new_word(rng).lower() + ("s" if group == "have" else "")
    return Fact(group, noun, _value(rng, _lines(group, "values", held_out)[0].removeprefix("LIST "), held_out))


def _value(rng: random.Random, name: str, held_out: bool) -> str:
    if name == "fact_numbers":
        return rng.choice(NUMBER_WORDS) if rng.random() < 0.3 else str(rng.randint(2, 99))
    if name == "fact_values" and rng.random() < 0.2:
        return str(rng.randint(1, 9999))
    if not held_out and rng.random() < INVENTED_VALUES:
        return new_word(rng) if name == "first_names" else new_word(rng).lower()
    return rng.choice(part(name, held_out))


def remember(rng: random.Random, held_out: bool) -> Example:
    """One to three facts are told; one of them is asked for, or one that was not told, or nothing is asked."""
    facts = _different(rng, held_out, rng.choice((1, 1, 1, 1, 2, 2, 3)))
    kind = rng.random()
    if kind < 0.12:
        return Example((("user", _told(rng, facts, held_out)),), _noted_all(facts), "facts", tuple((one.value,) for one in facts))
    if kind < 0.27:
        turns = _talk(rng, facts[:-1], held_out)
        return _example((*turns, ("user", _asked(rng, facts[-1], held_out))), NOT_TOLD, "facts", "not told me")
    wanted = rng.choice(facts)
    question = _asked(rng, wanted, held_out)
    if kind < 0.4:
        return _example((("user", f"{_told(rng, facts, held_out)} {question}"),), wanted.said, "facts", wanted.value)
    return _example((*_talk(rng, facts, held_out), ("user", question)), wanted.said, "facts", wanted.value)


def yes_or_no(rng: random.Random, held_out: bool) -> Example:
    """Is it so, and was it said? Yes or no, with the fact."""
    facts = _different(rng, held_out, rng.choice((1, 1, 2)))
    wanted, kind = rng.choice(facts), rng.random()
    if kind < 0.25:  # was it told? no
        turns = _talk(rng, [told for told in facts if told != wanted], held_out)
        question = wanted.say(rng.choice(_lines(wanted.group, rng.choice(("told", "check")), held_out)))
        return _example((*turns, ("user", as_typed(rng, question, lower=False))), f"No. {NOT_TOLD}", "yes_or_no", "no. you have not told me")
    turns = _talk(rng, facts, held_out)
    if kind < 0.45:
        question, answer = wanted.say(rng.choice(_lines(wanted.group, "told", held_out))), "Yes"
    elif kind < 0.72:
        question, answer = wanted.say(rng.choice(_lines(wanted.group, "check", held_out))), "Yes"
    else:
        other = fact(rng, held_out, wanted.group)
        if other.value == wanted.value:
            return yes_or_no(rng, held_out)
        question, answer = Fact(wanted.group, wanted.noun, other.value).say(rng.choice(_lines(wanted.group, "check", held_out))), "No"
    answer = f"{answer}, {_small(wanted.said)}"
    return Example((*turns, ("user", as_typed(rng, question, lower=False))), answer, "yes_or_no", ((answer[:4],), (wanted.value,)))


def _different(rng: random.Random, held_out: bool, count: int) -> list[Fact]:
    """So many facts that cannot be taken for each other."""
    found: dict[tuple[str, str], Fact] = {}
    while len(found) < count:
        one = fact(rng, held_out)
        if all(one.value != other.value for other in found.values()):
            found.setdefault((one.group, one.noun), one)
    return list(found.values())


def _told(rng: random.Random, facts: list[Fact], held_out: bool) -> str:
    """The facts as a user tells them, in one message."""
    texts = [one.say(rng.choice(_lines(one.group, "tell", held_out))) for one in facts]
    if len(texts) == 2 and rng.random() < 0.3:
        second = texts[1] if texts[1].startswith(("I ", "I'm")) else _small(texts[1])
        texts = [f"{texts[0].rstrip('.')} and {second}"]
    return " ".join(text if text.endswith(".") else f"{text}." for text in texts)


def _talk(rng: random.Random, facts: list[Fact], held_out: bool) -> Turns:
    """The facts as turns that the model took note of, all in one message or each in its own."""
    if not facts:
        return ()
    if len(facts) > 1 and rng.random() < 0.5:
        return (("user", _told(rng, facts, held_out)), ("assistant", "Noted."))
    turns: list[tuple[str, str]] = []
    if len(facts) > 1 and rng.random() < 0.5:  # all at once
        noted = rng.choice((_noted_all(facts), "Noted.", "Thank you for telling me."))
        return (("user", as_typed(rng, _told(rng, facts, held_out), lower=False)), ("assistant", noted))
    for one in facts:
        turns += [("user", as_typed(rng, _told(rng, [one], held_out), lower=False)), ("assistant", _noted(rng, one))]
    return tuple(turns)


def _noted_all(facts: list[Fact]) -> str:
    """How this model takes note of what it was told."""
    return "Noted: " + " ".join(_small(one.said) if place == 0 else one.said for place, one in enumerate(facts))


def _noted(rng: random.Random, one: Fact) -> str:
    """How a model takes note; this one always in the same words, others in theirs."""
    return rng.choice((f"Noted: {_small(one.said)}", f"Noted: {_small(one.said)}", "Noted.", "Thank you for telling me.", f"Great, {one.value}!"))


def _asked(rng: random.Random, one: Fact, held_out: bool) -> str:
    return as_typed(rng, one.say(rng.choice(_lines(one.group, "ask", held_out))), lower=False)


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


def _example(messages: Turns, answer: str, kind: str, must: str) -> Example:
    return Example(messages, answer, kind, ((must,),))
