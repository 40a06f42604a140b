"""The key-value cache: of each sequence what it has read so far, and of prefixes what others may begin with too."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

Array = np.ndarray
BLOCK = 16  # tokens of a block, as in vLLM on a GPU
FIRST_ROOM = 64  # tokens that a cache has room for at first
ROOMS = (64, 128, 256)  # tokens of a place in each stack; a longer past is so much to compute that it does not matter to look at it alone
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
            self.move(np.empty((layers, heads, max(self.used + more, 2 * room), size), np.float32))

    def move(self, to: Array) -> None:
        """Stand somewhere else from now on."""
        to[:, :, : self.used] = self._stored[:, :, : self.used]
        self._stored = to

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


class Stack:
    """The caches of several sequences that write, one after the other in one array without a gap: one product serves them all."""

    def __init__(self, layers: int, most: int, heads: int, room: int, size: int) -> None:
        self._heads, self.room = heads, room
        self._stored = np.zeros((layers, most, 2 * heads, room, size), np.float32)  # takes memory where it is written to
        self.caches: list[KVCache] = []  # in the order in which they stand

    def add(self, cache: KVCache) -> None:
        """Give a cache the next place."""
        cache.move(self._stored[:, len(self.caches)])
        self.caches.append(cache)

    def remove(self, cache: KVCache) -> None:
        """Give a cache an array of its own. The last one takes its place."""
        place, last = self.caches.index(cache), self.caches.pop()
        cache.move(np.empty_like(self._stored[:, place]))
        if last is not cache:
            last.move(self._stored[:, place])
            self.caches[place] = last

    def measure(self) -> None:
        """Before one token more of each is read: where it goes, and what of the places each one does not look at, as it is longer than its past."""
        self._places = np.array([cache.used for cache in self.caches])
        unseen = np.arange(self._places.max() + 1) > self._places[:, None]
        self.mask = np.where(unseen, np.float32(-np.inf), np.float32(0))[:, None, None]  # (place, kv head, query head, token)

    def layer(self, number: int, new: Array) -> tuple[Array, Array]:
        """The keys and the values of a layer, (place, head, token, size), with those of the new tokens, (place, head, size), in them."""
        count, longest = len(new), self.mask.shape[-1]
        self._stored[number, np.arange(count), :, self._places] = new
        stored = self._stored[number, :count, :, :longest]
        return stored[:, : self._heads], stored[:, self._heads :]


class Stacks:
    """A stack for every size of caches, so that a short one is not computed as if it were long."""

    def __init__(self, layers: int, most: int, heads: int, size: int) -> None:
        self._stacks = [Stack(layers, most, heads, room, size) for room in ROOMS]

    def arrange(self, caches: Sequence[KVCache]) -> list[Stack]:
        """Let these caches and no others stand where one token more fits, the longest by themselves. Returns the stacks with more than one."""
        for stack in self._stacks:
            for cache in [cache for cache in stack.caches if cache not in caches or cache.used == stack.room]:
                stack.remove(cache)
        placed = {cache for stack in self._stacks for cache in stack.caches}
        for cache in caches:
            stack = next((stack for stack in self._stacks if cache.used < stack.room), None)
            if stack and cache not in placed:
                stack.add(cache)
        return [stack for stack in self._stacks if len(stack.caches) > 1]


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
