"""OpenAI's Responses API: one stored response after another, plain, as typed events, and in the background."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from helpers.gateway.answer import Answer
from helpers.gateway.bounded import weight
from helpers.gateway.dialects.openai import chat, rules, schema
from helpers.gateway.dialects.openai import response_background as background
from helpers.gateway.dialects.openai import response_body as bodies
from helpers.gateway.dialects.openai import response_events as events
from helpers.gateway.dialects.openai import response_fields as fields
from helpers.gateway.dialects.openai import response_input as given
from helpers.gateway.dialects.openai import response_items as items
from helpers.gateway.dialects.openai import response_tools as tools
from helpers.gateway.dialects.openai import response_unserved as unserved
from helpers.gateway.dialects.openai.errors import refused
from helpers.gateway.dialects.openai.response_background import WAITING, Job
from helpers.gateway.dialects.openai.response_compact import Compaction
from helpers.gateway.dialects.openai.response_conversations import OpenAIConversations
from helpers.gateway.dialects.openai.response_references import References, check_once
from helpers.gateway.dialects.openai.response_store import GIVEN, KEPT_FOR_POLLING, Given, Store, Stored
from helpers.gateway.exchange import Message, Part, Question, Refusal
from helpers.gateway.wire import Call, Dialect, Response, Route, pretty, route
from helpers.models import Model

Json = dict[str, Any]


class OpenAIResponses:
    """The routes under /v1/responses. Responses are stored, so that previous_response_id can go on from one."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._store = Store()
        self._compaction = Compaction(self.read)
        self._references = References(self._store)
        self._conversations = OpenAIConversations(dialect, self._compaction.check, self._references)

    def forget(self) -> None:
        """Forget all responses, and end those in the background."""
        for part in (self._store, self._compaction, self._conversations):
            part.clear()

    def routes(self) -> list[Route]:
        one = "/v1/responses/(?P<id>[^/]+)"
        return [
            route("POST", "/v1/responses", "responses", read=self.read, write=self.write, stream=self.stream, begin=self.begin, weigh=self.weigh),
            route("POST", "/v1/responses/input_tokens", "count tokens", handle=self.count, weigh=self.weigh),
            self._compaction.route("/v1/responses", self.weigh),
            route("GET", one, "response", handle=self.get, weigh=self._weigh_named),
            route("DELETE", one, "delete response", handle=self.delete),
            route("POST", one + "/cancel", "cancel response", handle=self.cancel),
            route("GET", one + "/input_items", "input items", handle=self.list_input, weigh=self._weigh_named),
            *self._conversations.routes("/v1/conversations"),
        ]

    # ---- reading ---------------------------------------------------------
    def read(self, call: Call) -> Question:
        body = call.json
        if body.get("prompt") is not None and call.services.mode == "offline":
            fields.check(body, has_prompt=True)
            unserved.check_prompt(body["prompt"])
        fields.check(body)
        model = self._model(call)
        schema.check_responses(body, model)
        rules.check_metadata(body)
        if body.get("stream_options") is not None and not body.get("stream"):
            raise refused("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
        messages, said = self._said(call, model)
        effort = tools.effort(body, model)
        rules.check_retention(body, model, "invalid_parameter")
        question = Question(
            provider=self._dialect.provider,
            model=model,
            messages=messages,
            tools=tuple(json.dumps(tool, sort_keys=True) for tool in body.get("tools") or []),
            functions=tools.functions(body),
            must_call=tools.must_call(body),
            schema=tools.schema(body),
            top_logprobs=tools.top_logprobs(body, effort),
            limit=body.get("max_output_tokens"),
            stream=bool(body.get("stream")),
            background=bool(body.get("background")),
            effort=effort,
            sampling=chat.sampling(body),
            caches_marks_only=chat.caches_marks_only(body),
            tier=chat.tier(body, self._dialect.provider),
            echo={**body, GIVEN: said},
        )
        if body.get("truncation") == "auto":
            question = unserved.truncated(question)
        try:
            return self._dialect.check_length(question)
        except Refusal as refusal:
            refusal.param = "input"  # chat names none
            raise

    def admit(self, question: Question) -> None:
        """Raise Refusal for what OpenAI might do, and the gateway by itself does not."""
        unserved.check(question.echo, question.model)
        unserved.check_management(question, question.echo.get("context_management"))
        said = Given.of(question)
        self._compaction.check(said.new)
        if question.echo.get("conversation") is not None:
            self._conversations.check_room(bodies.conversation_id(question.echo["conversation"]), said.new_size)
        if question.background:
            self._store.admit()

    def weigh(self, call: Call) -> int:
        """The bytes of the conversation that a call goes on with, and of what is looked through for items that it names."""
        before = self._store.size(call.json.get("previous_response_id")) + self._conversations.size(bodies.conversation_id(call.json.get("conversation")))
        return before + self._references.weigh(call.json.get("input"))

    def _weigh_named(self, call: Call) -> int:
        return self._store.size(call.groups["id"])

    def _model(self, call: Call) -> Model:
        try:
            return self._dialect.model(call.json["model"], call)
        except Refusal as refusal:
            # Chat answers 404 here; Responses answers 400 and names the parameter.
            refusal.facts["status"] = 400
            raise

    def _said(self, call: Call, model: Model) -> tuple[tuple[Message, ...], Given]:
        """All that a request says to the model, and what it is made of."""
        body = call.json
        before = self._before(call, model)
        listed = self._listed(call, before)
        messages = (*before.said, *(self._message(item, f"input[{i}]", model) for i, item in enumerate(listed)))
        if body.get("store") is not False:  # else nothing is known of an id
            tools.check_thoughts(listed)
        tools.check_calls(listed, before.calls)
        tools.check_json_word(body, messages)
        new = items.listed(listed)
        put_in = (*before.items, *before.body.get("output", ()), *new)
        told = {name: value for name, value in body.items() if name != "input"}
        size = weight((put_in, messages, told)) if _is_kept(body) else 0
        messages = (Message("system", (Part(body["instructions"]),)), *messages) if body.get("instructions") else messages
        return messages, Given(new, put_in, call.services.clock.now(), weight(new) if _is_kept(body) else 0, size)

    def _listed(self, call: Call, before: Stored) -> list[Json]:
        """The input as items, each once. In live mode nothing is known here of what is named, and its price is refused."""
        listed = given.as_items(call.json["input"])
        if call.services.mode == "offline":
            listed = self._references.resolved(listed, call.services.clock.now(), stores=call.json.get("store") is not False)
            check_once((*before.items, *before.body.get("output", ()), *listed))
        return listed

    def _message(self, item: Json, path: str, model: Model) -> Message:
        return self._compaction.message(item) if item.get("type") == "compaction" else given.message(item, path, model)

    def _before(self, call: Call, model: Model) -> Stored:
        """What a request goes on from. In live mode that is not known here, and is refused where the price is asked for."""
        name, conversation = call.json.get("previous_response_id"), call.json.get("conversation")
        if (name is None and conversation is None) or call.services.mode != "offline":
            return Stored()
        if name is not None and conversation is not None:
            text = "Mutually exclusive parameters: ''. Ensure you are only providing one of: 'pre..._id' or 'conversation'."
            raise refused(text, None, "mutually_exclusive_parameters")
        return self._of_conversation(conversation, model) if name is None else self._of_response(name, call.services.clock.now())

    def _of_response(self, name: str, now: float) -> Stored:
        before = self._store.get(name, now)
        if before is None:
            raise refused(f"Previous response with id '{name}' not found.", "previous_response_id", "previous_response_not_found")
        if before.body["status"] in WAITING:
            raise refused(f"Previous response with id '{name}' is still {before.body['status']}.", "previous_response_id")
        return before

    def _of_conversation(self, asked: Any, model: Model) -> Stored:
        """A conversation as a response that is over. Thoughts in it are for their maker alone."""
        conversation = self._conversations.named(bodies.conversation_id(asked))
        kept = tuple(conversation.items)
        said = (self._message(item, f"conversation[{place}]", model) for place, item in enumerate(kept) if item["type"] != "reasoning")
        return Stored(said=tuple(said), items=kept, calls=conversation.waiting())

    # ---- writing ---------------------------------------------------------
    def write(self, question: Question, answer: Answer) -> bytes:
        ids = bodies.new_ids()
        response = self._opened(answer, ids)
        self._finish(response, answer, ids)
        return pretty(response)

    async def stream(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        number = 0
        async for event in self._events(answer):
            yield events.frame(event, number)
            number += 1

    async def _events(self, answer: Answer) -> AsyncIterator[Json]:
        ids = bodies.new_ids()
        response = self._opened(answer, ids)
        yield {"type": "response.created", "response": dict(response)}
        yield {"type": "response.in_progress", "response": dict(response)}
        async for event in events.output(answer, ids):
            yield event
        self._finish(response, answer, ids)
        yield {"type": f"response.{response['status']}", "response": response}

    def begin(self, question: Question, answer: Answer, settle: Callable[[], None]) -> Job:
        """Queue a response, and write it on while nobody waits."""
        ids = bodies.new_ids()
        response = background.queued(answer, ids)
        stored = self._stored(response, question)
        stored.expires = None if response["store"] else Given.of(question).at + KEPT_FOR_POLLING
        return self._store.begin(stored, answer, ids, partial(self._fill, stored, answer, ids), settle)

    def _fill(self, stored: Stored, answer: Answer, ids: dict[str, str]) -> None:
        """Fill in what was said, where it is stored."""
        self._close(stored.body, answer, ids)
        choice = answer.choices[0]
        part = Part(given.called(choice.function, choice.text), "tool_use") if choice.function else Part(choice.text)
        stored.said = (*stored.said, Message("assistant", (part,)))
        stored.calls = frozenset([ids["call"]] if choice.function else [])
        if "conversation" in stored.body:
            said, output = Given.of(answer.question), stored.body["output"]
            self._conversations.add(stored.body["conversation"]["id"], [*said.new, *output], said.new_size + weight(output))

    def _finish(self, response: Json, answer: Answer, ids: dict[str, str]) -> None:
        """Fill in the output, the status and the usage, and keep the response."""
        stored = self._stored(response, answer.question)
        self._fill(stored, answer, ids)
        if response["store"]:
            self._store.keep(stored)

    def _opened(self, answer: Answer, ids: dict[str, str]) -> Json:
        return bodies.opened(answer, ids)

    def _close(self, response: Json, answer: Answer, ids: dict[str, str]) -> None:
        bodies.close(response, answer, ids)

    def _stored(self, response: Json, question: Question) -> Stored:
        """What is kept of a response before its answer. Instructions hold for one response only; all that was in the input stays."""
        said, asked = question.messages[1 if question.echo.get("instructions") else 0 :], Given.of(question)
        shows = bodies.THOUGHTS in (question.echo.get("include") or [])
        return Stored(response, said, asked.put_in, asked.size, shows_thoughts=shows)

    # ---- what is stored --------------------------------------------------
    def get(self, call: Call) -> Response:
        """A response as it is now, or the events of one that was begun as a stream in the background."""
        stored = self._named(call)
        query = items.RETRIEVE.read(call.query)
        if query.get("stream"):
            return self._dialect.ok_stream(self._job(stored).stream(query.get("starting_after", -1)))
        if "starting_after" in query:
            raise refused("The 'starting_after' parameter is only allowed when 'stream' is enabled.", "starting_after")
        shows = stored.shows_thoughts or bodies.THOUGHTS in items.included(call.query)
        return self._dialect.ok(stored.body if shows else bodies.fetched(stored.body))

    def _job(self, stored: Stored) -> Job:
        if stored.job is None or not stored.job.is_streamed:
            raise refused("This response cannot be streamed: it was not created with 'background' and 'stream' set to true.", "stream")
        return stored.job

    async def delete(self, call: Call) -> Response:
        """Those that went on from it keep what was said."""
        self._store.remove(self._named(call))
        return self._dialect.ok({"id": call.groups["id"], "object": "response.deleted", "deleted": True})

    async def cancel(self, call: Call) -> Response:
        """End a response in the background, in the event loop, where it is written. One that is over stays as it is."""
        stored = self._named(call)
        if stored.job is None:
            raise refused("Cannot cancel a synchronous response.")
        stored.job.cancel()
        return await call.services.work(self._weigh_named(call), lambda: self._dialect.ok(bodies.fetched(stored.body)))

    def list_input(self, call: Call) -> Response:
        return self._dialect.ok(items.page(self._named(call).items, call.query))

    def _named(self, call: Call) -> Stored:
        return self._store.named(call.groups["id"], call.services.clock.now())

    def count(self, call: Call) -> Response:
        question = self.read(call)
        return self._dialect.ok({"object": "response.input_tokens", "input_tokens": question.prompt_tokens})


def _is_kept(body: Json) -> bool:
    """Whether anything is kept of a request for a response once it is answered: in the background, for some minutes."""
    return body.get("store") is not False or bool(body.get("background"))
