"""The house model as a source: a real answer, token by token, to whatever nobody recorded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from helpers.gateway.answer import Answer, Choice, Piece, TokenScore
from helpers.gateway.bounded import Bounded
from helpers.gateway.exchange import Message, Provenance, Question, Refusal, Usage
from helpers.gateway.harm import without_marks
from helpers.gateway.sources.plain_words import plain_words
from helpers.gateway.threads import in_thread
from helpers.house_model.core import EngineCore

if TYPE_CHECKING:
    from helpers.house_model.engine import Engine
    from helpers.house_model.sampling import Sampling
    from helpers.house_model.scheduler import Outcome
    from helpers.house_model.sequence import Sequence, Token

MODEL = "house"  # its id on the compatible mount
MOST_ASKED = 100_000  # questions of which it is remembered how often they were asked
MOST_NAMES = 64  # functions of which one is chosen; of more, the first
MOST_STOPS = 1000  # stop sequences that are heeded; of more, the first
READ = 448  # tokens of a prompt that are read, about as many as it learned from: after a longer one it writes nonsense
INSTRUCTION = 300  # characters of an instruction that would take more than half of them
JSON_ROOM = 1024  # tokens of the context that a long prompt leaves for an answer that a schema may make long
TRIES = 8  # for an answer that fits a schema where constrained decoding alone does not see to it
SPELLED = {"topP": "top_p", "topK": "top_k"}
ROLES = {"system": "system", "assistant": "assistant"}  # every other role is a user's
NO_ARGUMENTS = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}  # or less: a function without any
TITLES = ("title", "description", "$schema")  # say nothing of a value
Written = tuple[int, "Token | Exception"]  # the number of a sequence, and what it came to
ENCODING = 10  # bytes of other work that take as long as a token of a prompt takes the house model's tokenizer, about
Work = Callable[..., Awaitable[Any]]  # does something that takes time in proportion to a size (bytes), given first
T = TypeVar("T")


class House:
    """The engine, loaded when it is first needed, in a thread of its own, where all requests are computed together."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._core: EngineCore | None = None
        self._engine: Engine | None = None
        self._asked: Bounded[str, int] = Bounded(MOST_ASKED, lambda name, times: 1)
        self._readers: dict[Sequence, tuple[int, asyncio.Queue[Written]]] = {}  # who waits for the tokens of a sequence, and its number there

    def forget(self) -> None:
        """Answer again as to the first time."""
        self._asked.clear()
        if self._core and self._core.scheduler:
            self._core.do(self._core.scheduler.pool.clear)

    def close(self) -> None:
        """End the engine's thread."""
        if self._core:
            self._core.close()

    async def answer(self, question: Question, cached: Usage) -> HouseAnswer:
        """An answer that is generated while it is read. Raises Refusal for a schema that cannot be followed, or too long a prompt."""
        engine = self._engine or await self.in_turn(self._load)
        prompts = question.prompts or (await self._work(ENCODING * question.prompt_tokens, _prompt, engine, question),)
        usage = replace(cached, input_tokens=sum(map(len, prompts))) if question.model.id == MODEL else replace(cached)
        function, reading = await self._function(engine, prompts[0], question)
        schema = _arguments(question, function) if function else question.schema
        seed = self._seed(question)
        first = await self._sampling(engine, question, seed, schema)
        samplings = [first.again(seed + 1_000_003 * index) if index else first for index in range(question.n)]
        sequences = [engine.sequence(list(ids), sampling) for ids in prompts for sampling in samplings]
        if schema is None or question.limit == 0 or await in_thread(None, _is_exact, schema):
            tokens = self.tokens(sequences)
        else:
            tokens = _replayed([await self._fitting(sequence, engine, schema) for sequence in sequences])
        return HouseAnswer(
            question,
            Provenance("house", detail="model on this machine"),
            [Choice("", "length", function=function) for _ in sequences],
            usage,
            pace=1.0,
            tokens=tokens,
            reading=[reading] if reading else sequences[:: question.n],
            engine=engine,
        )

    async def _sampling(self, engine: Engine, question: Question, seed: int, schema: dict[str, Any] | None) -> Sampling:
        """How the tokens are drawn. A large schema takes a second to be made a grammar of: not of the house's own thread."""
        if schema is None:
            return _sampling(engine, question, seed, None)
        return await in_thread(None, _sampling, engine, question, seed, schema)

    async def _fitting(self, first: Sequence, engine: Engine, schema: dict[str, Any]) -> list[Token]:
        """The tokens of a choice where a schema has keywords that constrained decoding does not know.

        It is made whole and checked, twice as freely each time. Raises Refusal when none fits.
        """
        sampling, sequence, ids = first.sampling.again(first.sampling.seed), first, list(first.ids)
        for attempt in range(1, TRIES + 1):
            tokens = [token async for _, token in self.tokens([sequence])]
            if tokens[-1].finish != "stop" or await in_thread(None, _fits, tokens, schema):
                return tokens
            freer = replace(sampling.again(sampling.seed + 7919 * attempt), temperature=max(sampling.temperature, 2.0**attempt))
            sequence = engine.sequence(ids, freer)
        raise Refusal("bad_value", f"The schema cannot be followed: the house model found no answer to it in {TRIES} tries.", param="schema")

    # ---- the engine's thread ---------------------------------------------
    async def in_turn(self, action: Callable[..., T], *arguments: Any) -> T:
        """Do one short thing with the engine, between two of its steps, so that nobody waits for a whole answer."""
        if self._core is None:
            loop = asyncio.get_running_loop()

            def deliver(outcomes: list[Outcome]) -> None:
                with suppress(RuntimeError):  # the gateway has stopped
                    loop.call_soon_threadsafe(self._deliver, outcomes)

            self._core = EngineCore(deliver)
        return await asyncio.wrap_future(self._core.do(action, *arguments))

    async def tokens(self, sequences: list[Sequence]) -> AsyncIterator[tuple[int, Token]]:
        """The tokens of some sequences as they are written, each with the number of its sequence. Whoever stops reading ends them.

        Raises Refusal for a schema that gets too large to follow.
        """
        written: asyncio.Queue[Written] = asyncio.Queue()
        left = set(sequences)
        self._readers |= {sequence: (number, written) for number, sequence in enumerate(sequences)}
        scheduler = self._core.scheduler
        self._core.do(scheduler.add, sequences)
        try:
            while left:
                number, outcome = await written.get()
                if isinstance(outcome, Exception):
                    with _refusing():
                        raise outcome
                if outcome.finish:
                    left.remove(sequences[number])
                yield number, outcome
        finally:
            for sequence in sequences:
                del self._readers[sequence]
            if left:
                self._core.do(scheduler.remove, left)

    def _deliver(self, outcomes: list[Outcome]) -> None:
        """Hand the tokens of a step to those who wait for them."""
        for sequence, outcome in outcomes:
            if sequence in self._readers:
                number, written = self._readers[sequence]
                written.put_nowait((number, outcome))

    def _load(self) -> Engine:
        """The engine; the first time, it is loaded."""
        if self._engine is None:
            from helpers.house_model.engine import Engine
            from helpers.house_model.scheduler import Scheduler

            engine = Engine()
            self._core.scheduler = Scheduler(engine.model)
            self._engine = engine  # last, as another thread takes it for a sign that all is there
        return self._engine

    def _seed(self, question: Question) -> int:
        """What the request sets; else one for each time that the same is asked, so that a chapter runs the same twice."""
        given = dict(question.sampling).get("seed")
        if given is not None:
            return int(given) % 2**32
        times = self._asked[question.key] = self._asked.get(question.key, 0) + 1
        return int(question.key[:8], 16) + 1000 * times

    async def _function(self, engine: Engine, ids: list[int], question: Question) -> tuple[str | None, Sequence | None]:
        """Of the functions of which one has to be called, the one whose name the model finds likeliest; and who read the prompt for that."""
        from helpers.house_model.sampling import Sampling

        names = question.must_call[:MOST_NAMES]
        if len(names) < 2:
            return (names[0] if names else None), None
        named = [engine.tokenizer.encode(name)[: engine.model.context - len(ids)] for name in names]
        reading = engine.sequence(ids, Sampling(max_tokens=1))
        async for _ in self.tokens([reading]):
            pass
        scores = [await self.in_turn(engine.score, reading.logits, tokens, reading.cache) for tokens in named]
        return names[scores.index(max(scores))], reading


