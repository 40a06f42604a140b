"""What a learner waits for, each measured beside what it is compared with: `make bench`."""

import ast
import asyncio
import http.server
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager, nullcontext
from pathlib import Path

import nbformat
import bench_throughput
import openai

from helpers import models

PROMPT = [{"role": "user", "content": "Say hello in five words."}]
MODEL = "gpt-6-luna"
WARM_UP, CALLS, STREAMS, STARTS = 20, 200, 7, 5
TURNS = 1000  # of a call to the gateway and one to the bare server
LARGEST = " ".join(map(str, range(300_000)))  # some 900,000 tokens, nearly all that the model takes
PARALLEL = 256


# ---- a request ---------------------------------------------------------------------------------------------
class Fixed(http.server.BaseHTTPRequestHandler):
    """The barest server of the standard library: one answer of the gateway's, headers and all, for every request."""

    protocol_version = "HTTP/1.1"
    answer = b""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(self.answer)

    def log_message(self, *_):
        pass


def serve_fixed(answer):
    """Run the bare server in this process, and print its address."""
    Fixed.answer = answer.encode()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fixed)
    print(f"http://127.0.0.1:{server.server_port}/openai/v1", flush=True)
    server.serve_forever()


@contextmanager
def server(*command):
    """A server in a process of its own; the address that it prints."""
    environ = {**os.environ, "COURSE_MODE": "", "COURSE_STRICT": ""}
    running = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True, env=environ)
    try:
        for line in running.stdout:
            if "http" in line and ("OPENAI_BASE_URL=" in line or line.startswith("http")):
                yield line.strip().partition("OPENAI_BASE_URL=")[2] or line.strip()
                break
    finally:
        running.kill()
        running.communicate()


def seconds_a_call(client, calls):
    out = []
    for _ in range(calls):
        began = time.perf_counter()
        client.chat.completions.create(model=MODEL, messages=PROMPT)
        out.append(time.perf_counter() - began)
    return out


def quick(times):
    """What a tenth of the calls stay below: as on a quiet machine, for other programs only ever add to a call."""
    return statistics.quantiles(times, n=10)[0]


def against(ours, theirs):
    """How many times as long something takes as something else, and both in milliseconds."""
    return f"{ours / theirs:.2f} times ({1000 * ours:.2f} and {1000 * theirs:.2f} ms)"


def plain_call():
    """Seconds of the plain calls to the gateway and to the bare server, the two taking turns call by call."""
    with server("-m", "helpers.command", "gateway", "--port", "0", "--pace", "0") as address:
        ours = openai.OpenAI(base_url=address, api_key="none needed")
        raw = ours.chat.completions.with_raw_response.create(model=MODEL, messages=PROMPT)
        head = "".join(f"{name}: {value}\r\n" for name, value in raw.headers.items())
        with server(__file__, "serve", f"HTTP/1.1 200 OK\r\n{head}\r\n{raw.text}") as bare_address:
            bare = openai.OpenAI(base_url=bare_address, api_key="none needed")
            times = {ours: [], bare: []}
            for client in times:
                seconds_a_call(client, WARM_UP)
            for turn in range(TURNS):
                for client in (ours, bare) if turn % 2 else (bare, ours):
                    times[client] += seconds_a_call(client, 1)
    return times[ours], times[bare]


# ---- many at once, and large ones --------------------------------------------------------------------------
def unlimit(address):
    """Set the limits so high that nothing here meets them."""
    for family in ("requests", "tokens"):
        body = f'{{"provider": "openai", "family": "{family}", "per_minute": 1000000000}}'.encode()
        urllib.request.urlopen(address.partition("/openai")[0] + "/course/limits", body, timeout=10).close()


def beside_the_largest():
    """Median seconds of a small call beside the largest prompt, and of one alone; and the seconds that the large one takes."""
    with server("-m", "helpers.command", "gateway", "--port", "0", "--pace", "0") as address:
        client, took = openai.OpenAI(base_url=address, api_key="none needed", max_retries=0), []
        unlimit(address)
        seconds_a_call(client, WARM_UP)
        alone = seconds_a_call(client, CALLS)

        def ask():
            began = time.perf_counter()
            client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": LARGEST}], max_completion_tokens=1)
            took.append(time.perf_counter() - began)

        large, beside = threading.Thread(target=ask), []
        large.start()
        while large.is_alive():
            beside += seconds_a_call(client, 1)
        return statistics.median(beside), statistics.median(alone), *took


