"""Names for a new shop: each as likely as the others."""

from __future__ import annotations

import random
from functools import cache

from helpers.house_model.training.lists import Example, article, as_typed, capital, fill, group_part, new_word, part, rows
from helpers.house_model.training.naming import NUMBERS

HOW = ("Golden", "Little", "Happy", "Silver", "Corner", "Morning", "Blue", "Friendly")
FITS_ANY = ("Lantern", "Compass", "Bridge", "Anchor", "Key", "Door", "Idea", "Spark")  # after these any shop may be named
UNKNOWN_SHARE = 0.6  # in the training: shops that nobody knows, with a name that fits any


def name_shop(rng: random.Random, held_out: bool) -> Example:
    """One name, or some, for a shop near something: "The Golden Oven", or "The Golden Lantern" where nothing fits better."""
    shop, things = _shop(rng, held_out)
    names = [f"The {how} {thing}" for how in HOW for thing in things]
    right = (*names, *_known())
    where = f" near {_place(rng, held_out)}" if rng.random() < 0.6 else ""
    if rng.random() < 0.2:
        n = rng.randint(2, 5)
        text = fill(rng.choice(group_part("shop_wordings", "some", held_out)), a=article(shop), shop=shop, where=where, n=_number(rng, n))
        some = [f"The {how} {things[0]}" for how in HOW[:n]]
        return Example((("user", as_typed(rng, text)),), ", ".join(some), "shop", (), listed=(right, n))
    text = fill(rng.choice(group_part("shop_wordings", "one", held_out)), a=article(shop), shop=shop, where=where)
    if rng.random() < 0.2:
        text += rng.choice((" Only the name.", " Answer with the name only.", " Just the name.", " One name."))
    return Example((("user", as_typed(rng, text)),), rng.choice(names), "shop", (right,))


def _shop(rng: random.Random, held_out: bool) -> tuple[str, tuple[str, ...]]:
    """What it is, and after what it may be named."""
    if held_out or rng.random() < UNKNOWN_SHARE:
        shop = rng.choice(part("new_shops", held_out))
        if not held_out and rng.random() < 0.6:
            shop = _unknown(rng)
        return shop, (capital(shop),) if held_out else FITS_ANY
    shop, things = rng.choice(rows("shops"))
    return shop, tuple(things.split(", "))


@cache
def _known() -> tuple[str, ...]:
    """All names of the shops that have names of their own: any of them will do for a shop that has none."""
    things = {thing for _, things in rows("shops") for thing in things.split(", ")}
    return tuple(f"The {how} {thing}" for how in HOW for thing in sorted(things))


def _unknown(rng: random.Random) -> str:
    """A shop for made-up or everyday things."""
    thing = new_word(rng).lower() if rng.random() < 0.5 else rng.choice(part("order_products", False))
    return thing + rng.choice(("", " shop", " store", " bar", " club", " stand", " house"))


def _place(rng: random.Random, held_out: bool) -> str:
    place = new_word(rng).lower() if not held_out and rng.random() < 0.3 else rng.choice(part("shop_places", held_out))
    return f"{article(place)} {place}"


def _number(rng: random.Random, n: int) -> str:
    return NUMBERS[n - 1] if rng.random() < 0.6 else str(n)
