"""The house model as a source: a real answer, token by token, to whatever nobody recorded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from helpers.gateway.answer import Answer, Choice, Piece, TokenScore
from helpers.gateway.bounded import Bounded
from helpers.gateway.exchange import Message, Provenance, Question, Refusal, Usage
from helpers.gateway.threads import in_thread

if TYPE_CHECKING:
    from helpers.house_model.engine import Engine, Sampling, Token

MODEL = "house"  # its id on the compatible mount
MOST_WRITING = 64  # choices that are written at once; each holds its keys and values, 8 MB at most, and the others wait for their turn
MOST_ASKED = 100_000  # questions of which it is remembered how often they were asked
MOST_NAMES = 64  # functions of which one is chosen; of more, the first
MOST_STOPS = 1000  # stop sequences that are heeded; of more, the first
ROOM, JSON_ROOM = 128, 1024  # tokens of the context that a long prompt leaves for the answer, and for one that a schema may make long
TRIES = 8  # for an answer that fits a schema where constrained decoding alone does not see to it
SPELLED = {"topP": "top_p", "topK": "top_k"}
ROLES = {"system": "system", "assistant": "assistant"}  # every other role is a user's
NO_ARGUMENTS = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}  # or less: a function without any
TITLES = ("title", "description", "$schema")  # say nothing of a value
T = TypeVar("T")


class House:
    """The engine, loaded when it is first needed, in a thread of its own: one step at a time, each request in its turn."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="house-model")
        self._engine: Engine | None = None
        self._asked: Bounded[str, int] = Bounded(MOST_ASKED, lambda name, times: 1)
        self.places = asyncio.Semaphore(MOST_WRITING)

    def forget(self) -> None:
        """Answer again as to the first time."""
        self._asked.clear()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def answer(self, question: Question, cached: Usage) -> HouseAnswer:
        """An answer that is generated while it is read. Raises Refusal for a schema that cannot be followed, or too long a prompt."""
        engine = await self.in_turn(self._load)
        ids = await self.in_turn(_prompt, engine, question)
        usage = replace(cached, input_tokens=len(ids)) if question.model.id == MODEL else cached
        function = await self._function(engine, ids, question)
        schema = _arguments(question, function) if function else question.schema
        seed = self._seed(question)
        first = await self._sampling(engine, question, seed, schema)
        samplings = [first.again(seed + 1_000_003 * index) if index else first for index in range(question.n)]
        running = [await self._tokens(engine, ids, question, sampling, schema) for sampling in samplings]
        return HouseAnswer(
            question,
            Provenance("house", detail="model on this machine"),
            [Choice("", "length", function=function) for _ in running],
            usage,
            pace=1.0,
            running=[] if question.limit == 0 else running,
            house=self,
            engine=engine,
        )

    async def _sampling(self, engine: Engine, question: Question, seed: int, schema: dict[str, Any] | None) -> Sampling:
        """How the tokens are drawn. A large schema takes a second to be made a grammar of: not of the house's own thread."""
        if schema is None:
            return _sampling(engine, question, seed, None)
        return await in_thread(None, _sampling, engine, question, seed, schema)

    async def _tokens(
        self, engine: Engine, ids: list[int], question: Question, sampling: Sampling, schema: dict[str, Any] | None
    ) -> Iterator[Token | None]:
        """The tokens of one choice, made as they are asked for.

        Where a schema has keywords that constrained decoding does not know, the whole choice is made first and checked,
        a little more freely each time. Raises Refusal when none fits.
        """
        if schema is None or question.limit == 0 or await in_thread(None, _is_exact, schema):
            return engine.generate(ids, sampling)
        for attempt in range(TRIES):
            drawn = sampling.again(sampling.seed + 7919 * attempt)
            tokens = await self._whole(engine.generate(ids, replace(drawn, temperature=max(drawn.temperature, float(attempt)))))
            if tokens[-1].finish != "stop" or await in_thread(None, _fits, tokens, schema):
                return iter(tokens)
        raise Refusal("bad_value", f"The schema cannot be followed: the house model found no answer to it in {TRIES} tries.", param="schema")

    async def _whole(self, steps: Iterator[Token | None]) -> list[Token]:
        tokens: list[Token] = []
        async with self.places:
            while not tokens or not tokens[-1].finish:
                token = await self.in_turn(_next, steps)
                tokens += [token] if token else []
        return tokens

    async def in_turn(self, action: Callable[..., T], *arguments: Any) -> T:
        """Do one short thing with the engine. The thread takes what is asked of it in order, so that nobody waits for a whole answer."""
        return await in_thread(self._pool, action, *arguments)

    def _load(self) -> Engine:
        if self._engine is None:
            from helpers.house_model.engine import Engine

            self._engine = Engine()
        return self._engine

    def _seed(self, question: Question) -> int:
        """What the request sets; else one for each time that the same is asked, so that a chapter runs the same twice."""
        given = dict(question.sampling).get("seed")
        if given is not None:
            return int(given) % 2**32
        times = self._asked[question.key] = self._asked.get(question.key, 0) + 1
        return int(question.key[:8], 16) + 1000 * times

    async def _function(self, engine: Engine, ids: list[int], question: Question) -> str | None:
        """Of the functions of which one has to be called, the one whose name the model finds likeliest."""
        names = question.must_call[:MOST_NAMES]
        if len(names) < 2:
            return names[0] if names else None
        named = [engine.tokenizer.encode(name) for name in names]
        room = min(engine.model.context - len(ids), max(map(len, named)))
        async with self.places:
            cache = engine.model.cache(len(ids) + room)
            pieces = engine.prefill(ids, cache)
            while cache.used < len(ids):
                logits = await self.in_turn(next, pieces)
            scores = [await self.in_turn(engine.score, logits, tokens[:room], cache.copy()) for tokens in named]
        return names[scores.index(max(scores))]


