"""Files in a prompt: as which modality they are counted, and as how many tokens."""

from __future__ import annotations

import re
from dataclasses import replace
from mimetypes import guess_type
from typing import Any
from urllib.parse import urlsplit

from helpers.gateway import tokens
from helpers.gateway.dialects import images
from helpers.gateway.exchange import Part
from helpers.models import Model

# Tokens of an image for Gemini 3 and later, by the media resolution that a request asks for; without one as with HIGH, a page of a PDF
# as with MEDIUM (Google's page on media resolution, as quoted in public in 2026). Gemini 2.x has 64 at LOW for an image, tiles otherwise,
# and 258 for a page, as recorded.
AT = {"MEDIA_RESOLUTION_LOW": 280, "MEDIA_RESOLUTION_MEDIUM": 560, "MEDIA_RESOLUTION_HIGH": 1120, "MEDIA_RESOLUTION_ULTRA_HIGH": 2240}
LOW_BEFORE = 64
IMAGE, DOCUMENT, TEXT = "image", "document", "text"
FAMILIES = ("image", "audio", "video", "text")
PAGE = re.compile(rb"/Type\s*/Page\b")
ANY_IMAGE = "image/*"
YOUTUBE = ("youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be")


def part(shown: Any, data: bytes | None, kind: str, model: Model) -> Part:
    """A file as a part. `shown` is what stands for it in the request, `data` its bytes where they are at hand, `kind` its MIME type."""
    medium = _medium(kind)
    if medium == TEXT and data is not None:
        return Part(images.fingerprint(shown), "image", image_tokens=tokens.count(data.decode("utf-8", "replace")), medium=medium)
    if medium == DOCUMENT:
        pages = max(1, len(PAGE.findall(data or b"")))
        found = images.part(shown, None, model)
        return replace(found, image_tokens=pages * (found.image_tokens if _is_early(model) else AT["MEDIA_RESOLUTION_MEDIUM"]), medium=medium)
    found = images.part(shown, data if medium == IMAGE else None, model)
    if medium == IMAGE and not _is_early(model) and (data is None or images.kind(data)):
        found = replace(found, image_tokens=AT["MEDIA_RESOLUTION_HIGH"])  # every image alike, one that is only named too
    return replace(found, medium=medium)


def at(resolution: str, given: Part, model: Model) -> Part:
    """A part, counted at a media resolution: images, and with Gemini 3 and later the pages of documents."""
    if _is_early(model):
        known = LOW_BEFORE if resolution == "MEDIA_RESOLUTION_LOW" and given.medium == IMAGE else given.image_tokens
        return replace(given, image_tokens=known)
    if resolution not in AT or given.medium not in (IMAGE, DOCUMENT):
        return given
    pages = given.image_tokens / AT["MEDIA_RESOLUTION_MEDIUM"] if given.medium == DOCUMENT else 1
    return replace(given, image_tokens=pages * AT[resolution])


def kind_of(address: str) -> str:
    """The MIME type of a file that is named without one, by its address: a video on YouTube, by its ending, else an image."""
    try:
        return "video/mp4" if urlsplit(address).hostname in YOUTUBE else guess_type(address)[0] or ANY_IMAGE
    except ValueError:  # no address, though it looks like one
        return ANY_IMAGE


def modality(given: Part, model: Model) -> str:
    """As what its tokens are counted: with Gemini 3 and later the pages of a document are images, as recorded in 2026."""
    return "IMAGE" if given.medium == DOCUMENT and not _is_early(model) else given.medium.upper()


def _medium(kind: str) -> str:
    family = kind.partition("/")[0].lower()
    return family if family in FAMILIES else DOCUMENT


def _is_early(model: Model) -> bool:
    return model.id.startswith("gemini-2.")
