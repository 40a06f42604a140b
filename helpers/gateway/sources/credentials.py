"""The learner's own keys: read in live and record mode alone, put on a request as it leaves, shown nowhere."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from helpers.environment import PLACEHOLDER
from helpers.gateway.exchange import Refusal

# The variable with a provider's key, and the header in which the key travels.
KEYS = {
    "openai": ("OPENAI_API_KEY", "authorization"),
    "azure": ("AZURE_OPENAI_API_KEY", "api-key"),
    "anthropic": ("ANTHROPIC_API_KEY", "x-api-key"),
    "gemini": ("GEMINI_API_KEY", "x-goog-api-key"),
    "bedrock": ("AWS_ACCESS_KEY_ID", "authorization"),
    "compatible": ("COMPATIBLE_API_KEY", "authorization"),
}
AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
SECRET = (*(name for name, _ in KEYS.values()), *AWS[1:], "GOOGLE_API_KEY")
PLACES = ("AWS_DEFAULT_REGION", "AWS_REGION", "AZURE_OPENAI_ENDPOINT", "COMPATIBLE_BASE_URL")


@dataclass(frozen=True, repr=False)
class Keys:
    """Keys and addresses by the names of their variables. Its repr names what is set, and shows no part of it."""

    values: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Keys({', '.join(sorted(self.values))})"

    def get(self, name: str) -> str:
        """A value without the white space that comes with copying; empty when it is not set."""
        return self.values.get(name, "").strip()

    def secrets(self) -> list[str]:
        return [value for value in map(self.get, SECRET) if value]

    def has(self, provider: str) -> bool:
        """Whether all is set that proves who asks a provider."""
        if provider == "bedrock":
            return all(map(self.get, AWS[:2]))
        return bool(self.get(KEYS[provider][0]) or (provider == "gemini" and self.get("GOOGLE_API_KEY")))

    @property
    def region(self) -> str:
        return self.get("AWS_DEFAULT_REGION") or self.get("AWS_REGION") or "us-east-1"

    def headers(self, provider: str, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers that prove who asks. Raises Refusal("no_upstream"), naming the variable that is missing."""
        if provider == "bedrock":
            return self._signature(method, url, body, headers)
        name, header = KEYS[provider]
        key = self.get(name) or (self.get("GOOGLE_API_KEY") if provider == "gemini" else "")
        if key and not (key.isascii() and key.isprintable()):
            raise Refusal("no_upstream", f"{name} holds characters that no key has: copy the key again, without line breaks.", sent=False)
        if key:
            return {header: f"Bearer {key}" if header == "authorization" else key}
        if provider == "compatible":
            return {}
        raise missing(name)

    def _signature(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """AWS's signature, made anew: the client signed with a placeholder, and for this machine."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        for name in AWS[:2]:
            if not self.get(name):
                raise missing(name)
        request = AWSRequest(method, url, data=body, headers=dict(headers))
        with _silent("botocore.auth"):
            SigV4Auth(Credentials(*(self.get(name) or None for name in AWS)), "bedrock", self.region).add_auth(request)
        return {name.lower(): value for name, value in request.headers.items()}


def missing(name: str) -> Refusal:
    """The refusal of a call for which a variable is not set."""
    text = f"This call was not sent: {name} is missing. Set it in your shell or in .env, and restart the kernel."
    return Refusal("no_upstream", text, sent=False)


def from_environment(environ: Mapping[str, str] = os.environ, dotenv_path: Path | None = None) -> Keys:
    """Keys from the environment; what it lacks, from a .env file (this folder's, or the nearest above it).

    Raises ValueError for a .env that cannot be read.
    """
    # In a shell that a gateway has set up, its placeholders and its own addresses are no keys of anybody.
    set_up = PLACEHOLDER in environ.values()
    own = {name: value for name, value in environ.items() if value != PLACEHOLDER and not (set_up and name in PLACES)}
    kept = _in_dotenv(dotenv_path or dotenv_file())
    found = {name: own.get(name) or kept.get(name) for name in (*SECRET, *PLACES)}
    return Keys({name: value for name, value in found.items() if value})


def dotenv_file() -> Path | None:
    """The .env of this folder, or the nearest above it; None where there is none."""
    try:
        here = Path.cwd()
    except OSError:  # the folder is gone
        return None
    return next((path for folder in (here, *here.parents) if (path := folder / ".env").is_file()), None)


def _in_dotenv(path: Path | None) -> dict[str, str | None]:
    from dotenv import dotenv_values

    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if "\0" in text:  # as in UTF-16
        raise ValueError(f"{path} is not in UTF-8: save it in UTF-8, as .env files are read")
    return dotenv_values(stream=StringIO(text))


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """While signing, botocore would write the session token to its debug log."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
