"""What an image is known by: its kind, by its first bytes, and a short name, by all of them. Nothing is decoded."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

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
