"""The parts of a multipart form (RFC 7578), as clients send files: also names that no standard allows are read, or refused in words."""

from __future__ import annotations

from email.message import Message
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value
from typing import NamedTuple

MOST_PARTS = 100
LONGEST_HEAD = 16_000  # bytes of a part's head; Python's reader takes time that grows with their square


class Part(NamedTuple):
    """A part of a form. Its file's name where it is a file, and its type where the client names one."""

    filename: str | None
    content: bytes
    content_type: str | None


def parts(content_type: str, body: bytes) -> dict[str, Part]:
    """The parts by their names; of two with one name, the last. Raises ValueError for what is no multipart form."""
    boundary = _boundary(content_type)
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, MOST_PARTS + 2)
    ends = [place for place, piece in enumerate(pieces) if place and piece.startswith(b"--")]
    if not ends:
        raise ValueError("no end, or too many parts")
    return dict(_part(piece) for piece in pieces[1 : ends[0]])


def _part(piece: bytes) -> tuple[str, Part]:
    head, blank, content = piece.partition(b"\r\n\r\n")
    if not blank or len(head) > LONGEST_HEAD:
        raise ValueError("a part without a head, or with one too long")
    headers = HeaderParser().parsestr(_text(head.lstrip(b" \t\r\n")))
    name = _parameter(headers, "name")
    if name is None or headers.get_content_disposition() != "form-data":
        raise ValueError("a part without a name")
    content_type = headers.get_content_type() if "content-type" in headers else None
    return name, Part(_parameter(headers, "filename"), content, content_type)


def _parameter(headers: Message, name: str) -> str | None:
    """A parameter of Content-Disposition, also one in the form of RFC 5987 (`filename*`)."""
    try:
        given = headers.get_param(name, header="content-disposition")
    except TypeError:  # what Python's own reader cannot put in order
        raise ValueError("a part whose head is garbled") from None
    return None if given is None else _plain(given)


def _plain(value: str | tuple[str | None, str | None, str]) -> str:
    """A parameter's text, whatever its charset claims, as JSON can carry it: never half of a surrogate pair."""
    try:
        text = collapse_rfc2231_value(value, fallback_charset="utf-8")
    except ValueError:  # codecs that are no charsets
        text = value[2] if isinstance(value, tuple) else value
    return text.encode("utf-8", "replace").decode("utf-8")


def _text(head: bytes) -> str:
    """UTF-8, as browsers and SDKs write; else Latin-1, as old clients do."""
    try:
        return head.decode("utf-8")
    except UnicodeDecodeError:
        return head.decode("latin-1")


def _boundary(content_type: str) -> bytes:
    message = Message()
    message["content-type"] = content_type[:LONGEST_HEAD]
    try:
        boundary = message.get_boundary("").encode("latin-1")
    except TypeError:  # as above
        boundary = b""
    if not boundary or message.get_content_type() != "multipart/form-data":
        raise ValueError("no boundary")
    return boundary
