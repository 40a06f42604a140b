"""A Llama in numpy: token ids -> the score of every possible next token."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from helpers.house_model.cache import Array, KVCache
from helpers.house_model.threads import one_thread


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
    width: int  # of the MLP


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
        self._head = np.ascontiguousarray(weights.get("lm_head.weight", self._embed).T)
        self._norm = weights["model.norm.weight"]
        self._layers = [_layer(weights, f"model.layers.{i}.", self.size) for i in range(config["num_hidden_layers"])]
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

    def forward(self, pieces: list[Piece]) -> Array:
        """Read a piece of every sequence, all in one pass: each weight is fetched once, whoever uses it.

        Returns a row for each piece: the scores (logits) of the token that follows its last one.
        """
        counts = [len(ids) for ids, _ in pieces]
        ends = np.cumsum(counts)
        rows = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
        places = [place for ids, cache in pieces for place in range(cache.used, cache.used + len(ids))]
        cos, sin = self._cos[places, None], self._sin[places, None]
        for ids, cache in pieces:
            cache.make_room(len(ids))
        x = self._embed[[id for ids, _ in pieces for id in ids]]
        mixed = np.empty((len(x), self.heads * self.size), np.float32)
        for number, layer in enumerate(self._layers):
            heads = (rms_norm(x, layer.attention_norm, self._eps) @ layer.qkv).reshape(len(x), -1, self.size)
            rotate(heads[:, : self.heads + self.kv_heads], cos, sin)
            for part, (_, cache) in zip(rows, pieces, strict=True):
                mixed[part] = self._attention(heads[part], cache, number)  # each sequence looks at its own past alone
            x = x + mixed @ layer.out
            gate_up = rms_norm(x, layer.mlp_norm, self._eps) @ layer.gate_up
            x = x + silu(gate_up[:, : layer.width]) * gate_up[:, layer.width :] @ layer.down
        for ids, cache in pieces:
            cache.used += len(ids)
        return rms_norm(x[ends - 1], self._norm, self._eps) @ self._head

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
            # no token looks at one that comes after it
            scores.reshape(self.kv_heads, -1, new, seen)[..., cache.used :] += np.triu(np.full((new, new), -1e30, np.float32), 1)
        scores -= scores.max(-1, keepdims=True)
        np.exp(scores, out=scores)  # with the division below: softmax
        mixed = scores @ values / scores.sum(-1, keepdims=True)
        return mixed.reshape(self.kv_heads, -1, new, self.size).transpose(2, 0, 1, 3).reshape(new, -1)


def _layer(weights: dict[str, Array], prefix: str, size: int) -> Layer:
    def side_by_side(*matrices: Array) -> Array:
        return np.ascontiguousarray(np.concatenate(matrices).T)

    def named(name: str) -> Array:
        return weights[f"{prefix}{name}.weight"]

    query = named("self_attn.q_proj") * np.float32(size**-0.5)  # the scale of attention, once for all
    return Layer(
        named("input_layernorm"),
        side_by_side(query, named("self_attn.k_proj"), named("self_attn.v_proj")),
        side_by_side(named("self_attn.o_proj")),
        named("post_attention_layernorm"),
        side_by_side(named("mlp.gate_proj"), named("mlp.up_proj")),
        side_by_side(named("mlp.down_proj")),
        width=len(named("mlp.up_proj")),
    )


def rms_norm(x: Array, weight: Array, eps: float) -> Array:
    """Each row with a length of one on average, times a weight."""
    return x / np.sqrt(np.vecdot(x, x) / np.float32(x.shape[-1]) + np.float32(eps))[:, None] * weight


def rotate(x: Array, cos: Array, sin: Array) -> None:
    """Rotary positions: each pair of numbers is turned, where it stands, by an angle that grows with the token's place."""
    left, right = np.split(x, 2, axis=-1)
    left[...], right[...] = left * cos - right * sin, right * cos + left * sin


def silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    """Scores as probabilities."""
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