@dataclass(kw_only=True)
class HouseAnswer(Answer):
    """An answer whose choices and usage grow while it is streamed."""

    running: list[Iterator[Token | None]]  # one a choice
    house: House
    engine: Engine

    @property
    def is_silent(self) -> bool:
        return not self.running  # a limit of no tokens at all

    @property
    def latency_ms(self) -> int:
        """Milliseconds since the request came."""
        return round(1000 * (time.monotonic() - self.started)) + 1

    async def stream(self) -> AsyncIterator[Piece]:
        """The pieces, as they are generated; several choices take turns. Raises Refusal for a schema that gets too large to follow."""
        places, waiting, going = self.house.places, list(enumerate(self.running))[::-1], {}
        try:
            while waiting or going:
                while waiting and not (going and places.locked()):  # the first waits for a place, the others take what is free
                    await places.acquire()
                    index, tokens = waiting.pop()
                    going[index] = tokens
                for index in list(going):
                    token = await self.house.in_turn(_next, going[index])
                    if token is not None:
                        yield self._take(index, token)
                        if token.finish:
                            del going[index]
                            places.release()
        finally:
            for _ in going:
                places.release()

    def stop(self) -> None:
        """Its usage is what it has generated, and no more is."""

    async def thought(self) -> None:
        """The house model does not think before it answers."""

    async def finished(self) -> None:
        async for _ in self.stream():
            pass

    def _take(self, index: int, token: Token) -> Piece:
        """Add a token to its choice and to the usage."""
        choice = self.choices[index]
        choice.text += token.text
        choice.text_tokens += 1
        self.usage = replace(self.usage, output_tokens=self.usage.output_tokens + 1)
        if token.finish:
            choice.finish = "call" if choice.function and token.finish == "stop" else token.finish
            choice.stop_sequence = token.stopped_by
        scores = self._scores(token)
        choice.scores += scores
        return Piece(index, token.text, 0.0, choice.text_tokens, scores, is_last=token.finish is not None)

    def _scores(self, token: Token) -> tuple[TokenScore, ...]:
        if self.question.top_logprobs is None:
            return ()
        names = self.engine.tokenizer.bytes
        top = tuple((names[id], logprob) for id, logprob in token.top)
        return (TokenScore(names[token.id], token.logprob, top, token.id == self.engine.end),)


