"""One answer in the making: the prompt, what was written after it, and how far the model has read."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from helpers.house_model.cache import BLOCK, Array, BlockPool, Key, KVCache, key
from helpers.house_model.sampling import Sampling, choose, logprobs


@dataclass(frozen=True)
class Token:
    """One generated token. `text` is what may be shown now: less than the token while a stop text or a character is unfinished.

    finish is set on the last one: stop (the model ended its turn), length, or stop_sequence (`stopped_by` says which).
    logprob is None where none was asked for; `top` holds the likeliest tokens as (id, natural logarithm of its probability), before temperature.
    """

    id: int
    text: str
    logprob: float | None
    top: tuple[tuple[int, float], ...] = ()
    finish: str | None = None
    stopped_by: str | None = None


class Sequence:
    """A prompt and the answer to it. To be read (prefill) and to be continued (decode) is the same: it has tokens that the model has yet to read."""

    def __init__(self, prompt: list[int], sampling: Sampling, limit: int, cache: KVCache, texts: Mapping[int, bytes], end: int) -> None:
        """`texts` has the bytes that each token shows, `end` is the token that ends an answer, and `limit` how many it may have."""
        self.ids, self.sampling, self.cache = list(prompt), sampling, cache
        self.prompt_tokens, self.limit = len(prompt), limit
        self.reused = self.kept = 0  # tokens of the prompt that came from the prefix cache, and that went into it
        self.logits: Array | None = None  # what could follow all that it has
        self.is_over = False
        self._texts, self._end = texts, end
        self._random, self._shown = np.random.default_rng(sampling.seed), Shown(sampling.stop)
        self._keys: list[Key] = []

    @property
    def unread(self) -> int:
        """Tokens that the model has yet to read; one, where the sequence writes."""
        return len(self.ids) - self.cache.used

    @property
    def writes(self) -> bool:
        """Whether the prompt is read."""
        return self.cache.used >= self.prompt_tokens

    # ---- blocks that it shares -------------------------------------------
    def reuse(self, pool: BlockPool) -> None:
        """Take over what others have read before it. Its last token is always read anew, since only then there are scores."""
        while self.next_block is not None and (block := pool.get(self.next_block)) is not None:
            self.cache.append(block)
            self.reused += BLOCK

    @property
    def next_block(self) -> Key | None:
        """The key of the block that it would read next; None where it is to be read token by token."""
        used = self.cache.used
        return self._key(used // BLOCK) if used % BLOCK == 0 and used + BLOCK < len(self.ids) else None

    def read(self, count: int, pool: BlockPool) -> None:
        """Take note that the model has read so many tokens more, and keep the blocks that are full now for others."""
        for number in range((self.cache.used - count) // BLOCK, self.cache.used // BLOCK):
            if self._key(number) not in pool:
                pool.put(self._key(number), self.cache.block(number))
                self.kept += BLOCK * (number < self.prompt_tokens // BLOCK)

    def _key(self, number: int) -> Key:
        while len(self._keys) <= number:
            begin = BLOCK * len(self._keys)
            self._keys.append(key(self._keys[-1] if self._keys else None, self.ids[begin : begin + BLOCK]))
        return self._keys[number]

    # ---- tokens that it writes -------------------------------------------
    def take(self, logits: Array) -> Token:
        """The next token, drawn from the scores of all of them. Raises ConstraintError."""
        id = choose(logits, self.sampling, self._random)
        count = self.sampling.top_logprobs
        logprob, top = (None, ()) if count is None else logprobs(logits, id, count)
        if self.sampling.constraint:
            self.sampling.constraint.accept(id)
        self.logits = logits
        self.ids.append(id)
        text, finish, stopped_by = self._read_off(id)
        self.is_over = finish is not None
        return Token(id, text, logprob, top, finish, stopped_by)

    def _read_off(self, id: int) -> tuple[str, str | None, str | None]:
        """What may be shown after this token, and whether it is the last one: why, and for which stop text."""
        if id == self._end:
            return self._shown.rest(), "stop", None
        text, stopped_by = self._shown.add(self._texts[id])
        if stopped_by is not None:
            return text, "stop_sequence", stopped_by
        if len(self.ids) == self.prompt_tokens + self.limit:
            return text + self._shown.rest(), "length", None
        return text, None, None


class Shown:
    """Turns tokens into text that can be shown: whole characters only, and nothing of a stop text."""

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._stop = tuple(text for text in stop if text)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def add(self, more: bytes) -> tuple[str, str | None]:
        """What can be shown after these bytes, and the stop text that they completed, if any."""
        self._held += self._decoder.decode(more)
        found = [(self._held.find(stop), stop) for stop in self._stop if stop in self._held]
        if found:
            place, stop = min(found)
            return self._held[:place], stop
        keep = max((_overlap(self._held, stop) for stop in self._stop), default=0)
        text, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return text, None

    def rest(self) -> str:
        """What was held back, when nothing more will come."""
        text, self._held = self._held + self._decoder.decode(b"", True), ""
        return text


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of the text with which the stop text begins."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if stop.startswith(text[-n:])), 0)
