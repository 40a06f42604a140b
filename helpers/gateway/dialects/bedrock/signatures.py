"""AWS's signature, version 4, of requests that carry the course's own key: the only one whose secret the gateway knows.

The recipe is AWS's published one: a canonical form of the request, a text to sign with its hash in it, a key derived from the
secret by day, region and service.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import reduce
from urllib.parse import quote

from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import Call

KEY = SECRET = "the-gateway-needs-no-key"  # what helpers.start() sets for both
PARTS = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)(?:/([^,\s]*))?(?:,\s*SignedHeaders=([^,\s]*))?(?:,\s*Signature=([^,\s]*))?")


def check(call: Call, mount: str) -> None:
    """Raise Refusal("bad_signature") where a request is signed with the course's key, and not rightly."""
    found = PARTS.match(call.headers.get("authorization", ""))
    if found is None or found[1] != KEY:
        return
    scope, names, signature = found[2] or "", (found[3] or "").split(";"), found[4] or ""
    if scope.count("/") != 3 or any(_name(name) not in call.headers for name in names) or not hmac.compare_digest(_signature(call, mount, scope, names).encode(), signature.encode()):
        raise Refusal("bad_signature")


def _signature(call: Call, mount: str, scope: str, names: list[str]) -> str:
    stamp = call.headers.get("x-amz-date", "")
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, _hash(_canonical(call, mount, names).encode())])
    key = reduce(_hmac, scope.split("/"), f"AWS4{SECRET}".encode())
    return _hmac(key, to_sign).hex()


def _canonical(call: Call, mount: str, names: list[str]) -> str:
    """The request in the one form that both sides can write: what an SDK encoded in the path is encoded once more."""
    query = "&".join(sorted(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in call.query.items()))
    headers = "".join(f"{name}:{' '.join(call.headers[_name(name)].split())}\n" for name in names)
    return "\n".join([call.method, quote(mount + call.path, safe="/~"), query, headers, ";".join(names), _hash(call.body)])


def _name(signed: str) -> str:
    """The header of a name that was signed: over HTTP/2 the JavaScript SDK signs the host as :authority (client-bedrock-runtime 3.1164.0)."""
    return "host" if signed == ":authority" else signed


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
