"""The course's embedding model as a source: vectors for any text, whatever embedding model was asked for.

Its own vectors have 256 numbers, a provider's 1,024 to 3,072. Each block of 256 numbers of a provider's vector is our vector, turned by
a rotation that belongs to the model that was asked for. So cosines stay what they are, at full length and at any multiple of 256, while
vectors of two models have nothing to do with each other, as with the real ones. A shorter vector is cut from the first block, which
turns the parts that our model was trained to do with alone (its first 64 and 128 numbers) each in itself.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING
from zlib import crc32

from helpers.gateway.answer import Answer
from helpers.gateway.bounded import Bounded
from helpers.gateway.exchange import Provenance, Question, Usage
from helpers.gateway.threads import in_thread

if TYPE_CHECKING:  # numpy takes a while to import: the thread that loads the model does that
    import numpy as np

    from helpers.house_model.embedding import EmbeddingModel

MODEL = "house-embed"  # its id on the compatible mount
MOST_KEPT = 32_000_000  # bytes of texts with their vectors
AT_ONCE = 64  # texts that are computed between two looks at who else waits
MOST_LETTERS = 16_384  # of a text that are kept as its name; the model looks at no more


class Embedder:
    """The model, loaded when it is first needed, in a thread of its own; requests take turns there, some texts at a time."""

    def __init__(self) -> None:
        self._model: EmbeddingModel | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="house-embed")
        self._known: Bounded[str, np.ndarray] = Bounded(MOST_KEPT, lambda text, vector: 4 * len(text) + vector.nbytes + 200)

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def forget(self) -> None:
        """Compute everything anew."""
        self._known.clear()

    async def answer(self, question: Question, pace: float) -> Answer:
        """A vector for each message of the question, as the model that was asked for would shape it."""
        texts = [message.text[:MOST_LETTERS] for message in question.messages]
        found = {text: vector for text in texts if (vector := self._known.get(text)) is not None}
        missing = list(dict.fromkeys(text for text in texts if text not in found))
        for start in range(0, len(missing), AT_ONCE):
            some = missing[start : start + AT_ONCE]
            found |= zip(some, await in_thread(self._pool, self._vectors, some), strict=True)
        vectors = await in_thread(self._pool, _shaped, [found[text] for text in texts], question)
        tokens = sum(await in_thread(self._pool, self._count, texts)) if question.model.id == MODEL else question.prompt_tokens
        usage, ours = Usage(input_tokens=tokens), Provenance(MODEL, detail="model on this machine")
        return Answer(question, ours, [], usage, 0 if question.batch or question.model.id == MODEL else pace, vectors=vectors)

    def _loaded(self) -> EmbeddingModel:
        if self._model is None:
            from helpers.house_model.embedding import EmbeddingModel

            self._model = EmbeddingModel()
        return self._model

    def _vectors(self, texts: list[str]) -> list[np.ndarray]:
        vectors = [vector.copy() for vector in self._loaded().vectors(texts)]
        self._known.update(zip(texts, vectors, strict=True))
        return vectors

    def _count(self, texts: list[str]) -> list[int]:
        return [len(self._loaded().tokens(text)) for text in texts]


def _shaped(vectors: list[np.ndarray], question: Question) -> np.ndarray:
    """Our vectors in the length that was asked for."""
    import numpy as np

    wanted, rows = question.vectors, np.stack(vectors)
    if question.model.id == MODEL:
        rows = rows[:, : wanted.dimensions]
    else:
        blocks = -(-question.model.dimensions // rows.shape[1])
        needed = -(-wanted.dimensions // rows.shape[1])
        turned = [rows @ _rotation(question.model.id, block) for block in range(needed)]
        rows = np.concatenate(turned, axis=1)[:, : wanted.dimensions] / np.sqrt(np.float32(blocks))
    if wanted.is_unit:
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


@lru_cache(maxsize=64)
def _rotation(model: str, block: int) -> np.ndarray:
    """A rotation that is the same on every machine. That of the first block keeps the parts that our model can do with alone apart."""
    import numpy as np

    from helpers.house_model.embedding import SHORTER, SIZE

    random = np.random.default_rng([crc32(model.encode()), block])
    ends = [0, *sorted(SHORTER), SIZE] if block == 0 else [0, SIZE]
    out = np.zeros((SIZE, SIZE), np.float32)
    for start, end in pairwise(ends):
        turned, signs = np.linalg.qr(random.standard_normal((end - start, end - start)))
        out[start:end, start:end] = turned * np.sign(np.diag(signs))
    return out
