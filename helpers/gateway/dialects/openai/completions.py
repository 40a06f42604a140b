"""OpenAI's legacy completions: the endpoint is there, and no model that it served is alive, so each request is refused in OpenAI's words."""

from __future__ import annotations

from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import Call, Dialect, Response, Route, route

# Shut down on 2026-09-28 (litellm 1.110.2's table) or, those with "text-" and the bare names, on 2024-01-04 (OpenAI's page on deprecations).
RETIRED = (
    *("gpt-3.5-turbo-instruct", "gpt-3.5-turbo-instruct-0914", "davinci-002", "babbage-002", "text-davinci-003", "text-davinci-002", "text-davinci-001"),
    *("text-curie-001", "text-babbage-001", "text-ada-001", "davinci", "curie", "babbage", "ada"),
)
CHAT_MODEL = "This is a chat model and not supported in the v1/completions endpoint. Did you mean to use v1/chat/completions?"


class OpenAICompletions:
    """The route /v1/completions."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def routes(self) -> list[Route]:
        return [route("POST", "/v1/completions", "completions", handle=self.create)]

    def create(self, call: Call) -> Response:
        """Raise a Refusal: whatever else is wrong, OpenAI looks at the model first."""
        name = call.json.get("model")
        if name in (None, ""):
            raise Refusal("bad_value", "you must provide a model parameter", code=None)
        if name in RETIRED:
            raise Refusal("retired_model", param="model", model=name)
        if self._dialect.model(name, call, kind=None).kind == "chat":
            raise Refusal("not_found", CHAT_MODEL, param="model")
        raise Refusal("wrong_kind", param="model", model=name, wanted="completion")
