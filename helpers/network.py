"""Proxies and certificates: what the learner's shell says of the way to the internet, and that way closed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from html import escape

OFFLINE = (
    "Nothing was sent: this kernel is offline, and reaches this machine alone. For pip and the like, use a terminal;"
    ' for the real providers, restart the kernel and begin with helpers.start(mode="live").'
)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PROXIES = tuple(name for scheme in ("HTTP", "HTTPS", "ALL", "WS", "WSS") for name in (f"{scheme}_PROXY", f"{scheme.lower()}_proxy"))
DIRECT = ("NO_PROXY", "no_proxy")
# For encrypted connections; offline there are none, and a file that is not there would stop every client.
CERTIFICATES = ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSLKEYLOGFILE", "SSL_CERT_DIR", "SSL_CERT_FILE", "SSL_CERTIFICATE", "SSL_VERIFY")
# Where everything goes that is not for this machine. ALL_PROXY is not among them: aiohttp does not know it, and each one
# makes a client of httpx2 slower to build.
CLOSED = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy")
# A name, an address or a range of them. What else stands in NO_PROXY makes some clients stumble.
PLAIN = re.compile(r"[A-Za-z0-9_.*-]+(:\d+)?(/\d+)?|[0-9A-Fa-f:]+")


def closed(base_url: str, theirs: Mapping[str, str]) -> dict[str, str | None]:
    """Variables, None for one to remove, with which an SDK asks `base_url` for all that is not on this machine.

    What the learner's NO_PROXY names is still reached directly, but for `*`, which names everything.
    """
    removed = dict.fromkeys((*PROXIES, *CERTIFICATES))
    direct = {name: _direct(entry for entry in entries(theirs.get(name)) if entry != "*" and PLAIN.fullmatch(entry)) for name in DIRECT}
    # The client of litellm for calls that are awaited looks for proxies unless it is told not to.
    return {**removed, **dict.fromkeys(CLOSED, base_url), **direct, "DISABLE_AIOHTTP_TRUST_ENV": None}


def as_it_was(theirs: Mapping[str, str]) -> dict[str, str | None]:
    """The same variables as the learner has them, with this machine added to NO_PROXY."""
    kept = {name: theirs.get(name) for name in (*PROXIES, *CERTIFICATES, "DISABLE_AIOHTTP_TRUST_ENV")}
    return {**kept, **{name: _direct(entries(theirs.get(name))) for name in DIRECT}}


def refusal(path: str, sentence: str) -> tuple[str, bytes]:
    """Type and body of an answer where nothing is served: JSON or, for boto3, XML, in which every SDK finds the sentence."""
    if path.startswith("/aws"):  # half of its services read no JSON, and those that do show the text of what is none
        error = f"<Error><Code>NotServed</Code><Message>{escape(sentence, quote=False)}</Message></Error>"
        return "text/xml", f"<ErrorResponse>{error}<RequestId>none</RequestId></ErrorResponse>\n".encode()
    error = {"type": "invalid_request_error", "code": "not_served", "status": "FAILED_PRECONDITION", "message": sentence, "param": None}
    return "application/json", json.dumps({"type": "error", "message": sentence, "error": error}).encode()


def unusable(environ: Mapping[str, str]) -> list[str]:
    """The names of those whose value stops every client: a file that is not there, a proxy of a kind that none knows."""
    return [name for name in (*PROXIES, *CERTIFICATES) if environ.get(name, "").strip() and not _is_usable(name, environ[name].strip())]


def entries(no_proxy: str | None) -> list[str]:
    """What a NO_PROXY names."""
    return [entry.strip() for entry in (no_proxy or "").split(",") if entry.strip()]


def _direct(theirs: Iterable[str]) -> str:
    return ",".join(dict.fromkeys([*LOOPBACK, *theirs]))


def _is_usable(name: str, value: str) -> bool:
    import ssl

    import httpx2

    try:
        if name in PROXIES:
            httpx2.HTTPTransport(verify=False, proxy=httpx2.Proxy(value if "://" in value else f"http://{value}")).close()
        elif name == "SSL_CERT_FILE":
            ssl.create_default_context(cafile=value)
        elif name == "SSL_CERT_DIR":
            return os.path.isdir(value)
        elif name == "SSLKEYLOGFILE":
            return os.path.isdir(os.path.dirname(value) or ".")
    except (OSError, ValueError, ImportError, httpx2.InvalidURL):  # ssl.SSLError is an OSError
        return False
    return True
