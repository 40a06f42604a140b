"""The site's page of faults and SDKs says what happens now: every fault, through every SDK as it comes."""

import os
import warnings

import pytest

from helpers import environment
from helpers.gateway.faults import KINDS
from tests.gateway import fault_matrix
from tests.gateway.fault_clients import CLIENTS

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def keys(monkeypatch):
    """litellm reads them; where it goes, each call tells it."""
    for name, value in environment.variables("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litellm

    litellm.in_memory_llm_clients_cache.flush_cache()


def test_the_page_says_what_every_sdk_makes_of_every_fault_now(keys):
    """Nothing waits for a clock but the SDKs themselves, which sleep as they would for a program: about 20 seconds in all, side by side."""
    measured = fault_matrix.measure()
    stands = fault_matrix.PAGE.read_text(encoding="utf-8")
    wrong = [f"{kind}: {' | '.join(row)}" for kind, rows in measured.items() for row in rows if f"| {' | '.join(row)} |" not in section(stands, kind)]
    assert not wrong, "an SDK does otherwise now: read why, mend chapters 12b and 12c, and write the page anew with python -m tests.gateway.fault_matrix"
    assert stands == fault_matrix.page(measured)


def section(page, kind):
    return page.partition(f"## `{kind}`")[2].partition("\n## ")[0]


def test_every_fault_and_every_client_has_its_row():
    stands = fault_matrix.PAGE.read_text(encoding="utf-8")
    assert os.linesep == "\n" and set(fault_matrix.SAYS) == set(KINDS)
    for kind in KINDS:
        assert all(f"| {client.name} |" in section(stands, kind) for client in CLIENTS if kind != "slow_batch"), kind
