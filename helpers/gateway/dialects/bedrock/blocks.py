"""Converse's content blocks, as its service model has them, and what each is to the neutral question."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from helpers.gateway.dialects import images
from helpers.gateway.dialects.anthropic import blocks as anthropic_blocks
from helpers.gateway.dialects.bedrock.errors import FROM_MODEL
from helpers.gateway.dialects.bedrock.makers import is_claude, is_nova, sees_results
from helpers.gateway.dialects.schema import ANY, OBJECT, STRING, list_of, one_of, shape
from helpers.gateway.exchange import Part, Refusal
from helpers.models import Model

FILLED = {"type": "string", "minLength": 1}
NAME = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-zA-Z0-9_-]+$"}
ID = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-zA-Z0-9_.:-]+$"}
CACHE_POINT = shape("type", type=one_of("default"), ttl=one_of("5m", "1h"))
SOURCE = shape(bytes=FILLED, s3Location=shape("uri", uri=FILLED))
IMAGE = shape("format source", format=one_of("png", "jpeg", "gif", "webp"), source=SOURCE)
DOCUMENT = shape(
    "name source",
    format=one_of("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"),
    name={"type": "string", "minLength": 1, "maxLength": 200},
    source=OBJECT,
)
VIDEO = shape("format source", format=one_of("mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"), source=SOURCE)
AUDIO = shape("format source", format=STRING, source=OBJECT)
GUARDED = shape(text=shape("text", text=STRING), image=OBJECT)
FOUND = shape("source title content", source=STRING, title=STRING, content=list_of(shape("text", text=STRING)))
RESULT = {"json": ANY, "text": STRING, "image": IMAGE, "document": DOCUMENT, "video": VIDEO, "searchResult": FOUND}
BLOCK = shape(
    text=STRING,
    image=IMAGE,
    document=DOCUMENT,
    video=VIDEO,
    audio=AUDIO,
    toolUse=shape("toolUseId name input", toolUseId=ID, name=NAME, input=OBJECT),
    toolResult=shape("toolUseId content", toolUseId=ID, content=list_of(shape(**RESULT)), status=one_of("success", "error")),
    reasoningContent=shape(reasoningText=shape("text", text=STRING, signature=STRING), redactedContent=STRING),
    guardContent=GUARDED,
    searchResult=FOUND,
    cachePoint=CACHE_POINT,
)
FILES = ("image", "document", "video")
MEDIA = (*FILES, "audio")  # which no model of the course hears
NO_IMAGE_IN_RESULTS = "This model doesn't support the image field for user messages. Remove image and try again."
NO_FILES = "extraneous key [toolResult] is not permitted, please reformat your input and try again."
KINDS = {"reasoningContent": "thinking", "guardContent": "text", "searchResult": "text"}


def parts(blocks: list[dict[str, Any]], path: str, model: Model) -> tuple[Part, ...]:
    """The parts of a message or of the system prompt at `path`. Raises Refusal for a block that this model does not take."""
    out: list[Part] = []
    for index, block in enumerate(blocks):
        if "cachePoint" in block:
            if not out:
                raise Refusal("bad_value", "A cachePoint has to stand after the content that it caches.", param=f"{path}.{index}")
            out[-1] = replace(out[-1], cache_ttl=block["cachePoint"].get("ttl", "5m"))
        else:
            out += [*_files(block, model), _part(block, f"{path}.{index}", model)]
    return tuple(out)


def _part(block: dict[str, Any], path: str, model: Model) -> Part:
    if "text" in block:
        if not (block["text"] if is_claude(model) else block["text"].strip()):  # white space Claude looks at itself
            text = f"The text field in the ContentBlock object at {path} is blank. Add text to the text field, and try again."
            raise Refusal("bad_value", text, param=path)
        return Part(block["text"])
    for name in MEDIA:
        if name in block:
            _check_media(name, block[name], path, model)
            return _file(block[name], model)
    if "toolUse" in block:
        return Part(f"{block['toolUse']['name']}({json.dumps(block['toolUse']['input'], sort_keys=True)})", "tool_use")
    if "toolResult" in block:
        _check_result(block["toolResult"]["content"], f"{path}.toolResult.content", model)
        content = [inner for inner in block["toolResult"]["content"] if not _is_file(inner)]
        return Part(json.dumps(content, sort_keys=True), "tool_result")
    if "text" in block.get("guardContent", ()):
        return Part(block["guardContent"]["text"]["text"])
    for name, kind in KINDS.items():
        if name in block:
            return Part("" if kind == "thinking" else json.dumps(block[name], sort_keys=True), kind)
    keys = "text, image, toolUse, toolResult, document, video, cachePoint"
    raise Refusal("bad_value", f"The ContentBlock object at {path} must set one of the following keys: {keys}.", param=path)


def _files(block: dict[str, Any], model: Model) -> list[Part]:
    """The files that stand in a tool's result."""
    content = block.get("toolResult", {}).get("content", ())
    return [_file(value, model) for inner in content for name, value in inner.items() if name in FILES]


