"""`llm-course drift`: that it finds what has moved, on types and tables made for it, and that nothing a learner would notice has moved today."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, Optional

import pytest
from pydantic import BaseModel
from typing_extensions import Required, TypedDict

from helpers import costs, models
from helpers.command import main
from helpers.drift import asking, catalogue, live, offline, requests, samples, schemas
from helpers.drift.answers import Seen
from helpers.drift.findings import KINDS, Finding
from helpers.drift.report import page
from helpers.drift.requests import Request
from helpers.gateway.server import Gateway
from helpers.gateway.sources.upstream import Upstream


@pytest.fixture(scope="module")
def today():
    return offline.findings()


# ---- today's SDKs ----------------------------------------------------------------------------------------------
def test_the_gateway_answers_in_the_types_of_the_installed_sdks(today):
    assert [found for found in today if found.kind in ("missing", "value", "extra")] == [], "mend the dialect, or say in DEVIATIONS.md why it is so"


def test_the_gateway_refuses_no_field_that_a_client_can_send(today):
    assert [found for found in today if found.kind in ("refused", "own")] == [], "take it, or say in DEVIATIONS.md what becomes of it"


def test_no_model_ends_on_another_day_than_its_maker_says(today):
    assert [found for found in today if found.kind == "ended"] == []


# ---- answers -------------------------------------------------------------------------------------------------
class Text(BaseModel):
    type: Literal["text"]
    text: str


class Call(BaseModel):
    type: Literal["call"]
    name: str
    reason: Optional[str] = None


class Answer(BaseModel):
    id: str
    end: Literal["stop", "length"]
    content: list[Text | Call]
    usage: Optional[dict[str, int]] = None


GOOD = {"id": "1", "end": "stop", "content": [{"type": "text", "text": "a"}, {"type": "call", "name": "b", "reason": None}], "usage": {"x": 1}}


def seen(value: Any) -> Seen:
    made, root = Seen("openai", "test"), schemas.of(Answer)
    made.add(value, root, root)
    return made


def test_an_answer_that_fits_is_no_finding():
    assert (seen(GOOD).odd, list(seen(GOOD).unsent())) == (set(), [])


@pytest.mark.parametrize(
    ("change", "kind", "where"),
    [
        ({"end": "paused"}, "value", "test: end"),
        ({"tier": 1}, "extra", "test: tier"),
        ({"content": [{"type": "text"}]}, "missing", "test: content[](type=text).text"),
        ({"content": [{"type": "call", "name": "b", "text": "c"}]}, "extra", "test: content[](type=call).text"),
        ({"content": [{"type": "picture"}]}, "value", None),
    ],
)
def test_an_answer_that_does_not_fit_is_one(change, kind, where):
    found = seen({**GOOD, **change}).odd
    assert kind in {one.kind for one in found} and (where is None or {one.where for one in found} == {where})


def test_a_field_that_is_left_out_is_missing_and_one_that_never_comes_is_unsent():
    lacking = {name: value for name, value in GOOD.items() if name not in ("id", "usage")}
    assert {found.where for found in seen(lacking).odd} == {"test: id"}
    assert set(seen(lacking).unsent()) == {("", "id"), ("", "usage")}


# ---- requests ------------------------------------------------------------------------------------------------
class Tool(TypedDict, total=False):
    type: Required[Literal["telepathy_20991231"]]
    depth: int


class Ask(TypedDict, total=False):
    model: Required[str]
    stop_words_of_2099: list[str]
    tools: list[Tool]
    stop: dict[str, int]


def test_fields_and_kinds_that_the_dialect_does_not_know_are_found():
    known = Request("openai", "test", schemas.of(Ask), known=("model", "tools", "stop", "temperature_of_1999"))
    assert {(found.kind, found.where) for found in requests.findings(known)} == {
        ("refused", "test: stop_words_of_2099"),
        ("own", "test: temperature_of_1999"),
        ("unread", "test: tools[](type=telepathy_20991231)"),
    }
    assert ("unread", "test: stop_words_of_2099") in {(found.kind, found.where) for found in requests.findings(Request("openai", "test", schemas.of(Ask)))}


# ---- models --------------------------------------------------------------------------------------------------
def test_models_are_held_against_other_tables(monkeypatch):
    model = models.get("gpt-4o")
    price = costs.price(model.id).input
    row = {"max_input_tokens": model.context + 1, "input_cost_per_token": float(price * 2 / 1_000_000), "deprecation_date": "2030-01-01"}
    monkeypatch.setattr(catalogue, "_litellm", lambda: {model.id: row})
    found = {(one.kind, one.says) for one in catalogue.findings() if one.where == model.id}
    assert {kind for kind, _ in found} == {"window", "price", "ended"}
    assert f"2030-01-01 by litellm; here {model.retires}" in {says for _, says in found}
    assert any(f"USD {float(price * 2):g} a million" in says for _, says in found)


def test_the_ends_that_the_sdks_list_are_read():
    assert catalogue._openai_ends()["gpt-4o"].year >= 2026 and len(catalogue._openai_ends()) > 20
    assert catalogue._anthropic_ends() and all(end.year >= 2026 for end in catalogue._anthropic_ends().values())


# ---- the providers themselves --------------------------------------------------------------------------------
KEYS = {name: "sk-" + "Live0123456789" * 2 for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}


@pytest.fixture
def provider():
    """What stands in for the providers: another gateway."""
    gateway = Gateway(pace=0).start()
    yield gateway
    gateway.stop()


@pytest.fixture
def to_provider(provider):
    """A gateway in live mode, whose calls go there."""
    bases = {name: f"{provider.base_url}/{name}" for name in live.PROVIDERS}
    gateway = Gateway(pace=0, upstream=Upstream("live", KEYS, budget_usd=Decimal(1), bases=bases)).start()
    yield gateway
    gateway.stop()


def test_recorded_prompts_are_sent_to_the_providers_and_what_they_mean_is_compared(provider, to_provider):
    found = live.findings(to_provider, 1)
    assert {entry.provider for entry in provider.log()} == set(live.PROVIDERS)
    assert all(entry.source.kind == "live" for entry in to_provider.log() if entry.source)
    assert found == []


def test_a_provider_that_answers_otherwise_is_a_finding(provider, to_provider):
    provider.script("Red.", provider="gemini", times=None)
    provider.fault("blocked", "openai", times=None)
    says = [(found.provider, found.says) for found in live.findings(to_provider, 1)]
    assert ("openai", "finish_reason is 'content_filter', with the gateway 'stop'") in says
    assert all(provider == "openai" or "thought" in said for provider, said in says), "another text is no finding, but that it did not think is one"


def test_a_provider_that_refuses_is_a_finding(provider, to_provider):
    provider.fault("out_of_credit", "anthropic", times=None)
    refused = [found for found in live.findings(to_provider, 1) if found.provider == "anthropic"]
    assert len(refused) == 2 and all(found.says.startswith("refused: 4") for found in refused)


def test_what_differs_is_said():
    ours = [{"id": "1", "choices": [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 10}}]
    theirs = [{"id": "2", "tier": "x", "choices": [{"finish_reason": "length"}], "usage": {"prompt_tokens": 20}}]
    assert list(live.differences(ours, ours)) == []
    assert list(live.differences(ours, theirs)) == [
        "tier comes from the provider, not from the gateway",
        "finish_reason is 'length', with the gateway 'stop'",
        "the prompt has 20 tokens, by the gateway 10",
    ]


# ---- the page and the command --------------------------------------------------------------------------------
def test_the_page_begins_with_what_a_learner_would_notice():
    text = page([Finding("unlisted", "openai", "gpt-9"), *(Finding("missing", "openai", f"chat: {place}.id", "") for place in ("a", "b"))])
    assert text.index(KINDS["missing"]) < text.index(KINDS["unlisted"]) and "`id`, in 2 places, such as `chat: a.id`" in text
    assert "Nothing has moved." in page([])


def test_the_command_writes_the_page(tmp_path, capsys):
    assert main(["drift", "--to", str(tmp_path / "new/drift.md")]) == 0
    assert str(tmp_path / "new/drift.md") in capsys.readouterr().out
    assert (tmp_path / "new/drift.md").read_text().startswith("# Drift\n")


def test_without_a_key_nobody_is_asked(monkeypatch, capsys, tmp_path):
    for name in (*KEYS, "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["drift", "--live"]) == 1 and "no key for any provider" in capsys.readouterr().err
    assert main(["drift", "--live", "--requests", "0"]) == 1 and "1 or more" in capsys.readouterr().err


def test_every_sample_is_answered(gateway):
    import httpx2

    with httpx2.Client(trust_env=False) as client:
        assert all(asking.ask(client, gateway.base_url, sample) for sample in samples.all_samples())
