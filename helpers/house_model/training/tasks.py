"""Small tasks for the house model: endless chat examples built from the word lists in tasks/."""

import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from helpers.house_model.training import counting, extracting, facts, greeting, naming, shops, talk
from helpers.house_model.training.lists import (
    INVENTED_SHARE,
    Example,
    Maker,
    MustSay,
    Row,
    all_plain,
    article,
    as_typed,
    capital,
    fill,
    group_part,
    grouped,
    invented,
    must_say,
    new_word,
    part,
    plain,
    proper_name,
    rows,
    single,
    split,
)  # fmt: skip

PLAIN_SYSTEMS = (
    "You are a helpful assistant.",
    "You are a patient teacher of programmers.",
    "You are an assistant for developers who call language models.",
    "Be helpful and exact.",
    "You answer questions about LLM APIs.",
    "Be concise.",
    "You are a support agent of a software company.",
)
"""System prompts that change nothing."""

COMPOSED_SHARE = 0.5
"""How many of the persons of the training stand in a sentence made of parts, which may not say everything."""

STRANGE_SHARE = 0.5
"""How many of the off-subject prompts of the training are about any everyday thing, or an invented one."""


def examples(rng: random.Random, count: int, kinds: Iterable[str] | None = None, held_out: bool = False) -> Iterator[Example]:
    """Yield `count` examples of some kinds (all, if not said), mixed by KINDS; held-out ones use entries that the training never uses."""
    makers, weights = zip(*(KINDS[kind] for kind in kinds or KINDS), strict=True)
    for maker in rng.choices(makers, weights, k=count):
        yield maker(rng, held_out)


# ---------------------------------------------------------------------------- sentiment


_LABELS = ("positive", "negative", "neutral")


def _sentiment(rng: random.Random, held_out: bool) -> Example:
    """Label a review with one word."""
    label = rng.choice(_LABELS)
    wording = rng.choice(part("sentiment_wordings", held_out))
    return single(fill(wording, review=_review(rng, label, held_out)), label, "sentiment", ((label,),))


def _review(rng: random.Random, label: str, held_out: bool) -> str:
    """One to three clauses of one sentiment about one product."""
    clauses = rng.sample(part(f"sentiment_{label}", held_out), rng.choice((1, 1, 2, 2, 3)))
    if label != "neutral" and rng.random() < 0.15:
        clauses.insert(rng.randrange(len(clauses) + 1), rng.choice(part("sentiment_neutral", held_out)))
    noun = rng.choice(part("sentiment_nouns", held_out))
    filled = [clause.replace("a {noun}", f"{article(noun)} {noun}").replace("{noun}", noun) for clause in clauses]
    return _joined(rng, filled, excited=label != "neutral" and rng.random() < 0.2)


def _joined(rng: random.Random, clauses: list[str], excited: bool) -> str:
    """The clauses as sentences, or two of them as one sentence."""
    end = "!" if excited else "."
    if len(clauses) == 2 and rng.random() < 0.4:
        text = capital(rng.choice((" and ", ", ", ", and ")).join(clauses)) + end
    else:
        text = " ".join(capital(clause) + end for clause in clauses)
    return as_typed(rng, text)


# ---------------------------------------------------------------------------- extraction


def _extract_person(rng: random.Random, held_out: bool) -> Example:
    """Find a name, an age and a city in a sentence."""
    name, city = proper_name(rng, "first_names", held_out), proper_name(rng, "cities", held_out)
    if rng.random() < 0.2:
        name += " " + rng.choice(part("last_names", held_out))
    age = rng.randint(18, 89)
    if not held_out and rng.random() < COMPOSED_SHARE:
        found: dict[str, str | int | None] = {"name": name, "age": age, "city": city}
        found |= {field: None for field in found if rng.random() < 0.15}
        text = extracting.about(rng, {field: value for field, value in found.items() if value is not None}, False)
        return _extraction(rng, "extract_person", text, found, False)
    text = fill(rng.choice(part("extract_person_shapes", held_out)), name=name, age=str(age), city=city)
    return _extraction(rng, "extract_person", text, {"name": name, "age": age, "city": city}, held_out)


def _extract_order(rng: random.Random, held_out: bool) -> Example:
    """Find a product, a quantity and a color in an order."""
    quantity = 1 if rng.random() < 0.05 else rng.randint(2, 99)
    product, color = _product(rng, quantity, held_out), _color(rng, held_out)
    shape = rng.choice(part("extract_order_shapes", held_out))
    text = fill(shape, quantity=str(quantity), product=product, color=color)
    return _extraction(rng, "extract_order", text, {"product": product, "quantity": quantity, "color": color}, held_out)


def _product(rng: random.Random, quantity: int, held_out: bool) -> str:
    """What is ordered, as one or many; for the training, sometimes an invented thing."""
    one, many = rng.choice(_split_products(held_out))
    if not held_out and rng.random() < INVENTED_SHARE:
        one = new_word(rng).lower()
        many = f"{one}s"
    return one if quantity == 1 else many


