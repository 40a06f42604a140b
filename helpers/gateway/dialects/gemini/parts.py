"""The parts of a Gemini turn: what each holds, and what it is to the neutral question."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from helpers.gateway.dialects import images
from helpers.gateway.dialects.gemini import fields
from helpers.gateway.exchange import Part, Refusal
from helpers.models import Model

KINDS = {
    "functionCall": "tool_use",
    "executableCode": "tool_use",
    "toolCall": "tool_use",
    "functionResponse": "tool_result",
    "codeExecutionResult": "tool_result",
    "toolResponse": "tool_result",
    "inlineData": "image",
    "fileData": "image",
}
FILES = ("inlineData", "inline_data", "fileData", "file_data")  # what stands in a result keeps the names that the client gave it
# Of what is known: images that Gemini reads, and files under application/ that it refuses. Other text, sound and film pass.
IMAGES = ("png", "jpeg", "webp", "heic", "heif", "gif", "avif")
NO_FILES = ("json", "octet-stream", "svg+xml", "zip", "msword")
NOT_AN_IMAGE = "Unable to process input image. Please retry or report in https://developers.generativeai.google/guide/troubleshooting"


# Tokens of an image for Gemini 3 and later, by the media resolution that a request asks for; without one as with HIGH (Google's page
# on media resolution, as quoted in public in 2026). Gemini 2.x has 64 at LOW, and tiles otherwise.
AT = {"MEDIA_RESOLUTION_LOW": 280, "MEDIA_RESOLUTION_MEDIUM": 560, "MEDIA_RESOLUTION_HIGH": 1120, "MEDIA_RESOLUTION_ULTRA_HIGH": 2240}
LOW_BEFORE = 64


def read(content: dict[str, Any], path: str, model: Model, resolution: str = "") -> tuple[Part, ...]:
    """The parts of the turn at `path`. Raises Refusal for one that does not do."""
    given = content.get("parts")
    if not given:
        raise Refusal("bad_value", param=f"{path}.parts", rule="contents.parts must not be empty.")
    found = [(part, one) for index, part in enumerate(given) for one in (*_files(part, model), _part(part, f"{path}.parts[{index}]", model))]
    return tuple(_at(_resolution(part) or resolution, one, model) if one.kind == "image" else one for part, one in found)


def _resolution(part: dict[str, Any]) -> str:
    """The media resolution that a part has of its own."""
    own = part.get("mediaResolution")
    level = own.get("level") if isinstance(own, dict) else own
    return level if isinstance(level, str) else ""


def _at(resolution: str, image: Part, model: Model) -> Part:
    """An image, counted at a media resolution."""
    known = {"MEDIA_RESOLUTION_LOW": LOW_BEFORE} if model.id.startswith("gemini-2.") else AT
    return replace(image, image_tokens=known.get(resolution, image.image_tokens))


def _files(part: dict[str, Any], model: Model) -> list[Part]:
    """The files that stand in the result of a call."""
    given = part.get("functionResponse", {}).get("parts")
    files = [one for one in given if _is_file(one)] if isinstance(given, list) else []
    return [_image(file, images.decoded(_data(file)), model) for file in files]


def _data(file: dict[str, Any]) -> str:
    """The base64 of a file in a result; empty where it is named only."""
    blob = next((file[name] for name in FILES[:2] if name in file), {})
    return str(blob.get("data", "")).replace("-", "+").replace("_", "/")


def _image(shown: Any, data: bytes | None, model: Model) -> Part:
    """An image or another file. Gemini 3 and later count every image alike, one that is only named too."""
    part = images.part(shown, data, model)
    is_alike = not model.id.startswith("gemini-2.")
    return replace(part, image_tokens=AT["MEDIA_RESOLUTION_HIGH"]) if is_alike and (data is None or images.kind(data)) else part


def _is_file(part: Any) -> bool:
    return isinstance(part, dict) and any(isinstance(part.get(name), dict) for name in FILES)


def _part(part: dict[str, Any], path: str, model: Model) -> Part:
    found = [name for name in fields.DATA if name in part]
    if not found:
        raise Refusal("bad_value", param=f"{path}.data", rule="required oneof field 'data' must have one initialized field")
    if len(found) > 1:
        text = f"Invalid value at '{fields.snake(path)}' (oneof), oneof field 'data' is already set. Cannot set '{found[1]}'"
        raise Refusal("bad_value", text, param=path)
    name = found[0]
    value = part[name]
    if "thoughtSignature" in part:
        _decoded(part["thoughtSignature"], f"{path}.thoughtSignature")
    if name == "text":
        return Part(value, "thinking" if part.get("thought") else "text")
    if KINDS[name] == "image" and "images" not in model.accepts:
        raise Refusal("unsupported", f"Image input modality is not enabled for models/{model.id}", param=path)
    if name == "inlineData":
        data = _file(value, path)
        return _image(data if value["mimeType"].startswith("image/") else f"{value['mimeType']} ".encode() + data, data, model)
    if name == "fileData":
        return _image(value["fileUri"].encode(), None, model)
    return Part(_said(value), KINDS[name])


def _said(value: dict[str, Any]) -> str:
    """What identifies a call or its result; an id is new in every conversation, so it does not, and files are parts of their own."""
    said = {name: item for name, item in value.items() if name != "id"}
    if isinstance(said.get("parts"), list):
        said["parts"] = [part for part in said["parts"] if not _is_file(part)]
    return json.dumps(said, sort_keys=True)


def _file(value: dict[str, Any], path: str) -> bytes:
    """The bytes of a file that stands in the request. Raises Refusal for a kind that Gemini does not read, and for no image."""
    data = _decoded(value["data"], f"{path}.inlineData.data")
    family, _, kind = value["mimeType"].partition("/")
    refused = {"image": kind not in IMAGES, "application": kind in NO_FILES or kind.startswith("vnd.")}
    if not kind or refused.get(family):
        raise Refusal("bad_value", f"Unsupported MIME type: {value['mimeType']}", param=f"{path}.inlineData.mimeType")
    if family == "image" and images.kind(data) is None:
        raise Refusal("bad_value", NOT_AN_IMAGE, param=path)
    return data


def _decoded(data: str, path: str) -> bytes:
    """Bytes from base64 in either alphabet, with or without padding."""
    found = images.decoded(data.replace("-", "+").replace("_", "/"))
    if found is None:
        text = f"Invalid value at '{fields.snake(path)}' (TYPE_BYTES), Base64 decoding failed for \"{data[:40]}\""
        raise Refusal("bad_value", text, param=path)
    return found
