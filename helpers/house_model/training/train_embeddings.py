"""Train the embedding model: `python -m helpers.house_model.training.train_embeddings FOLDER`, on one core, in about half an hour.

FOLDER holds the house model, which stays as it is; in it comes vectors/weights.safetensors. It needs torch and safetensors, which the
course itself does not (see `make house-model`). The same seed on the same machine and versions gives the same weights.

The first layers of the house model read the text in both directions; small matrices (LoRA) are added to theirs. The states of the
tokens are averaged, each with a weight of its token, and a vector of each token alone is added: so a word that the layers do not know
still counts. Two wordings of one question are to lie nearer to each other than to any other text of the batch.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, scaled_dot_product_attention, silu

from helpers.house_model.embedding import FILE, LAYERS, SHORTER, WINDOW, clean
from helpers.house_model.tokenizer import Tokenizer
from helpers.house_model.training import wordings
from helpers.house_model.training.questions import topics

STEPS, QUESTIONS, PACKS = 1200, 112, 4  # batches, questions in each, and parts of like length, so that little is padding
RANK = 32  # of the matrices that are added
PEAK_RATE, WARM_UP, DECAY = 1.5e-3, 100, 0.01
TEMPERATURE = 0.05
SHORT_SHARE = 0.5  # how much the shorter vectors count beside the whole ones
NAMES = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")


class Added(nn.Module):
    """A matrix of the house model, which stays, plus the product of two small ones, which are learned."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.a = nn.Parameter(torch.randn(RANK, weight.shape[1]) / weight.shape[1] ** 0.5)
        self.b = nn.Parameter(torch.zeros(weight.shape[0], RANK))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.T + (x @ self.a.T) @ self.b.T


class Encoder(nn.Module):
    """The model as it is trained; helpers/house_model/embedding.py is the same in numpy."""

    def __init__(self, house: dict[str, Tensor], config: dict, rarity: Tensor) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.size, self.eps = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"], config["rms_norm_eps"]
        self.register_buffer("embed", house["model.embed_tokens.weight"])
        width = self.embed.shape[1]
        self.added = nn.ModuleList(nn.ModuleDict({name.split(".")[1]: Added(house[f"model.layers.{i}.{name}.weight"]) for name in NAMES}) for i in range(LAYERS))
        for i in range(LAYERS):
            for norm in ("input_layernorm", "post_attention_layernorm"):
                self.register_buffer(f"{norm}{i}", house[f"model.layers.{i}.{norm}.weight"])
        self.norm = nn.Parameter(torch.ones(width))
        self.project = nn.Parameter(torch.eye(width))
        self.weight = nn.Parameter(rarity.log())
        self.alone = nn.Parameter(torch.randn(self.embed.shape) / width**0.5)
        turn = config["rope_parameters"]["rope_theta"] ** (-torch.arange(0, self.size, 2) / self.size)
        angles = torch.outer(torch.arange(WINDOW), turn)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, ids: Tensor, real: Tensor) -> Tensor:
        """A vector of length one for each row; `real` says which of its tokens are not padding."""
        rows, width = ids.shape
        x, mask = self.embed[ids], real[:, None, None]
        for i, layer in enumerate(self.added):
            h = self._norm(x) * getattr(self, f"input_layernorm{i}")
            q, k, v = (layer[name](h).view(rows, width, -1, self.size).transpose(1, 2) for name in ("q_proj", "k_proj", "v_proj"))
            mixed = scaled_dot_product_attention(self._turned(q), self._turned(k), v, attn_mask=mask, enable_gqa=True)
            x = x + layer["o_proj"](mixed.transpose(1, 2).reshape(rows, width, -1))
            h = self._norm(x) * getattr(self, f"post_attention_layernorm{i}")
            x = x + layer["down_proj"](silu(layer["gate_proj"](h)) * layer["up_proj"](h))
        weight = (self.weight[ids].exp() * real)[..., None]
        states = (self._norm(x) * self.norm * weight).sum(1)
        alone = (self.alone[ids] * weight).sum(1)
        return (states @ self.project.T + alone) / weight.sum(1)

    def _norm(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)

    def _turned(self, x: Tensor) -> Tensor:
        cos, sin = self.cos[: x.shape[-2]], self.sin[: x.shape[-2]]
        left, right = x.chunk(2, -1)
        return torch.cat((left * cos - right * sin, right * cos + left * sin), -1)

    def learned(self) -> dict[str, Tensor]:
        """What is kept: all that the house model's file does not hold."""
        out = {"norm": self.norm, "project": self.project, "weight": self.weight[:, None], "alone": self.alone}
        for i, layer in enumerate(self.added):
            for name, added in layer.items():
                out |= {f"layers.{i}.{name}.a": added.a, f"layers.{i}.{name}.b": added.b}
        return {name: tensor.detach().to(torch.bfloat16).contiguous() for name, tensor in out.items()}