def _arguments(question: Question, function: str) -> dict[str, Any]:
    """The JSON schema of a function's arguments; one that names none has none."""
    given = next(f.parameters for f in question.functions if f.name == function)
    has_none = all(name in TITLES or (name in NO_ARGUMENTS and value in (None, NO_ARGUMENTS[name])) for name, value in given.items())
    return NO_ARGUMENTS if has_none else given


def _prompt(engine: Engine, question: Question) -> list[int]:
    """The chat as token ids. What is older than the context goes first, turn by turn; then the beginning of the last one.

    Raises Refusal("too_long") where the house model was asked for by name: its own server would refuse.
    """
    if question.model.id == MODEL:
        ids = engine.chat_of([_turn(engine, message) for message in question.messages])
        if len(ids) >= engine.model.context:
            raise Refusal("too_long", model=MODEL, tokens=len(ids), maximum=engine.model.context, limit=question.limit)
        return ids
    most = engine.model.context - (JSON_ROOM if question.schema or question.must_call else ROOM)
    system = question.messages[:1] if question.messages and question.messages[0].role == "system" else ()
    first = [_turn(engine, message, most) for message in system]
    turns, room = [], most - len(engine.chat_of(first))
    for message in reversed(question.messages[len(system) :]):
        turn = _turn(engine, message, most)
        room -= len(turn)
        if room < 0 and turns:
            break
        turns.append(turn)
    return engine.chat_of([*first, *reversed(turns)])[-most:]


def _turn(engine: Engine, message: Message, most: int | None = None) -> list[int]:
    """The token ids of a turn; at least the last `most`, where that is given: of a long text no more is read than they can take."""
    text = _text(message)
    if most is not None:
        text = text[-most * engine.tokenizer.longest :]
    return engine.turn(ROLES.get(message.role, "user"), text)


def _text(message: Message) -> str:
    """A turn as the house model reads it: it sees no images, and not who speaks."""
    return "".join(part.text if part.kind != "image" else "[image]" for part in message.parts if part.kind not in ("thinking", "name"))


def _next(tokens: Iterator[Token | None]) -> Token | None:
    with _refusing():
        return next(tokens)


@contextmanager
def _refusing() -> Iterator[None]:
    """A schema that cannot be followed is the request's fault."""
    from helpers.house_model.engine import ConstraintError

    try:
        yield
    except ConstraintError as error:
        raise Refusal("bad_value", f"The schema cannot be followed: {error}", param="schema") from None


def _is_exact(schema: dict[str, Any]) -> bool:
    from helpers.house_model.checking import is_exact

    return is_exact(schema)


def _fits(tokens: list[Token], schema: dict[str, Any]) -> bool:
    from helpers.house_model.checking import fits

    return fits("".join(token.text for token in tokens), schema)


def _sampling(engine: Engine, question: Question, seed: int, schema: dict[str, Any] | None) -> Sampling:
    from helpers.house_model.engine import FOLDER, Sampling

    given = {SPELLED.get(name, name): value for name, value in question.sampling}
    constraint = None
    if schema is not None:
        from helpers.house_model.constraint import JsonConstraint

        with _refusing():
            constraint = JsonConstraint(schema, FOLDER / "tokenizer.json")
    return Sampling(
        temperature=float(given.get("temperature", engine.usual_temperature)),
        top_p=float(given.get("top_p", 1.0)),
        top_k=int(given.get("top_k", 0)),
        seed=seed,
        max_tokens=engine.model.context if question.limit is None else question.limit,
        stop=question.stop[:MOST_STOPS],
        top_logprobs=question.top_logprobs or 0,
        constraint=constraint,
    )
