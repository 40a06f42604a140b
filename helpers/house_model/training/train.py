"""Train the house model: `python -m helpers.house_model.training.train FOLDER`, on one core, in more than an hour.

It needs torch, transformers, tokenizers and safetensors, which the course itself does not (`make house-model` installs them in an
environment of their own). The same seed on the same machine and versions gives the same weights.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from helpers.house_model.training import corpus
from helpers.house_model.training.lists import Example, rows
from helpers.house_model.training.questions import topics
from helpers.house_model.training.tasks import COPYING, KINDS

SPACE = "\u0120"  # how byte-level BPE writes a space
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
PIECES, VOCABULARY, CONTEXT = 2600, 3584, 2048  # tokens: pieces of words, all with the words that have a space before them, of a chat
SHAPE = dict(hidden_size=256, intermediate_size=704, num_hidden_layers=5, num_attention_heads=4, num_key_value_heads=2)
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WARM_UP, BATCH_TOKENS, DECAY = 100, 2400, 0.1
KEEP_EVERY = 250  # steps


class Stage(NamedTuple):
    """A stretch of the training, with a learning rate that rises to its peak, and falls to nothing or stays."""

    steps: int
    peak_rate: float
    task_share: float  # of the examples: small tasks, and what is outside the subject
    kinds: tuple[str, ...] | None = None  # of the small tasks, if not all
    falls: bool = True


# Of the small tasks more of those that are the hardest.
HARD = (
    *KINDS, "off_subject", "extract_person", "extract_order", "extract_fields", "extract_order_fields", "list", "shop", "small_talk", "sentiment", "yes_or_no",
    "count", "greet",
)  # fmt: skip
# One of a kind is drawn from many that are as likely, in a token or two, which is a very small part of the loss: so these come last, and often.
NAMES = (*HARD, *("name_one",) * 12, "translate", "translate")
# Copying is learned first and alone: among the questions, a model this small mostly never finds out how. Then everything, at a rate that
# stays high for most of the steps: this stage may be made longer or shorter without changing what comes before. Then the rate falls,
# and falls once more from a lower peak.
STAGES = (
    Stage(450, 5e-3, 1.0, ("repeat",)), Stage(450, 5e-3, 1.0, COPYING),
    Stage(4000, 2.5e-3, 0.56, HARD, falls=False), Stage(4500, 2.5e-3, 0.56, HARD), Stage(600, 1e-3, 0.56, HARD),
    Stage(300, 1e-3, 0.56, NAMES),
)  # fmt: skip
USUAL_TEMPERATURE = 0.5  # of a request that names none: at 1 a model this small too often says what is wrong
IGNORED = -100  # the label of a token that is not learned
# Which answer fits a question is decided in its first tokens, so many of the questions end after them: more in the same time.
# Capitals are spelled, letter by letter: these answers stay whole.
CUT_SHARE, CUT_AFTER = 0.4, 12  # of these examples, tokens
CUT = ("question", "style", "language", "talk")

Row = tuple[list[int], list[int]]  # token ids, labels
Weights = dict[str, torch.Tensor]


def train_tokenizer() -> Tokenizer:
    """Byte-level BPE on the corpus: any text can be written in it.

    Spaces and digits are pieces of their own at first, so that a name is cut alike after a space and after a quotation mark, and can be
    copied from the one place to the other. The usual words of the subject then get a token with the space before them. It is used for
    the whole word alone: a merge would also take the beginning of a name, " or" of " orange".
    """
    tokenizer = Tokenizer(models.BPE())
    apart = [pre_tokenizers.Split(" ", "isolated"), pre_tokenizers.Digits(individual_digits=True)]
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*apart, whole])
    special = [AddedToken(token, special=True, normalized=False) for token in (PAD, START, END)]
    trainer = trainers.BpeTrainer(vocab_size=PIECES, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(corpus.all_text(), trainer)
    stored = json.loads(tokenizer.to_str())
    vocabulary = stored["model"]["vocab"]
    for word in usual_words():
        if word in vocabulary and len(vocabulary) < VOCABULARY:
            vocabulary[SPACE + word] = len(vocabulary)
    stored["model"]["ignore_merges"] = True  # a word that is a token needs no merges
    tokenizer = Tokenizer.from_str(json.dumps(stored))
    tokenizer.pre_tokenizer, tokenizer.decoder = whole, decoders.ByteLevel()
    return tokenizer


def usual_words() -> list[str]:
    """The words behind a space, the most frequent first; of those that an answer may take from the prompt only what the subject uses anyway."""
    lists = ("colors", "foods", "fact_jobs", "fact_values", "fact_things", "order_products", "kinds_of_things", "new_shops", "shops", "greeted")
    copied = [column for name in lists for row in rows(name) for column in row] + [line[2] for line in rows("facts") if line[1] == "nouns"]
    rare = {word for text in copied for word in re.findall("[a-z]+", text)} - _words(answer for topic in topics() for answer in topic.answers).keys()
    return [word for word, _ in _words(corpus.all_text()).most_common() if word not in rare]


def _words(texts: Iterable[str]) -> Counter[str]:
    return Counter(word for text in texts for word in re.findall(' ([a-z]+|")', text))


def encode(tokenizer: Tokenizer, rng: random.Random, example: Example) -> Row:
    """The chat and its answer, or the beginning of it, as token ids; only the answer and the end of its turn are learned."""
    chat = "".join(f"{START}{role}\n{text}{END}\n" for role, text in example.messages) + f"{START}assistant\n"
    given = tokenizer.encode(chat).ids
    answer = tokenizer.encode(example.answer + END).ids
    if example.kind in CUT and not example.answer.isupper() and rng.random() < CUT_SHARE:
        answer = answer[:CUT_AFTER]
    return given + answer, [IGNORED] * len(given) + answer


def batches(tokenizer: Tokenizer, rng: random.Random, stage: Stage) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of about BATCH_TOKENS, rows of like length together so that little is padding."""
    made = 0
    while made < stage.steps:
        chats = corpus.examples(rng, 2000, stage.task_share, stage.kinds)
        rows = sorted((encode(tokenizer, rng, chat) for chat in chats), key=lambda row: len(row[0]))
        packs: list[list[Row]] = [[]]
        for row in rows:
            if (len(packs[-1]) + 1) * len(row[0]) > BATCH_TOKENS:
                packs.append([])
            packs[-1].append(row)
        rng.shuffle(packs)
        for pack in packs[: stage.steps - made]:
            yield _tensors(pack)
        made += len(packs)


