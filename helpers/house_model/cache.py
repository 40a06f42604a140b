"""The key-value cache: of each sequence what it has read so far, and of prefixes what others may begin with too."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

Array = np.ndarray
BLOCK = 16  # tokens of a block, as in vLLM on a GPU
FIRST_ROOM = 64  # tokens that a cache has room for at first
ROOMS = (64, 128, 256)  # tokens of a place on each shelf; with a longer past there is so much to compute that a call of its own does not matter
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


class Shelf:
    """Places of one size for the caches of sequences that write, all in one array: so one product serves them all. There is no gap."""

    def __init__(self, layers: int, most: int, heads: int, room: int, size: int) -> None:
        self._heads, self.room = heads, room
        self._stored = np.zeros((layers, most, 2 * heads, room, size), np.float32)  # takes memory where it is written to
        self.caches: list[KVCache] = []  # in the order in which they stand

    def add(self, cache: KVCache) -> None:
        """Give a cache the next place."""
        cache.move(self._stored[:, len(self.caches)])
        self.caches.append(cache)

    def remove(self, cache: KVCache) -> None:
        """Take a cache off: it gets an array of its own, and the last one gets its place."""
        place, last = self.caches.index(cache), self.caches.pop()
        cache.move(np.empty_like(self._stored[:, place]))
        if last is not cache:
            last.move(self._stored[:, place])
            self.caches[place] = last

    def measure(self) -> None:
        """Before each one reads a token more: note where it goes, and what is to be hidden, as the places are longer than what stands there."""
        self._places = np.array([cache.used for cache in self.caches])
        hidden = np.arange(self._places.max() + 1) > self._places[:, None]
        self.mask = np.where(hidden, np.float32(-np.inf), np.float32(0))[:, None, None]  # (cache, kv head, query head, token), to be added

    def layer(self, number: int, new: Array) -> tuple[Array, Array]:
        """The keys and the values of a layer, (cache, head, token, size), with those of a new token each, (cache, head, size), after them."""
        count, longest = len(new), self.mask.shape[-1]
        self._stored[number, np.arange(count), :, self._places] = new
        stored = self._stored[number, :count, :, :longest]
        return stored[:, : self._heads], stored[:, self._heads :]


class Shelves:
    """A shelf for each of some sizes: on one for all, a short cache would be computed as if it were as long as the longest."""

    def __init__(self, layers: int, most: int, heads: int, size: int) -> None:
        self._shelves = [Shelf(layers, most, heads, room, size) for room in ROOMS]

    def arrange(self, caches: list[KVCache]) -> list[Shelf]:
        """Put up these caches and no others, each where one token more fits. Those too long for all stand alone. Returns the shelves with several."""
        wanted = set(caches)
        for shelf in self._shelves:
            for cache in [cache for cache in shelf.caches if cache not in wanted or cache.used == shelf.room]:
                shelf.remove(cache)
        standing = {cache for shelf in self._shelves for cache in shelf.caches}
        for cache in [cache for cache in caches if cache not in standing]:
            fitting = (shelf for shelf in self._shelves if cache.used < shelf.room)
            if shelf := next(fitting, None):
                shelf.add(cache)
        return [shelf for shelf in self._shelves if len(shelf.caches) > 1]


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
