"""vLLM's Responses: answers without a store, as a vLLM gives them that was started without VLLM_ENABLE_RESPONSES_API_STORE.

The bodies, events and refusals follow those of a real vLLM 0.32.0 with the house model, captured on 2026-11-28; where these do
not tell, vLLM's source.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

from helpers.gateway.answer import Answer
from helpers.gateway.dialects import adapters, vllm, vllm_tokens
from helpers.gateway.dialects import vllm_response_body as bodies
from helpers.gateway.dialects import vllm_response_fields as fields
from helpers.gateway.dialects import vllm_response_input as given
from helpers.gateway.dialects.openai import chat
from helpers.gateway.exchange import Question, Refusal
from helpers.gateway.wire import Call, Response, Route, compact, route
from helpers.models import Model

PATH = "/v1/responses"
NO_STORE = (
    "This vLLM engine does not support `store=True` and therefore does not support the background mode. To enable these features, "
    "set the environment variable `VLLM_ENABLE_RESPONSES_API_STORE=1` when launching the vLLM server."
)
LARGEST = 2_000_000  # bytes of a request, of which an answer repeats most, a stream three times; the longest prompts need a quarter of them
MOST_TOOLS = 1000  # each is repeated with all fields of its kind, which may be ten times as much as was said
TOO_LARGE = f"The course's gateway reads a request for a response of this server's of at most {LARGEST:,} bytes, with at most {MOST_TOOLS:,} tools."
TRUTHS = ("true", "false", "1", "0", "on", "off", "yes", "no", "t", "f", "y", "n")
SHAPES = ("previous_response_id", "truncation")  # fields that decide what is answered, beside what is said


def routes(read: Callable[[Call], Question]) -> list[Route]:
    """The routes. There is no store, so that no response is ever found."""
    one = PATH + "/(?P<id>[^/]+)"
    return [
        route("POST", PATH, "responses", read=read, write=write, stream=stream, weigh=vllm_tokens.weigh),
        route("GET", one, "response", handle=get),
        route("POST", one + "/cancel", "cancel response", handle=cancel),
    ]


# ---- reading -----------------------------------------------------------------
def question(body: dict[str, Any], model: Model, provider: str) -> Question:
    """The neutral question of a body that was checked. Raises Refusal."""
    if len(body.get("tools") or ()) > MOST_TOOLS:
        raise Refusal("bad_value", TOO_LARGE, param="tools")
    limit = body.get("max_output_tokens")
    if limit is not None and limit > model.context:
        raise Refusal("above_window", param="max_output_tokens", value=limit, maximum=model.context)
    asked, messages = fields.as_chat(body), given.chat(body.get("instructions"), body["input"])
    top = asked.get("top_logprobs")
    vllm.check_sampling({**asked, "top_logprobs": len(vllm_tokens.tokenizer().bytes) if top == -1 else top})
    vllm.check_schemas({"response_format": asked["response_format"]})
    found = chat.question({**asked, "messages": vllm.as_strings(messages, model)}, model, provider)
    shapes = tuple((name, body[name]) for name in SHAPES if body.get(name) not in (None, "disabled"))
    found = replace(found, sampling=(*found.sampling, *shapes), echo=body)
    ids = _ids(body, messages, model)
    return replace(found, messages=(), prompts=(ids,)) if ids else found


def _ids(body: dict[str, Any], messages: list[dict[str, Any]], model: Model) -> tuple[int, ...]:
    """The tokens of a chat that is not answered as it stands: one whose last message is gone on with, or of which only the end fits."""
    if model.id != adapters.BASE:
        return ()
    if given.goes_on(body["input"]):
        return vllm_tokens.prompts(vllm_tokens.rendered(messages, model, continues=True), model)[0]
    if body.get("truncation") != "auto":
        return ()
    text = vllm_tokens.rendered(messages, model)
    end = text[-2 * model.context * vllm_tokens.tokenizer().longest :]  # no more of it can be read
    ids = vllm_tokens.tokenizer().encode(end)
    return tuple(ids[1 - model.context :]) if len(ids) >= model.context else ()


def admit(question: Question) -> None:
    """Raise Refusal for what asks for the store that is not there, and for what vLLM does and the gateway does not."""
    body, model = question.echo, question.model
    if body.get("background"):
        raise Refusal("bad_value", NO_STORE, param="background", type="invalid_request_error")
    if body.get("previous_response_id") is not None and body.get("previous_input_messages"):
        text = "Only one of `previous_input_messages` and `previous_response_id` can be set."
        raise Refusal("bad_value", text, param="previous_response_id", type="invalid_request_error")
    if body.get("previous_response_id") is not None:
        raise _not_found(body["previous_response_id"])
    if fields.forces_other(body):
        text = "The course's gateway calls functions alone, and no custom tools or tools of a namespace. A real vLLM does."
        raise Refusal("bad_value", text, param="tool_choice")
    if given.goes_on(body["input"]) and model.id != adapters.BASE:
        text = f"The course's gateway does not have the tokenizer of {model.id}, and goes on with a message for the house model alone"
        text += f": ask for `{adapters.BASE}`."
        raise Refusal("bad_value", text, param="input")


# ---- writing -----------------------------------------------------------------
def write(question: Question, answer: Answer) -> bytes:
    """A plain answer."""
    ids = bodies.new_ids()
    response = bodies.opened(answer, ids)
    bodies.close(response, answer, bodies.output(answer, ids))
    return compact(response)


def stream(question: Question, answer: Answer) -> AsyncIterator[bytes]:
    """The events; there is no [DONE] after them."""
    return bodies.stream(answer)


# ---- what is stored ----------------------------------------------------------
def get(call: Call) -> Response:
    """No response is kept. Raises Refusal."""
    after, streams = call.query.get("starting_after"), call.query.get("stream")
    if after is not None and not re.fullmatch(r"[+-]?\d+", after):
        raise Refusal("wrong_type", param="query.starting_after", expected="integer", value=after)
    if streams is not None and streams.lower() not in TRUTHS:
        raise Refusal("wrong_type", param="query.stream", expected="boolean", value=streams)
    raise _not_found(call.groups["id"])


def cancel(call: Call) -> Response:
    """No response is kept. Raises Refusal."""
    raise _not_found(call.groups["id"])


def _not_found(id: str) -> Refusal:
    return Refusal("not_found", f"Response with id '{id}' not found.", param="response_id", type="invalid_request_error")
