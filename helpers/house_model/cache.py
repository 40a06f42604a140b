"""The key-value cache: of each sequence what it has read so far, and of prefixes what others may begin with too."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

Array = np.ndarray
BLOCK = 16  # tokens of a block, as in vLLM on a GPU
FIRST_ROOM = 64  # tokens that a cache has room for at first
Key = tuple[int, tuple[int, ...]]


class KVCache:
    """Keys and values of every token that a sequence has read, for each layer: what makes its next token cheap.

    It doubles when it is full. (vLLM keeps it in blocks all over the memory, and its kernels find them; numpy's matrix
    products want it in one piece.)
    """

    def __init__(self, layers: int, heads: int, size: int) -> None:
        self._heads = heads
        self._stored = np.empty((layers, 2 * heads, FIRST_ROOM, size), np.float32)  # of each layer the keys, then the values
        self.used = 0  # tokens

    def make_room(self, more: int) -> None:
        """See to it that so many tokens more fit."""
        layers, heads, room, size = self._stored.shape
        if self.used + more > room:
            wider = np.empty((layers, heads, max(self.used + more, 2 * room), size), np.float32)
            wider[:, :, : self.used] = self._stored[:, :, : self.used]
            self._stored = wider

    def layer(self, number: int, new: Array) -> tuple[Array, Array]:
        """The keys and the values of a layer, with those of new tokens, (token, head, size), after them."""
        seen = self.used + len(new)
        stored = self._stored[number, :, :seen]
        stored[:, self.used :] = new.swapaxes(0, 1)
        return stored[: self._heads], stored[self._heads :]

    def block(self, number: int) -> Array:
        """A copy of what stands in the block of this number, in all layers."""
        return self._stored[:, :, number * BLOCK : (number + 1) * BLOCK].copy()

    def append(self, block: Array) -> None:
        """Take over a block that another sequence has read."""
        self.make_room(BLOCK)
        self._stored[:, :, self.used : self.used + BLOCK] = block
        self.used += BLOCK


def key(before: Key | None, ids: list[int]) -> Key:
    """The name of a block: its tokens, and by the key of the block before it, all that they follow."""
    return hash(before), tuple(ids)


class BlockPool:
    """The prefix cache: blocks of keys and values by their key, of a number of bytes at most. Who was not asked for longest goes first."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self.held = most_bytes, 0  # bytes
        self._blocks: OrderedDict[Key, Array] = OrderedDict()

    def get(self, key: Key) -> Array | None:
        """The block of this name, if it is there; it then stays longer."""
        if key in self._blocks:
            self._blocks.move_to_end(key)
        return self._blocks.get(key)

    def put(self, key: Key, block: Array) -> None:
        """Keep a block, and drop others until all fit."""
        self._blocks[key] = block
        self.held += block.nbytes
        while self.held > self._most:
            self.held -= self._blocks.popitem(last=False)[1].nbytes

    def __contains__(self, key: Key) -> bool:
        return key in self._blocks

    def __len__(self) -> int:
        return len(self._blocks)

    def clear(self) -> None:
        """Forget everything."""
        self._blocks.clear()
        self.held = 0