async def all_streams(client, width, **body):
    """Read PARALLEL streams to their end, `width` at a time. Returns the seconds for all."""
    places = asyncio.Semaphore(width)

    async def read():
        async with places:
            async for _ in await client.chat.completions.create(stream=True, **body):
                pass

    began = time.perf_counter()
    await asyncio.gather(*(read() for _ in range(PARALLEL)))
    return time.perf_counter() - began


def parallel_streams():
    """Seconds for PARALLEL streams at once and one after the other: recorded ones, then ones of the house model with 16 tokens."""

    async def measure(address, **body):
        async with openai.AsyncOpenAI(base_url=address, api_key="none needed", max_retries=0, timeout=600) as client:
            await all_streams(client, PARALLEL, **body)
            return await all_streams(client, PARALLEL, **body), await all_streams(client, 1, **body)

    with server("-m", "helpers.command", "gateway", "--port", "0", "--pace", "0") as address:
        unlimit(address)
        recorded = asyncio.run(measure(address, model=MODEL, messages=PROMPT))
        house = address.replace("/openai/", "/compatible/")
        return *recorded, *asyncio.run(measure(house, model="house", messages=PROMPT, max_tokens=16, temperature=0, seed=1))


# ---- a stream ----------------------------------------------------------------------------------------------
def first_token_lag():
    """How far the first token of a recorded stream comes from the model's typical time, in seconds."""
    due = models.get(MODEL, "openai").ttft
    lags = []
    with server("-m", "helpers.command", "gateway", "--port", "0", "--pace", "1") as address:
        client = openai.OpenAI(base_url=address, api_key="none needed")
        seconds_a_call(client, 1)
        for _ in range(STREAMS):
            began = time.perf_counter()
            # Without thinking, which would come before the first token.
            for chunk in client.chat.completions.create(model=MODEL, messages=PROMPT, stream=True, reasoning_effort="none"):
                if chunk.choices and chunk.choices[0].delta.content:
                    lags.append(time.perf_counter() - began - due)
                    break
    return statistics.median(lags)


# ---- starting ----------------------------------------------------------------------------------------------
def import_time():
    """Seconds that `import helpers` adds to a Python that does nothing, the two taking turns."""
    times = {"pass": [], "import helpers": []}
    for _ in range(STARTS * 3):
        for code, taken in times.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            taken.append(time.perf_counter() - began)
    return statistics.median(times["import helpers"]) - statistics.median(times["pass"])


def start_time():
    """Seconds that a first cell with helpers.start() takes in a fresh kernel, less those of a cell that does nothing."""
    from jupyter_client.manager import start_new_kernel

    times = {"pass": [], "import helpers; course = helpers.start()": []}
    for _ in range(STARTS):
        for code, taken in times.items():
            manager, client = start_new_kernel(kernel_name="python3", stderr=subprocess.DEVNULL)
            try:
                began = time.perf_counter()
                reply = client.execute_interactive(code, output_hook=lambda _: None, timeout=60)
                taken.append(time.perf_counter() - began)
                assert reply["content"]["status"] == "ok", reply
            finally:
                client.stop_channels()
                manager.shutdown_kernel(now=True)
    bare, ours = (statistics.median(taken) for taken in times.values())
    return ours - bare


# ---- the chapters ------------------------------------------------------------------------------------------
CHAPTERS = sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9]*.ipynb"))


