"""What the gateway answers, held against the type in which the SDK reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from helpers.drift import schemas
from helpers.drift.findings import Finding
from helpers.drift.schemas import Schema


@dataclass
class Seen:
    """What the samples of one operation showed: for each object that was reached, which of its fields came."""

    provider: str
    operation: str
    odd: set[Finding] = field(default_factory=set)
    objects: dict[str, tuple[Schema, set[str]]] = field(default_factory=dict)

    def add(self, value: Any, schema: Schema, root: Schema, path: str = "") -> None:
        """Hold one value against its schema."""
        if isinstance(value, list):
            for one in schemas.variants(schema, root):
                if "items" in one:
                    for item in value:
                        self.add(item, one["items"], root, f"{path}[]")
        elif isinstance(value, dict):
            self._add_object(value, schema, root, path)
        elif value is not None:
            self._add_value(value, schema, root, path)

    def _add_object(self, value: dict[str, Any], schema: Schema, root: Schema, path: str) -> None:
        known = [one for one in schemas.variants(schema, root) if "properties" in one]
        if not known:
            return  # a map, or anything
        one = max(known, key=lambda variant: _likeness(value, variant, root))
        mark = schemas.label(one) if len(known) > 1 else ""
        place = f"{path}({mark})" if mark else path
        _, sent = self.objects.setdefault(place, (one, set()))
        sent.update(value)
        for name in one.get("required", ()):
            if name not in value:
                self._note("missing", place, name)
        for name, inner in value.items():
            if name in one["properties"]:
                self.add(inner, one["properties"][name], root, f"{place}.{name}".lstrip("."))
            elif not one.get("additionalProperties"):
                self._note("extra", place, name)

    def _add_value(self, value: Any, schema: Schema, root: Schema, path: str) -> None:
        options = schemas.variants(schema, root)
        listed = [schemas.choices(one) for one in options]
        if options and all(listed) and not any(value in values for values in listed):
            self.odd.add(Finding("value", self.provider, f"{self.operation}: {path}", repr(value)))

    def _note(self, kind: str, place: str, name: str) -> None:
        self.odd.add(Finding(kind, self.provider, f"{self.operation}: {place}.{name}".replace(": .", ": ")))

    def unsent(self) -> Iterator[tuple[str, str]]:
        """The fields that no sample had, as (place, name)."""
        for place, (one, sent) in self.objects.items():
            # Of a union of AWS only one field comes at a time, and another is another kind of content.
            yield from ((place, name) for name in one["properties"] if name not in sent)


def _likeness(value: dict[str, Any], variant: Schema, root: Schema) -> tuple[int, int]:
    """How well a value fits one of several objects: by the marks that tell them apart, then by its fields."""
    properties = variant["properties"]
    marks = [(value.get(name), schemas.choices(schemas.resolved(properties[name], root))) for name in ("type", "role", "object") if name in properties]
    fits = sum(1 if said in values else -5 for said, values in marks if values)
    known = len(value.keys() & properties.keys()) - sum(name not in value for name in variant.get("required", ()))
    return fits, known
