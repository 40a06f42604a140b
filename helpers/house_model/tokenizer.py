"""Text to token ids and back: byte-level byte-pair encoding, as tokenizer.json of Hugging Face describes it."""

from __future__ import annotations

import json
from functools import lru_cache
from heapq import heapify, heappop, heappush
from pathlib import Path

import regex

LONGEST_KEPT = 40  # letters of a word whose tokens are remembered
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
        self._whole_words = loaded["model"].get("ignore_merges", False)  # a word that is a token is that token, whatever its merges
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
                for found in WORDS.finditer(piece):  # not findall, which keeps Python's lock until the last word of a long text
                    word = found.group()
                    out += self._word(word) if len(word) <= LONGEST_KEPT else self._join(word)
        return out

    def decode(self, ids: list[int]) -> str:
        """The text of token ids; bytes that are no UTF-8 become the replacement character."""
        return b"".join(self.bytes[id] for id in ids).decode("utf-8", "replace")

    def _join(self, word: str) -> tuple[int, ...]:
        """The ids of a word. A heap holds the pairs, the one that was learned first on top: the time grows with the word, not its square."""
        parts: list[str | None] = [self._letters[byte] for byte in word.encode()]
        if self._whole_words and (whole := "".join(parts)) in self.ids:
            return (self.ids[whole],)
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
