"""The version of the API that a request to Azure names: a date on the routes of old, none or a word on v1."""

from __future__ import annotations

import re

from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import Call

DATED = re.compile(r"\d{4}-\d\d-\d\d(-preview)?")
V1 = ("", "v1", "preview", "latest")
# By what users were shown in 2025: Aider's issue 4029, and for a date on v1 aider-desk's issue 460.
RESPONSES_SINCE = "2025-03-01"
NO_RESPONSES = "Azure OpenAI Responses API is enabled only for api-version 2025-03-01-preview and later"
NO_DATE = "API version not supported"


def check_dated(call: Call) -> None:
    """Raise Refusal("no_version") where no date is named. Which dates there were is not looked at."""
    if not DATED.fullmatch(_named(call)):
        raise Refusal("no_version")


def check_responses(call: Call) -> None:
    """The same for the Responses API, which older versions do not have."""
    check_dated(call)
    if _named(call) < RESPONSES_SINCE:
        raise Refusal("no_version", NO_RESPONSES)


def check_v1(call: Call) -> None:
    if _named(call) not in V1:
        raise Refusal("no_version", NO_DATE)


def _named(call: Call) -> str:
    return call.query.get("api-version", "")
