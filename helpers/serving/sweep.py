"""Measure a real vLLM and keep the rows: `python -m helpers.serving.sweep --out FILE [--gpu]`.

The stored sweeps in sweeps/ show a learner without vLLM, or without a GPU, what it does. Each says on which machine,
with which versions and options it was made, and holds every request that was timed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from helpers.course import CourseError
from helpers.serving import load, server
from helpers.serving.load import PrefixRow, Row

FOLDER = Path(__file__).with_name("sweeps")
DIGITS = 4  # of seconds, after the point


# ---- what is measured --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Configuration:
    """A model, how to run it, and how to load it. `dummy`: the shape of a model with random weights."""

    name: str
    dummy: Mapping[str, Any] | None
    options: tuple[str, ...]
    max_model_len: int
    concurrency: tuple[int, ...]
    requests_per_client: int
    prompt_tokens: int
    output_tokens: int
    document_tokens: tuple[int, ...]
    repeats: int
    weight_bytes: int = 2  # of a number in a layer's matrices: 2 for bf16, 1 for fp8


# Fifteen times the house model, so that even on a CPU the model's own time is most of what one waits for.
MEDIUM = dict(num_hidden_layers=8, hidden_size=768, intermediate_size=2048, num_attention_heads=12, num_key_value_heads=4, head_dim=64)
# The shape of Llama 3.1 8B.
LLAMA_8B = dict(
    num_hidden_layers=32,
    hidden_size=4096,
    intermediate_size=14336,
    num_attention_heads=32,
    num_key_value_heads=8,
    head_dim=128,
    vocab_size=128256,
    max_position_embeddings=131072,
    tie_word_embeddings=False,
)
HOUSE = Configuration(
    name="house",
    dummy=None,
    options=("--enable-prompt-tokens-details",),
    max_model_len=2048,
    concurrency=(1, 2, 4, 8, 16, 32),
    requests_per_client=4,
    prompt_tokens=128,
    output_tokens=64,
    document_tokens=(256, 512, 1024, 1792),
    repeats=5,
)
GPU = Configuration(
    name="8b bf16",
    dummy=LLAMA_8B,
    # Tokens are sent 16 at a time (the first at once): else the client in Python, not the GPU, would be what is measured.
    options=("--enable-prompt-tokens-details", "--max-num-seqs", "512", "--stream-interval", "16"),
    max_model_len=20480,
    concurrency=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    requests_per_client=2,
    prompt_tokens=256,
    output_tokens=256,
    document_tokens=(1024, 4096, 8192, 16384),
    repeats=5,
)
LARGER = replace(HOUSE, name="medium", dummy=MEDIUM)
ON_CPU = (HOUSE, LARGER)
ON_GPU = (GPU, replace(GPU, name="8b fp8", options=(*GPU.options, "--quantization", "fp8_per_tensor"), weight_bytes=1))


# ---- what is kept ------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Run:
    """One configuration, measured. `flags` are vLLM's options; `weights` is "random" or begins the SHA-256 of the file."""

    name: str
    flags: list[str]
    shape: dict[str, Any]
    weights: str
    seconds_to_start: float
    rows: list[Row]
    prefix: list[PrefixRow]
    limits: list[Limit] | None  # None where the peaks of the hardware are not known
    metrics: dict[str, float] = field(default_factory=dict)  # what the server counted, at the end


@dataclass(frozen=True)
class Sweep:
    """What was measured on one machine. `date` is in UTC."""

    date: str
    machine: dict[str, Any]
    versions: dict[str, str]
    runs: list[Run]
    batch: list[dict[str, Any]] = field(default_factory=list)  # QUESTIONS, answered by the batch runner

    def run(self, name: str) -> Run:
        """The run of that name. Raises KeyError, naming those that there are."""
        for run in self.runs:
            if run.name == name:
                return run
        raise KeyError(f"no run {name!r}; there are {', '.join(run.name for run in self.runs)}")


def load_sweep(name: str) -> Sweep:
    """A stored sweep by its file's name without .json. Raises CourseError, naming those that there are."""
    file = FOLDER / f"{name}.json"
    if not file.is_file():
        stored = ", ".join(sorted(file.stem for file in FOLDER.glob("*.json"))) or "none yet"
        raise CourseError(f"no sweep {name!r} is stored; there are: {stored}")
    return read(file)


def read(file: Path) -> Sweep:
    """A sweep from its file."""
    stored = json.loads(file.read_text(encoding="utf-8"))
    return Sweep(**{**stored, "runs": [_run(run) for run in stored["runs"]]})


