"""A Llama in numpy: token ids -> the score of every possible next token."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from helpers.house_model.cache import Array, KVCache, Shelf, Shelves
from helpers.house_model.threads import one_thread

TILE = 64  # columns of weights that are multiplied at once


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


class Linear:
    """The product of vectors, one a row, with a matrix of weights.

    Before a product OpenBLAS copies the matrix into the order in which it reads it. For a few vectors that takes about as long as
    the product. A small matrix it reads as it stands. So this one is kept in tiles of some columns, and all products of 20 vectors
    with this model's weights take 1.4 ms, not 2.0 (OpenBLAS 0.3.31 with AVX-512, beside other programs, 2026-11-27).
    """

    def __init__(self, weights: Array) -> None:
        """Weights as the file has them, a row for each number that comes out."""
        self._width = len(weights)
        full = np.pad(weights, ((0, -len(weights) % TILE), (0, 0)))
        self._tiles = np.ascontiguousarray(full.reshape(-1, TILE, full.shape[1]).swapaxes(1, 2))  # (tile, number that goes in, column)

    def __call__(self, x: Array) -> Array:
        """What comes out for each row."""
        return (x @ self._tiles).swapaxes(0, 1).reshape(len(x), -1)[:, : self._width]


@dataclass
class Layer:
    """The weights of one layer. Those that are applied to the same vector are one matrix, and those of a norm are in the matrix that follows it."""

    qkv: Linear
    out: Linear
    gate_up: Linear
    down: Linear


Piece = tuple[list[int], KVCache]  # tokens to read, and the cache of those before them, which takes them in


class Model:
    """A Llama: embeddings, layers of attention and MLP, and the embeddings again as the output."""

    def __init__(self, folder: Path) -> None:
        one_thread()
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        weights, config = load_weights(folder / "model.safetensors"), self.config
        self.heads, self.kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self.size = config.get("head_dim") or config["hidden_size"] // self.heads
        self.context: int = config["max_position_embeddings"]
        self._eps = config["rms_norm_eps"]
        self._embed = weights["model.embed_tokens.weight"]
        self._head = Linear(weights.get("lm_head.weight", self._embed) * weights["model.norm.weight"])
        self._layers = [read_layer(weights, f"model.layers.{i}.", self.size) for i in range(config["num_hidden_layers"])]
        base = (config.get("rope_parameters") or {}).get("rope_theta") or config.get("rope_theta", 10_000.0)
        angles = np.outer(np.arange(self.context), base ** (-np.arange(0, self.size, 2) / self.size))
        self._cos, self._sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)

    @property
    def token_bytes(self) -> int:
        """Bytes of a token's keys and values."""
        return 4 * 2 * len(self._layers) * self.kv_heads * self.size

    def cache(self) -> KVCache:
        """An empty cache for one sequence."""
        return KVCache(len(self._layers), self.kv_heads, self.size)

    def shelves(self, most: int) -> Shelves:
        """Places for the caches of so many sequences that write."""
        return Shelves(len(self._layers), most, self.kv_heads, self.size)

    def forward(self, pieces: list[Piece], shelves: Iterable[Shelf] = ()) -> Array:
        """Read a piece of every sequence, all in one pass: each weight is fetched once, whoever uses it.

        Each piece whose cache stands in one of the shelves has one token, and no cache there is without a piece.
        Returns a row for each piece: the scores (logits) of the token that follows its last one.
        """
        counts = [len(ids) for ids, _ in pieces]
        ends = np.cumsum(counts)
        rows = {cache: slice(end - count, end) for end, count, (_, cache) in zip(ends, counts, pieces, strict=True)}
        together = [(shelf, [rows.pop(cache).start for cache in shelf.caches]) for shelf in shelves]  # who is left in rows is computed alone
        places = [place for ids, cache in pieces for place in range(cache.used, cache.used + len(ids))]
        cos, sin = self._cos[places, None], self._sin[places, None]
        for ids, cache in pieces:
            cache.make_room(len(ids))
        for shelf, _ in together:
            shelf.measure()
        x = self._embed[[id for ids, _ in pieces for id in ids]]
        mixed = np.empty((len(x), self.heads * self.size), np.float32)
        for number, layer in enumerate(self._layers):
            heads = layer.qkv(rms_norm(x, self._eps)).reshape(len(x), -1, self.size)
            rotate(heads[:, : self.heads + self.kv_heads], cos, sin)
            for shelf, lines in together:
                mixed[lines] = self._attention_together(heads[lines], shelf, number)
            for cache, part in rows.items():
                mixed[part] = self._attention(heads[part], cache, number)  # each sequence looks at its own past alone
            x = x + layer.out(mixed)
            gate, up = halves(layer.gate_up(rms_norm(x, self._eps)))
            x = x + layer.down(silu(gate) * up)
        for ids, cache in pieces:
            cache.used += len(ids)
        return self._head(rms_norm(x[ends - 1], self._eps))

    def _attention(self, heads: Array, cache: KVCache, number: int) -> Array:
        """One sequence's new tokens look at those before them. `heads` holds queries, keys and values: (token, head, size)."""
        new, seen = len(heads), cache.used + len(heads)
        keys, values = cache.layer(number, heads[:, self.heads :])
        # Several query heads share one head of keys and values: (kv head, query head and token, size).
        query = heads[:, : self.heads].reshape(new, self.kv_heads, -1, self.size).transpose(1, 2, 0, 3).reshape(self.kv_heads, -1, self.size)
        if new == 1:  # one vector a head: a product of matrices would copy all keys first
            scores = np.matvec(keys[:, None], query)
        else:
            scores = query @ keys.swapaxes(1, 2)
            scores.reshape(self.kv_heads, -1, new, seen)[..., cache.used :] += later(new)
        scores -= scores.max(-1, keepdims=True)
        np.exp(scores, out=scores)  # with the division below: softmax
        mixed = scores @ values / scores.sum(-1, keepdims=True)
        return mixed.reshape(self.kv_heads, -1, new, self.size).transpose(2, 0, 1, 3).reshape(new, -1)

    def _attention_together(self, heads: Array, shelf: Shelf, number: int) -> Array:
        """The same for several sequences with one new token each."""
        keys, values = shelf.layer(number, heads[:, self.heads :])
        query = heads[:, : self.heads].reshape(len(heads), self.kv_heads, -1, self.size)
        scores = np.matvec(keys[:, :, None], query)
        scores += shelf.mask
        scores -= scores.max(-1, keepdims=True)
        np.exp(scores, out=scores)
        mixed = scores @ values / scores.sum(-1, keepdims=True)
        return mixed.reshape(len(heads), -1)