@dataclass(kw_only=True)
class HouseAnswer(Answer):
    """An answer whose choices and usage grow while it is streamed."""

    tokens: AsyncIterator[tuple[int, Token]]  # each with the number of its choice
    reading: list[Sequence]  # those that read a prompt first
    engine: Engine

    @property
    def is_silent(self) -> bool:
        return self.question.limit == 0

    @property
    def latency_ms(self) -> int:
        """Milliseconds since the request came."""
        return round(1000 * (time.monotonic() - self.started)) + 1

    async def stream(self) -> AsyncIterator[Piece]:
        """The pieces, as they are generated. Raises Refusal for a schema that gets too large to follow."""
        if self.is_silent:
            return
        async with aclosing(self.tokens):
            async for index, token in self.tokens:
                yield self._take(index, token)

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
        choice.ids.append(token.id)
        self._count(self.usage)
        if token.finish:
            choice.finish = "call" if choice.function and token.finish == "stop" else token.finish
            choice.stop_sequence = token.stopped_by
        scores = self._scores(token)
        choice.scores += scores
        return Piece(index, token.text, 0.0, choice.text_tokens, scores, is_last=token.finish is not None, ids=(token.id,))

    def _count(self, usage: Usage) -> None:
        """Add a token to the usage. Under its own name, what came from the prefix cache and went into it is the engine's own too."""
        usage.output_tokens += 1
        if self.question.model.id == MODEL:
            usage.cache_read_tokens = sum(sequence.reused for sequence in self.reading)
            usage.cache_write_tokens = sum(sequence.kept for sequence in self.reading)

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
    """The chat as token ids. Of a long one the instruction is read, or its beginning, and the newest turns, or the end of the last.

    Where the house model was asked for by name nothing goes, since its own server would refuse. Raises Refusal("too_long").
    """
    if question.model.id == MODEL:
        return _whole(engine, question)
    most = engine.model.context - JSON_ROOM if question.schema or question.must_call else READ
    system = question.messages[:1] if question.messages and question.messages[0].role == "system" else ()
    first = [_instruction(engine, message, most) for message in system]
    turns, room = [], most - len(engine.chat_of(first))
    for message in reversed(question.messages[len(system) :]):
        turn = _turn(engine, message, most)
        room -= len(turn)
        if room < 0 and turns:
            break
        turns.append(turn)
    return engine.chat_of([*first, *reversed(turns)])[-most:]


