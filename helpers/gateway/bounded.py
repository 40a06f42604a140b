"""Caches that end: a mapping that holds a number of bytes at most, whatever is put into it."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Bounded(MutableMapping[K, V]):
    """A mapping of at most `limit` bytes: beyond, what was put in first goes first. The newest entry stays, whatever its size.

    Any thread may use it.
    """

    def __init__(self, limit: int, measure: Callable[[K, V], int]) -> None:
        """`measure` says how many bytes an entry takes; it is called once for each."""
        self._limit, self._measure = limit, measure
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.held = 0  # bytes

    def __setitem__(self, key: K, value: V) -> None:
        size = self._measure(key, value)
        with self._lock:
            self._drop(key)
            self._kept[key] = value, size
            self.held += size
            self._make_room()

    def __getitem__(self, key: K) -> V:
        return self._kept[key][0]

    def get(self, key: K, default: Any = None) -> Any:
        """The value of a key, or another where there is none."""
        found = self._kept.get(key)
        return found[0] if found else default

    def __delitem__(self, key: K) -> None:
        with self._lock:
            if not self._drop(key):
                raise KeyError(key)

    def __iter__(self) -> Iterator[K]:
        return iter(tuple(self._kept))

    def values(self) -> list[V]:
        """The values as they are now, the oldest first."""
        return [value for value, _ in tuple(self._kept.values())]

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self.held = 0

    def size(self, key: K) -> int:
        """The bytes of an entry; 0 where there is none."""
        found = self._kept.get(key)
        return found[1] if found else 0

    def grow(self, key: K, size: int) -> None:
        """Take note that an entry has become larger by `size` bytes. It counts as put in anew: what is in use does not go first."""
        with self._lock:
            if key in self._kept:
                value, before = self._kept[key]
                self._kept[key] = value, before + size
                self._kept.move_to_end(key)
                self.held += size
                self._make_room()

    def _drop(self, key: K) -> bool:
        found = self._kept.pop(key, None)
        self.held -= found[1] if found else 0
        return found is not None

    def _make_room(self) -> None:
        while self.held > self._limit and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))


def weight(value: Any) -> int:
    """Bytes of a value with all that it holds, about; what stands in it twice counts twice."""
    total, open_ = 0, [value]
    while open_:
        one = open_.pop()
        total += sys.getsizeof(one)
        if isinstance(one, dict):
            open_ += one.keys()
            open_ += one.values()
        elif isinstance(one, list | tuple | set | frozenset):
            open_ += one
        elif hasattr(one, "__dataclass_fields__"):
            open_.append(vars(one))
    return total
