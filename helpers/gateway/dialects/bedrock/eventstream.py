"""AWS's binary framing of streams, application/vnd.amazon.eventstream: lengths, headers, payload and two CRCs."""

from __future__ import annotations

import struct
from binascii import crc32

STRING_TYPE = 7


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One frame: total and header length, their CRC, the headers, the payload, and the CRC of it all."""
    head = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    message = prelude + struct.pack(">I", crc32(prelude)) + head + payload
    return message + struct.pack(">I", crc32(message))


def _header(name: str, value: str) -> bytes:
    raw_name, raw_value = name.encode(), value.encode()
    return bytes([len(raw_name)]) + raw_name + struct.pack(">BH", STRING_TYPE, len(raw_value)) + raw_value


def event(kind: str, payload: bytes) -> bytes:
    return frame({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, payload)


def exception(kind: str, payload: bytes) -> bytes:
    return frame({":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}, payload)
