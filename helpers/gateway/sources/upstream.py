"""The real providers, in live and record mode: every call priced before it is sent, under a hard budget.

Real keys are held here alone. They are put on the request as it leaves, and are never logged, shown or
recorded. What the client sent as a key is dropped.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import httpx2

from helpers import costs
from helpers.gateway.dialects.base import Call, Dialect, Headers, Response
from helpers.gateway.exchange import Provenance, Question, Refusal, Usage
from helpers.gateway.sources.recorder import Recorder

if TYPE_CHECKING:
    from helpers.gateway.meter import Entry

BUDGET_USD = Decimal("0.50")
# Our token counts are estimates for some providers; the most a call can cost allows for that.
COUNT_MARGIN = Decimal("1.2")
TIMEOUT = httpx2.Timeout(600.0, connect=10.0)

HOSTS = {
    "openai": "https://api.openai.com",
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com",
}
# The variable with the key, and the header it travels in.
KEYS = {
    "openai": ("OPENAI_API_KEY", "authorization"),
    "azure": ("AZURE_OPENAI_API_KEY", "api-key"),
    "anthropic": ("ANTHROPIC_API_KEY", "x-api-key"),
    "gemini": ("GEMINI_API_KEY", "x-goog-api-key"),
    "bedrock": ("AWS_ACCESS_KEY_ID", ""),
    "compatible": ("", ""),
}
VARIABLES = [
    *(name for name, _ in KEYS.values() if name),
    *("GOOGLE_API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_REGION"),
    *("AZURE_OPENAI_ENDPOINT", "COMPATIBLE_BASE_URL"),
]
SENT_HEADERS = ("content-type", "accept", "anthropic-version", "anthropic-beta", "openai-beta", "user-agent")
KEPT_HEADERS = ("content-type", "content-disposition", "retry-after", "retry-after-ms", "request-id", "x-request-id", "x-should-retry", "apim-request-id", "server-timing")
KEPT_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-", "openai-processing-ms", "openai-version", "x-amzn-", "x-ms-region", "x-gemini-")
FREE_OPERATIONS = ("count tokens",)


class Upstream:
    """Passes calls on to the providers. `spent_usd` and `reserved_usd` together never exceed `budget_usd`."""

    def __init__(
        self,
        mode: str,
        keys: Mapping[str, str],
        *,
        budget_usd: Decimal = BUDGET_USD,
        bases: Mapping[str, str] | None = None,
        record_to: Path | None = None,
    ) -> None:
        """mode: live or record. keys: values by the names in VARIABLES. bases: other addresses, by provider."""
        self.mode = mode
        self.budget_usd = budget_usd
        self.spent_usd = self.reserved_usd = Decimal(0)
        self._keys = dict(keys)
        self._bases = {**_bases(keys), **(bases or {})}
        self._recorder = Recorder(record_to, secrets=list(keys.values())) if mode == "record" else None
        self._client: httpx2.AsyncClient | None = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    # ---- calls -----------------------------------------------------------
    async def forward(self, dialect: Dialect, call: Call, question: Question, entry: Entry) -> Response:
        """Ask the provider. Raises Refusal("over_budget") before anything is sent, Refusal("no_upstream") when it cannot be."""
        most = self._most(question)
        self._reserve(most, question)
        try:
            answer = await self._send(dialect, call)
        except BaseException:
            self.reserved_usd -= most
            raise
        entry.source = Provenance("live", datetime.now(UTC).date().isoformat(), urlsplit(self._base(dialect.provider)).hostname or "")
        return Response(answer.status_code, _kept(answer), stream=self._relay(answer, dialect, call, question, entry, most))

    async def pass_on(self, dialect: Dialect, call: Call, operation: str) -> Response:
        """Pass on a call that costs nothing. Batches, caches and uploads cannot be priced before, and are refused."""
        if call.method not in ("GET", "DELETE") and operation not in FREE_OPERATIONS:
            text = f"{operation} cannot be priced before it is sent, so {self.mode} mode does not pass it on. Run it offline."
            raise Refusal("over_budget", text)
        answer = await self._send(dialect, call)
        try:
            return Response(answer.status_code, _kept(answer), await answer.aread())
        finally:
            await answer.aclose()

    async def _relay(self, answer: httpx2.Response, dialect: Dialect, call: Call, question: Question, entry: Entry, most: Decimal) -> AsyncIterator[bytes]:
        """The provider's bytes as they come; then the money, and in record mode the recording."""
        chunks: list[tuple[float, bytes]] = []
        began, whole = time.monotonic(), False
        try:
            async for chunk in answer.aiter_raw():
                chunks.append((time.monotonic() - began, chunk))
                yield chunk
            whole = True
        finally:
            await answer.aclose()
            body = b"".join(chunk for _, chunk in chunks)
            entry.usage = _usage(dialect, body, answer) if answer.status_code == 200 else None
            self._settle(question, entry.usage, most, answered=answer.status_code == 200)
            if whole and self._recorder:
                entry.note = self._recorder.record(question, call, answer.status_code, _kept(answer), chunks, entry.source.detail)

    # ---- money -----------------------------------------------------------
    def _most(self, question: Question) -> Decimal:
        """The most in USD that this call can cost. Raises Refusal("over_budget") for an unknown price."""
        if question.provider == "compatible":
            return Decimal(0)
        given = int(question.prompt_tokens * COUNT_MARGIN) + 1
        made = (question.limit or question.model.max_output) * question.n
        ways = (Usage(given, output_tokens=made), Usage(given, 0, given, 0, made), Usage(given, 0, 0, given, made))
        today = datetime.now(UTC).date()
        try:
            return max(costs.cost(usage, question.model.id, question.provider, on=today) for usage in ways)
        except costs.UnknownPrice as error:
            raise Refusal("over_budget", f"This call was not sent: {error}.") from None

    def _reserve(self, most: Decimal, question: Question) -> None:
        left = self.budget_usd - self.spent_usd - self.reserved_usd
        if most > left:
            text = (
                f"This call was not sent: it can cost up to {most:.4f} USD, and {max(left, Decimal(0)):.4f} of the budget of {self.budget_usd} USD is left. "
                "Ask for fewer output tokens, or raise the budget with COURSE_BUDGET_USD and restart the kernel."
            )
            raise Refusal("over_budget", text, model=question.model.id)
        self.reserved_usd += most

    def _settle(self, question: Question, usage: Usage | None, most: Decimal, *, answered: bool) -> None:
        """Replace what was reserved by what it cost: nothing for a refusal, the most where no usage was stated."""
        self.reserved_usd -= most
        if not answered or question.provider == "compatible":
            return
        today = datetime.now(UTC).date()
        self.spent_usd += most if usage is None else costs.cost(usage, question.model.id, question.provider, on=today)

    # ---- sending ---------------------------------------------------------
    async def _send(self, dialect: Dialect, call: Call) -> httpx2.Response:
        base = self._base(dialect.provider)
        query = {name: value for name, value in call.query.items() if name != "key"}
        url = base + _path(dialect.provider, call) + (f"?{urlencode(query)}" if query else "")
        headers = {name: call.headers[name] for name in SENT_HEADERS if name in call.headers} | {"accept-encoding": "identity"}
        headers |= self._credentials(dialect.provider, call, url, headers)
        if self._client is None:
            self._client = httpx2.AsyncClient(timeout=TIMEOUT, follow_redirects=False)
        request = self._client.build_request(call.method, url, headers=headers, content=call.body or None)
        try:
            return await self._client.send(request, stream=True)
        except httpx2.HTTPError as error:
            raise Refusal("no_upstream", f"could not reach {urlsplit(base).hostname}: {type(error).__name__}") from None

    def _base(self, provider: str) -> str:
        if provider not in self._bases:
            name = {"azure": "AZURE_OPENAI_ENDPOINT", "compatible": "COMPATIBLE_BASE_URL"}[provider]
            raise Refusal("no_upstream", f"{self.mode} mode needs {name}: set it in your environment or in .env, and restart the kernel.")
        return self._bases[provider]

    def _credentials(self, provider: str, call: Call, url: str, headers: dict[str, str]) -> dict[str, str]:
        variable, header = KEYS[provider]
        if not variable:
            return {}
        key = self._keys.get(variable) or (self._keys.get("GOOGLE_API_KEY") if provider == "gemini" else None)
        if not key:
            raise Refusal("no_upstream", f"{self.mode} mode needs {variable}: set it in your environment or in .env, and restart the kernel.")
        if provider == "bedrock":
            return self._signed(call, url, headers)
        return {header: f"Bearer {key}" if header == "authorization" else key}

    def _signed(self, call: Call, url: str, headers: dict[str, str]) -> dict[str, str]:
        """AWS's signature, made anew with the real credentials: the client signed for another host with a placeholder."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        credentials = Credentials(*(self._keys.get(name) or None for name in names))
        signed = AWSRequest(call.method, url, data=call.body, headers={"content-type": headers.get("content-type", "application/json")})
        SigV4Auth(credentials, "bedrock", _region(self._keys)).add_auth(signed)
        return {name.lower(): value for name, value in signed.headers.items()}


def from_environment(
    mode: str,
    *,
    budget_usd: Decimal = BUDGET_USD,
    record_to: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    dotenv: Path = Path(".env"),
) -> Upstream:
    """An Upstream with the keys of the environment, or of a .env file where the environment lacks one."""
    from dotenv import dotenv_values

    kept = {name: value for name, value in dotenv_values(dotenv).items() if value}
    found = {name: environ.get(name) or kept.get(name) for name in VARIABLES}
    return Upstream(mode, {name: value for name, value in found.items() if value}, budget_usd=budget_usd, record_to=record_to)


def _bases(keys: Mapping[str, str]) -> dict[str, str]:
    """Where the providers are; Azure and a server of one's own only where they were named."""
    found = {**HOSTS, "bedrock": f"https://bedrock-runtime.{_region(keys)}.amazonaws.com"}
    if "AZURE_OPENAI_ENDPOINT" in keys:
        found["azure"] = keys["AZURE_OPENAI_ENDPOINT"].rstrip("/")
    if "COMPATIBLE_BASE_URL" in keys:
        found["compatible"] = keys["COMPATIBLE_BASE_URL"].rstrip("/").removesuffix("/v1")
    return found


def _region(keys: Mapping[str, str]) -> str:
    return keys.get("AWS_DEFAULT_REGION") or keys.get("AWS_REGION") or "us-east-1"


def _path(provider: str, call: Call) -> str:
    """The provider's own path; litellm leaves the version out of Gemini's."""
    if provider == "gemini" and not call.path.startswith(("/v1/", "/v1beta/")):
        return "/v1beta" + call.path
    return call.path


def _kept(answer: httpx2.Response) -> Headers:
    return [(name, value) for name, value in answer.headers.items() if name in KEPT_HEADERS or name.startswith(KEPT_PREFIXES)]


def _usage(dialect: Dialect, body: bytes, answer: httpx2.Response) -> Usage | None:
    """What the answer states, or None where it was cut before it did."""
    try:
        return dialect.usage(dialect.events(body, answer.headers.get("content-type", "")))
    except (ValueError, KeyError, TypeError):
        return None