def imports_of(path):
    """All import statements of a chapter's code."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    found = [node for source in cells for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join(dict.fromkeys(map(ast.unparse, found)))


def chapters():
    """Seconds of nbval over all chapters (the tests' conftest sets the pace to 0), and of starting the same kernels and importing the same packages.

    One chapter after the other in both, and the kernels are started as nbval starts them.
    """
    from nbval.kernel import RunningKernel

    began = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "--quiet", "-p", "no:xdist", *map(str, CHAPTERS)]
    subprocess.run(command, check=True, cwd=CHAPTERS[0].parents[1], stdout=subprocess.DEVNULL)
    between = time.perf_counter()
    for path in CHAPTERS:
        kernel = RunningKernel("python3", cwd=str(path.parent))
        try:
            reply = kernel.kc.execute_interactive(imports_of(path), output_hook=lambda _: None, timeout=600)
            assert reply["content"]["status"] == "ok", path.name
        finally:
            kernel.stop()
    return between - began, time.perf_counter() - between


# ---- the house model ---------------------------------------------------------------------------------------
TALK = [{"role": "user", "content": "Count from one to ten in words."}]


@contextmanager
def one_core():
    """This process, and those that it starts, on the first of its cores alone, where the system can do that."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    try:
        if cores:
            os.sched_setaffinity(0, {min(cores)})
        yield
    finally:
        if cores:
            os.sched_setaffinity(0, cores)


def engine_speed():
    """Tokens per second of the numpy engine for one answer, and seconds to the first token of a 100-token prompt."""
    from helpers.house_model.engine import Engine
    from helpers.house_model.sampling import Sampling

    engine, speeds, firsts = Engine(), [], []
    long = engine.tokenizer.encode("What is a token and what does it cost? " * 30)[:100]
    for _ in range(STREAMS):
        began = time.perf_counter()
        next(engine.generate(long, Sampling(max_tokens=1)))
        firsts.append(time.perf_counter() - began)
        answer = engine.generate(engine.chat([("user", TALK[0]["content"])]), Sampling(max_tokens=200, stop=()))
        next(answer)
        began, count = time.perf_counter(), sum(1 for _ in answer)
        speeds.append(count / (time.perf_counter() - began))
    return statistics.median(speeds), statistics.median(firsts)


WIDTHS = (1, 8, 32)  # streams at once
TAKES = 3  # turns of the two servers
ASKED = ("Count from one to ten in words.", "What is a token?", "What is prompt caching?", "Explain continuous batching.")


async def tokens_written(address, number):
    """Ask for a stream and read it to its end, with as little work as can be: an SDK would take more of the cores than the server."""
    at = urllib.parse.urlsplit(address)
    asked = {"messages": [{"role": "user", "content": f"{ASKED[number % len(ASKED)]} {number}"}], "max_tokens": 64, "temperature": 0.5, "seed": number}
    body = json.dumps({"model": "house", "stream": True, "stream_options": {"include_usage": True}, **asked})
    head = f"POST {at.path}/chat/completions HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    writer.write(f"{head}Authorization: Bearer none\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    answer = await reader.read()
    writer.close()
    return int(re.findall(rb'"completion_tokens": ?(\d+)', answer)[-1])


async def tokens_per_second(address, width):
    """Tokens per second of all streams together, `width` at once, each asking something else: in each of a few rounds."""
    speeds = []
    for _ in range(STREAMS):
        began = time.perf_counter()
        counts = await asyncio.gather(*(tokens_written(address, number) for number in range(width)))
        speeds.append(sum(counts) / (time.perf_counter() - began))
    return speeds


def side_by_side():
    """Tokens per second at each width, of the best round: of the house model behind the gateway, and of a real vLLM, the two taking turns.

    None for vLLM where none is installed.
    """
    from helpers.serving import server as vllm

    speeds = {width: ([], []) for width in WIDTHS}
    with server("-m", "helpers.command", "gateway", "--port", "0", "--pace", "0") as address, vllm.serve() if vllm.find() else nullcontext() as running:
        unlimit(address)
        servers = [address.replace("/openai/", "/compatible/"), *([running.base_url] if running else [])]
        for _ in range(TAKES):
            for width in WIDTHS:
                for at, taken in zip(servers, speeds[width], strict=False):
                    taken += asyncio.run(tokens_per_second(at, width))
    return {width: tuple(max(taken) if taken else None for taken in both) for width, both in speeds.items()}


FIRSTS = 100  # short prompts whose first token is waited for, beside each load
SENTENCE = "What is a token and what does it cost? "
LONG = " ".join(map(str, range(34_000)))  # some 100,000 tokens


def filling():
    """A prompt that nearly fills the house model's window."""
    from helpers.house_model.engine import Engine

    engine = Engine()
    return SENTENCE * ((engine.model.context - 64) // len(engine.tokenizer.encode(SENTENCE)))


LOADS = {  # how many ask at once, whom, and for what
    "beside 8 prompts that fill the window": (8, "house", filling),
    "beside a prompt of 100,000 tokens": (1, MODEL, lambda: LONG),
}


async def load(address, name):
    """Ask again and again, each time with another beginning."""
    width, model, text = LOADS[name]
    at = address if model == MODEL else address.replace("/openai/", "/compatible/")
    prompt, limit = text(), "max_completion_tokens" if model == MODEL else "max_tokens"

    async def ask(client, number):
        for turn in itertools.count():
            messages = [{"role": "user", "content": f"{number} {turn} {prompt}"}]
            await client.chat.completions.create(model=model, messages=messages, extra_body={limit: 16})

    async with openai.AsyncOpenAI(base_url=at, api_key="none needed", max_retries=0, timeout=600) as client:
        await asyncio.gather(*(ask(client, number) for number in range(width)))


def first_tokens():
    """Seconds to the first token of short prompts to the house model, beside nothing and beside each load, in order of size."""
    times = {}
    with server("-m", "helpers.command", "gateway", "--port", "0", "--pace", "0") as address:
        unlimit(address)
        client = openai.OpenAI(base_url=address.replace("/openai/", "/compatible/"), api_key="none needed", max_retries=0)
        first_token(client, 0)  # loads the model
        for name in ("alone", *LOADS):
            running = None if name == "alone" else subprocess.Popen([sys.executable, __file__, "load", address, name])
            try:
                time.sleep(3 if running else 0)  # until the load runs
                times[name] = sorted(first_token(client, number) for number in range(FIRSTS))
                assert running is None or running.poll() is None, f"the load ended: {name}"
            finally:
                if running:
                    running.kill()
                    running.wait()
    return times


def first_token(client, number):
    began = time.perf_counter()
    messages = [{"role": "user", "content": f"Say hello, please. {number}"}]
    with client.chat.completions.create(model="house", messages=messages, max_tokens=4, temperature=0, stream=True) as stream:
        next(chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content)
        return time.perf_counter() - began


# ---- grading -----------------------------------------------------------------------------------------------
def grading_time():
    """Seconds of grading the solution of an exercise, handed in as a learner would, and of running it alone; the two take turns."""
    import nbclient

    from helpers.exercises import grading, masters, submissions, walls

    known, times = {name: masters.master(name) for name in masters.names()}, ([], [])
    work = submissions.find(masters.MASTERS)[0]
    for _ in range(TAKES):
        began = time.perf_counter()
        result = grading.grade_one(work, known, walls.Limits(), walls=not walls.missing())
        times[0].append(time.perf_counter() - began)
        assert result.points == result.of > 0, result
        began = time.perf_counter()
        notebook = masters.master(result.exercise)
        nbclient.NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(masters.MASTERS)}}).execute(stderr=subprocess.DEVNULL)
        times[1].append(time.perf_counter() - began)
    return tuple(map(statistics.median, times))


