"""Extraction to JSON: any of several fields, null where the text says nothing."""

from __future__ import annotations

import json
import random

from helpers.house_model.training.lists import INVENTED_SHARE, Example, fill, group_part, invented, more, new_word, part, proper_name, rows, split

MISSING_SHARE = 0.3  # of the fields that are asked for: the text does not say them
SYSTEM_SHARE = 0.2  # the instruction is a system prompt
SUBJECTS = ("She", "He", "My neighbor", "A friend of mine", "Our guest", "Somebody", "The new colleague")  # of a text that names nobody
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FIELDS = ("age", "city", "job", "color", "food", "email")
ROLES = (
    "customer", "guest", "cousin", "uncle", "aunt", "friend", "student", "boss", "manager", "sister", "brother", "driver", "owner", "winner", "member", "visitor",
    "caller", "user", "speaker", "host", "buyer", "child", "son", "daughter", "doctor", "lawyer", "engineer", "author", "singer", "player", "captain", "colleague",
    "client", "applicant", "candidate", "employee", "trainer", "person", "man", "woman", "girl", "boy", "lady", "tenant", "passenger", "witness", "reader",
)  # fmt: skip
Found = dict[str, str | int | None]


def person(rng: random.Random, held_out: bool) -> Example:
    """Some of name, age, city, job, color, food and email of a person."""
    asked = _asked(rng, ["name", *FIELDS], ("name", "age", "city"))
    told: Found = {field: _value(rng, field, held_out) for field in asked if rng.random() >= MISSING_SHARE}
    if rng.random() < 0.25:  # something that nobody asked for
        extra = rng.choice(FIELDS)
        told.setdefault(extra, _value(rng, extra, held_out))
    return _extraction(rng, about(rng, told, held_out, roles="job" not in (*asked, *told)), {field: told.get(field) for field in asked}, held_out)


def about(rng: random.Random, told: Found, held_out: bool, roles: bool = True) -> str:
    """Who it is, then the rest in any order, as one sentence or several; now and then something beside the point."""
    fields = [field for field in told if field != "name"]
    rng.shuffle(fields)
    head, link = (str(told.get("name") or rng.choice(SUBJECTS)), "") if held_out or not roles else _lead(rng, told.get("name"))
    if link and rng.random() < 0.5:  # "The winner is Tom, 54, from Rome."
        pieces = (_clause(rng, f"{field}_in", told[field], held_out) for field in fields)
        return head + "".join(piece if piece[0] == "," else f" {piece}" for piece in pieces).replace(",,", ",").rstrip(",") + "."
    if fields and rng.random() < 0.3:
        set_in = _clause(rng, f"{fields[0]}_in", told[fields.pop(0)], held_out)
        head += set_in if set_in[0] == "," else f" {set_in}"
    head += link
    clauses = [_clause(rng, field, told[field], held_out) for field in fields]
    if not clauses or rng.random() < 0.2:
        clauses.append(rng.choice(rows("extract_noise") if held_out else (*rows("extract_noise"), *more("extract_noise")))[0])
    if rng.random() < 0.5:
        return f"{head} " + " and ".join(clauses) + "."
    return ". ".join([f"{head} {clauses[0]}", *(f"{rng.choice(('She', 'He'))} {clause}" for clause in clauses[1:])]) + "."


def _lead(rng: random.Random, name: str | int | None) -> tuple[str, str]:
    """Who it is, in the training, and what links that to the rest: "The baker Tom", "My cousin", "The winner is Tom" and " and"."""
    if rng.random() < 0.45:
        return str(name or rng.choice(SUBJECTS)), ""
    whose = rng.choice(("The", "Our", "My", "His", "Her", "The new", "The old", "Your", "This", "That"))
    role = rng.choice(ROLES) if rng.random() < 0.6 else _word(rng, "fact_jobs", False)
    when = rng.choice(("Today", "Tomorrow", "On Monday", "Last week", "This year", "In June", "Soon", "By the way,", "News:")) if rng.random() < 0.1 else ""
    who = f"{when} {whose.lower()} {role}" if when else f"{whose} {role}"
    if name is None or role in ("teacher", "neighbor", "patient"):  # these stand in sentences that are held out
        return (str(name), "") if name else (who, "")
    link = rng.choice((" is ", " is called ", " ", " ", ", ", " named "))
    return who + link + str(name), " and" if link.startswith(" is") else ""


