"""How good the house model is on wordings that it was never trained on: `python -m helpers.house_model.training.score [FOLDER]`.

An answer is right when it contains the words that its question lists under "Must say", of each line one alternative. Answers are
greedy (temperature 0), so that the score is the same every time.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from helpers.house_model.engine import FOLDER, Engine
from helpers.house_model.sampling import Sampling
from helpers.house_model.training import tasks
from helpers.house_model.training.questions import says, topics

TASKS = 600  # held-out examples of the small tasks, off-subject prompts among them


@dataclass(frozen=True)
class Case:
    """A held-out prompt, and what a right answer contains."""

    kind: str
    messages: tuple[tuple[str, str], ...]
    must_say: tuple[tuple[str, ...], ...]


def cases(task_count: int = TASKS, seed: int = 7) -> Iterator[Case]:
    """Every held-out wording of every question, then held-out tasks; the same seed gives the same ones."""
    for topic in topics():
        for wording in topic.held_out:
            yield Case("question", (("user", wording),), tuple(topic.must_say))
    for example in tasks.examples(random.Random(seed), task_count, held_out=True):
        yield Case(example.kind, example.messages, example.must_say)


def answer(engine: Engine, case: Case) -> str:
    """The model's greedy answer to a case."""
    ids = engine.chat(list(case.messages))
    return "".join(token.text for token in engine.generate(ids, Sampling(temperature=0, max_tokens=160)) if token)


def score(folder: Path = FOLDER) -> tuple[Counter[str], Counter[str], list[tuple[Case, str]]]:
    """How many were asked and how many were right, by kind; and the wrong ones with the answers given."""
    engine, asked, right, wrong = Engine(folder), Counter(), Counter(), []
    for case in cases():
        said = answer(engine, case)
        asked[case.kind] += 1
        if says(said, case.must_say):
            right[case.kind] += 1
        else:
            wrong.append((case, said))
    return asked, right, wrong


def main() -> None:
    asked, right, wrong = score(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
    for case, said in wrong:
        print(f"- {case.kind}: {case.messages[-1][1]!r}\n  {said!r}")
    for kind, count in asked.items():
        print(f"{kind:16}{right[kind]:5} of {count:5}  {right[kind] / count:6.1%}")


if __name__ == "__main__":
    main()