def _is_file(block: dict[str, Any]) -> bool:
    return any(name in block for name in FILES)


def _file(value: dict[str, Any], model: Model) -> Part:
    data = value["source"].get("bytes")
    return images.part(value, images.decoded(data) if isinstance(data, str) else None, model)


def _check_result(content: list[dict[str, Any]], path: str, model: Model) -> None:
    """The files in a tool's result are checked as those of a message are. Nova takes images there alone."""
    for index, block in enumerate(content):
        for name in FILES:
            if name in block:
                _check_seen(name, path, model)
                if name == "image" and not sees_results(model):
                    raise Refusal("unsupported", NO_IMAGE_IN_RESULTS, param=path)
                _check_content(name, block[name], f"{path}.{index}", model)
                if is_nova(model) and name != "image":
                    place = path.removesuffix(".toolResult.content").replace(".", "/")
                    raise Refusal("bad_value", f"{FROM_MODEL}Malformed input request: #/{place}: {NO_FILES}", param=path)


def _check_media(kind: str, block: dict[str, Any], path: str, model: Model) -> None:
    """Refuse a file in a message that this model does not take."""
    _check_seen(kind, path, model)
    if kind == "document" and is_claude(model) and "s3Location" in block["source"]:  # it reaches Claude, without what is in it
        raise Refusal("bad_value", f"{FROM_MODEL}{path}.document.source.type: Field required", param=path)
    _check_content(kind, block, path, model)


def _check_seen(kind: str, path: str, model: Model) -> None:
    """Refuse what this model neither sees nor hears."""
    takes = {"image": "images" in model.accepts, "video": is_nova(model), "document": True}
    if not takes.get(kind):
        text = f"This model doesn't support the {kind} content block that you provided. Update the content block and try again."
        raise Refusal("unsupported", text, param=path)


def _check_content(kind: str, block: dict[str, Any], path: str, model: Model) -> None:
    """Refuse what stands in S3 where the model does not look there, what is no base64, and an image in Claude's prompt that is not what it says."""
    source = block["source"]
    if "s3Location" in source and not (is_nova(model) or (kind == "document" and is_claude(model))):
        raise Refusal("unsupported", "This model doesn't support the s3Uri field. Remove s3Uri and try again.", param=path)
    data = source.get("bytes")
    if data is not None and (not isinstance(data, str) or images.decoded(data) is None):
        raise Refusal("bad_value", f"The bytes of the {kind} at {path} have to be base64.", param=path)
    if kind == "image" and data and is_claude(model):
        try:
            anthropic_blocks.check_image(data, f"image/{block['format']}", f"{path}.image.source.base64")
        except Refusal as refusal:
            raise Refusal("bad_value", FROM_MODEL + refusal.message, param=path) from None