def _instruction(engine: Engine, message: Message, most: int) -> list[int]:
    """The token ids of the system prompt; of a long one of its beginning, which says who speaks and how."""
    turn = _turn(engine, message, most)
    return turn if len(turn) <= most // 2 else engine.turn("system", _text(message)[:INSTRUCTION])


def _whole(engine: Engine, question: Question) -> list[int]:
    """The whole chat as token ids, as its own template shows it: each role by its name, and no calls.

    It is read no further than the context reaches, as others wait meanwhile. Raises Refusal("too_long").
    """
    ids: list[int] = []
    most = engine.model.context
    for message in question.messages:
        role = message.role[: most * engine.tokenizer.longest]  # vLLM takes any
        shown = replace(message, parts=tuple(part for part in message.parts if part.kind != "tool_use"))
        ids += engine.turn(role, _end(engine, shown, most))
        if len(engine.chat_of([ids])) >= engine.model.context:
            raise Refusal("too_long", model=MODEL, tokens=len(ids), maximum=engine.model.context, limit=question.limit)
    return engine.chat_of([ids])


def _turn(engine: Engine, message: Message, most: int) -> list[int]:
    """The token ids of a turn, at least the last `most`: of a long text no more is read than they can take."""
    return engine.turn(ROLES.get(message.role, "user"), _end(engine, message, most))


def _end(engine: Engine, message: Message, most: int) -> str:
    """The text of a turn; of a long one as much of its end as these tokens can take."""
    return _text(message)[-most * engine.tokenizer.longest :]


def _text(message: Message) -> str:
    """A turn as the house model reads it: it sees no images, and not who speaks."""
    return without_marks("".join(part.text if part.kind != "image" else "[image]" for part in message.parts if part.kind not in ("thinking", "name")))


async def _replayed(choices: list[list[Token]]) -> AsyncIterator[tuple[int, Token]]:
    """The tokens of choices that are made, in turns."""
    for step in range(max(map(len, choices))):
        for index, tokens in enumerate(choices):
            if step < len(tokens):
                yield index, tokens[step]


@contextmanager
def _refusing() -> Iterator[None]:
    """A schema that cannot be followed is the request's fault."""
    from helpers.house_model.sampling import ConstraintError

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
    from helpers.house_model.engine import FOLDER
    from helpers.house_model.sampling import Sampling

    given = {SPELLED.get(name, name): value for name, value in question.sampling}
    constraint = None
    if schema is not None:
        from helpers.house_model.constraint import JsonConstraint

        with _refusing():
            constraint = JsonConstraint(schema, FOLDER / "tokenizer.json")
    elif question.model.id != MODEL and (said := plain_words(question)):
        constraint = engine.words(said)
    return Sampling(
        temperature=float(given.get("temperature", engine.usual_temperature)),
        top_p=float(given.get("top_p", 1.0)),
        top_k=int(given.get("top_k", 0)),
        seed=seed,
        max_tokens=engine.model.context if question.limit is None else question.limit,
        stop=question.stop[:MOST_STOPS],
        top_logprobs=question.top_logprobs,
        constraint=constraint,
    )
