"""What an image is known by: its kind and its size, by its first bytes, and a short name, by all of them. Nothing is decoded."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from typing import Any

from helpers.gateway.exchange import Part
from helpers.image_tokens import image_tokens
from helpers.models import Model, table

HEIF_BRANDS = {b"heic": "heic", b"heix": "heic", b"hevc": "heic", b"mif1": "heif", b"msf1": "heif", b"avif": "avif", b"avis": "avif"}


def kind(data: bytes) -> str | None:
    """png, jpeg, gif, webp, heic, heif or avif; None for what is none of these."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return HEIF_BRANDS.get(data[8:12]) if data[4:8] == b"ftyp" else None


def decoded(text: str) -> bytes | None:
    """Bytes from base64 in the standard alphabet, with or without padding; None where it is none."""
    text = text.rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None


def fingerprint(value: Any) -> str:
    """A short name for an image or a file, by its bytes, or by the JSON that stands for it."""
    data = value if isinstance(value, bytes) else json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()[:16]


def part(shown: Any, data: bytes | None, model: Model, cache_ttl: str | None = None) -> Part:
    """An image, or another file, as a part. `shown` is what stands for it in the request, `data` its bytes where they are at hand.

    Its tokens follow the model's rule; those of a model without one, and of what has no size, are a tile of Gemini's.
    """
    known = size(data) if data else None
    name = fingerprint(shown)
    if known is None:
        return Part(name, "image", cache_ttl)
    try:
        count = image_tokens(model, *known)
    except ValueError:  # no rule is known
        return Part(name, "image", cache_ttl)
    return Part(name, "image", cache_ttl, min(count, table()["image_tokens"][model.provider]) / model.token_ratio)


def size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, as the head of the file says; None where it says none, and for the kinds made of boxes (HEIF, AVIF)."""
    try:
        found = SIZES[kind(data)](data)
    except (KeyError, struct.error, IndexError):
        return None
    return found if found and min(found) > 0 else None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """From the first frame header, which stands behind segments of any number."""
    place = 2
    while data[place] == 0xFF:
        marker = data[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    """From the first chunk, of which there are three forms: plain, lossless and extended."""
    form = data[12:16]
    if form == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if form == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return None


SIZES = {
    "png": lambda data: struct.unpack_from(">II", data, 16) if data[12:16] == b"IHDR" else None,
    "gif": lambda data: struct.unpack_from("<HH", data, 6),
    "jpeg": _jpeg,
    "webp": _webp,
}
