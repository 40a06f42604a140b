"""How good the house model is on wordings that it was never trained on: `python -m helpers.house_model.training.score [FOLDER [EARLIER ...]]`.

An answer is right when it contains the words that its question lists under "Must say", of each line one alternative; a count or a JSON
object has to be the whole answer, a list has to name so many different things, a style has to begin and end as it should. Answers are
greedy (temperature 0), so that the score is the same every time. With the folders of earlier models, the last one first, which answer
the same prompts, the table of the model card is printed.
"""

from __future__ import annotations

import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from helpers.house_model.engine import FOLDER, Engine
from helpers.house_model.sampling import Sampling, probabilities
from helpers.house_model.scheduler import Scheduler
from helpers.house_model.sequence import Sequence
from helpers.house_model.training import corpus, styles, tasks
from helpers.house_model.training.lists import MustSay, Row
from helpers.house_model.training.questions import says, topics

TASKS = 1200  # held-out examples of the small tasks, off-subject prompts among them
TOGETHER = 32  # cases that are answered at once
INSTRUCTED, TERMS = 150, 200  # questions with a style, with a language, and for a term of the glossary
EVEN = {"coin": 0.1, "die": 0.08, "yes-or-no": 0.1}  # how far a chance may lie from its share

# What the model card calls each kind.
SHAPES = {
    "question": "questions of the subject",
    "glossary": "terms of the course, in other words",
    "off_subject": "outside the subject: says so",
    "language": "answers in the language that the system prompt sets, of five",
    "style": "answers in the persona or style that the system prompt sets",
    "talk": "going on in a talk: thanks, and X?, why?, in German?",
    "facts": "a fact that was said before, of any noun",
    "memory": "a name, color or city that was said before",
    "yes_or_no": "yes or no about what was said",
    "count": "counting from a to b, backwards, in steps, in words, in six languages",
    "list": "a list of n things of a kind",
    "name_one": "one thing of a kind",
    "shop": "names for a shop",
    "greet": "saying something in n words, n times, to somebody, in a language",
    "python": "a small Python function",
    "extract_fields": "JSON of the fields asked for, null where the text says nothing",
    "extract_person": "JSON of a person",
    "extract_order": "JSON of an order",
    "repeat": "repeating words that nobody knows",
    "haiku": "haiku",
    "summary": "one-line summary",
    "translate": "translation of everyday phrases",
    "small_talk": "small talk",
    "sentiment": "sentiment",
}


@dataclass(frozen=True)
class Case:
    """A held-out prompt, and what a right answer contains, how it begins and ends, or which names it lists."""

    kind: str
    messages: tuple[tuple[str, str], ...]
    must_say: MustSay
    exact: bool = False  # the only thing in must_say is the whole answer
    listed: tuple[Row, int] | None = None
    words: int | None = None
    begins: Row = ("",)
    ends: Row = ("",)

    def is_right(self, said: str) -> bool:
        if self.exact:
            return said.strip().lower() == self.must_say[0][0].lower()
        if self.listed:
            names, n = self.listed
            found = [len(re.findall(rf"(?<!\w){re.escape(name)}(?!\w)", said, re.IGNORECASE)) for name in {*names}]
            return sum(found) == n and max(found) == 1
        if self.words:
            return len(said.split()) == self.words
        return says(said, self.must_say) and said.startswith(self.begins) and said.endswith(self.ends)


def cases(task_count: int = TASKS, seed: int = 7) -> Iterator[Case]:
    """Every held-out wording of every question, terms and instructions, then held-out tasks; the same seed gives the same ones."""
    for topic in topics():
        for wording in topic.held_out:
            yield Case("question", (("user", wording),), tuple(topic.must_say))
    rng = random.Random(seed)
    yield from _terms(rng)
    yield from _instructed(rng)
    for example in tasks.examples(rng, task_count, held_out=True):
        yield Case(example.kind, example.messages, example.must_say, example.exact, example.listed, example.words)


def _terms(rng: random.Random) -> Iterator[Case]:
    known = [topic for topic in topics() if topic.key in styles.glossary()]
    for _ in range(TERMS):
        topic = rng.choice(known)
        yield Case("glossary", (("user", corpus.glossary_wording(rng, topic.key, True)),), tuple(topic.must_say))