def _tensors(rows: list[Row]) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [0] * (width - len(ids)) for ids, _ in rows])
    labels = torch.tensor([labels + [IGNORED] * (width - len(labels)) for _, labels in rows])
    return ids, labels


def rate(step: int, steps: int, falls: bool = True) -> float:
    """The learning rate as a share of its peak: up in a line, then down along a cosine, or level."""
    return min(1.0, (step + 1) / WARM_UP) * (0.5 * (1 + math.cos(math.pi * step / steps)) if falls else 1)


def _optimizers(model: LlamaForCausalLM, peak_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices, which here learns three times as fast as AdamW; AdamW for the embeddings and norms."""
    matrices = [weights for name, weights in model.named_parameters() if weights.ndim == 2 and "embed" not in name]
    others = [weights for name, weights in model.named_parameters() if weights.ndim != 2 or "embed" in name]
    muon = torch.optim.Muon(matrices, lr=peak_rate, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw")
    return [muon, torch.optim.AdamW(others, lr=peak_rate, betas=(0.9, 0.98), weight_decay=DECAY)]


def _loss(model: LlamaForCausalLM, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of the tokens that are learned. Only for these are scores computed, which is a third of all."""
    states, following = model.model(input_ids=ids).last_hidden_state[:, :-1], labels[:, 1:]
    learned = following != IGNORED
    return cross_entropy(model.lm_head(states[learned]).float(), following[learned])


def train(model: LlamaForCausalLM, tokenizer: Tokenizer, stage: Stage, seed: int, kept: Path | None = None) -> None:
    """One stage. With a file to keep it in, a stage that was cut off goes on, with the same weights in the end, from where it was last kept."""
    optimizers = _optimizers(model, stage.peak_rate)
    schedules = [torch.optim.lr_scheduler.LambdaLR(optimizer, partial(rate, steps=stage.steps, falls=stage.falls)) for optimizer in optimizers]
    parts = (model, *optimizers, *schedules)
    began, mean, done = time.monotonic(), 0.0, 0
    if kept and kept.exists():
        done, states = torch.load(kept)
        for part, state in zip(parts, states, strict=True):
            part.load_state_dict(state)
    if done >= stage.steps:
        return
    for step, (ids, labels) in enumerate(batches(tokenizer, random.Random(seed), stage)):
        if step < done:
            continue
        if kept and step % KEEP_EVERY == 0:
            _keep(kept, step, parts)
        with torch.autocast("cpu", torch.bfloat16):
            loss = _loss(model, ids, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        mean = loss.item() if step == done else 0.95 * mean + 0.05 * loss.item()
        if step % 100 == 0:
            print(f"step {step:5}  loss {mean:.4f}  {time.monotonic() - began:6.0f} s", flush=True)
    if kept:
        _keep(kept, stage.steps, parts)


def _keep(path: Path, step: int, parts: Iterable[object]) -> None:
    """Write aside first, so that there is always a whole file."""
    aside = path.with_suffix(".new")
    torch.save((step, [part.state_dict() for part in parts]), aside)
    aside.replace(path)


def joined(falling: Weights, lower: Weights, names: Weights) -> Weights:
    """One model of those after the last three stages.

    The mean of the first two is better at nearly everything than either. The last stage costs something elsewhere, unless only what
    it changed in the embeddings is taken over: how likely each name is.
    """
    mean = {name: (falling[name] + lower[name]) / 2 for name in falling}
    return {name: mean[name] + names[name] - lower[name] if re.search("embed|lm_head", name) else mean[name] for name in mean}


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Weights in bf16, tokenizer and chat template, as vLLM and transformers read them."""
    model.to(torch.bfloat16).save_pretrained(folder)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, additional_special_tokens=[START, END], model_max_length=CONTEXT)
    wrapped.chat_template = TEMPLATE
    wrapped.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    generation = {"do_sample": True, "temperature": USUAL_TEMPERATURE, "eos_token_id": tokenizer.token_to_id(END), "pad_token_id": tokenizer.token_to_id(PAD)}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the model goes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kept", type=Path, help="a folder for what is needed to go on; a training that was cut off goes on from there")
    parser.add_argument("--begin", type=Path, help="a folder with an earlier model of this shape, to begin with its weights and tokenizer in place of random weights and copying")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)  # faster than two for a model of this size
    tokenizer = Tokenizer.from_file(str(args.begin / "tokenizer.json")) if args.begin else train_tokenizer()
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=CONTEXT, tie_word_embeddings=True, rms_norm_eps=1e-5,
        bos_token_id=None, eos_token_id=tokenizer.token_to_id(END), pad_token_id=tokenizer.token_to_id(PAD),
        attn_implementation="eager", **SHAPE,  # for chats this short quicker than torch's fused attention, by half
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {sum(stage.steps for stage in STAGES)} steps")
    if args.begin:
        model.load_state_dict(LlamaForCausalLM.from_pretrained(args.begin, dtype=torch.float32).state_dict())
    ends: list[Weights] = []
    for number, stage in enumerate(STAGES):
        if args.begin and stage.task_share == 1:  # it can copy already
            continue
        train(model, tokenizer, stage, args.seed + number, args.kept and args.kept / f"stage{number}.pt")
        model.to(torch.bfloat16).to(torch.float32)  # as a saved model is: a stage can begin with one
        ends.append({name: weights.clone() for name, weights in model.state_dict().items()})
    model.load_state_dict(joined(*ends[-3:]))
    save(model, tokenizer, args.folder)


if __name__ == "__main__":
    main()