def read_layer(weights: dict[str, Array], prefix: str, size: int) -> Layer:
    """The weights of one layer, by the beginning of their names in the file."""
    def named(*names: str) -> Array:
        return np.concatenate([weights[f"{prefix}{name}.weight"] for name in names])

    query = named("self_attn.q_proj") * np.float32(size**-0.5)  # the scale of attention, once for all
    return Layer(
        qkv=Linear(np.concatenate([query, named("self_attn.k_proj", "self_attn.v_proj")]) * named("input_layernorm")),
        out=Linear(named("self_attn.o_proj")),
        gate_up=Linear(named("mlp.gate_proj", "mlp.up_proj") * named("post_attention_layernorm")),
        down=Linear(named("mlp.down_proj")),
    )


def rms_norm(x: Array, eps: float) -> Array:
    """Each row with a length of one on average."""
    return x / np.sqrt(np.vecdot(x, x) / np.float32(x.shape[-1]) + np.float32(eps))[:, None]


def rotate(x: Array, cos: Array, sin: Array) -> None:
    """Rotary positions: each pair of numbers is turned, where it stands, by an angle that grows with the token's place."""
    left, right = halves(x)
    left[...], right[...] = left * cos - right * sin, right * cos + left * sin


@lru_cache(maxsize=2)
def later(count: int) -> Array:
    """To be added to the scores of some tokens for one another: no token looks at one that comes after it."""
    return np.triu(np.full((count, count), -np.inf, np.float32), 1)


def halves(x: Array) -> tuple[Array, Array]:
    """The first and the second half of the last axis, not copied."""
    middle = x.shape[-1] // 2
    return x[..., :middle], x[..., middle:]


def silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))
