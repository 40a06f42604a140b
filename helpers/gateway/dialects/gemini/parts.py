"""The parts of a Gemini turn: what each holds, and what it is to the neutral question."""

from __future__ import annotations

import json
from typing import Any

from helpers.gateway.dialects import images
from helpers.gateway.dialects.gemini import fields, media
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
SAY_NOTHING = ("thoughtSignature", "videoMetadata")  # may stand in a part alone
NOT_AN_IMAGE = "Unable to process input image. Please retry or report in https://developers.generativeai.google/guide/troubleshooting"


def read(content: dict[str, Any], path: str, model: Model, resolution: str = "") -> tuple[Part, ...]:
    """The parts of the turn at `path`. Raises Refusal for one that does not do."""
    given = content.get("parts")
    if not given:
        raise Refusal("bad_value", param=f"{path}.parts", rule="contents.parts must not be empty.")
    found = [(part, one) for index, part in enumerate(given) for one in (*_files(part, model), *_said_by(part, f"{path}.parts[{index}]", model))]
    return tuple(media.at(_resolution(part) or resolution, one, model) if one.kind == "image" else one for part, one in found)


def _resolution(part: dict[str, Any]) -> str:
    """The media resolution that a part has of its own."""
    own = part.get("mediaResolution")
    level = own.get("level") if isinstance(own, dict) else own
    return level if isinstance(level, str) else ""


def _files(part: dict[str, Any], model: Model) -> list[Part]:
    """The files that stand in the result of a call."""
    given = part.get("functionResponse", {}).get("parts")
    files = [one for one in given if _is_file(one)] if isinstance(given, list) else []
    return [_in_result(file, model) for file in files]


def _in_result(file: dict[str, Any], model: Model) -> Part:
    blob = next(value for name in FILES if isinstance(value := file.get(name), dict))
    data = images.decoded(str(blob.get("data", "")).replace("-", "+").replace("_", "/"))
    kind = blob.get("mimeType", blob.get("mime_type"))
    return media.part(file, data, kind if isinstance(kind, str) else media.ANY_IMAGE, model)


def _is_file(part: Any) -> bool:
    return isinstance(part, dict) and any(isinstance(part.get(name), dict) for name in FILES)


def _said_by(part: dict[str, Any], path: str, model: Model) -> tuple[Part, ...]:
    """What a part says: nothing, where it only brings back the signature of a thought, as clients keep it of the last piece of a stream,
    or only says how to read the video before it (both as recorded).
    """
    if not any(name in part for name in fields.DATA) and any(name in part for name in SAY_NOTHING):
        _decoded(part.get("thoughtSignature", ""), f"{path}.thoughtSignature")
        return ()
    return (_part(part, path, model),)


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
        return media.part(data if value["mimeType"].startswith("image/") else f"{value['mimeType']} ".encode() + data, data, value["mimeType"], model)
    if name == "fileData":
        return media.part(value["fileUri"].encode(), None, value.get("mimeType") or media.kind_of(value["fileUri"]), model)
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
