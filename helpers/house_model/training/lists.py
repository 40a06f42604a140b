"""The word lists in tasks/, and what every maker of examples needs to put them into words."""

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

LISTS = Path(__file__).with_name("tasks")

TOKENIZER = Path(__file__).parents[1] / "tokenizer.json"

HOLD_OUT_EVERY = 7
"""Every seventh entry of a list is kept for the held-out examples."""

INVENTED_SHARE = 0.6
"""How many names, cities, products and colors of the training are made of syllables, so that the model learns to copy."""

Row = tuple[str, ...]
MustSay = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Example:
    """One chat that ends with the user's turn, the answer to it, and what makes an answer right."""

    messages: tuple[tuple[str, str], ...]
    answer: str
    kind: str
    must_say: MustSay
    exact: bool = False  # right is only the answer itself, in small or capital letters
    listed: tuple[Row, int] | None = None  # right is so many of these names, each once
    words: int | None = None  # right is an answer of so many words


Maker = Callable[[random.Random, bool], Example]


# ---------------------------------------------------------------------------- word lists


@lru_cache(maxsize=None)
def rows(name: str) -> tuple[Row, ...]:
    """Every entry of a list as its columns, without comments."""
    return _read(name, more=False)


@lru_cache(maxsize=None)
def more(name: str) -> tuple[Row, ...]:
    """The entries that came later, for the training alone: what is held out stays the same."""
    return _read(name, more=True)


def _read(name: str, more: bool) -> tuple[Row, ...]:
    lines = (LISTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    kept = (line.removeprefix("+ ").replace("\\n", "\n") for line in lines if line.strip() and line[0] != "#" and line.startswith("+ ") == more)
    return tuple(tuple(column.strip(" ") for column in line.split(" | ")) for line in kept)


def split(entries: tuple[Row, ...], held_out: bool) -> tuple[Row, ...]:
    """Every seventh row (or the last of a shorter list) for the held-out part, the others for the training."""
    every = min(HOLD_OUT_EVERY, len(entries))
    train = tuple(row for index, row in enumerate(entries) if index % every != every - 1)
    if not held_out:
        return train
    trained_on = {plain(row[-1]) for row in train}
    return tuple(row for row in entries if row not in train and plain(row[-1]) not in trained_on)


@lru_cache(maxsize=None)
def part(name: str, held_out: bool) -> Row:
    """The held-out or the training entries of a list with one column."""
    return _with_more(rows(name), more(name), held_out)


@lru_cache(maxsize=None)
def grouped(name: str) -> dict[str, tuple[Row, ...]]:
    """The rows of a list by their first column, which is cut off."""
    groups: dict[str, list[Row]] = {}
    for first, *rest in rows(name):
        groups.setdefault(first, []).append(tuple(rest))
    return {first: tuple(rows) for first, rows in groups.items()}


@lru_cache(maxsize=None)
def group_part(name: str, group: str, held_out: bool) -> Row:
    """The held-out or the training entries of one group of a list with two columns."""
    return _with_more(grouped(name)[group], tuple(row[1:] for row in more(name) if row[0] == group), held_out)


def _with_more(entries: tuple[Row, ...], later: tuple[Row, ...], held_out: bool) -> Row:
    """One part of the entries; for the training, with those that came later and are not held out."""
    here = tuple(row[0] for row in split(entries, held_out))
    if held_out:
        return here
    kept_out = {plain(row[0]) for row in split(entries, True)}
    return (*here, *(row[0] for row in later if plain(row[0]) not in kept_out))


@lru_cache(maxsize=None)
def all_plain(name: str, held_out: bool) -> frozenset[str]:
    """The plain forms of one part of a list."""
    return frozenset(plain(entry) for entry in part(name, held_out))


@lru_cache(maxsize=4096)
def must_say(column: str) -> MustSay:
    """Read "a/b; c" as: a or b, and also c."""
    return tuple(tuple(word.strip() for word in words.split("/")) for words in column.split(";"))


# ---------------------------------------------------------------------------- text


_SIGNS = re.compile(r"[^\w\s*+]+")


def plain(text: str) -> str:
    """The text in lower case without punctuation, to find texts that are nearly the same."""
    return " ".join(_SIGNS.sub("", text.lower()).split())


def fill(template: str, **values: str) -> str:
    """Put the values into the {slots} of a template."""
    for slot, value in values.items():
        template = template.replace("{" + slot + "}", value)
    return template


def capital(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def article(noun: str) -> str:
    """An or a; by its first letter, which is right for the words of the lists but "hour" and "unit"."""
    return "an" if noun[:1].lower() in "aeio" or noun.startswith(("umb", "unc", "und")) else "a"


def as_typed(rng: random.Random, text: str, lower: bool = True) -> str:
    """Sometimes in lower case (not where a name is to be copied), sometimes without the last punctuation mark, as people type."""
    if lower and rng.random() < 0.15:
        text = text.lower()
    if rng.random() < 0.15 and not text[-2:-1].isspace():
        text = text.rstrip(".?!") or text
    return text


_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ONSETS = (*"bcdfghjklmnprstvwyz", *"br ch cl dr fl gr kh kr pl sh sk st th tr".split(), "")
_VOWELS = (*"aeiouaeioay", "ai", "au", "ea", "ei", "ie", "ou")
_ENDINGS = ("", "", "", *"dklmnrstx", "ck", "ld", "nd", "ng", "rt", "sh", "ton", "berg", "ville", "us", "en", "ia")


def invented(rng: random.Random) -> str:
    """A name that nobody has, made of two to four syllables."""
    syllables = (rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(rng.choice((2, 2, 2, 3, 3, 4))))
    return capital("".join(syllables) + rng.choice(_ENDINGS))


@lru_cache(maxsize=None)
def _pieces() -> tuple[Row, Row]:
    """The pieces of words that the tokenizer knows, as small letters and with a capital first letter."""
    vocabulary = json.loads(TOKENIZER.read_text(encoding="utf-8"))["model"]["vocab"] if TOKENIZER.exists() else {}
    words = sorted(piece for piece in vocabulary if piece.isascii() and piece.isalpha() and 1 < len(piece) < 9)
    return tuple(piece for piece in words if piece.islower()), tuple(piece for piece in words if piece.istitle())


def new_word(rng: random.Random) -> str:
    """A name that nobody has, in the training: of syllables, or of any pieces that the tokenizer knows, so that each of them is copied now and then."""
    small, capitals = _pieces()
    if not small or rng.random() < 0.45:
        return invented(rng)
    first = rng.choice(capitals) if rng.random() < 0.35 else rng.choice(_CAPITALS) + rng.choice(small)
    return first + "".join(rng.choice(small) for _ in range(rng.choice((0, 1, 1))) if len(first) < 8) + rng.choice(("", *"aeiouysn"))


def proper_name(rng: random.Random, name: str, held_out: bool) -> str:
    """An entry of a list of names; for the training, sometimes an invented one."""
    if not held_out and rng.random() < INVENTED_SHARE:
        made_up = new_word(rng)
        if made_up not in part(name, True):
            return made_up
    return rng.choice(part(name, held_out))


def single(text: str, answer: str, kind: str, must_say: MustSay) -> Example:
    """An example with one user turn."""
    return Example((("user", text),), answer, kind, must_say)