def write(sweep: Sweep, file: Path) -> None:
    """Write a sweep as JSON, one row a line."""
    runs = [{**vars(run), "rows": _table(run.rows), "prefix": _table(run.prefix), "limits": run.limits and _table(run.limits)} for run in sweep.runs]
    text = json.dumps({**vars(sweep), "runs": runs}, indent=1)
    flat = re.sub(r"\[[^][{}]*\]", lambda row: f"[{' '.join(row[0][1:-1].split())}]", text)  # lists that hold neither lists nor objects
    file.write_text(flat + "\n", encoding="utf-8")


def _table(rows: Sequence[Any]) -> list[list[Any]]:
    """The names of the columns, then the rows."""
    names = [column.name for column in fields(rows[0])] if rows else []
    return [names, *([round(value, DIGITS) if isinstance(value, float) else value for value in astuple(row)] for row in rows)]


def _run(stored: dict[str, Any]) -> Run:
    kinds = {"rows": Row, "prefix": PrefixRow, "limits": Limit}
    tables = {}
    for name, kind in kinds.items():
        if stored[name] is not None:
            columns, *rows = stored[name]
            tables[name] = [kind(**dict(zip(columns, row, strict=True))) for row in rows]
    return Run(**{**stored, **tables})


# ---- how near to what the hardware can do ------------------------------------------------------------------
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


def limits(rows: Sequence[Row], shape: Mapping[str, Any], weight_bytes: int, peak: Peak) -> list[Limit]:
    """How much of the peak each level reached.

    For every token that all clients get at once, the GPU reads all weights and the keys and values of every client;
    for every token of a prompt or an answer it does two operations with each weight (the work of attention is left
    out: it is small at these lengths). The last matrix stays in bf16 under fp8, as do keys and values.
    """
    layers, last = parameters(shape)
    per_token = 2 * 2 * shape["num_hidden_layers"] * shape["num_key_value_heads"] * shape["head_dim"]  # bytes of keys and values
    reached = []
    for level in load.summary(rows):
        mine = [row for row in rows if row.concurrency == level.concurrency]
        tokens = sum(row.prompt_tokens + row.output_tokens for row in mine)
        seconds = max(row.end for row in mine) - min(row.start for row in mine)
        context = sum(row.prompt_tokens + row.output_tokens / 2 for row in mine) / len(mine)  # on the average of an answer
        bytes_read = layers * weight_bytes + last * 2 + level.concurrency * context * per_token
        bandwidth = bytes_read / level.tpot_p50 / peak.bytes_per_second if level.tpot_p50 else 0.0
        compute = 2 * (layers + last) * tokens / seconds / peak.operations_per_second[weight_bytes]
        reached.append(Limit(level.concurrency, round(bandwidth, DIGITS), round(compute, DIGITS)))
    return reached


# ---- measuring ---------------------------------------------------------------------------------------------
def measure(configuration: Configuration, model: Path, gpu: str | None) -> Run:
    """Start vLLM with one configuration, load it, stop it. Raises what `server.serve` and `load.measure` raise."""
    c = configuration
    with server.serve(model, max_model_len=c.max_model_len, options=c.options, dummy=c.dummy, timeout=900) as vllm:
        print(f"{c.name}: started in {vllm.seconds_to_start:.0f} s", flush=True)
        rows = load.measure(
            vllm.base_url,
            vllm.name,
            concurrency=c.concurrency,
            requests_per_client=c.requests_per_client,
            prompt_tokens=c.prompt_tokens,
            output_tokens=c.output_tokens,
            timeout=300,
        )
        for level in load.summary(rows):
            print(f"{c.name}: {level.concurrency} clients, {level.tokens_per_second:.0f} tokens/s", flush=True)
        prefix = load.measure_prefix(vllm.base_url, vllm.name, document_tokens=c.document_tokens, repeats=c.repeats)
        flags, seconds_to_start = list(vllm.options), round(vllm.seconds_to_start, 1)
        metrics = {name: round(value, DIGITS) for name, value in vllm.metrics().items()}
    shape = shape_of(model, c.dummy)
    peak = PEAKS.get(gpu or "")
    reached = limits(rows, shape, c.weight_bytes, peak) if peak else None
    return Run(c.name, flags, shape, _weights(model, c.dummy), seconds_to_start, rows, prefix, reached, metrics)


QUESTIONS = ("What is a token?", "What is PagedAttention?", "What is the context window?")


