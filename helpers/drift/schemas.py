"""The types of the installed SDKs as JSON schemas: pydantic's and typed dictionaries of OpenAI, Anthropic and Google, botocore's shapes of AWS."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

Schema = dict[str, Any]


class _Lenient(GenerateJsonSchema):
    """A type that JSON has no word for, such as a client, is anything."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Schema:
        return {}


@cache
def of(kind: Any) -> Schema:
    """The schema of a type of an SDK, with its definitions under `$defs`."""
    return TypeAdapter(kind).json_schema(schema_generator=_Lenient, by_alias=True)


@cache
def of_operation(name: str, side: str) -> Schema:
    """The schema of what an operation of bedrock-runtime takes (`input`) or gives (`output`)."""
    import botocore.session

    operation = botocore.session.get_session().get_service_model("bedrock-runtime").operation_model(name)
    definitions: Schema = {}
    return {**_of_shape(getattr(operation, f"{side}_shape"), definitions), "$defs": definitions}


def _of_shape(shape: Any, definitions: Schema) -> Schema:
    match shape.type_name:
        case "structure":
            return _of_structure(shape, definitions)
        case "list":
            return {"type": "array", "items": _of_shape(shape.member, definitions)}
        case "string" if shape.enum:
            return {"enum": list(shape.enum)}
    return {}


def _of_structure(shape: Any, definitions: Schema) -> Schema:
    if getattr(shape, "is_document_type", False):
        return {}
    if shape.name not in definitions:
        made = definitions[shape.name] = {"type": "object"}  # first, as it may hold itself
        made["properties"] = {name: _of_shape(member, definitions) for name, member in shape.members.items()}
        made["required"] = list(shape.required_members)
        made["isUnion"] = bool(getattr(shape, "is_tagged_union", False))
    return {"$ref": f"#/$defs/{shape.name}"}


def resolved(schema: Schema, root: Schema) -> Schema:
    """What a reference stands for."""
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def variants(schema: Schema, root: Schema) -> list[Schema]:
    """All that it may be, without null and with unions inside unions laid open."""
    schema = resolved(schema, root)
    found = [one for choice in schema.get("anyOf", schema.get("oneOf", ())) for one in variants(choice, root)] or [schema]
    return [one for one in found if one.get("type") != "null"]


def label(schema: Schema) -> str:
    """What tells a variant from its neighbours, such as type=text; nothing where there is no such mark."""
    for name in ("type", "role", "object"):
        values = choices(schema.get("properties", {}).get(name, {}))
        if values:
            return f"{name}={'|'.join(map(str, values))}"
    return ""


def choices(schema: Schema) -> list[Any]:
    """The values that a field may have, where the schema lists them."""
    if "const" in schema:
        return [schema["const"]]
    if "enum" in schema:
        return [value for value in schema["enum"] if value is not None]
    # A union of a list of values with any string takes everything.
    options = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    listed = [choices(choice) for choice in options]
    return [value for values in listed for value in values] if options and all(listed) else []


def objects(schema: Schema, root: Schema, path: str = "", seen: frozenset[int] = frozenset()) -> Iterator[tuple[str, Schema]]:
    """Every object inside a schema with its path, each along the first way to it."""
    for one in variants(schema, root):
        if id(one) in seen:
            continue
        if "properties" in one:
            yield path, one
            for name, inner in one["properties"].items():
                yield from objects(inner, root, f"{path}.{name}".lstrip("."), seen | {id(one)})
        elif "items" in one:
            yield from objects(one["items"], root, f"{path}[]", seen | {id(one)})
