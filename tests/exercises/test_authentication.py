"""Exercise 03 makes up keys when it runs, and nothing that a notebook keeps shows a part of one."""

import json

from helpers.exercises import masters

KINDS = ("openai", "openai service", "anthropic", "google", "aws", "huggingface")


def test_no_output_shows_a_part_of_a_made_up_key():
    master = masters.master("ex03_api_authentication")
    given = next(cell.source for cell in master.cells if "def made_up" in cell.source)
    made: dict = {}
    exec(f"import random, string\n{given}", made)
    keys = [made["made_up"](kind, number) for kind in KINDS for number in range(100)]
    shown = json.dumps([cell.get("outputs", []) for cell in master.cells], ensure_ascii=False)
    assert len(set(keys)) == 600 and "a key of anthropic" in shown
    assert not [number for number, key in enumerate(keys) if any(key[at : at + 6] in shown for at in range(len(key) - 5))]
