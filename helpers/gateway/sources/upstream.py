"""The real providers, in live and record mode: every call priced before it is sent, under a hard budget.

What the client sent as a key is dropped, and the learner's own is put on the request as it leaves.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlencode, urlsplit

import httpx2

from helpers.gateway.exchange import Provenance, Question, Refusal, Usage
from helpers.gateway.sources import budget, credentials
from helpers.gateway.sources.budget import DEFAULT_USD, Budget
from helpers.gateway.sources.charged_fields import unpriced
from helpers.gateway.sources.charges import Bound
from helpers.gateway.sources.credentials import Keys
from helpers.gateway.sources.orders import Orders
from helpers.gateway.sources.recorder import Recorder
from helpers.gateway.sources.relay import Relay, kept
from helpers.gateway.sources.scrub import Scrubber
from helpers.gateway.threads import in_thread
from helpers.gateway.wire import Call, Cut, Dialect, Headers, Response, compact

if TYPE_CHECKING:
    from helpers.gateway.meter import Entry

HOSTS = {
    "openai": "https://api.openai.com",
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com",
}
TIMEOUT = httpx2.Timeout(600.0, connect=10.0)
FREE_POSTS = ("count tokens", "moderations", "tokenize", "detokenize")
SENT = ("content-type", "accept", "anthropic-version", "anthropic-beta", "openai-beta", "user-agent", "x-amzn-bedrock-projectidentifier")
# Failures before anything was sent: nobody can charge for these.
UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
# A request that no network could carry; to try it again would not help.
UNFIT = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)


class Unreachable(Cut):
    """The network failed. The client's connection ends too, so that its SDK raises its own error, and tries again as it would."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class Upstream:
    """Passes calls on to the providers. `spent_usd` and `reserved_usd` together do not exceed `budget_usd`."""

    def __init__(
        self,
        mode: str,
        keys: Mapping[str, str] | Keys,
        *,
        budget_usd: Decimal = DEFAULT_USD,
        shared: Budget | None = None,
        bases: Mapping[str, str] | None = None,
        record_to: Path | None = None,
    ) -> None:
        """mode: live or record. keys: values by the names of their variables. bases: other addresses, by provider.

        It has a budget of its own, of budget_usd, unless it draws on one that is shared with others.
        """
        self.mode = mode
        self._keys = keys if isinstance(keys, Keys) else Keys(dict(keys))
        self._budget = shared or Budget(budget_usd)
        self._orders = Orders(self._budget)
        self._bases = {**_bases(self._keys), **(bases or {})}
        self._scrubber = Scrubber(self._keys.secrets())
        self._recorder = Recorder(record_to, self._scrubber) if mode == "record" else None
        self._client: httpx2.AsyncClient | None = None

    @property
    def budget_usd(self) -> Decimal:
        """The most that this kernel may spend, in USD."""
        return self._budget.usd

    @property
    def spent_usd(self) -> Decimal:
        """USD spent so far. A call that was cut counts as the most it could have cost."""
        return self._budget.spent_usd

    @property
    def reserved_usd(self) -> Decimal:
        """USD held for calls under way."""
        return self._budget.reserved_usd

    def has_key(self, provider: str) -> bool:
        """Whether the learner has a key for a provider; both halves of AWS's."""
        return self._keys.has(provider)

    def knows(self, provider: str) -> bool:
        """Whether there is an address to forward to."""
        return provider in self._bases

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    # ---- calls -----------------------------------------------------------
    async def forward(self, dialect: Dialect, call: Call, question: Question, entry: Entry) -> Response:
        """Ask the provider. Raises Refusal("over_budget") before anything is sent, Refusal("no_upstream") when it cannot be, Unreachable when the network fails."""
        # Written anew, so that what was priced is what is sent: a field that is given twice is not.
        # In a thread, as it takes its time with a long body.
        call, charge, most = await in_thread(None, _priced, call, question)
        request = await in_thread(None, self._request, dialect.provider, call)
        self._budget.hold(question, charge, most)
        began = time.monotonic()
        try:
            answer = await self._send(request)
        except BaseException as error:
            # A client that no longer waits, or a lost connection, does not keep the provider from charging.
            if isinstance(error, Refusal) or (isinstance(error, Unreachable) and not error.sent):
                self._budget.release(most)
            else:
                self._budget.settle(question, most, None)
            raise
        entry.source = self._provenance(dialect.provider)

        async def ended(relay: Relay) -> None:
            usage = await in_thread(None, relay.usage, dialect) if relay.status < 300 else None
            self._settle(relay, question, entry, most, usage)
            if self._recorder is not None:
                entry.note = await self._record(self._recorder, relay, dialect, call, question, entry)

        return Response(answer.status_code, _headers(answer), stream=Relay(answer, began, self._scrubber, ended).stream())

    async def pass_on(self, dialect: Dialect, call: Call, entry: Entry) -> Response:
        """Pass on what costs nothing, and batches, priced at most. What cannot be priced before it is used is refused."""

        async def send(call: Call) -> Response:
            return await self._pass(dialect, call, entry)

        ordered = await self._orders.carry_out(dialect, call, entry, send)
        if ordered is not None:
            return ordered
        # A lesson that deletes what it made offline would delete what the learner owns.
        if call.method != "GET" and entry.operation not in FREE_POSTS:
            raise unpriced(f"what {call.method} {call.path} starts (files, caches)")
        return await send(call)

    async def _pass(self, dialect: Dialect, call: Call, entry: Entry) -> Response:
        answer = await self._send(await in_thread(None, self._request, dialect.provider, call))
        entry.source = self._provenance(dialect.provider)
        try:
            body = await answer.aread()
            scrubbed = self._scrubber.scrub_error(body) if answer.status_code >= 400 else b"".join(self._scrubber.hide(body))
            if "batch" in entry.operation:  # it may hold an address, which an SDK would go to with a key that is none
                scrubbed = scrubbed.replace(self._base(dialect.provider).encode(), call.base_url.encode())
            return Response(answer.status_code, _headers(answer), scrubbed)
        except httpx2.HTTPError as error:
            raise _unreachable(answer.request, error) from None
        finally:
            await answer.aclose()

    def _settle(self, relay: Relay, question: Question, entry: Entry, most: Decimal, usage: Usage | None) -> None:
        """Once for every answer: the money and the log."""
        if relay.status < 300:
            entry.usage = usage
            if entry.provider == "openai":  # at others these words have no price of their own that is known
                entry.tier = next(iter(relay.ways & {"flex", "priority"}), "")
            self._budget.settle(question, most, usage, relay.ways)
        else:
            self._budget.release(most)

    async def _record(self, recorder: Recorder, relay: Relay, dialect: Dialect, call: Call, question: Question, entry: Entry) -> str:
        """Keep an answer; a note for the log. In a thread, as the file may be long, and other kernels may be writing it."""
        if not relay.whole or relay.failed:
            return "not recorded: the answer broke off, or holds an error"
        server = entry.source.detail if entry.source else ""
        events = partial(relay.events, dialect)
        return await in_thread(None, recorder.record, question, call, server, relay.status, relay.headers, relay.chunks, events)

    # ---- sending ---------------------------------------------------------
    def _request(self, provider: str, call: Call) -> httpx2.Request:
        """The request as the provider gets it. Raises Refusal("no_upstream") for a missing key or address."""
        _check_path(provider, call)
        query = {name: value for name, value in call.query.items() if name != "key"}
        url = self._base(provider) + _path(provider, call) + (f"?{urlencode(query, encoding='latin-1')}" if query else "")
        headers = {name: value for name, value in call.headers.items() if name in SENT}
        signed = {name: value for name, value in headers.items() if name != "user-agent"}
        headers |= {"accept-encoding": "identity", **self._keys.headers(provider, call.method, url, call.body, signed)}
        raw = {name: value.encode("latin-1", "replace") for name, value in headers.items()}
        try:
            urlsplit(url)  # it finds a bracket that is not closed, which httpx2 would look up as a name
            return self._http().build_request(call.method, url, headers=raw, content=call.body or None)
        except (ValueError, httpx2.InvalidURL):
            raise Refusal("no_upstream", f"The address of {provider} is no address of a server.", sent=False) from None

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        try:
            return await self._http().send(request, stream=True)
        except httpx2.HTTPError as error:
            raise _unreachable(request, error) from None

    def _http(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = httpx2.AsyncClient(timeout=TIMEOUT, follow_redirects=False)
        return self._client

    def _base(self, provider: str) -> str:
        if provider not in self._bases:
            raise credentials.missing({"azure": "AZURE_OPENAI_ENDPOINT", "compatible": "COMPATIBLE_BASE_URL"}[provider])
        return self._bases[provider]

    def _provenance(self, provider: str) -> Provenance:
        host = urlsplit(self._base(provider)).hostname or ""
        # The first part of an Azure host is the name of somebody's resource.
        host = host.partition(".")[2] if provider == "azure" and host.endswith(".azure.com") else host
        return Provenance("live", datetime.now(UTC).date().isoformat(), host)


def _priced(call: Call, question: Question) -> tuple[Call, Bound, Decimal]:
    call = replace(call, body=compact(call.json))
    return call, *budget.most(question, call.body)


def from_environment(
    mode: str,
    *,
    budget_usd: Decimal = DEFAULT_USD,
    record_to: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    dotenv_path: Path | None = None,
) -> Upstream:
    """An Upstream with the keys of the environment, or of a .env file where the environment lacks one.

    All that a process makes so share one budget. Raises ValueError for another budget than the first.
    """
    keys = credentials.from_environment(environ, dotenv_path)
    return Upstream(mode, keys, shared=budget.of_process(budget_usd), record_to=record_to)


def _bases(keys: Keys) -> dict[str, str]:
    """Where the providers are; Azure and a server of one's own only where they were named."""
    found = {
        **HOSTS,
        "bedrock": f"https://bedrock-runtime.{keys.region}.amazonaws.com",
        "azure": keys.get("AZURE_OPENAI_ENDPOINT").rstrip("/"),
        "compatible": keys.get("COMPATIBLE_BASE_URL").rstrip("/").removesuffix("/v1"),
    }
    return {provider: base for provider, base in found.items() if base}


def _check_path(provider: str, call: Call) -> None:
    """Refuse a path that the provider could read as another than the one that was priced."""
    plain = unquote(call.path)
    encoded = () if provider == "bedrock" else ("%2f", "%3a")  # an ARN has both
    if "#" in plain or {".", ".."} & set(plain.split("/")) or any(code in call.path.lower() for code in encoded):
        raise Refusal("no_route", path=call.path, method=call.method, sent=False)


def _path(provider: str, call: Call) -> str:
    """The provider's own path; litellm leaves the version out of Gemini's."""
    if provider == "gemini" and not call.path.startswith(("/v1/", "/v1beta/")):
        return "/v1beta" + call.path
    return call.path


def _headers(answer: httpx2.Response) -> Headers:
    date = [("date", answer.headers["date"])] if "date" in answer.headers else []  # by which its resets are; a recording is of another day
    return [*kept(answer), *date, ("x-course-source", "live")]


def _unreachable(request: httpx2.Request, error: httpx2.HTTPError) -> Refusal | Unreachable:
    # The text of an error can quote a header, and so a key; its name cannot.
    reason = f"could not reach {request.url.host}: {type(error).__name__}"
    if isinstance(error, UNFIT):
        return Refusal("no_upstream", f"This call was not sent: {reason}.", sent=False)
    return Unreachable(f"The gateway {reason}. Look at your network, and at the proxy and certificates of your shell.", sent=not isinstance(error, UNSENT))
