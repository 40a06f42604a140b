"""A language model from its files to its words, in numpy: tokenizer, forward pass, sampling, streaming.

It runs any small Llama in the format of Hugging Face (config.json, model.safetensors, tokenizer.json with byte-level BPE).
Read it from top to bottom: that is what an inference server does for every request, less the speed.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import regex

FOLDER = Path(__file__).parent
PREFILL_CHUNK = 128  # prompt tokens that one step reads, so that a long prompt does not hold up the others
LONGEST_KEPT = 40  # letters of a word whose tokens are remembered
COLDEST = 1e-5  # a temperature below is taken for 0, as vLLM does: the division would overflow
Array = np.ndarray


# ---- tokenizer: text <-> token ids -------------------------------------------------------------------------
WORDS = regex.compile(r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


def _byte_letters() -> dict[int, str]:
    """A printable letter for every byte, as byte-level BPE files write them."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}


class Tokenizer:
    """Byte-level byte-pair encoding: begin with bytes, join the pair that was learned first, until none is left."""

    def __init__(self, file: Path) -> None:
        loaded = json.loads(file.read_text(encoding="utf-8"))
        merges = [tuple(pair.split(" ") if isinstance(pair, str) else pair) for pair in loaded["model"]["merges"]]
        self._rank = {pair: rank for rank, pair in enumerate(merges)}
        self._letters = _byte_letters()
        self.ids: dict[str, int] = loaded["model"]["vocab"]
        self.special = {token["content"]: token["id"] for token in loaded["added_tokens"]}
        bytes_of = {letter: byte for byte, letter in self._letters.items()}
        self.bytes = {id: bytes(bytes_of[letter] for letter in word) for word, id in self.ids.items() if word not in self.special}
        self.bytes |= {id: word.encode() for word, id in self.special.items()}
        self._split = regex.compile("(" + "|".join(map(regex.escape, self.special)) + ")")
        self._word = lru_cache(maxsize=20_000)(self._join)
        self.longest = max(map(len, self.bytes.values()))  # bytes of a token

    def encode(self, text: str) -> list[int]:
        """Token ids of a text. The names of special tokens become those tokens, as in every server."""
        out: list[int] = []
        for piece in self._split.split(text):
            if piece in self.special:
                out.append(self.special[piece])
            else:
                for word in WORDS.findall(piece):
                    out += self._word(word) if len(word) <= LONGEST_KEPT else self._join(word)
        return out

    def decode(self, ids: list[int]) -> str:
        """The text of token ids; bytes that are no UTF-8 become the replacement character."""
        return b"".join(self.bytes[id] for id in ids).decode("utf-8", "replace")

    def _join(self, word: str) -> tuple[int, ...]:
        """The ids of a word. A heap holds the pairs, the one that was learned first on top: the time grows with the word, not its square."""
        parts: list[str | None] = [self._letters[byte] for byte in word.encode()]
        before, after = list(range(-1, len(parts) - 1)), list(range(1, len(parts) + 1))  # the neighbours of each part

        def pair(left: int) -> tuple[int, int, str] | None:
            if left < 0 or after[left] >= len(parts):
                return None
            rank = self._rank.get((parts[left], parts[after[left]]))
            return None if rank is None else (rank, left, parts[left] + parts[after[left]])

        open_ = [found for found in map(pair, range(len(parts))) if found]
        heapify(open_)
        while open_:
            _, left, joined = heappop(open_)
            right = after[left]
            if parts[left] is None or right >= len(parts) or parts[left] + parts[right] != joined:
                continue  # one of the two was joined to another meanwhile
            parts[left], parts[right] = joined, None
            after[left] = after[right]
            if after[left] < len(parts):
                before[after[left]] = left
            for found in (pair(before[left]), pair(left)):
                if found:
                    heappush(open_, found)
        return tuple(self.ids[part] for part in parts if part is not None)


