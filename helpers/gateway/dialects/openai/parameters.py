"""The JSON schemas of functions and answers, as far as OpenAI refuses them when it reads the request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from helpers.gateway.dialects.schema import Schema
from helpers.gateway.exchange import Refusal

Path = tuple[str, ...]


def check_function(function: dict[str, Any], param: str) -> None:
    """Raise a Refusal for parameters that are no object, or in which a list does not say of what."""
    schema = function.get("parameters") or {}
    kind = schema.get("type")
    if schema and kind != "object":
        text = f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
        raise _refusal(f"function '{function['name']}'", text, param, "invalid_function_parameters")
    _check_lists(schema, f"function '{function['name']}'", param, "invalid_function_parameters")


def check_format(form: dict[str, Any], param: str, code: str | None) -> None:
    """Raise a Refusal for the schema of an answer in which a list does not say of what."""
    _check_lists(form.get("schema") or {}, f"response_format '{form.get('name')}'", param, code)


def _check_lists(schema: Schema, owner: str, param: str, code: str | None) -> None:
    for path, part in _parts(schema):
        if part.get("type") == "array" and "items" not in part and "prefixItems" not in part:
            raise _refusal(owner, f"In context={path}, array schema missing items.", param, code)


def _parts(schema: Any, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Every schema inside a schema with its path, itself included."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for name in ("properties", "$defs", "definitions"):
        held = schema.get(name)
        for key, part in held.items() if isinstance(held, dict) else ():
            yield from _parts(part, (*path, name, key))
    yield from _parts(schema.get("items"), (*path, "items"))
    for name in ("anyOf", "oneOf", "allOf"):
        held = schema.get(name)
        for place, part in enumerate(held) if isinstance(held, list) else ():
            yield from _parts(part, (*path, name, str(place)))


def _refusal(owner: str, text: str, param: str, code: str | None) -> Refusal:
    return Refusal("bad_value", f"Invalid schema for {owner}: {text}", param=param, code=code)
