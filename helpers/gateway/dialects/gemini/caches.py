"""Gemini's explicit caches: made from contents, kept for a time to live, named in later requests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from helpers.gateway.clock import LAST
from helpers.gateway.dialects.gemini import contents as bodies
from helpers.gateway.dialects.gemini.fields import PROMPT, normalised, snake
from helpers.gateway.dialects.gemini.files import inline, weight
from helpers.gateway.dialects.gemini.pages import page
from helpers.gateway.dialects.gemini.times import timestamp
from helpers.gateway.dialects.schema import STRING, checker, shape
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import Call, Dialect, Response, Route, random_id, route
from helpers.models import Model

DEFAULT_TTL = 3600.0
EXPIRY = {"ttl": {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,9})?s$"}, "expireTime": STRING}
CREATE = shape("model", closed=True, model=STRING, displayName=STRING, name=STRING, **PROMPT, **EXPIRY)
PATCH = shape(closed=True, name=STRING, **EXPIRY)
check = checker(CREATE)
check_patch = checker(PATCH)


@dataclass
class Cache:
    name: str
    model: Model
    display_name: str
    held: bodies.Cached
    created: float
    updated: float
    expires: float


class GeminiCaches:
    """The routes under cachedContents, and the lookup for a request that names a cache."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def routes(self, version: str) -> list[Route]:
        one = version + "/cachedContents/(?P<id>[^/]+)"
        return [
            route("POST", version + "/cachedContents", "caches", handle=self.create, weigh=lambda call: weight(call, call.body)),
            route("GET", version + "/cachedContents", "caches", handle=self.list),
            route("GET", one, "cache", handle=self.get),
            route("PATCH", one, "cache", handle=self.patch),
            route("DELETE", one, "cache", handle=self.delete),
        ]

    def use(self, name: str, model: Model, call: Call) -> bodies.Cached:
        """What a named cache holds. Raises Refusal for one that is unknown, expired or of another model."""
        cache = self._alive(name, call)
        if cache.model != model:
            asked, made_for = f"(models/{model.id})", f"(models/{cache.model.id})"
            text = f"Model used by GenerateContent request {asked} and CachedContent {made_for} has to be the same."
            raise Refusal("bad_value", text, param="cachedContent")
        return cache.held

    def weigh(self, call: Call) -> int:
        """The bytes of the cache and of the files that a call names."""
        name = call.json.get("cachedContent", call.json.get("cached_content"))
        held = call.services.prompt_cache.explicit.size(name) if isinstance(name, str) else 0
        return held + weight(call, call.body)

    # ---- routes ----------------------------------------------------------
    def create(self, call: Call) -> Response:
        body = normalised(call.json, CREATE)
        check(body)
        model = self._model(body["model"], call)
        inline(body, call)
        held = self._hold(body, model)
        now = call.services.clock.now()
        name = random_id("cachedContents/", 40, "abcdefghijklmnopqrstuvwxyz0123456789")
        cache = Cache(name, model, body.get("displayName", ""), held, now, now, _expiry(body, now, now + DEFAULT_TTL))
        call.services.prompt_cache.explicit[name] = cache
        return self._dialect.ok(_body(cache))

    def list(self, call: Call) -> Response:
        now = call.services.clock.now()
        alive = [cache for cache in call.services.prompt_cache.explicit.values() if cache.expires > now]
        shown, more = page(call, alive, lambda cache: cache.name, 100, 1000)
        return self._dialect.ok({"cachedContents": [_body(cache) for cache in shown], **more} if shown else {})

    def get(self, call: Call) -> Response:
        return self._dialect.ok(_body(self._named(call)))

    def patch(self, call: Call) -> Response:
        cache = self._named(call)
        body = normalised(call.json, PATCH)
        check_patch(body)
        now = call.services.clock.now()
        cache.updated, cache.expires = now, _expiry(body, now, cache.expires)
        return self._dialect.ok(_body(cache))

    def delete(self, call: Call) -> Response:
        del call.services.prompt_cache.explicit[self._named(call).name]
        return self._dialect.ok({})

    # ---- helpers ---------------------------------------------------------
    def _model(self, name: str, call: Call) -> Model:
        model = self._dialect.model(name.removeprefix("models/"), call)
        if model.cache is None or model.cache.implicit_only:
            raise Refusal("unknown_model", model=model.id, method="createCachedContent")
        return model

    def _hold(self, body: dict[str, Any], model: Model) -> bodies.Cached:
        question = self._dialect.check_length(bodies.question(body, model))
        if question.prompt_tokens < model.cache.min_tokens:
            counts = f"total_token_count={question.prompt_tokens}, min_total_token_count={model.cache.min_tokens}"
            raise Refusal("bad_value", f"Cached content is too small. {counts}", param="contents")
        return bodies.Cached(question.messages, question.tools, question.prompt_tokens, question.functions, question.must_call, tuple(bodies.details(question)))

    def _named(self, call: Call) -> Cache:
        return self._alive("cachedContents/" + call.groups["id"], call)

    def _alive(self, name: str, call: Call) -> Cache:
        cache = call.services.prompt_cache.explicit.get(name)
        if cache is None or cache.expires <= call.services.clock.now():
            raise Refusal("forbidden", "CachedContent not found (or permission denied)")
        return cache


def _expiry(body: dict[str, Any], now: float, otherwise: float) -> float:
    if "ttl" in body:
        return _within_time(now + float(body["ttl"].rstrip("s")), now, "ttl", body)
    if "expireTime" not in body:
        return otherwise
    try:
        # Google writes nanoseconds; Python reads microseconds.
        given = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", body["expireTime"]))
    except ValueError:
        raise Refusal("bad_value", param="expireTime", value=body["expireTime"]) from None
    return _within_time((given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp(), now, "expireTime", body)


def _within_time(end: float, now: float, param: str, body: dict[str, Any]) -> float:
    """The moment at which a cache ends. Raises Refusal for one that is over or that no date can name."""
    if end <= now:
        raise Refusal("bad_value", param=param, rule=f"{snake(param)} must be in the future.")
    if end > LAST:
        raise Refusal("bad_value", param=param, value=body[param])
    return end


def _body(cache: Cache) -> dict[str, Any]:
    return {
        "name": cache.name,
        "model": f"models/{cache.model.id}",
        "displayName": cache.display_name,
        "createTime": timestamp(cache.created),
        "updateTime": timestamp(cache.updated),
        "expireTime": timestamp(cache.expires),
        "usageMetadata": {"totalTokenCount": cache.held.tokens},
    }