# ---- model: token ids -> the score of every possible next token --------------------------------------------
def load_weights(file: Path) -> dict[str, Array]:
    """The tensors of a safetensors file in bf16, as float32: bf16 is the upper half of a float32."""
    raw = file.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    header.pop("__metadata__", None)
    out = {}
    for name, tensor in header.items():
        if tensor["dtype"] != "BF16":
            raise ValueError(f"{file.name}: {name} is {tensor['dtype']}; this engine reads BF16 only")
        begin, end = tensor["data_offsets"]
        halves = np.frombuffer(raw[start + begin : start + end], dtype="<u2")
        out[name] = (halves.astype(np.uint32) << 16).view(np.float32).reshape(tensor["shape"])
    return out


@dataclass
class Layer:
    """The weights of one layer. Matrices that are applied to the same vector stand side by side in one."""

    attention_norm: Array
    qkv: Array
    out: Array
    mlp_norm: Array
    gate_up: Array
    down: Array


class Cache:
    """Keys and values of every token read so far, for each layer: what makes the next token cheap."""

    def __init__(self, layers: int, heads: int, length: int, size: int) -> None:
        self.keys = np.empty((layers, heads, length, size), np.float32)
        self.values = np.empty((layers, heads, length, size), np.float32)
        self.used = 0

    def copy(self) -> Cache:
        """A cache with the same past, for another continuation."""
        other = Cache.__new__(Cache)
        other.keys, other.values, other.used = self.keys.copy(), self.values.copy(), self.used
        return other