def answer_batch(model: Path) -> list[dict[str, Any]]:
    """QUESTIONS in OpenAI's batch format, answered without a server. Raises what `server.run_batch` raises."""
    with TemporaryDirectory() as folder:
        source = Path(folder) / "in.jsonl"
        bodies = [{"model": "house", "messages": [{"role": "user", "content": text}], "temperature": 0} for text in QUESTIONS]
        lines = [{"custom_id": str(n), "method": "POST", "url": "/v1/chat/completions", "body": body} for n, body in enumerate(bodies)]
        source.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
        return server.run_batch(source, Path(folder) / "out.jsonl", model=model)


SHAPE = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim")


def shape_of(model: Path, dummy: Mapping[str, Any] | None) -> dict[str, Any]:
    """What decides a Llama's size and speed, from its config.json and what `dummy` changes in it; with its parameters."""
    config = {**json.loads((model / "config.json").read_text(encoding="utf-8")), **(dummy or {})}
    config.setdefault("head_dim", config["hidden_size"] // config["num_attention_heads"])
    shape = {name: config[name] for name in (*SHAPE, "vocab_size", "tie_word_embeddings")}
    layers, last = parameters(shape)
    return {**shape, "parameters": layers + last * (1 if shape["tie_word_embeddings"] else 2)}


def _weights(model: Path, dummy: Mapping[str, Any] | None) -> str:
    if dummy is not None:
        return "random"
    digest = hashlib.sha256()
    for file in sorted(model.glob("*.safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def machine(gpu: str | None) -> dict[str, Any]:
    """The machine in neutral words: processor, cores that we may use, memory in GiB, GPU."""
    processor = platform.machine()
    with suppress(OSError, IndexError):
        processor = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": processor, "cores": cores, "memory_gib": round(memory), "gpu": gpu, "gpu_memory_gib": gpu and _gpu_memory()}


def _gpu_memory() -> int | None:
    with suppress(OSError, subprocess.SubprocessError, ValueError):
        command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
        return round(int(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()[0]) / 1024)
    return None


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status. The file is written after each run, so that a later failure loses nothing."""
    from openai import OpenAIError

    args = _parser().parse_args(arguments)
    installation = server.find()
    if installation is None or (args.gpu and installation.build != "gpu"):
        print("sweep: there is no vLLM" + (" for a GPU" if args.gpu else "") + ": run `make vllm`, or set COURSE_VLLM.", file=sys.stderr)
        return 1
    versions = {"vllm": installation.version, "build": installation.build, "torch": installation.torch, "python": installation.python_version}
    date = datetime.now(UTC).isoformat(timespec="seconds")
    sweep = Sweep(date, machine(installation.gpu), versions, [])
    write(sweep, args.out)  # a file that cannot be written is found out now
    failed = 0
    for configuration in ON_GPU if args.gpu else ON_CPU:
        try:
            sweep.runs.append(measure(_changed(configuration, args), args.model, installation.gpu))
        except (CourseError, OSError, RuntimeError, OpenAIError) as error:
            print(f"sweep: {configuration.name} failed. {error}", file=sys.stderr)
            failed += 1
        write(sweep, args.out)
    if not args.gpu and not failed:
        try:
            sweep.batch.extend(answer_batch(args.model))
        except CourseError as error:
            print(f"sweep: the batch failed. {error}", file=sys.stderr)
            failed += 1
        write(sweep, args.out)
    return 1 if failed else 0


def _changed(configuration: Configuration, args: argparse.Namespace) -> Configuration:
    """The configuration with the counts of the command line."""
    given = {name: getattr(args, name) for name in ("concurrency", "requests_per_client", "output_tokens", "document_tokens", "repeats")}
    return replace(configuration, **{name: value for name, value in given.items() if value is not None})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m helpers.serving.sweep", description="Measure a real vLLM; write one JSON file.")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    parser.add_argument("--gpu", action="store_true", help="an 8-billion-parameter model on a GPU, not the house model on a CPU")
    parser.add_argument("--model", type=Path, default=server.HOUSE_MODEL, help="a model's folder (default: the house model)")
    for name, words in (("concurrency", "clients at once, one level each"), ("document_tokens", "lengths of the documents")):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, nargs="+", metavar="N", help=words)
    for name, words in (("requests_per_client", "at each level"), ("output_tokens", "of each answer"), ("repeats", "of each document")):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="N", help=words)
    return parser


if __name__ == "__main__":
    sys.exit(main())
