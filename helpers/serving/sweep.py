"""Measure a real vLLM and keep the rows: `python -m helpers.serving.sweep --out FILE [--gpu] [-- options of vLLM]`.

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from helpers.course import CourseError
from helpers.serving import load, server
from helpers.serving.hardware import PEAKS, Limit, limits, parameters
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
    failed: list[str] = field(default_factory=list)  # the levels that are missing, each with its error


@dataclass(frozen=True)
class Sweep:
    """What was measured on one machine. `date` is in UTC.

    note: what a reader of the numbers has to know. ceilings: what the same card did without vLLM, in PyTorch:
    bytes a second of a copy in its memory, and microseconds of each matrix product of one token.
    """

    date: str
    machine: dict[str, Any]
    versions: dict[str, str]
    runs: list[Run]
    batch: list[dict[str, Any]] = field(default_factory=list)  # QUESTIONS, answered by the batch runner
    note: str = ""
    ceilings: dict[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """When it was measured, on what and with what, for a line below the numbers."""
        place = f"{self.machine['gpu']}, {self.machine['gpu_memory_gib']} GiB" if self.machine["gpu"] else f"{self.machine['cores']} cores of {self.machine['cpu']}"
        return f"{self.date[:10]}: {place}, vLLM {self.versions['vllm']}, torch {self.versions['torch']}"

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


# ---- measuring ---------------------------------------------------------------------------------------------
def measure(configuration: Configuration, model: Path, gpu: str | None, keep: Callable[[Run], object] = lambda run: None) -> Run:
    """Start vLLM with one configuration, load it, stop it.

    A level that fails is named in `failed`, and the next is tried. keep: called after each level, with what there is so far.
    Raises what `server.serve` raises, and RuntimeError if no level at all could be measured.
    """
    c = configuration
    with server.serve(model, max_model_len=c.max_model_len, options=c.options, dummy=c.dummy, timeout=900) as vllm:
        print(f"{c.name}: started in {vllm.seconds_to_start:.0f} s", flush=True)
        run = Run(c.name, list(vllm.options), shape_of(model, c.dummy), _weights(model, c.dummy), round(vllm.seconds_to_start, 1), [], [], None)
        for clients in c.concurrency:
            with _noted(run):
                run.rows.extend(_load(vllm, c, clients))
                print(f"{c.name}: {clients} clients, {load.summary(run.rows)[-1].tokens_per_second:.0f} tokens/s", flush=True)
            keep(run)
        for length in c.document_tokens:
            with _noted(run):
                run.prefix.extend(load.measure_prefix(vllm.base_url, vllm.name, document_tokens=[length], repeats=c.repeats))
            keep(run)
        if not run.rows:
            raise RuntimeError(run.failed[0])
        metrics = {name: round(value, DIGITS) for name, value in vllm.metrics().items()}
    peak = PEAKS.get(gpu or "")
    return replace(run, metrics=metrics, limits=limits(run.rows, run.shape, c.weight_bytes, peak) if peak else None)


def _load(vllm: server.Server, c: Configuration, clients: int) -> list[Row]:
    return load.measure(
        vllm.base_url,
        vllm.name,
        concurrency=[clients],
        requests_per_client=c.requests_per_client,
        prompt_tokens=c.prompt_tokens,
        output_tokens=c.output_tokens,
        timeout=300,
    )


@contextmanager
def _noted(run: Run) -> Iterator[None]:
    """An error is said and noted in the run: it costs one level, not what was measured before and could be after."""
    from openai import OpenAIError

    try:
        yield
    except (OSError, RuntimeError, ValueError, OpenAIError) as error:
        run.failed.append(str(error))
        print(f"{run.name}: {error}", file=sys.stderr, flush=True)


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
    """Run the command line; the exit status. The file is written after each level, so that a later failure loses nothing."""
    args = _parser().parse_args(arguments)
    configurations = _chosen(args)
    installation = server.find()
    if installation is None or (args.gpu and installation.build != "gpu"):
        print("sweep: there is no vLLM" + (" for a GPU" if args.gpu else "") + ": run `make vllm`, or set COURSE_VLLM.", file=sys.stderr)
        return 1
    versions = {"vllm": installation.version, "build": installation.build, "torch": installation.torch, "python": installation.python_version}
    date = datetime.now(UTC).isoformat(timespec="seconds")
    done = Sweep(date, machine(installation.gpu), versions, [])
    write(done, args.out)  # a file that cannot be written is found out now
    failed = 0
    for configuration in configurations:
        try:
            run = measure(configuration, args.model, installation.gpu, keep=lambda run: write(replace(done, runs=[*done.runs, run]), args.out))
            done.runs.append(run)
            failed += len(run.failed)
        except (CourseError, OSError, RuntimeError) as error:
            print(f"sweep: {configuration.name} failed. {error}", file=sys.stderr)
            failed += 1
        write(done, args.out)
    if not args.gpu and not args.only and not failed:
        try:
            done.batch.extend(answer_batch(args.model))
        except CourseError as error:
            print(f"sweep: the batch failed. {error}", file=sys.stderr)
            failed += 1
        write(done, args.out)
    return 1 if failed else 0


LEVELS = {"concurrency": "clients at once, one level each", "document_tokens": "lengths of the documents"}
COUNTS = {"requests_per_client": "at each level", "prompt_tokens": "of each request", "output_tokens": "of each answer", "repeats": "of each document"}


def _chosen(args: argparse.Namespace) -> list[Configuration]:
    """The configurations to measure, with the counts and options of the command line. Exits for a name that there is not."""
    known = {configuration.name: configuration for configuration in (ON_GPU if args.gpu else ON_CPU)}
    for name in args.only or ():
        if name not in known:
            _parser().error(f"there is no {name!r}: choose from {', '.join(known)}")
    given = {name: value for name, value in vars(args).items() if name in {**LEVELS, **COUNTS} and value is not None}
    return [replace(known[name], options=(*known[name].options, *args.options), **given) for name in args.only or known]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m helpers.serving.sweep", description="Measure a real vLLM; write one JSON file.")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    parser.add_argument("--gpu", action="store_true", help="an 8-billion-parameter model on a GPU, not the house model on a CPU")
    parser.add_argument("--model", type=Path, default=server.HOUSE_MODEL, help="a model's folder (default: the house model)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="not all configurations: house, medium; on a GPU '8b bf16', '8b fp8'")
    for name, words in LEVELS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, nargs="+", metavar="N", help=words)
    for name, words in COUNTS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="N", help=words)
    parser.add_argument("options", nargs="*", metavar="OPTION", help="after --: more options of vLLM, such as -- --max-num-seqs 1024")
    return parser


if __name__ == "__main__":
    sys.exit(main())