def _color(rng: random.Random, held_out: bool) -> str:
    """A color; for the training, sometimes an invented one."""
    if not held_out and rng.random() < INVENTED_SHARE:
        return new_word(rng).lower()
    return rng.choice(part("colors", held_out))


@lru_cache(maxsize=None)
def _split_products(held_out: bool) -> tuple[Row, ...]:
    """The products of one part, as (one, many)."""
    return split(rows("order_products"), held_out)


def _extraction(rng: random.Random, kind: str, text: str, found: Mapping[str, str | int | None], held_out: bool) -> Example:
    """An instruction around the text, and the JSON that answers it."""
    answer = json.dumps(found)
    values = tuple((value,) for value in answer.strip("{}").split(", "))
    return single(fill(rng.choice(part(f"{kind}_wordings", held_out)), text=text), answer, kind, values)


# ---------------------------------------------------------------------------- translation, summary, haiku


_LANGUAGES = ("French", "German", "Spanish")


def _translate(rng: random.Random, held_out: bool) -> Example:
    """Translate a phrase of the phrase book."""
    english, *translations = rng.choice(rows("phrases"))
    number = rng.randrange(len(_LANGUAGES))
    wording = rng.choice(part("translate_wordings", held_out))
    text = fill(wording, phrase=as_typed(rng, english), language=_LANGUAGES[number])
    return single(text, translations[number], "translate", ((translations[number],),))


def _summary(rng: random.Random, held_out: bool) -> Example:
    """Sum up a note about LLM API work in one line."""
    note, summary, words = rng.choice(rows("summary_notes"))
    text = fill(rng.choice(part("summary_wordings", held_out)), text=note)
    return single(text, summary, "summary", must_say(words))


def _haiku(rng: random.Random, held_out: bool) -> Example:
    """Write a haiku about a topic of the course."""
    topic = rng.choice(tuple(_haikus_by_topic()))
    lines, words = rng.choice(_haikus_by_topic()[topic])
    text = fill(rng.choice(part("haiku_wordings", held_out)), topic=topic)
    return single(text, lines, "haiku", must_say(words))


@lru_cache(maxsize=None)
def _haikus_by_topic() -> dict[str, tuple[Row, ...]]:
    """For every topic its haikus, each with the words that it must have."""
    by_topic: dict[str, list[Row]] = {}
    for topics, words, lines in rows("haikus"):
        for topic in topics.split(", "):
            by_topic.setdefault(topic, []).append((lines.replace(" / ", "\n"), words))
    return {topic: tuple(haikus) for topic, haikus in by_topic.items()}


# ---------------------------------------------------------------------------- small talk


def _small_talk(rng: random.Random, held_out: bool) -> Example:
    """A greeting, a thank-you, a question about the model itself, a joke."""
    intent = rng.choice(tuple(grouped("small_talk_prompts")))
    prompt = as_typed(rng, rng.choice(group_part("small_talk_prompts", intent, held_out)))
    answer, words = rng.choice(grouped("small_talk_answers")[intent])
    return single(prompt, answer, "small_talk", must_say(words))


# ---------------------------------------------------------------------------- memory


_FACTS = {"name": "first_names", "color": "colors", "city": "cities"}
"""What a user tells about himself, and the list that it comes from."""

_RECALLED = {"name": "Your name is {value}.", "color": "Your favorite color is {value}.", "city": "You live in {value}."}

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
    return _asked(rng, fact, turns, fill(_RECALLED[fact], value=value), value, held_out)


def _never_told(rng: random.Random, fact: str, held_out: bool) -> Example:
    """The fact was not told: nothing was said before, or something else."""
    turns: tuple[tuple[str, str], ...] = ()
    if rng.random() < 0.3:
        other = _other_fact(rng, fact)
        turns = _told(rng, other, _value(rng, other, held_out), held_out)
    elif rng.random() < 0.3:
        turns = _chatter(rng, held_out)
    return _asked(rng, fact, turns, facts.NOT_TOLD, "not told me", held_out)


def _only_told(rng: random.Random, fact: str, held_out: bool) -> Example:
    """The fact is told and nothing is asked."""
    value = _value(rng, fact, held_out)
    (_, text), (_, answer) = _told(rng, fact, value, held_out)
    return single(text, answer, "memory", ((value,),))


def _told_and_asked_at_once(rng: random.Random, fact: str, held_out: bool) -> Example:
    """The fact and the question stand in one message."""
    value = _value(rng, fact, held_out)
    told = _told(rng, fact, value, held_out)[0][1].rstrip(".!")
    question = rng.choice(group_part("memory_questions", fact, held_out))
    return single(f"{told}. {question}", fill(_RECALLED[fact], value=value), "memory", ((value,),))


def _asked(
    rng: random.Random, fact: str, turns: tuple[tuple[str, str], ...], answer: str, must: str, held_out: bool
) -> Example:
    """The turns, then the question for the fact."""
    question = rng.choice(group_part("memory_questions", fact, held_out))
    return Example((*turns, ("user", question)), answer, "memory", ((must,),))


