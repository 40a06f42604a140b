"""Small tasks for the house model: endless chat examples built from the word lists in tasks/."""

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

LISTS = Path(__file__).with_name("tasks")

HOLD_OUT_EVERY = 7
"""Every seventh entry of a list is kept for the held-out examples."""

INVENTED_SHARE = 0.6
"""How many names, cities, products and colors of the training are made of syllables, so that the model learns to copy."""

STRANGE_SHARE = 0.5
"""How many of the off-subject prompts of the training are about any everyday thing, or an invented one."""

Row = tuple[str, ...]
MustSay = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Example:
    """One chat that ends with the user's turn, the answer to it, and what the answer must contain."""

    messages: tuple[tuple[str, str], ...]
    answer: str
    kind: str
    must_say: MustSay


def examples(rng: random.Random, count: int, kinds: Iterable[str] | None = None, held_out: bool = False) -> Iterator[Example]:
    """Yield `count` examples of some kinds (all, if not said), mixed by KINDS; held-out ones use entries that the training never uses."""
    makers, weights = zip(*(KINDS[kind] for kind in kinds or KINDS), strict=True)
    for maker in rng.choices(makers, weights, k=count):
        yield maker(rng, held_out)


# ---------------------------------------------------------------------------- word lists


@lru_cache(maxsize=None)
def _rows(name: str) -> tuple[Row, ...]:
    """Every entry of a list as its columns, without comments."""
    lines = (LISTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    kept = (line.replace("\\n", "\n") for line in lines if line.strip() and not line.startswith("#"))
    return tuple(tuple(column.strip(" ") for column in line.split(" | ")) for line in kept)


def _split(rows: tuple[Row, ...], held_out: bool) -> tuple[Row, ...]:
    """Every seventh row (or the last of a shorter list) for the held-out part, the others for the training."""
    every = min(HOLD_OUT_EVERY, len(rows))
    train = tuple(row for index, row in enumerate(rows) if index % every != every - 1)
    if not held_out:
        return train
    trained_on = {_plain(row[-1]) for row in train}
    return tuple(row for row in rows if row not in train and _plain(row[-1]) not in trained_on)


@lru_cache(maxsize=None)
def _part(name: str, held_out: bool) -> Row:
    """The held-out or the training entries of a list with one column."""
    return tuple(row[0] for row in _split(_rows(name), held_out))


@lru_cache(maxsize=None)
def _grouped(name: str) -> dict[str, tuple[Row, ...]]:
    """The rows of a list by their first column, which is cut off."""
    groups: dict[str, list[Row]] = {}
    for first, *rest in _rows(name):
        groups.setdefault(first, []).append(tuple(rest))
    return {first: tuple(rows) for first, rows in groups.items()}


@lru_cache(maxsize=None)
def _group_part(name: str, group: str, held_out: bool) -> Row:
    """The held-out or the training entries of one group of a list with two columns."""
    return tuple(row[0] for row in _split(_grouped(name)[group], held_out))


@lru_cache(maxsize=None)
def _all_plain(name: str, held_out: bool) -> frozenset[str]:
    """The plain forms of one part of a list."""
    return frozenset(_plain(entry) for entry in _part(name, held_out))


@lru_cache(maxsize=4096)
def _must_say(column: str) -> MustSay:
    """Read "a/b; c" as: a or b, and also c."""
    return tuple(tuple(word.strip() for word in words.split("/")) for words in column.split(";"))


# ---------------------------------------------------------------------------- text


_SIGNS = re.compile(r"[^\w\s*+]+")


def _plain(text: str) -> str:
    """The text in lower case without punctuation, to find texts that are nearly the same."""
    return " ".join(_SIGNS.sub("", text.lower()).split())


def _fill(template: str, **values: str) -> str:
    """Put the values into the {slots} of a template."""
    for slot, value in values.items():
        template = template.replace("{" + slot + "}", value)
    return template


def _capital(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def _as_typed(rng: random.Random, text: str) -> str:
    """Sometimes in lower case, sometimes without the last punctuation mark, as people type."""
    if rng.random() < 0.15:
        text = text.lower()
    if rng.random() < 0.15 and not text[-2:-1].isspace():
        text = text.rstrip(".?!") or text
    return text


_ONSETS = (*"bcdfghjklmnprstvwyz", *"br ch cl dr fl gr kh kr pl sh sk st th tr".split(), "")
_VOWELS = (*"aeiouaeioay", "ai", "au", "ea", "ei", "ie", "ou")
_ENDINGS = ("", "", "", *"dklmnrstx", "ck", "ld", "nd", "ng", "rt", "sh", "ton", "berg", "ville", "us", "en", "ia")


def _invented(rng: random.Random) -> str:
    """A name that nobody has, made of two to four syllables."""
    syllables = (rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(rng.choice((2, 2, 2, 3, 3, 4))))
    return _capital("".join(syllables) + rng.choice(_ENDINGS))


def _proper_name(rng: random.Random, name: str, held_out: bool) -> str:
    """An entry of a list of names; for the training, sometimes an invented one."""
    if not held_out and rng.random() < INVENTED_SHARE:
        invented = _invented(rng)
        if invented not in _part(name, True):
            return invented
    return rng.choice(_part(name, held_out))


def _single(text: str, answer: str, kind: str, must_say: MustSay) -> Example:
    """An example with one user turn."""
    return Example((("user", text),), answer, kind, must_say)


# ---------------------------------------------------------------------------- sentiment


_LABELS = ("positive", "negative", "neutral")


def _sentiment(rng: random.Random, held_out: bool) -> Example:
    """Label a review with one word."""
    label = rng.choice(_LABELS)
    wording = rng.choice(_part("sentiment_wordings", held_out))
    return _single(_fill(wording, review=_review(rng, label, held_out)), label, "sentiment", ((label,),))


def _review(rng: random.Random, label: str, held_out: bool) -> str:
    """One to three clauses of one sentiment about one product."""
    clauses = rng.sample(_part(f"sentiment_{label}", held_out), rng.choice((1, 1, 2, 2, 3)))
    if label != "neutral" and rng.random() < 0.15:
        clauses.insert(rng.randrange(len(clauses) + 1), rng.choice(_part("sentiment_neutral", held_out)))
    noun = rng.choice(_part("sentiment_nouns", held_out))
    article = "an" if noun[0] in "aeiou" else "a"
    filled = [clause.replace("a {noun}", f"{article} {noun}").replace("{noun}", noun) for clause in clauses]
    return _joined(rng, filled, excited=label != "neutral" and rng.random() < 0.2)


def _joined(rng: random.Random, clauses: list[str], excited: bool) -> str:
    """The clauses as sentences, or two of them as one sentence."""
    end = "!" if excited else "."
    if len(clauses) == 2 and rng.random() < 0.4:
        text = _capital(rng.choice((" and ", ", ", ", and ")).join(clauses)) + end
    else:
        text = " ".join(_capital(clause) + end for clause in clauses)
    return _as_typed(rng, text)


# ---------------------------------------------------------------------------- extraction


def _extract_person(rng: random.Random, held_out: bool) -> Example:
    """Find a name, an age and a city in a sentence."""
    name, city = _proper_name(rng, "first_names", held_out), _proper_name(rng, "cities", held_out)
    if rng.random() < 0.2:
        name += " " + rng.choice(_part("last_names", held_out))
    age = rng.randint(18, 89)
    text = _fill(rng.choice(_part("extract_person_shapes", held_out)), name=name, age=str(age), city=city)
    return _extraction(rng, "extract_person", text, {"name": name, "age": age, "city": city}, held_out)


def _extract_order(rng: random.Random, held_out: bool) -> Example:
    """Find a product, a quantity and a color in an order."""
    quantity = 1 if rng.random() < 0.05 else rng.randint(2, 99)
    product, color = _product(rng, quantity, held_out), _color(rng, held_out)
    shape = rng.choice(_part("extract_order_shapes", held_out))
    text = _fill(shape, quantity=str(quantity), product=product, color=color)
    return _extraction(rng, "extract_order", text, {"product": product, "quantity": quantity, "color": color}, held_out)


def _product(rng: random.Random, quantity: int, held_out: bool) -> str:
    """What is ordered, as one or many; for the training, sometimes an invented thing."""
    one, many = rng.choice(_split_products(held_out))
    if not held_out and rng.random() < INVENTED_SHARE:
        one = _invented(rng).lower()
        many = f"{one}s"
    return one if quantity == 1 else many


def _color(rng: random.Random, held_out: bool) -> str:
    """A color; for the training, sometimes an invented one."""
    if not held_out and rng.random() < INVENTED_SHARE:
        return _invented(rng).lower()
    return rng.choice(_part("colors", held_out))


@lru_cache(maxsize=None)
def _split_products(held_out: bool) -> tuple[Row, ...]:
    """The products of one part, as (one, many)."""
    return _split(_rows("order_products"), held_out)


def _extraction(rng: random.Random, kind: str, text: str, found: dict[str, str | int], held_out: bool) -> Example:
    """An instruction around the text, and the JSON that answers it."""
    answer = json.dumps(found)
    must_say = tuple((part,) for part in answer.strip("{}").split(", "))
    return _single(_fill(rng.choice(_part(f"{kind}_wordings", held_out)), text=text), answer, kind, must_say)


# ---------------------------------------------------------------------------- translation, summary, haiku


_LANGUAGES = ("French", "German", "Spanish")


def _translate(rng: random.Random, held_out: bool) -> Example:
    """Translate a phrase of the phrase book."""
    english, *translations = rng.choice(_rows("phrases"))
    number = rng.randrange(len(_LANGUAGES))
    wording = rng.choice(_part("translate_wordings", held_out))
    text = _fill(wording, phrase=_as_typed(rng, english), language=_LANGUAGES[number])
    return _single(text, translations[number], "translate", ((translations[number],),))


def _summary(rng: random.Random, held_out: bool) -> Example:
    """Sum up a note about LLM API work in one line."""
    note, summary, words = rng.choice(_rows("summary_notes"))
    text = _fill(rng.choice(_part("summary_wordings", held_out)), text=note)
    return _single(text, summary, "summary", _must_say(words))


def _haiku(rng: random.Random, held_out: bool) -> Example:
    """Write a haiku about a topic of the course."""
    topic = rng.choice(tuple(_haikus_by_topic()))
    lines, words = rng.choice(_haikus_by_topic()[topic])
    text = _fill(rng.choice(_part("haiku_wordings", held_out)), topic=topic)
    return _single(text, lines, "haiku", _must_say(words))


@lru_cache(maxsize=None)
def _haikus_by_topic() -> dict[str, tuple[Row, ...]]:
    """For every topic its haikus, each with the words that it must have."""
    by_topic: dict[str, list[Row]] = {}
    for topics, words, lines in _rows("haikus"):
        for topic in topics.split(", "):
            by_topic.setdefault(topic, []).append((lines.replace(" / ", "\n"), words))
    return {topic: tuple(haikus) for topic, haikus in by_topic.items()}


# ---------------------------------------------------------------------------- small talk


def _small_talk(rng: random.Random, held_out: bool) -> Example:
    """A greeting, a thank-you, a question about the model itself, a joke."""
    intent = rng.choice(tuple(_grouped("small_talk_prompts")))
    prompt = _as_typed(rng, rng.choice(_group_part("small_talk_prompts", intent, held_out)))
    answer, words = rng.choice(_grouped("small_talk_answers")[intent])
    return _single(prompt, answer, "small_talk", _must_say(words))


# ---------------------------------------------------------------------------- memory


_FACTS = {"name": "first_names", "color": "colors", "city": "cities"}
"""What a user tells about himself, and the list that it comes from."""

_RECALLED = {"name": "Your name is {value}.", "color": "Your favorite color is {value}.", "city": "You live in {value}."}

_NOT_TOLD = {
    "name": "You have not told me your name in this conversation, and I remember nothing from other calls.",
    "color": "You have not told me your favorite color in this conversation, and I remember nothing from other calls.",
    "city": "You have not told me where you live in this conversation, and I remember nothing from other calls.",
}

_NOTED = {
    "name": (
        "Nice to meet you, {value}. What would you like to know about LLM APIs?",
        "Hello, {value}! How can I help you today?",
        "Nice to meet you, {value}.",
    ),
    "color": (
        "Noted: your favorite color is {value}.",
        "A fine color, {value}. What would you like to know about LLM APIs?",
    ),
    "city": (
        "Noted: you live in {value}.",
        "I have never been to {value}. What would you like to know about LLM APIs?",
    ),
}


def _memory(rng: random.Random, held_out: bool) -> Example:
    """A user tells a fact and asks for it, or asks for one that was never told."""
    fact = rng.choices(tuple(_FACTS), (6, 2, 2))[0]
    shape = rng.choices((_recall, _never_told, _only_told, _told_and_asked_at_once), (64, 20, 9, 7))[0]
    return shape(rng, fact, held_out)


def _recall(rng: random.Random, fact: str, held_out: bool) -> Example:
    """The fact was told some turns ago."""
    value = _value(rng, fact, held_out)
    turns = _told(rng, fact, value, held_out)
    if rng.random() < 0.2:
        other = _other_fact(rng, fact)
        another = _told(rng, other, _value(rng, other, held_out), held_out)
        turns = turns + another if rng.random() < 0.5 else another + turns
    if rng.random() < 0.15:
        turns = _chatter(rng, held_out) + turns
    while rng.random() < 0.25 and len(turns) < 6:
        turns = turns + _chatter(rng, held_out)
    return _asked(rng, fact, turns, _fill(_RECALLED[fact], value=value), value, held_out)


def _never_told(rng: random.Random, fact: str, held_out: bool) -> Example:
    """The fact was not told: nothing was said before, or something else."""
    turns: tuple[tuple[str, str], ...] = ()
    if rng.random() < 0.3:
        other = _other_fact(rng, fact)
        turns = _told(rng, other, _value(rng, other, held_out), held_out)
    elif rng.random() < 0.3:
        turns = _chatter(rng, held_out)
    return _asked(rng, fact, turns, _NOT_TOLD[fact], "not told me", held_out)


def _only_told(rng: random.Random, fact: str, held_out: bool) -> Example:
    """The fact is told and nothing is asked."""
    value = _value(rng, fact, held_out)
    (_, text), (_, answer) = _told(rng, fact, value, held_out)
    return _single(text, answer, "memory", ((value,),))


def _told_and_asked_at_once(rng: random.Random, fact: str, held_out: bool) -> Example:
    """The fact and the question stand in one message."""
    value = _value(rng, fact, held_out)
    told = _told(rng, fact, value, held_out)[0][1].rstrip(".!")
    question = rng.choice(_group_part("memory_questions", fact, held_out))
    return _single(f"{told}. {question}", _fill(_RECALLED[fact], value=value), "memory", ((value,),))


def _asked(
    rng: random.Random, fact: str, turns: tuple[tuple[str, str], ...], answer: str, must: str, held_out: bool
) -> Example:
    """The turns, then the question for the fact."""
    question = rng.choice(_group_part("memory_questions", fact, held_out))
    return Example((*turns, ("user", question)), answer, "memory", ((must,),))


def _told(rng: random.Random, fact: str, value: str, held_out: bool) -> tuple[tuple[str, str], ...]:
    """The user tells a fact and the model takes note."""
    text = rng.choice(_group_part("memory_facts", fact, held_out))
    return ("user", _fill(text, value=value)), ("assistant", _fill(rng.choice(_NOTED[fact]), value=value))


def _value(rng: random.Random, fact: str, held_out: bool) -> str:
    """A name, a color or a city."""
    if fact == "color":
        return _color(rng, held_out)
    return _proper_name(rng, _FACTS[fact], held_out)


def _other_fact(rng: random.Random, fact: str) -> str:
    """A fact of another sort."""
    return rng.choice(tuple(other for other in _FACTS if other != fact))


def _chatter(rng: random.Random, held_out: bool) -> tuple[tuple[str, str], ...]:
    """A turn about something else, with its answer."""
    between = rng.choice((_small_talk, _small_talk, _off_subject, _translate))(rng, held_out)
    return (*between.messages, ("assistant", between.answer))


# ---------------------------------------------------------------------------- off-subject


_OFF_SUBJECT_SAYS: MustSay = (("only know this course", "only trained on", "outside what I know"),)

_SLOT = re.compile(r"\{(\w+)\}")


def _off_subject(rng: random.Random, held_out: bool) -> Example:
    """Say honestly that a question lies outside the course."""
    kind = rng.random()
    if not held_out and kind < STRANGE_SHARE:
        text = _strange_prompt(rng)
    elif kind < 0.7:
        text = rng.choice(_part("off_subject_prompts", held_out))
    else:
        text = _from_template(rng, held_out)
    answer = rng.choice(_rows("off_subject_answers"))[0]
    return _single(_as_typed(rng, text), answer, "off_subject", _OFF_SUBJECT_SAYS)


def _from_template(rng: random.Random, held_out: bool) -> str:
    """A template with its nouns, unless the prompts of the other part have the same text."""
    while True:
        template = rng.choice(_part("off_subject_templates", held_out))
        text = _SLOT.sub(lambda slot: rng.choice(_part(f"off_{slot[1]}", held_out)), template)
        if _plain(text) not in _all_plain("off_subject_prompts", not held_out):
            return _capital(text) if template[0] == "{" else text


def _strange_prompt(rng: random.Random) -> str:
    """A question about a thing that the course has nothing to do with, or that nobody knows: never one of the held-out words."""
    template = rng.choice([template for template in _part("off_subject_templates", False) if "{" in template])
    word = rng.choice(_new_words()) if rng.random() < 0.6 else _invented(rng).lower()
    return _capital(_SLOT.sub(word, template))


@lru_cache(maxsize=None)
def _new_words() -> Row:
    """The everyday words that stand in no held-out prompt."""
    slots = {slot for (template,) in _rows("off_subject_templates") for slot in _SLOT.findall(template)}
    names = ("off_subject_prompts", *(f"off_{slot}" for slot in sorted(slots)))
    held_out = {word for name in names for entry in _all_plain(name, True) for word in entry.split()}
    return tuple(word for (word,) in _rows("off_words") if not held_out & {*word.split(), *(f"{part}s" for part in word.split())})


# ---------------------------------------------------------------------------- repetition


def _repeat(rng: random.Random, held_out: bool) -> Example:
    """Give back a few words that nobody knows, letter for letter: so the model learns to copy."""
    words = (_unknown_word(rng) for _ in range(rng.choice((1, 2, 2, 3, 4, 6))))
    text = " ".join(words)
    return _single(_fill(rng.choice(_rows("repeat_wordings"))[0], text=text), text, "repeat", ((text,),))


def _unknown_word(rng: random.Random) -> str:
    """A made-up name, with or without a capital, or a number."""
    return rng.choice((_invented(rng), _invented(rng).lower(), str(rng.randint(0, 9999))))


KINDS: dict[str, tuple[Callable[[random.Random, bool], Example], int]] = {
    "sentiment": (_sentiment, 18),
    "extract_person": (_extract_person, 10),
    "extract_order": (_extract_order, 9),
    "translate": (_translate, 9),
    "summary": (_summary, 7),
    "haiku": (_haiku, 7),
    "small_talk": (_small_talk, 10),
    "memory": (_memory, 16),
    "off_subject": (_off_subject, 58),  # the most: there is no end to what lies outside
    "repeat": (_repeat, 14),
}
"""What makes each kind of example, and how often it is drawn."""

COPYING = ("repeat", "extract_person", "extract_order", "memory")
"""The kinds whose answers hold words that stand in the prompt."""