def _instructed(rng: random.Random) -> Iterator[Case]:
    """Held-out questions under a held-out instruction. The style of each of a question's answers is right."""
    known = [topic for topic in topics() if topic.key in styles.languages()]
    for kind, among, change in (("style", topics(), styles.style), ("language", known, _in_language)):
        for _ in range(INSTRUCTED):
            topic, drawn = rng.choice(among), rng.random()
            made = [change(random.Random(drawn), topic, answer, True) for answer in topic.answers]
            answers = [answer for _, answer in made]
            must = tuple(words for words in topic.must_say if all(says(answer, [words]) for answer in answers))
            ends = {"begins": tuple(answer[:8] for answer in answers), "ends": tuple(answer[-8:] for answer in answers)}
            yield Case(kind, (("system", made[0][0]), ("user", rng.choice(topic.held_out))), must, **ends)


def _in_language(rng: random.Random, topic: styles.Topic, answer: str, held_out: bool) -> tuple[str, str]:
    return styles.in_language(rng, topic.key, answer, held_out)


def answers(engine: Engine, asked: Iterable[Case]) -> Iterator[tuple[Case, str]]:
    """Cases with the model's greedy answers, some of them computed together."""
    asked = iter(asked)
    while some := list(islice(asked, TOGETHER)):
        scheduler = Scheduler(engine.model)
        said: dict[Sequence, str] = {}
        for case in some:
            sequence = engine.sequence(engine.chat(list(case.messages)), Sampling(temperature=0, max_tokens=160))
            said[sequence] = ""
            scheduler.add([sequence])
        while scheduler.is_busy:
            for sequence, token in scheduler.step():
                said[sequence] += token.text
        yield from zip(some, said.values(), strict=True)


def spread(engine: Engine, wording: str, answers: dict[str, int]) -> dict[str, float]:
    """How likely each of the answers is to be drawn at temperature 1, by its first token."""
    likely = probabilities(engine.next_token(engine.chat([("user", wording)])))
    return {text: float(likely[engine.tokenizer.encode(text)[0]]) for text in answers}


def spreads(engine: Engine) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Coin, die, yes or no, in wordings that it was never trained on: what each face's chance is."""
    for name, wordings, answers in corpus.choices("Held out"):
        for wording in wordings:
            yield name, wording, spread(engine, wording, answers)


def score(folder: Path = FOLDER) -> tuple[Counter[str], Counter[str], list[tuple[Case, str]]]:
    """How many were asked and how many were right, by kind; and the wrong ones with the answers given."""
    engine, asked, right, wrong = Engine(folder), Counter(), Counter(), []
    for case, said in answers(engine, cases()):
        asked[case.kind] += 1
        if case.is_right(said):
            right[case.kind] += 1
        else:
            wrong.append((case, said))
    return asked, right, wrong


def table(folder: Path, *earlier: Path) -> str:
    """The model card's table: all models on the same prompts, the first one first."""
    asked, now, _ = score(folder)
    rights = [*(score(one)[1] for one in reversed(earlier)), now]
    shares = (" | ".join(f"{right[kind] / asked[kind]:.1%}" for right in rights) for kind in SHAPES)
    lines = [f"| {SHAPES[kind]} | {share} | {asked[kind]} |" for kind, share in zip(SHAPES, shares, strict=True)]
    runs = ["before", *(f"run {number}" for number in range(2, len(rights))), "now"]
    return "\n".join((f"| | {' | '.join(runs)} | asked |", "|---" * (len(runs) + 2) + "|", *lines))


def main() -> None:
    folders = [Path(text) for text in sys.argv[1:]] or [FOLDER]
    if len(folders) > 1:
        print(table(*folders))
        return
    asked, right, wrong = score(folders[0])
    for case, said in wrong:
        print(f"- {case.kind}: {case.messages[-1][1]!r}\n  {said!r}")
    for kind, count in asked.items():
        print(f"{kind:16}{right[kind]:5} of {count:5}  {right[kind] / count:6.1%}")
    for name, wording, chances in spreads(Engine(folders[0])):
        even = all(abs(chance - 1 / len(chances)) <= EVEN[name] for chance in chances.values())
        print(f"{name:10}{'even' if even else 'uneven':8}{wording:45}", *(f"{text} {chance:.2f}" for text, chance in chances.items()))


if __name__ == "__main__":
    main()