def main():
    ours, bare = plain_call()
    beside, alone, large = beside_the_largest()
    together, in_turn, house_together, house_in_turn = parallel_streams()
    whole, bare_kernels = chapters()
    house = f"{house_together / house_in_turn:.2f} times ({house_together:.1f} and {house_in_turn:.1f} s)"
    rows = [
        ("a call to the gateway, against a bare server", against(quick(ours), quick(bare)), "at most 1.1 times"),
        ("the same by the median, with others' load", against(statistics.median(ours), statistics.median(bare)), ""),
        ("a call beside the largest prompt, against one alone", f"{beside / alone:.1f} times ({1000 * beside:.1f} ms; {large:.1f} s for that)", "at most 20 times"),
        (f"{PARALLEL} recorded streams, against one by one", f"{together / in_turn:.2f} times ({together:.2f} and {in_turn:.2f} s)", "at most 1.2 times"),
        (f"{PARALLEL} house streams, against one by one", house, "at most 1.2 times"),
        ("first token of a stream, against its typical time", f"{1000 * first_token_lag():+.1f} ms", "within 10 ms"),
        ("import helpers, against a bare Python", f"{import_time():+.3f} s", "at most 0.1 s"),
        ("helpers.start() in a kernel, against an empty cell", f"{start_time():+.3f} s", "at most 0.3 s"),
        ("all chapters, against their kernels and imports", f"{whole / bare_kernels:.2f} times ({whole:.0f} and {bare_kernels:.0f} s)", "at most 1.5 times"),
    ]
    for width, (ours, theirs) in side_by_side().items():
        share = f"{ours / theirs:.1f} times ({ours:.0f} and {theirs:.0f} tokens/s)" if theirs else f"{ours:.0f} tokens/s; no vLLM to compare with"
        rows.append((f"house model, {width} streams, against vLLM", share, "at least 1 times" if width == max(WIDTHS) else ""))
    for name, firsts in first_tokens().items():
        shown = f"{1000 * statistics.median(firsts):.1f} ms; 19 of 20 {1000 * firsts[int(0.95 * FIRSTS)]:.1f}, all {1000 * firsts[-1]:.1f}"
        rows.append((f"house, first token {name}", shown, "at most 50 ms"))
    with one_core():
        speed, first = engine_speed()
    rows.append(("its engine alone on one core, one answer", f"{speed:.0f} tokens/s", ""))
    rows.append(("its first token after a prompt of 100", f"{1000 * first:.1f} ms", "below 50 ms"))
    graded, ran = grading_time()
    rows.append(("grading a solution, against running it alone", f"{graded / ran:.2f} times ({graded:.1f} and {ran:.1f} s)", "at most 1.5 times"))
    rows += bench_throughput.rows()
    for what, measured, target in rows:
        print(f"{what:52}{measured:40}{target}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", answer]:
            serve_fixed(answer)
        case ["load", address, name]:
            asyncio.run(load(address, name))
        case _:
            main()
