"""What a GPU can do at most, and how near to it a measurement came. Bytes, operations and seconds; shares from 0 to 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.serving import load
from helpers.serving.load import Row

DIGITS = 4  # of a share, after the point


@dataclass(frozen=True)
class Peak:
    """What a GPU can do at most: bytes a second from its memory, operations a second by the bytes of a weight."""

    bytes_per_second: float
    operations_per_second: Mapping[int, float]


# NVIDIA's data sheets of the H200 and the H100 (SXM), read 2026-11-23: 4.8 and 3.35 TB/s; 1,979 TFLOPS in bf16 and 3,958 in
# fp8 are stated "with sparsity", so half of each is what a dense model can have. By the names that nvidia-smi prints.
_HOPPER = {2: 989.5e12, 1: 1979e12}
PEAKS = {"NVIDIA H200": Peak(4.8e12, _HOPPER), "NVIDIA H100 80GB HBM3": Peak(3.35e12, _HOPPER)}


@dataclass(frozen=True)
class Limit:
    """The share, 0 to 1, of the hardware's peak that was reached at one concurrency."""

    concurrency: int
    bandwidth: float  # of memory, while tokens are generated
    compute: float  # of the matrix units, over the whole level


def parameters(shape: Mapping[str, Any]) -> tuple[int, int]:
    """The numbers in a Llama's layers, and in the matrix that turns its last state into the scores of all tokens."""
    hidden, inner, head = shape["hidden_size"], shape["intermediate_size"], shape["head_dim"]
    queries, keys = shape["num_attention_heads"] * head, shape["num_key_value_heads"] * head
    layer = 2 * hidden * queries + 2 * hidden * keys + 3 * hidden * inner + 2 * hidden
    return shape["num_hidden_layers"] * layer + hidden, shape["vocab_size"] * hidden


def bytes_a_token(shape: Mapping[str, Any], weight_bytes: int) -> int:
    """The bytes of weights that are read from memory to write one token; the last matrix is kept in bf16, whatever the layers are in."""
    layers, last = parameters(shape)
    return layers * weight_bytes + last * 2


def one_token(shape: Mapping[str, Any], gpu: str, ceilings: Mapping[str, Any]) -> dict[str, float]:
    """Seconds that one token for one client takes at least in bf16, by ever nearer bounds; `ceilings` as in a stored sweep.

    Raises KeyError for a GPU whose peaks are not known.
    """
    weights = bytes_a_token(shape, 2)
    products = shape["num_hidden_layers"] * sum(ceilings["layer_microseconds"].values()) + ceilings["last_microseconds"]
    return {
        "reading all weights at the data sheet's speed": weights / PEAKS[gpu].bytes_per_second,
        "the same at the speed of a plain copy, measured": weights / ceilings["copy_bytes_per_second"],
        "the matrix products alone in PyTorch, measured": products / 1e6,
    }


def limits(rows: Sequence[Row], shape: Mapping[str, Any], weight_bytes: int, peak: Peak) -> list[Limit]:
    """How much of the peak each level reached.

    For every token that all clients get at once, the GPU reads all weights and the keys and values of every client;
    for every token of a prompt or an answer it does two operations with each weight of the layers, and for every token
    of an answer two with each of the last matrix (the work of attention is left out: it is small at these lengths).
    The last matrix stays in bf16 under fp8, as do keys and values.
    """
    layers, last = parameters(shape)
    weights = bytes_a_token(shape, weight_bytes)
    per_token = 2 * 2 * shape["num_hidden_layers"] * shape["num_key_value_heads"] * shape["head_dim"]  # bytes of keys and values
    reached = []
    for level in load.summary(rows):
        mine = [row for row in rows if row.concurrency == level.concurrency]
        written = sum(row.output_tokens for row in mine)
        tokens = written + sum(row.prompt_tokens for row in mine)
        seconds = max(row.end for row in mine) - min(row.start for row in mine)
        context = sum(row.prompt_tokens + row.output_tokens / 2 for row in mine) / len(mine)  # on the average of an answer
        bytes_read = weights + level.concurrency * context * per_token
        bandwidth = bytes_read / level.tpot_p50 / peak.bytes_per_second if level.tpot_p50 else 0.0
        compute = 2 * (layers * tokens + last * written) / seconds / peak.operations_per_second[weight_bytes]
        reached.append(Limit(level.concurrency, round(bandwidth, DIGITS), round(compute, DIGITS)))
    return reached
