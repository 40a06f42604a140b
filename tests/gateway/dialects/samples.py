"""What the tests of tools ask, at more than one provider."""

import enum
import time

from pydantic import BaseModel, Field

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 10},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "hours": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 23}, "minItems": 1, "maxItems": 3},
        "place": {
            "type": "object",
            "properties": {"height": {"type": "number", "minimum": 0, "maximum": 9}, "indoors": {"type": "boolean"}},
            "required": ["height", "indoors"],
            "additionalProperties": False,
        },
    },
    "required": ["city", "days", "unit", "hours", "place"],
    "additionalProperties": False,
}
TIME = {"type": "object", "properties": {"zone": {"type": "string", "enum": ["UTC", "CET"]}}, "required": ["zone"], "additionalProperties": False}
LONG = {"type": "object", "properties": {"name": {"type": "string", "minLength": 300, "maxLength": 400}}, "required": ["name"], "additionalProperties": False}


class Unit(enum.Enum):
    celsius = "celsius"
    fahrenheit = "fahrenheit"


class Reading(BaseModel):
    station: str = Field(max_length=8)
    degrees: int
    unit: Unit


class Report(BaseModel):
    readings: list[Reading] = Field(min_length=1, max_length=2)
    is_certain: bool


SMALL, MID, OLD = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-haiku-4-5"  # thinks by default, always, when asked
STORY = "Tell a long story about the sea, the wind and the lighthouse keeper."
ITEM = {
    "type": "object",
    "properties": {"product": {"enum": ["teapot", "kettle"]}, "count": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["product", "count"],
}
ORDER = {
    "type": "object",
    "properties": {
        "customer": {
            "type": "object",
            "properties": {"name": {"type": "string", "maxLength": 12}, "regular": {"type": "boolean"}},
            "required": ["name", "regular"],
        },
        "items": {"type": "array", "items": ITEM, "minItems": 1, "maxItems": 2},
        "speed": {"enum": ["normal", "urgent"]},
    },
    "required": ["customer", "items", "speed"],
}
PLACE = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"]}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"enum": ["new", "regular"]}}},
    "required": ["name", "tags"],
    "additionalProperties": False,
}
SCHEMAS = {"order": ORDER, "weather": PLACE}
TOOLS = [{"name": name, "description": f"Use it to {name}.", "input_schema": schema} for name, schema in SCHEMAS.items()]
FORCED, ANY = {"type": "tool", "name": "order"}, {"type": "any"}
JSON_SCHEMA = {"type": "json_schema", "schema": PERSON}


def logged(gateway):
    """Output tokens of the last call in the log; a stream is entered just after its last event."""
    for _ in range(100):
        usage = gateway.meter.log()[-1].usage
        if usage is not None:
            return usage.output_tokens
        time.sleep(0.01)
    raise AssertionError("the call was not entered")


THINKS = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000, "model": OLD}
OPEN = {"type": "object", "properties": {"n": {"type": "integer"}}}
