"""How good the embedding model is on wordings that it was never trained on: `python -m helpers.house_model.training.score_embeddings`.

Beside it, on the same texts, stand TF-IDF and BM25, which compare words alone. With the name of a module that has a function
`vectors(texts)`, a third one: `--beside MODULE`.

- course: for each held-out wording of a question of the course, whether the nearest of all trained wordings is one of the same question.
- course, one wording: the same where each question has one wording alone, as in a cache.
- actions: an action on a thing, in held-out frames and pairs; the nearest of a thousand others.
- everyday: sentences about anything (likeness/everyday.txt), written for this score alone: whether the other wording lies nearer than
  the near miss.
"""

from __future__ import annotations

import argparse
import importlib
import random
from collections.abc import Callable, Sequence

import numpy as np

from helpers.house_model.embedding import FOLDER, EmbeddingModel
from helpers.house_model.training import wordings
from helpers.house_model.training.lists import plain
from helpers.house_model.training.questions import topics
from helpers.house_model.training.tfidf import TfIdf

Scores = Callable[[Sequence[str], Sequence[str]], np.ndarray]  # queries, texts -> a row for each query, a column for each text
Set = tuple[list[tuple[str, str]], list[tuple[str, str]]]  # (question, wording) that are known, and those that are asked


def sets() -> dict[str, Set]:
    """What is searched in, and what is asked: no wording that the glossary's wordings make too, as the first weights may have seen those."""
    made = wordings.of_terms()
    asked = [(topic.key, text) for topic in topics() for text in topic.held_out if plain(text) not in made]
    rng = random.Random(11)
    known = [(topic.key, text) for topic in topics() for text in (*topic.ask, *topic.more)]
    first = [(topic.key, topic.ask[0]) for topic in topics()]
    actions = list(wordings.held_out_actions(rng))
    everyday = list(wordings.held_out_everyday(rng))
    return {
        "course, all wordings known": (known, asked),
        "course, one wording known": (first, asked),
        "actions on things": ([(key, text) for key, text, _ in actions], [(key, text) for key, _, text in actions]),
        "everyday questions": ([(key, text) for key, text, _ in everyday], [(key, text) for key, _, text in everyday]),
    }


def recall(score: Scores, known: list[tuple[str, str]], asked: list[tuple[str, str]]) -> tuple[float, float]:
    """The share of those asked whose nearest is of the same question, and the mean of one over the rank of the first that is."""
    found = score([text for _, text in asked], [text for _, text in known])
    keys = np.array([key for key, _ in known])
    ranks = []
    for row, (key, _) in zip(found, asked, strict=True):
        right = row[keys == key].max()
        ranks.append(1 + len({*keys[row > right]}))  # of questions, not of wordings
    return float(np.mean([rank == 1 for rank in ranks])), float(np.mean([1 / rank for rank in ranks]))


def apart(score: Scores) -> tuple[float, float, float, np.ndarray, np.ndarray]:
    """Of the everyday sentences: how often the other wording lies nearer than the near miss; how well one threshold parts all of both
    (the area under the ROC curve); the best share that one threshold gets right; and both kinds of scores."""
    rows = wordings.triples()
    texts = [text for row in rows for text in row]
    found = score(texts, texts)
    same, near = (np.array([found[3 * n, 3 * n + other] for n in range(len(rows))]) for other in (1, 2))
    area = np.mean([(s > near).mean() + 0.5 * (s == near).mean() for s in same])
    best = max(((same >= t).mean() + (near < t).mean()) / 2 for t in np.concatenate((same, near)))
    return float(np.mean(same > near)), float(area), float(best), same, near


def cosines(score: Scores, known: list[tuple[str, str]], asked: list[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    """How near each of those asked is to its own question, and to the nearest of all others."""
    found = score([text for _, text in asked], [text for _, text in known])
    own = np.array([key for key, _ in asked])[:, None] == np.array([key for key, _ in known])
    return np.where(own, found, -1).max(1), np.where(own, -1, found).max(1)


def by_words(name: str) -> Scores:
    """TF-IDF or BM25, with the frequencies of the texts that are searched in."""

    def score(queries: Sequence[str], texts: Sequence[str]) -> np.ndarray:
        index = TfIdf(texts)
        return index.bm25(queries, texts) if name == "BM25" else index.vectors(queries) @ index.vectors(texts).T

    return score


def by_vectors(vectors: Callable[[Sequence[str]], np.ndarray]) -> Scores:
    return lambda queries, texts: vectors(queries) @ vectors(texts).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beside", help="a module with a function vectors(texts), which is scored too")
    args = parser.parse_args()
    ways = {"this model": by_vectors(EmbeddingModel(FOLDER).vectors), "TF-IDF": by_words("TF-IDF"), "BM25": by_words("BM25")}
    if args.beside:
        ways[args.beside] = by_vectors(importlib.import_module(args.beside).vectors)
    print("| | " + " | ".join(ways) + " | asked |", "|---" * (len(ways) + 2) + "|", sep="\n")
    for name, (known, asked) in sets().items():
        scores = [recall(way, known, asked) for way in ways.values()]
        print(f"| {name}: recall@1 (MRR) | " + " | ".join(f"{one:.1%} ({mean:.3f})" for one, mean in scores) + f" | {len(asked)} |")
    parted = {name: apart(way) for name, way in ways.items() if name != "BM25"}
    for label, place in (("nearer than the near miss", 0), ("area under the curve", 1), ("best one threshold", 2)):
        print(f"| sentences about anything: {label} | " + " | ".join(f"{parted[name][place]:.1%}" if name in parted else "" for name in ways) + f" | {len(wordings.triples())} |")
    print("Cosines, at 10, 50 and 90 % of the cases:")
    for name, (_, _, _, same, near) in parted.items():
        print(f"  {name}, sentences about anything: other wording {_spread(same)}, near miss {_spread(near)}")
        right, wrong = cosines(ways[name], *sets()["course, one wording known"])
        print(f"  {name}, course: own question {_spread(right)}, the nearest other {_spread(wrong)}")


def _spread(found: np.ndarray) -> str:
    return " ".join(f"{number:.2f}" for number in np.percentile(found, [10, 50, 90]))


if __name__ == "__main__":
    main()
