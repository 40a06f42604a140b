"""What chat refuses beside text and images on models that have no more: sound, files, a search of OpenAI's own, a predicted answer.

The words are OpenAI's, from recordings and public logs of 2025 and 2026; models from GPT-5 on do not even know the names of some fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from helpers.gateway.dialects import images
from helpers.gateway.dialects.openai.errors import refused
from helpers.gateway.exchange import Refusal
from helpers.models import Model

OLDER_FIELDS = ("audio", "modalities", "web_search_options")  # that no model knows that thinks
PDF = "application/pdf"
WANTED = f"Expected a base64-encoded data URL with an {PDF} MIME type (e.g. 'data:{PDF};base64,SGVsbG8sIFdvcmxkIQ=='), but got "


def check_names(body: dict[str, Any], model: Model) -> None:
    """Refuse the fields that a model does not know. OpenAI looks at names before values. Raises Refusal("unknown_field")."""
    found = next((name for name in OLDER_FIELDS if body.get(name) is not None), None)
    if found and model.thinks != "never" and not _searches(model):
        raise Refusal("unknown_field", param=found)


def check(body: dict[str, Any], model: Model) -> None:
    """Refuse what this model does not hear, read, say or look up. Raises Refusal."""
    _check_search(body, model)
    _check_sound(body, model)
    for index, place, part in _parts(body["messages"]):
        if part["type"] in ("input_audio", "audio") and not _hears(model):
            text = f"Invalid 'messages[{index}]'. Content blocks are expected to be either text or image_url type."
            raise refused(text, f"messages[{index}]", "invalid_value")
        if part["type"] == "file":
            _check_file(part, f"messages[{index}].content[{place}]", model)


def _hears(model: Model) -> bool:
    return "audio" in model.id


def _searches(model: Model) -> bool:
    return "search" in model.id


def _check_search(body: dict[str, Any], model: Model) -> None:
    if body.get("web_search_options") is not None and not _searches(model):
        raise refused("Web search options not supported with this model.", "web_search_options")


def _check_sound(body: dict[str, Any], model: Model) -> None:
    """A model without sound takes none, one with it nothing else; and this gateway makes none."""
    wants = "audio" in (body.get("modalities") or ())
    if _hears(model):
        heard = any(part["type"] in ("input_audio", "audio") for _, _, part in _parts(body["messages"]))
        if not wants and not heard:
            raise refused("This model requires that either input content or output modality contain audio.", "model", "invalid_value")
        if wants:
            raise refused("This gateway makes no sound: ask for the modality 'text' alone.", "modalities", "unsupported_value")
    elif wants:
        raise Refusal("unsupported", param="modalities", value="audio", allowed=["text"])
    elif body.get("audio") is not None:
        raise Refusal("unsupported", param="audio")


def _check_file(part: dict[str, Any], path: str, model: Model) -> None:
    """A PDF, in the request or uploaded before. Azure's models, and those without images, take no file."""
    if model.provider == "azure" or "images" not in model.accepts:
        raise refused("Invalid Value: 'file'. This model does not support file content types.")
    file = part.get("file") or {}
    data, path = file.get("file_data"), f"{path}.file"
    if isinstance(file.get("file_id"), str):
        return
    if data is None or file.get("filename") is None:
        raise Refusal("missing", param=f"{path}.file_id")
    wrong = _not_a_pdf(data)
    if wrong:
        raise refused(f"Invalid file data: '{path}.file_data'. {WANTED}{wrong}", f"{path}.file_data", "invalid_value")


def _not_a_pdf(data: Any) -> str | None:
    if not isinstance(data, str) or not data.startswith("data:"):
        return "a value without the 'data:' prefix."
    head, _, encoded = data[5:].partition(",")
    if not head.endswith(";base64"):
        return "a value without the ';base64' separator."
    if head.partition(";")[0].lower() != PDF:
        return f"unsupported MIME type '{head.partition(';')[0]}'."
    if not encoded:
        return "empty base64-encoded bytes."
    return "an invalid base64-encoded value." if images.decoded(encoded) is None else None


def _parts(messages: list[dict[str, Any]]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """The parts of all messages, each with its places."""
    for index, message in enumerate(messages):
        content = message.get("content")
        for place, part in enumerate(content if isinstance(content, list) else ()):
            yield index, place, part
