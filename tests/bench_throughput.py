"""Calls and chunks a second that one core answers at 64 connections, beside aimock: a part of `make bench`.

aimock (npm, MIT) is the quickest stand-in server that we know of. Both serve one recorded answer, taking turns, to wrk. What is counted is
the processor time of the server, so that other programs on the machine change little: one that has a core for itself answers as many a second.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

AIMOCK = "@copilotkit/aimock@1.43"  # AIMOCK=path/to/cli.js names one that is here
CONNECTIONS, SECONDS, TURNS = 64, 4, 5
SAID = "Hello, it's nice meeting you."
ASK = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Say hello in five words."}]}
KINDS = {"plain": ASK, "streamed": {**ASK, "stream": True}}
SCRIPT = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.headers["Authorization"] = "Bearer x"\nwrk.body = {body}\n'


def missing():
    """What of the needed programs is not here; empty where nothing is."""
    names = [name for name in ("node", "wrk") if not shutil.which(name)]
    return names + ([] if aimock() else [f"{AIMOCK} (npm install it and set AIMOCK to its dist/cli.js)"])


def aimock():
    """The command line of aimock, where it is installed."""
    found = Path(os.environ.get("AIMOCK") or "node_modules/@copilotkit/aimock/dist/cli.js")
    return found if found.is_file() else None


@contextmanager
def serving(command, port, path):
    """A server and the address of its chat completions."""
    environ = {**os.environ, "COURSE_MODE": "", "COURSE_STRICT": ""}
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ)
    try:
        address, ends = f"http://127.0.0.1:{port}{path}", time.monotonic() + 60
        while time.monotonic() < ends:
            with suppress(OSError):
                ask(address, ASK)
                break
            time.sleep(0.1)
        yield psutil.Process(running.pid), address
    finally:
        running.kill()
        running.wait()


def ask(address, body):
    headers = {"content-type": "application/json", "authorization": "Bearer x"}
    with urllib.request.urlopen(urllib.request.Request(address, json.dumps(body).encode(), headers), timeout=10) as answer:
        return answer.read()


def calls_a_second(server, address, script):
    """Answers a second of the server's processor time."""
    before = server.cpu_times()
    ran = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", script, address], capture_output=True, text=True, check=True).stdout
    after = server.cpu_times()
    assert "Non-2xx" not in ran, ran
    return int(re.search(r"(\d+) requests in", ran)[1]) / (after.user + after.system - before.user - before.system)


def measure(turns=TURNS, others=()):
    """For each kind, the medians of our and aimock's calls a second, and the chunks of a stream of each. `others`: more servers, by name."""
    with tempfile.TemporaryDirectory() as folder:
        fixture = Path(folder, "fixture.json")
        fixture.write_text(json.dumps({"fixtures": [{"match": {"userMessage": "hello"}, "response": {"content": SAID}}]}))
        servers = {
            "gateway": ([sys.executable, "-m", "helpers.command", "gateway", "--port", "4811", "--pace", "0"], 4811, "/openai/v1/chat/completions"),
            "aimock": (["node", str(aimock()), "-p", "4812", "-f", str(fixture), "--log-level", "silent"], 4812, "/v1/chat/completions"),
            **dict(others),
        }
        found = {kind: {name: [] for name in servers} for kind in KINDS}
        with all_of(servers) as running:
            chunks = {name: ask(address, KINDS["streamed"]).count(b"data: {") for name, (_, address) in running.items()}
            for turn in range(turns + 1):
                for kind, body in KINDS.items():
                    script = Path(folder, f"{kind}.lua")
                    script.write_text(SCRIPT.format(body=json.dumps(json.dumps(body))))
                    for name in list(running) if turn % 2 else reversed(running):
                        speed = calls_a_second(*running[name], str(script))
                        if turn:  # the first is for warming up
                            found[kind][name].append(speed)
    return {kind: {name: statistics.median(speeds) for name, speeds in each.items()} for kind, each in found.items()}, chunks


@contextmanager
def all_of(servers):
    """All servers at once; ours with its limits so high that nothing here meets them."""
    with ExitStack() as stack:
        running = {name: stack.enter_context(serving(*server)) for name, server in servers.items()}
        for _, address in running.values():
            for family in ("requests", "tokens") if "/openai/" in address else ():
                body = json.dumps({"provider": "openai", "family": family, "per_minute": 10**9}).encode()
                urllib.request.urlopen(address.partition("/openai")[0] + "/course/limits", body, timeout=10).close()
        yield running


def rows():
    """What the bench prints: what, measured, target."""
    if missing():
        return [("calls at 64 connections, against aimock", f"skipped: no {', no '.join(missing())}", "")]
    speeds, chunks = measure()
    ours, theirs = speeds["plain"]["gateway"], speeds["plain"]["aimock"]
    streams = [speeds["streamed"][name] * chunks[name] for name in ("gateway", "aimock")]
    return [
        ("calls a second of a core, against aimock", f"{ours / theirs:.2f} times ({ours:.0f} and {theirs:.0f})", "at least 0.9 times"),
        ("chunks of streams, the same way", f"{streams[0] / streams[1]:.2f} times ({streams[0]:.0f} and {streams[1]:.0f})", "at least 1 times"),
    ]


if __name__ == "__main__":
    for row in rows():
        print("{:52}{:40}{}".format(*row))
