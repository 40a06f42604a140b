"""Images in OpenAI's bodies: which URLs are taken, and in what words the others are refused."""

from __future__ import annotations

import base64
import re

from helpers.gateway.dialects import images

KINDS = ("png", "jpeg", "gif", "webp")
TYPES = {*(f"image/{kind}" for kind in KINDS), "image/jpg"}
WANTED = "Expected a base64-encoded data URL with an image MIME type (e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but got "
NO_IMAGE = (
    "The image data you provided does not represent a valid image. Please check your input and try again with one of "
    "the supported image formats: ['image/jpeg', 'image/png', 'image/gif', 'image/webp']."
)


def data_of(url: object) -> bytes | None:
    """The bytes that a data URL holds; None for any other value."""
    if not isinstance(url, str) or not url.lower().startswith("data:"):
        return None
    return images.decoded(url.partition(",")[2])


def problem(url: str) -> tuple[str, str] | None:
    """What is wrong with an image's URL, as a kind (url, type, base64, bytes) and OpenAI's words; None for one that is taken.

    An http or https URL is taken as it is: nothing is fetched. The words are those of public logs of 2026.
    """
    if re.match(r"https?://[^/\s]", url, re.IGNORECASE):
        return None
    if not url.lower().startswith("data:"):
        return "url", "Expected a valid URL, but got a value with an invalid format."
    head, _, data = url[5:].partition(",")
    if not head.lower().endswith(";base64"):
        return "url", f"{WANTED}a value without the ';base64' separator."
    media_type = head.partition(";")[0].lower()
    if media_type not in TYPES:
        return "type", f"{WANTED}unsupported MIME type '{media_type}'."
    if not data:
        return "base64", f"{WANTED}empty base64-encoded bytes."
    try:
        content = base64.b64decode(data, validate=True)
    except ValueError:
        return "base64", f"{WANTED}an invalid base64-encoded value."
    return None if images.kind(content) in KINDS else ("bytes", NO_IMAGE)
