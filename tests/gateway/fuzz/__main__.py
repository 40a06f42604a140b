"""The command line: plays scenes in rounds, several clients side by side, and says what it saw."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from random import Random

from tests.gateway.fuzz.process import Gateway
from tests.gateway.fuzz.requests import Scene
from tests.gateway.fuzz.scenes import ALONE, faults, scene_of, unlimited
from tests.gateway.fuzz.watch import SHOWN, Watch
from tests.gateway.fuzz.wire import Answer, Client, Request

ROUND = 500  # scenes; those that need the gateway for themselves come at its end
SETTLED = 10_000  # scenes after which the gateway's memory is taken as what it needs
MOST_GROWTH = 1.2


def play(make: Callable[[Random], Scene], r: Random, number: int, client: Client, see: Callable[..., None]) -> None:
    """Play one scene to its end."""
    scene, answers = make(r), None
    while True:
        try:
            asked = scene.send(answers)
        except StopIteration:
            return
        requests = asked if isinstance(asked, list) else [asked]
        got = client.send(*requests)
        for request, answer in zip(requests, got, strict=True):
            closed = answer.note == "after the last answer"  # the one before said so, or was no HTTP
            if not closed:
                see(number, request, answer, disturbed=make is faults)
        answers = got if isinstance(asked, list) else got[0]


class Run:
    """A gateway and its clients, through all rounds."""

    def __init__(self, seed: int, clients: int) -> None:
        self.seed, self.watch, self.tracebacks = seed, Watch(), Counter[str]()
        self.early = 0.0
        self._many = clients
        self._start()

    def _start(self) -> None:
        self.gateway = Gateway()
        self.clients = [Client(self.gateway.port) for _ in range(self._many)]

    def _stop(self) -> None:
        for client in self.clients:
            client.close()
        self.gateway.stop()
        self.tracebacks += self.gateway.tracebacks()

    def play(self, numbers: Iterable[int], client: Client) -> None:
        for number in numbers:
            make, r = scene_of(self.seed, number)
            play(make, r, number, client, self.watch.see)
            if self.gateway.is_dead:
                self.watch.wrong["the gateway died"].append(f"{number}, or one beside it: exit status {self.gateway.process.returncode}")
                return

    def rounds(self, requests: int) -> None:
        with ThreadPoolExecutor(self._many) as pool:
            for first in range(1, requests + 1, ROUND):
                numbers = range(first, min(first + ROUND, requests + 1))
                alone = [number for number in numbers if scene_of(self.seed, number)[0] in ALONE]
                rest = [number for number in numbers if number not in set(alone)]
                play(unlimited, Random(0), 0, self.clients[0], self.watch.see)
                list(pool.map(self.play, [rest[n :: self._many] for n in range(self._many)], self.clients))
                if not self.gateway.is_dead:
                    self.play(alone, self.clients[0])
                if self.gateway.is_dead:  # its successor plays the next round
                    self._stop()
                    self._start()
                if numbers[-1] >= SETTLED and not self.early:
                    self.early = self.gateway.megabytes()
                print(f"\r{numbers[-1]} scenes, {self.gateway.megabytes():.0f} MB", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)

    def report(self, seconds: float, *, timed: bool) -> bool:
        """Print the figures. Whether all is well."""
        late, wrong = self.gateway.megabytes(), self.watch.wrong
        for client in self.clients:
            client.close()
        time.sleep(0.2)  # until the gateway has seen them go
        descriptors = self.gateway.descriptors()
        self._stop()
        growth = late / self.early if self.early else 1.0
        print(f"{sum(self.watch.answers.values())} requests in {seconds:.0f} s")
        for mount in sorted({mount for mount, _ in self.watch.answers}):
            counts = (f"{status}: {count}" for (at, status), count in sorted(self.watch.answers.items()) if at == mount)
            print(f"  {mount:11}", ", ".join(counts))
        print(f"memory: {self.early:.0f} MB after {SETTLED}, {late:.0f} MB at the end, {growth:.2f} times; descriptors: {descriptors}")
        print("slowest:", *(where for _, where in self.watch.slowest), sep="\n  ")
        for kind, found in sorted(wrong.items()):
            print(f"{kind}: {len(found)}", *found[:SHOWN], sep="\n  ")
        shown = (f"{count}: {what}" for what, count in self.tracebacks.most_common(SHOWN))
        print(f"tracebacks: {sum(self.tracebacks.values())}", *shown, sep="\n  ")
        failed = self.tracebacks or set(wrong) - {"late"} or timed and ("late" in wrong or growth > MOST_GROWTH)
        return not failed


def show(number: int, request: Request, answer: Answer, *, disturbed: bool) -> None:
    """Print a request and its answer whole."""
    print(f"--- {number}: {request.bytes()!r}", f"leaves after {request.leave}, patience {request.patience}", sep="\n")
    print(f"=== {answer.status} after {answer.seconds:.2f} s {answer.note}", answer.headers, answer.body.decode(errors="replace"), sep="\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gateway.fuzz", description="Sends seeded requests to a gateway of its own.")
    parser.add_argument("--requests", type=int, default=10_000, help="how many scenes, each of one or a few requests (default 10,000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=4, help="how many at once (default 4)")
    parser.add_argument("--untimed", action="store_true", help="late answers and memory are printed, but are no failure")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="play this scene alone and print it")
    args = parser.parse_args()
    run, began = Run(args.seed, args.clients if args.only is None else 1), time.monotonic()
    try:
        if args.only is None:
            run.rounds(args.requests)
        else:
            make, r = scene_of(args.seed, args.only)
            play(make, r, args.only, run.clients[0], show)
        return 0 if run.report(time.monotonic() - began, timed=not args.untimed) else 1
    finally:
        run.gateway.stop()


if __name__ == "__main__":
    sys.exit(main())
