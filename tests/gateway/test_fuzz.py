"""Two thousand seeded scenes of the fuzzer: what it finds in `make test`, without times. By hand it plays many more."""

import subprocess
import sys

from tests.gateway.fuzz.process import ROOT


def test_whatever_is_sent_the_gateway_has_an_answer_of_its_provider():
    command = [sys.executable, "-m", "tests.gateway.fuzz", "--requests", "2000", "--seed", "2026", "--untimed"]
    played = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert played.returncode == 0, played.stdout[-20_000:] + played.stderr[-5_000:]