def _clause(rng: random.Random, group: str, value: str | int | None, held_out: bool) -> str:
    return fill(rng.choice(group_part("extract_fields", group, held_out)), value=str(value))


def order(rng: random.Random, held_out: bool) -> Example:
    """Some of product, quantity, color, price, customer and day of an order."""
    asked = _asked(rng, ["product", "quantity", "color", "price", "customer", "day"], ("product", "quantity", "color"))
    told: Found = {field: _order_value(rng, field, held_out) for field in asked if rng.random() >= MISSING_SHARE}
    if rng.random() < 0.25:
        extra = rng.choice(("price", "customer", "day", "color", "product"))
        told.setdefault(extra, _order_value(rng, extra, held_out))
    text = fill(rng.choice(group_part("extract_orders", "what", held_out)), thing=_thing(rng, told))
    for field in rng.sample(("price", "day"), 2):
        if field in told:
            piece = fill(rng.choice(group_part("extract_orders", field, held_out)), **{field: str(told[field])})
            text += piece if piece[0] == "," else f" {piece}"
    text += "."
    if "customer" in told:
        text = fill(rng.choice(group_part("extract_orders", "customer", held_out)), customer=str(told["customer"])) + f" {text}"
    return _extraction(rng, text, {field: told.get(field) for field in asked}, held_out)


def _thing(rng: random.Random, told: Found) -> str:
    """What is ordered: how many of what in which color, as far as it is told."""
    quantity, color, product = told.get("quantity"), told.get("color"), told.get("product")
    number = [] if quantity is None else [str(quantity)]
    if product is None:
        words = [*number, "of them"] if number else ["something"]
        return " ".join(words if color is None else [*words, "in", str(color)])
    if color is not None and rng.random() < 0.3:
        return " ".join([*number, str(product), "in", str(color)])
    return " ".join([*number, *([] if color is None else [str(color)]), str(product)])


def _asked(rng: random.Random, fields: list[str], usual: tuple[str, ...]) -> list[str]:
    """The usual three, or any one to four in any order."""
    if rng.random() < 0.4:
        return list(usual)
    return rng.sample(fields, rng.choice((1, 2, 2, 3, 3, 4)))


def _value(rng: random.Random, field: str, held_out: bool) -> str | int:
    if field == "name":
        name = proper_name(rng, "first_names", held_out)
        return f"{name} {rng.choice(part('last_names', held_out))}" if rng.random() < 0.2 else name
    if field == "age":
        return rng.randint(1, 99)
    if field == "city":
        return proper_name(rng, "cities", held_out)
    if field == "email":
        return f"{proper_name(rng, 'first_names', held_out).lower()}@{invented(rng).lower()}.{rng.choice(('com', 'org', 'net', 'example'))}"
    return _word(rng, {"job": "fact_jobs", "color": "colors", "food": "foods"}[field], held_out)


def _order_value(rng: random.Random, field: str, held_out: bool) -> str | int:
    if field in ("quantity", "price"):
        return rng.randint(2, 99 if field == "quantity" else 500)
    if field == "day":
        return rng.choice(DAYS)
    if field == "product":
        return f"{new_word(rng).lower()}s" if not held_out and rng.random() < INVENTED_SHARE else rng.choice(split(rows("order_products"), held_out))[1]
    return proper_name(rng, "first_names", held_out) if field == "customer" else _word(rng, "colors", held_out)


def _word(rng: random.Random, name: str, held_out: bool) -> str:
    """A word of a list; for the training, often an invented one."""
    return new_word(rng).lower() if not held_out and rng.random() < INVENTED_SHARE else rng.choice(part(name, held_out))


def _extraction(rng: random.Random, text: str, found: Found, held_out: bool) -> Example:
    """An instruction around the text, or before it as a system prompt, and the JSON that answers it."""
    answer = json.dumps(found)
    fields = _listed(rng, list(found))
    if rng.random() < SYSTEM_SHARE:
        system = fill(rng.choice(part("extract_systems", held_out)), fields=fields)
        messages: tuple[tuple[str, str], ...] = (("system", system), ("user", text))
    else:
        messages = (("user", fill(rng.choice(part("extract_wordings", held_out)), fields=fields, text=text)),)
    return Example(messages, answer, "extract_fields", ((answer,),), exact=True)


def _listed(rng: random.Random, fields: list[str]) -> str:
    """The fields as a list in words."""
    if len(fields) == 1:
        return fields[0]
    last = rng.choice((" and ", ", ", ", and "))
    return ", ".join(fields[:-1]) + last + fields[-1]