def _told(rng: random.Random, fact: str, value: str, held_out: bool) -> tuple[tuple[str, str], ...]:
    """The user tells a fact and the model takes note."""
    text = rng.choice(group_part("memory_facts", fact, held_out))
    return ("user", fill(text, value=value)), ("assistant", fill(rng.choice(_NOTED[fact]), value=value))


def _value(rng: random.Random, fact: str, held_out: bool) -> str:
    """A name, a color or a city."""
    if fact == "color":
        return _color(rng, held_out)
    return proper_name(rng, _FACTS[fact], held_out)


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
        text = rng.choice(part("off_subject_prompts", held_out))
    else:
        text = _from_template(rng, held_out)
    answer = rng.choice(rows("off_subject_answers"))[0]
    return Example((*_before(rng), ("user", as_typed(rng, text))), answer, "off_subject", _OFF_SUBJECT_SAYS)


def _before(rng: random.Random) -> tuple[tuple[str, str], ...]:
    """Now and then a usual system prompt, which changes nothing."""
    return (("system", rng.choice(PLAIN_SYSTEMS)),) if rng.random() < 0.1 else ()


def _from_template(rng: random.Random, held_out: bool) -> str:
    """A template with its nouns, unless the prompts of the other part have the same text."""
    while True:
        template = rng.choice(part("off_subject_templates", held_out))
        text = _SLOT.sub(lambda slot: rng.choice(part(f"off_{slot[1]}", held_out)), template)
        if plain(text) not in all_plain("off_subject_prompts", not held_out):
            return capital(text) if template[0] == "{" else text


def _strange_prompt(rng: random.Random) -> str:
    """A question about a thing that the course has nothing to do with, or that nobody knows: never one of the held-out words."""
    template = rng.choice([template for template in part("off_subject_templates", False) if "{" in template])
    word = rng.choice(_new_words()) if rng.random() < 0.6 else new_word(rng).lower()
    return capital(_SLOT.sub(word, template))


@lru_cache(maxsize=None)
def _new_words() -> Row:
    """The everyday words that stand in no held-out prompt."""
    slots = {slot for (template,) in rows("off_subject_templates") for slot in _SLOT.findall(template)}
    names = ("off_subject_prompts", *(f"off_{slot}" for slot in sorted(slots)))
    held_out = {word for name in names for entry in all_plain(name, True) for word in entry.split()}
    return tuple(word for (word,) in rows("off_words") if not held_out & {*word.split(), *(f"{part}s" for part in word.split())})


# ---------------------------------------------------------------------------- repetition


def _repeat(rng: random.Random, held_out: bool) -> Example:
    """Give back a few words that nobody knows, letter for letter: so the model learns to copy."""
    words = (_unknown_word(rng, held_out) for _ in range(rng.choice((1, 2, 2, 3, 4, 6))))
    text = " ".join(words)
    return single(fill(rng.choice(rows("repeat_wordings"))[0], text=text), text, "repeat", ((text,),))


def _unknown_word(rng: random.Random, held_out: bool) -> str:
    """A made-up name, with or without a capital, or a number."""
    if not held_out and rng.random() < 0.5:
        return rng.choice((new_word(rng), new_word(rng).lower(), _digits(rng)))
    return rng.choice((invented(rng), invented(rng).lower(), str(rng.randint(0, 9999))))


def _digits(rng: random.Random) -> str:
    """A number in which digits come again, as in 408 or 4004."""
    few = rng.sample("0123456789", 2)
    return "".join(rng.choice(few) for _ in range(rng.choice((3, 3, 3, 4, 6))))


def _python(rng: random.Random, held_out: bool) -> Example:
    """Write one of a few small functions; another one lies outside."""
    what, code = rng.choice(rows("python_functions"))
    text = fill(rng.choice(part("python_wordings", held_out)), what=what)
    return Example((("user", as_typed(rng, text)),), code, "python", ((code,),), exact=True)


KINDS: dict[str, tuple[Maker, int]] = {
    "sentiment": (_sentiment, 16),
    "extract_person": (_extract_person, 13),
    "extract_order": (_extract_order, 13),
    "extract_fields": (extracting.person, 32),
    "extract_order_fields": (extracting.order, 20),
    "translate": (_translate, 12),
    "summary": (_summary, 5),
    "haiku": (_haiku, 6),
    "small_talk": (_small_talk, 16),
    "memory": (_memory, 14),
    "facts": (facts.remember, 26),
    "yes_or_no": (facts.yes_or_no, 24),
    "count": (counting.count, 30),
    "list": (naming.name_some, 34),
    "name_one": (naming.name_one, 26),
    "shop": (shops.name_shop, 12),
    "greet": (greeting.greet, 14),
    "talk": (talk.go_on, 26),
    "python": (_python, 4),
    "off_subject": (_off_subject, 58),  # the most: there is no end to what lies outside
    "repeat": (_repeat, 8),
}
"""What makes each kind of example, and how often it is drawn."""

COPYING = ("repeat", "extract_person", "extract_order", "extract_fields", "extract_order_fields", "memory", "facts", "yes_or_no")
"""The kinds whose answers hold words that stand in the prompt."""