def rarity(tokenizer: Tokenizer) -> Tensor:
    """How rare each token is among the wordings: what its weight begins with."""
    rng = random.Random(0)
    texts = [text for topic in topics() for text in topic.ask] + [text for _, *pair in wordings.batch(rng, 4000) for text in pair]
    found = np.zeros(len(tokenizer.bytes), np.float32)
    for text in texts:
        for id in set(tokenizer.encode(clean(text))):
            found[id] += 1
    return torch.tensor(np.log((1 + len(texts)) / (1 + found)) / math.log(1 + len(texts)) + 0.05)


def loss(made: Tensor, pairs: Tensor) -> Tensor:
    """How far each text with a partner is from being likelier to belong to it than to any other text: at full length and at shorter ones."""
    asked = (pairs >= 0).nonzero()[:, 0]
    total = 0.0
    for length in (made.shape[1], *SHORTER):
        unit = normalize(made[:, :length], dim=1)
        scores = unit @ unit.T / TEMPERATURE
        scores.fill_diagonal_(-1e4)
        total = total + (1.0 if length == made.shape[1] else SHORT_SHARE) * cross_entropy(scores[asked], pairs[asked])
    return total


def partners(questions: list[wordings.Pair]) -> tuple[list[str], Tensor]:
    """The texts of a batch, and for each the number of its partner (-1: it has none)."""
    texts: list[str] = []
    found: list[int] = []
    for _, first, second in questions:
        here = len(texts)
        texts += [first, second] if second else [first]
        found += [here + 1, here] if second else [-1]
    return texts, torch.tensor(found)


def vectors(model: Encoder, rows: list[list[int]]) -> Tensor:
    """A vector for each row of tokens; those of like length are computed together."""
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    out = []
    for part in np.array_split(order, PACKS):
        width = len(rows[part[-1]])
        ids = torch.tensor([rows[number] + [0] * (width - len(rows[number])) for number in part])
        real = torch.arange(width) < torch.tensor([[len(rows[number])] for number in part])
        out.append(model(ids, real))
    return torch.cat(out)[torch.tensor(np.argsort(order))]


def train(model: Encoder, tokenizer: Tokenizer, seed: int, steps: int) -> None:
    rng = random.Random(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.98), weight_decay=DECAY)
    began, mean = time.monotonic(), None
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / steps))
        texts, pairs = partners(wordings.batch(rng, QUESTIONS))
        with torch.autocast("cpu", torch.bfloat16):
            made = vectors(model, [tokenizer.encode(clean(text))[:WINDOW] for text in texts])
        found = loss(made.float(), pairs)
        found.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        mean = found.item() if mean is None else 0.95 * mean + 0.05 * found.item()
        if step % 50 == 0:
            print(f"step {step:5}  loss {mean:.4f}  {time.monotonic() - began:6.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the house model's folder, where embedding.safetensors goes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--to", type=Path, help="another file for the result")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    tokenizer = Tokenizer(args.folder / "tokenizer.json")
    house = {name: tensor.float() for name, tensor in load_file(args.folder / "model.safetensors").items()}
    config = json.loads((args.folder / "config.json").read_text(encoding="utf-8"))
    model = Encoder(house, config, rarity(tokenizer))
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters are learned, in {args.steps} steps")
    train(model, tokenizer, args.seed, args.steps)
    to = args.to or args.folder / FILE
    to.parent.mkdir(exist_ok=True)
    save_file(model.learned(), to)


if __name__ == "__main__":
    main()