class Model:
    """A Llama: embeddings, layers of attention and MLP, and the embeddings again as the output."""

    def __init__(self, folder: Path) -> None:
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        weights, config = load_weights(folder / "model.safetensors"), self.config
        self.heads, self.kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self.size = config["hidden_size"] // self.heads
        self.context: int = config["max_position_embeddings"]
        self._eps = config["rms_norm_eps"]
        self._embed = weights["model.embed_tokens.weight"]
        self._head = np.ascontiguousarray(weights.get("lm_head.weight", self._embed).T)
        self._norm = weights["model.norm.weight"]
        self._layers = [_layer(weights, f"model.layers.{i}.") for i in range(config["num_hidden_layers"])]
        base = (config.get("rope_parameters") or {}).get("rope_theta") or config.get("rope_theta", 10_000.0)
        angles = np.outer(np.arange(self.context), base ** (-np.arange(0, self.size, 2) / self.size))
        turns = np.concatenate([angles, angles], axis=1)
        self._cos, self._sin = np.cos(turns).astype(np.float32), np.sin(turns).astype(np.float32)

    def cache(self, length: int) -> Cache:
        """An empty cache for up to `length` tokens."""
        return Cache(len(self._layers), self.kv_heads, length, self.size)

    def forward(self, ids: list[int], cache: Cache) -> Array:
        """Read tokens after those in the cache. Returns the scores (logits) of the token that follows the last one."""
        x = self._embed[ids]
        past = slice(cache.used, cache.used + len(ids))
        cos, sin = self._cos[past, None], self._sin[past, None]
        for number, layer in enumerate(self._layers):
            x = x + self._attention(layer, rms_norm(x, layer.attention_norm, self._eps), cache, number, cos, sin)
            gate, up = np.split(rms_norm(x, layer.mlp_norm, self._eps) @ layer.gate_up, 2, axis=1)
            x = x + (gate / (1 + np.exp(-gate)) * up) @ layer.down
        cache.used += len(ids)
        return rms_norm(x[-1], self._norm, self._eps) @ self._head

    def _attention(self, layer: Layer, x: Array, cache: Cache, number: int, cos: Array, sin: Array) -> Array:
        new, used = len(x), cache.used
        qkv = (x @ layer.qkv).reshape(new, self.heads + 2 * self.kv_heads, self.size)
        turned = rotate(qkv[:, : self.heads + self.kv_heads], cos, sin)
        cache.keys[number, :, used : used + new] = turned[:, self.heads :].swapaxes(0, 1)
        cache.values[number, :, used : used + new] = qkv[:, self.heads + self.kv_heads :].swapaxes(0, 1)
        keys, values = cache.keys[number, :, : used + new], cache.values[number, :, : used + new]
        # Several query heads share one head of keys and values: (kv head, query head and token, size).
        query = turned[:, : self.heads].reshape(new, self.kv_heads, -1, self.size).transpose(1, 2, 0, 3).reshape(self.kv_heads, -1, self.size)
        scores = query @ keys.swapaxes(1, 2) * np.float32(self.size**-0.5)
        if new > 1:
            future = np.arange(used + new)[None, :] > np.arange(used, used + new)[:, None]
            scores += np.where(np.tile(future, (scores.shape[1] // new, 1)), np.float32(-1e30), np.float32(0))
        mixed = softmax(scores) @ values
        return mixed.reshape(self.kv_heads, -1, new, self.size).transpose(2, 0, 1, 3).reshape(new, -1) @ layer.out


def _layer(weights: dict[str, Array], prefix: str) -> Layer:
    def side_by_side(*names: str) -> Array:
        return np.ascontiguousarray(np.concatenate([weights[prefix + name] for name in names]).T)

    return Layer(
        weights[prefix + "input_layernorm.weight"],
        side_by_side("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"),
        side_by_side("self_attn.o_proj.weight"),
        weights[prefix + "post_attention_layernorm.weight"],
        side_by_side("mlp.gate_proj.weight", "mlp.up_proj.weight"),
        side_by_side("mlp.down_proj.weight"),
    )


def rms_norm(x: Array, weight: Array, eps: float) -> Array:
    return x / np.sqrt(np.square(x).mean(-1, keepdims=True) + eps) * weight


def rotate(x: Array, cos: Array, sin: Array) -> Array:
    """Rotary positions: each pair of numbers turned by an angle that grows with the token's place."""
    left, right = np.split(x, 2, axis=-1)
    return x * cos + np.concatenate([-right, left], axis=-1) * sin


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


# ---- sampling: scores -> one token -------------------------------------------------------------------------
class ConstraintError(ValueError):
    """A constraint that cannot be followed, and why."""


class Constraint(Protocol):
    """What a text has to be, such as JSON of a schema: which tokens may come next."""

    def allowed(self) -> Array:
        """True for each token that may come next. Raises ConstraintError."""

    def accept(self, token: int) -> None: ...

    def copy(self) -> Constraint:
        """One like it, as far as it has got."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. temperature 0 takes the best; top_k 0 and top_p 1 leave all; stop holds texts that end the answer."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    top_logprobs: int = 0
    constraint: Constraint | None = None

    def again(self, seed: int) -> Sampling:
        """The same for another answer, whose constraint begins anew."""
        return replace(self, seed=seed, constraint=self.constraint and self.constraint.copy())


def probabilities(logits: Array, temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0) -> Array:
    """The distribution that the next token is drawn from. temperature 0 leaves the best token alone."""
    if temperature < COLDEST:
        return (np.arange(len(logits)) == logits.argmax()).astype(np.float64)
    found = softmax(logits.astype(np.float64) / temperature)
    if top_k <= 0 and top_p >= 1:
        return found
    order = np.argsort(-found, kind="stable")
    kept = len(order) if top_k <= 0 else min(top_k, len(order))
    if top_p < 1:
        # The smallest set of tokens, likeliest first, that together reach top_p.
        kept = min(kept, int(np.searchsorted(np.cumsum(found[order]), top_p)) + 1)
    found[order[kept:]] = 0
    return found / found.sum()


# ---- generation: one token after the other -----------------------------------------------------------------
@dataclass(frozen=True)
class Token:
    """One generated token. `text` is what may be shown now: less than the token while a stop text or a character is unfinished.

    finish is set on the last one: stop (the model ended its turn), length, or stop_sequence (`stopped_by` says which).
    `top` holds the likeliest tokens as (id, natural logarithm of its probability), before temperature.
    """

    id: int
    text: str
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    finish: str | None = None
    stopped_by: str | None = None


class Engine:
    """A loaded model that answers chats."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.tokenizer = Tokenizer(folder / "tokenizer.json")
        self.model = Model(folder)
        self.end: int = self.tokenizer.special["<|im_end|>"]
        self._unseen = set(self.tokenizer.special.values())  # tokens that are no text
        self._begin = self.tokenizer.encode("<|im_start|>assistant\n")
        usual = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
        self.usual_temperature: float = usual.get("temperature", 1.0)  # of a request that names none; vLLM reads the same file

    def chat(self, messages: list[tuple[str, str]]) -> list[int]:
        """The token ids of a chat of (role, text), up to where the assistant begins: the chat template."""
        return self.chat_of([self.turn(role, text) for role, text in messages])

    def turn(self, role: str, text: str) -> list[int]:
        """The token ids of one turn. A special token ends it, so that turns can be encoded one by one."""
        return self.tokenizer.encode(f"<|im_start|>{role}\n{text}<|im_end|>\n")

    def chat_of(self, turns: list[list[int]]) -> list[int]:
        """The token ids of a chat whose turns are encoded."""
        return [*chain.from_iterable(turns), *self._begin]

    def next_token(self, ids: list[int]) -> Array:
        """The scores (logits) of every token that could follow these."""
        return self.model.forward(ids, self.model.cache(len(ids)))

    def prefill(self, ids: list[int], cache: Cache) -> Iterator[Array]:
        """Read a prompt piece by piece. Yields the scores of what could follow each piece; those of the last one count."""
        for start in range(0, len(ids), PREFILL_CHUNK):
            yield self.model.forward(ids[start : start + PREFILL_CHUNK], cache)

    def score(self, logits: Array, more: list[int], cache: Cache) -> float:
        """How likely these tokens are after what was read into a cache: the mean of their log-probabilities."""
        total = 0.0
        for place, id in enumerate(more, start=1):
            total += logprobs(logits, id, 0)[0]
            if place < len(more):
                logits = self.model.forward([id], cache)
        return total / max(1, len(more))

    def generate(self, ids: list[int], sampling: Sampling) -> Iterator[Token | None]:
        """Tokens after a prompt, one a step. Yields None for a step that only read a part of a long prompt.

        Raises ValueError for a prompt that fills the context, and ConstraintError for a constraint that cannot be followed.
        """
        room = self.model.context - len(ids)
        if room < 1:
            raise ValueError(f"the prompt has {len(ids)} tokens; with at least one to write it has to be below {self.model.context}")
        limit = min(sampling.max_tokens, room)
        cache = self.model.cache(len(ids) + limit)
        for logits in self.prefill(ids, cache):
            if cache.used < len(ids):
                yield None
        random, shown = np.random.default_rng(sampling.seed), Shown(sampling.stop)
        for left in range(limit, 0, -1):
            id = choose(logits, sampling, random)
            logprob, top = logprobs(logits, id, sampling.top_logprobs)
            if sampling.constraint:
                sampling.constraint.accept(id)
            if id == self.end:
                yield Token(id, shown.rest(), logprob, top, "stop")
                return
            text, stopped_by = shown.add(b"" if id in self._unseen else self.tokenizer.bytes[id])
            if stopped_by is not None:
                yield Token(id, text, logprob, top, "stop_sequence", stopped_by)
                return
            if left == 1:
                yield Token(id, text + shown.rest(), logprob, top, "length")
                return
            yield Token(id, text, logprob, top)
            logits = self.model.forward([id], cache)


def choose(logits: Array, sampling: Sampling, random: np.random.Generator) -> int:
    """The next token by these rules."""
    if sampling.constraint:
        logits = np.where(sampling.constraint.allowed(), logits, -np.inf)
    if sampling.temperature < COLDEST:
        return int(logits.argmax())
    return int(random.choice(len(logits), p=probabilities(logits, sampling.temperature, sampling.top_p, sampling.top_k)))


def logprobs(logits: Array, id: int, count: int) -> tuple[float, tuple[tuple[int, float], ...]]:
    """The log-probability of a token, and the `count` likeliest tokens with theirs, before temperature and constraint."""
    logs = logits.astype(np.float64) - logits.max()
    logs -= np.log(np.exp(logs).sum())
    best = np.argsort(-logs, kind="stable")[:count] if count else ()
    return float(logs[id]), tuple((int(i), float(logs[i])) for i in best)


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
