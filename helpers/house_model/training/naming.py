"""Names of a kind: one of them, drawn evenly, or a list of n."""

from __future__ import annotations

import json
import random

from helpers.house_model.training.lists import Example, Row, article, as_typed, fill, group_part, part, rows

MOST = 10  # names in one list
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NOT_EVEN = ("color", "colour")  # one of these is drawn as choices.txt says


def name_one(rng: random.Random, held_out: bool) -> Example:
    """Name one thing of a kind: each as likely as the others."""
    one, _, names = _kind(rng)
    if one in NOT_EVEN:
        return name_one(rng, held_out)
    a = f"{article(one)} {one}"
    text = fill(rng.choice(part("name_one_wordings", held_out)), a=a)
    name = rng.choice(names)
    return Example((("user", as_typed(rng, text)),), name[:1].upper() + name[1:], "name_one", (names,))


def name_some(rng: random.Random, held_out: bool) -> Example:
    """Name n things of a kind, in the form that is asked for: always the first ones, so that the number alone says where it ends."""
    _, many, names = _kind(rng)
    n = rng.choice((2, 3, 3, 3, 4, 4, 5, 5, 5, 6, 7, 8, 10))
    n = min(n, MOST, len(names))
    wording = fill(rng.choice(part("name_wordings", held_out)), n=NUMBERS[n - 1] if rng.random() < 0.5 else str(n), things=many)
    form = rng.choice(("", "", "", "commas", "lines", "bullets", "numbers", "json"))
    if form:
        wording = f"{wording.rstrip('.')} {rng.choice(group_part('name_forms', form, held_out))}".replace("?", "").replace(", please", "") + rng.choice(("", "."))
    return Example((("user", as_typed(rng, wording)),), _set(form, list(names[:n])), "list", (), listed=(names, n))


def _kind(rng: random.Random) -> tuple[str, str, Row]:
    one, many, names = rng.choice(rows("kinds_of_things"))
    return one, many, tuple(names.split(", "))


def _set(form: str, names: list[str]) -> str:
    """The names as the prompt asks for them."""
    if form == "json":
        return json.dumps(names)
    if form == "lines":
        return "\n".join(names)
    if form == "bullets":
        return "\n".join(f"- {name}" for name in names)
    if form == "numbers":
        return "\n".join(f"{number}. {name}" for number, name in enumerate(names, start=1))
    return ", ".join(names)
