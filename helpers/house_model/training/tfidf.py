"""Two ways to compare texts by their words alone, as a yardstick for the embedding model: TF-IDF and BM25, in a few lines of numpy."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

K1, B = 1.2, 0.75  # the usual constants of BM25


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


class TfIdf:
    """How often a word stands in a text, times how rare it is in the texts that are known."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = Counter(word for text in texts for word in set(words(text)))
        self._place = {word: place for place, word in enumerate(counts)}
        self._texts = len(texts)
        self._found = np.array([*counts.values()], np.float32)
        self._idf = np.log((1 + len(texts)) / (1 + self._found)) + 1

    def counts(self, texts: Sequence[str]) -> np.ndarray:
        """A row for each text: how often each known word stands in it."""
        out = np.zeros((len(texts), len(self._place)), np.float32)
        for row, text in zip(out, texts, strict=True):
            for word in words(text):
                if word in self._place:
                    row[self._place[word]] += 1
        return out

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """A row of length one for each text; nothing but zeros where no word is known."""
        found = self.counts(texts) * self._idf
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)

    def bm25(self, queries: Sequence[str], texts: Sequence[str]) -> np.ndarray:
        """The score of BM25: a row for each query, a column for each text."""
        found = self.counts(texts)
        lengths = found.sum(1, keepdims=True)
        saturated = found * (K1 + 1) / (found + K1 * (1 - B + B * lengths / lengths.mean()))
        rarity = np.log(1 + (self._texts - self._found + 0.5) / (self._found + 0.5))
        return np.minimum(self.counts(queries), 1) @ (saturated * rarity).T
