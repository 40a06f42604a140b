"""What every program here asks of its client, and how it hands over what came: one line of JSON, which the test reads."""

import json
import sys
import urllib.request
from typing import Literal

from pydantic import BaseModel

HELLO = "Say hello in five words."
QUESTION = "What is the weather in Oslo?"
COLOUR = "Name a colour."
GATEWAY = sys.argv[1]
PROVIDER = sys.argv[2]
CALLS = []  # of the tool


class Colour(BaseModel):
    colour: Literal["red", "blue"]


def get_weather(city: str) -> str:
    """The weather in a city now.

    Args:
        city: Name of a city
    """
    CALLS.append({"name": "get_weather", "input": {"city": city}})
    return f"{city}: 4 degrees, rain"


def fault(kind: str) -> None:
    """Tell the gateway to do something wrong once."""
    order = json.dumps({"kind": kind, "times": 1}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{GATEWAY}/course/faults", order, method="POST"))


def run(**scenarios) -> None:
    """Run the scenarios one after the other; an error is told by its name and message."""
    found = {}
    for name, act in scenarios.items():
        try:
            found[name] = act()
        except Exception as error:
            found[name] = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(found, default=str))
