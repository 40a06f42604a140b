"""What people say next in a talk: thanks, "and X?", "explain that again", "what did you say?"."""

from __future__ import annotations

import random
from functools import cache

from helpers.house_model.training import styles
from helpers.house_model.training.lists import Example, as_typed, fill, group_part, grouped, new_word, part, rows
from helpers.house_model.training.questions import Topic, topics

Turns = tuple[tuple[str, str], ...]
KNOWS_NO_MORE = "I know no more about it than this: "  # asked for a reason, an example, more


def go_on(rng: random.Random, held_out: bool) -> Example:
    """One or two questions of the course were answered; then the user goes on in few words."""
    topic = rng.choice(topics())
    answer = rng.choice(topic.answers)
    turns: Turns = (("user", rng.choice(topic.ask)), ("assistant", answer))
    if rng.random() < 0.3:
        other = rng.choice(topics())
        turns = (("user", rng.choice(other.ask)), ("assistant", rng.choice(other.answers)), *turns)
    intent = rng.choices(tuple(_INTENTS), [weight for weight, _ in _INTENTS.values()])[0]
    text, said, must = _INTENTS[intent][1](rng, topic, answer, held_out)
    return Example((*turns, ("user", as_typed(rng, text))), said, "talk", must)


Said = tuple[str, str, tuple[tuple[str, ...], ...]]


def _wording(rng: random.Random, intent: str, held_out: bool) -> str:
    return rng.choice(group_part("talk_wordings", intent, held_out))


def _what_about(rng: random.Random, topic: Topic, answer: str, held_out: bool) -> Said:
    """Another term of the course."""
    key = rng.choice([key for key in styles.glossary() if key in _by_key()])
    text = fill(_wording(rng, "and", held_out), thing=rng.choice(styles.glossary()[key]))
    return text, rng.choice(_by_key()[key].answers), tuple(_by_key()[key].must_say)


def _what_about_else(rng: random.Random, topic: Topic, answer: str, held_out: bool) -> Said:
    """A thing that the course has nothing to do with."""
    slot = rng.choice(("off_food", "off_thing", "off_animal", "off_country", "off_sport", "off_person"))
    thing = new_word(rng).lower() if not held_out and rng.random() < 0.3 else rng.choice(part(slot, held_out))
    said = rng.choice(rows("off_subject_answers"))[0]
    return fill(_wording(rng, "and", held_out), thing=thing), said, (("only know this course", "only trained on", "outside what I know"),)


def _again(rng: random.Random, topic: Topic, answer: str, held_out: bool) -> Said:
    """The same in other words: another of the answers, if there is one."""
    other = rng.choice([text for text in topic.answers if text != answer] or [answer])
    return _wording(rng, "again", held_out), f"In other words: {other}", (("In other words",), *topic.must_say)


def _more(rng: random.Random, topic: Topic, answer: str, held_out: bool) -> Said:
    """It has no reasons and examples, and says so."""
    other = rng.choice([text for text in topic.answers if text != answer] or [answer])
    return _wording(rng, "more", held_out), KNOWS_NO_MORE + other, ((KNOWS_NO_MORE.strip(),), *topic.must_say)


def _shorter(rng: random.Random, topic: Topic, answer: str, held_out: bool) -> Said:
    short = styles.first_sentence(answer)
    return _wording(rng, "shorter", held_out), short, ((short,),)


def _repeat(rng: random.Random, topic: Topic, answer: str, held_out: bool) -> Said:
    return _wording(rng, "repeat", held_out), answer, ((answer,),)


def _language(rng: random.Random, topic: Topic, answer: str, held_out: bool) -> Said:
    language = rng.choice(styles.LANGUAGES)
    number = styles.LANGUAGES.index(language)
    text = fill(_wording(rng, "language", held_out), language=language)
    if topic.key in styles.languages():
        said = styles.languages()[topic.key][number]
        return text, said, ((said,),)
    only = styles.languages()["only_english"][number]
    return text, f"{only} {styles.first_sentence(answer)}", ((only,),)


def _small_talk(rng: random.Random, topic: Topic, answer: str, held_out: bool) -> Said:
    """Thanks, praise, okay, a complaint."""
    intent = rng.choice(("thanks", "thanks", "thanks", "okay", "praise", "complaint", "goodbye"))
    said, words = rng.choice(grouped("small_talk_answers")[intent])
    must = tuple(tuple(word.strip() for word in some.split("/")) for some in words.split(";"))
    return rng.choice(group_part("small_talk_prompts", intent, held_out)), said, must


_INTENTS = {
    "and": (20, _what_about),
    "else": (14, _what_about_else),
    "again": (12, _again),
    "more": (14, _more),
    "shorter": (6, _shorter),
    "repeat": (4, _repeat),
    "language": (10, _language),
    "small talk": (20, _small_talk),
}


@cache
def _by_key() -> dict[str, Topic]:
    return {topic.key: topic for topic in topics()}
