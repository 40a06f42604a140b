"""The house model, loaded: chats to token ids, and the answers to them. Read on in the order in which a request goes:

tokenizer.py, scheduler.py (who is computed now), model.py (the forward pass), cache.py (keys and values, and the prefix cache),
sampling.py (scores to one token), sequence.py (tokens to an answer). That is what an inference server does for every request,
less the speed. It runs any small Llama in the format of Hugging Face (config.json, model.safetensors, tokenizer.json with
byte-level BPE).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from helpers.house_model.cache import Array, KVCache
from helpers.house_model.model import Model
from helpers.house_model.sampling import Sampling, Words, logprobs
from helpers.house_model.scheduler import Scheduler
from helpers.house_model.sequence import Sequence, Token
from helpers.house_model.tokenizer import Tokenizer

FOLDER = Path(__file__).parent


class Engine:
    """A loaded model that answers chats."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.tokenizer = Tokenizer(folder / "tokenizer.json")
        self.model = Model(folder)
        self.end: int = self.tokenizer.special["<|im_end|>"]
        self._texts = self.tokenizer.bytes | dict.fromkeys(self.tokenizer.special.values(), b"")  # special tokens are no text
        self._begin = self.tokenizer.encode("<|im_start|>assistant\n")
        usual = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
        self.usual_temperature: float = usual.get("temperature", 1.0)  # of a request that names none; vLLM reads the same file

    # ---- chats -----------------------------------------------------------
    def chat(self, messages: list[tuple[str, str]]) -> list[int]:
        """The token ids of a chat of (role, text), up to where the assistant begins: the chat template."""
        return self.chat_of([self.turn(role, text) for role, text in messages])

    def turn(self, role: str, text: str) -> list[int]:
        """The token ids of one turn. A special token ends it, so that turns can be encoded one by one."""
        return self.tokenizer.encode(f"<|im_start|>{role}\n{text}<|im_end|>\n")

    def chat_of(self, turns: list[list[int]]) -> list[int]:
        """The token ids of a chat whose turns are encoded."""
        return [*chain.from_iterable(turns), *self._begin]

    def words(self, text: str) -> Words:
        """What holds an answer to this text."""
        return Words([*self.tokenizer.encode(text), self.end], len(self._texts))

    # ---- answers ---------------------------------------------------------
    def sequence(self, ids: list[int], sampling: Sampling) -> Sequence:
        """A prompt with the answer that it is to get, for a scheduler. Raises ValueError for a prompt that fills the context."""
        room = self.model.context - len(ids)
        if room < 1:
            raise ValueError(f"the prompt has {len(ids)} tokens; with at least one to write it has to be below {self.model.context}")
        return Sequence(ids, sampling, min(sampling.max_tokens, room), self.model.cache(), self._texts, self.end)

    def generate(self, ids: list[int], sampling: Sampling) -> Iterator[Token]:
        """The tokens after a prompt, alone. Raises ValueError for one that fills the context, ConstraintError for a constraint that cannot be followed."""
        scheduler = Scheduler(self.model)
        scheduler.add([self.sequence(ids, sampling)])
        while scheduler.is_busy:
            for _, outcome in scheduler.step():
                if isinstance(outcome, Exception):
                    raise outcome
                yield outcome

    def next_token(self, ids: list[int]) -> Array:
        """The scores (logits) of every token that could follow these."""
        return self.model.forward([(ids, self.model.cache())])[0]

    def score(self, logits: Array, more: list[int], cache: KVCache) -> float:
        """How likely these tokens are after what was read into a cache: the mean of their log-probabilities. The cache stays as it is."""
        total, before = 0.0, cache.used
        for place, id in enumerate(more, start=1):
            total += logprobs(logits, id, 0)[0]
            if place < len(more):
                logits = self.model.forward([([id], cache)])[0]
        cache.used = before
        return total / max(1, len(more))
