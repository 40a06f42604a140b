"""The embedding model in numpy: texts to vectors, such that texts which mean the same lie near one another.

It is made of the house model: the first of its layers, here reading in both directions, with small matrices added to their weights
(LoRA), and one vector more for each token. training/train_embeddings.py says how it was trained, README.md what it is worth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from helpers.house_model.cache import Array
from helpers.house_model.model import halves, load_weights, read_layer, rms_norm, silu
from helpers.house_model.threads import one_thread
from helpers.house_model.tokenizer import Tokenizer

FOLDER = Path(__file__).parent
FILE = "vectors/weights.safetensors"  # in a folder of its own: servers load all that lies beside the house model's weights
SIZE = 256  # numbers of a vector
SHORTER = (128, 64)  # how many of the first ones were trained to do alone
LAYERS, HEADS, KV_HEADS, HEAD = 3, 4, 2, 64  # of the house model's layers, and how they are built
WINDOW = 128  # tokens that are read together; of a longer text one such piece after the other
READ = 1024  # tokens of a text that are read at all
LONGEST = 16_384  # characters of a text that are looked at
TOGETHER = 2048  # tokens, with padding, that are computed at once: some 20 MB
EPS, THETA = 1e-5, 10_000.0

Piece = tuple[int, list[int]]  # the number of a text, and some of its tokens


def clean(text: str) -> str:
    """The text as the model reads it: in small letters, since capital ones are spelled letter by letter."""
    return " " + " ".join(text[:LONGEST].lower().split())


class EmbeddingModel:
    """Texts to vectors of length one. The cosine of two is their scalar product."""

    def __init__(self, folder: Path = FOLDER) -> None:
        one_thread()
        self._tokenizer = Tokenizer(folder / "tokenizer.json")
        house, own = load_weights(folder / "model.safetensors"), load_weights(folder / FILE)
        self._embed, self._alone = house["model.embed_tokens.weight"], own["alone"]
        self._project = (own["project"] * own["norm"]).T
        self._weight = np.exp(own["weight"])
        self._layers = [read_layer(_added(house, own, i), "", HEAD) for i in range(LAYERS)]
        angles = np.outer(np.arange(WINDOW), THETA ** (-np.arange(0, HEAD, 2) / HEAD))
        self._cos, self._sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text that are read."""
        return self._tokenizer.encode(clean(text))[:READ]

    def vectors(self, texts: Sequence[str]) -> Array:
        """A row of SIZE numbers for each text."""
        found, weights = np.zeros((len(texts), SIZE), np.float32), np.zeros((len(texts), 1), np.float32)
        pieces = sorted((piece for number, text in enumerate(texts) for piece in _pieces(number, self.tokens(text))), key=lambda piece: len(piece[1]))
        for pack in _packs(pieces):
            sums, weight = self._read([ids for _, ids in pack])
            numbers = [number for number, _ in pack]
            np.add.at(found, numbers, sums)
            np.add.at(weights, numbers, weight)
        found /= weights
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def _read(self, rows: list[list[int]]) -> tuple[Array, Array]:
        """For each row of tokens the weighted sum of what they stand for, and the sum of the weights."""
        width = max(map(len, rows))
        ids = np.array([row + [0] * (width - len(row)) for row in rows])
        real = np.arange(width) < np.array([[len(row)] for row in rows])
        mask = np.where(real, np.float32(0), np.float32(-np.inf))[:, None, None, None]
        x = self._embed[ids.ravel()]
        for layer in self._layers:
            heads = layer.qkv(rms_norm(x, EPS)).reshape(len(rows), width, HEADS + 2 * KV_HEADS, HEAD).transpose(0, 2, 1, 3)
            queries, keys, values = heads[:, :HEADS], heads[:, HEADS : HEADS + KV_HEADS, None], heads[:, HEADS + KV_HEADS :, None]
            scores = self._turned(queries).reshape(len(rows), KV_HEADS, -1, width, HEAD) @ self._turned(keys).swapaxes(-1, -2) + mask
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            mixed = scores @ values / scores.sum(-1, keepdims=True)
            x = x + layer.out(mixed.reshape(len(rows), HEADS, width, HEAD).transpose(0, 2, 1, 3).reshape(len(x), -1))
            gate, up = halves(layer.gate_up(rms_norm(x, EPS)))
            x = x + layer.down(silu(gate) * up)
        weight = self._weight[ids] * real[..., None]
        states = (rms_norm(x, EPS).reshape(*ids.shape, -1) * weight).sum(1)
        return states @ self._project + (self._alone[ids] * weight).sum(1), weight.sum(1)

    def _turned(self, x: Array) -> Array:
        """Rotary positions, as in the house model."""
        left, right = halves(x)
        cos, sin = self._cos[: x.shape[-2]], self._sin[: x.shape[-2]]
        return np.concatenate((left * cos - right * sin, right * cos + left * sin), -1)


def _added(house: dict[str, Array], own: dict[str, Array], number: int) -> dict[str, Array]:
    """The weights of a layer of the house model, with what was trained added to them."""
    prefix = f"model.layers.{number}."
    layer = {name.removeprefix(prefix): weights for name, weights in house.items() if name.startswith(prefix)}
    for name in layer:
        short = name.split(".")[1]
        if f"layers.{number}.{short}.a" in own:
            layer[name] = layer[name] + own[f"layers.{number}.{short}.b"] @ own[f"layers.{number}.{short}.a"]
    return layer


def _pieces(number: int, ids: list[int]) -> Iterator[Piece]:
    for start in range(0, len(ids), WINDOW):
        yield number, ids[start : start + WINDOW]


def _packs(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Pieces in ascending length, in packs that are computed at once."""
    pieces, pack = iter(pieces), list[Piece]()
    for piece in pieces:
        if pack and (len(pack) + 1) * len(piece[1]) > TOGETHER:
            yield pack
            pack = []
        pack.append(piece)
    if pack:
        yield pack
