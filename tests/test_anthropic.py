"""Anthropic's wire through its own SDK: messages, streams, thinking, counting, batches, caching, versions, limits and refusals."""

import asyncio
import re
from datetime import UTC, datetime
from itertools import groupby
from types import SimpleNamespace

import anthropic
import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic

from helpers.gateway.batches import Batches

HELLO = "Say hello in five words."
HELLO_ANSWER = "Hello there, lovely to meet."
HELLO_THINKING = 32
LONG = "All work and no play makes this a dull notebook. " * 200
THINKS, PLAIN = "claude-haiku-5-5", "claude-haiku-4-5"
OLD, NEW = "2023-06-01", "2026-10-21"


@pytest.fixture
def client(gateway):
    return Anthropic(max_retries=0)


@pytest.fixture
def still(gateway, monkeypatch):
    """The course's clock stands still but for what a test adds to it, so no bucket refills unasked."""
    now = gateway.clock.now()
    monkeypatch.setattr("helpers.gateway.clock.time", SimpleNamespace(time=lambda: now))


def user(content):
    return [{"role": "user", "content": content}]


def ask(client, content=HELLO, *, model=THINKS, max_tokens=1000, **more):
    return client.messages.create(model=model, max_tokens=max_tokens, messages=user(content), **more)


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


# ---- messages ------------------------------------------------------------------
def test_message_that_thinks_by_default(client):
    message = ask(client)
    thought, said = message.content
    assert (thought.type, thought.thinking, said.text) == ("thinking", "", HELLO_ANSWER) and thought.signature
    assert (message.model, message.role, message.stop_reason, message.stop_sequence) == (THINKS, "assistant", "end_turn", None)
    assert re.fullmatch(r"msg_01[A-Za-z0-9]{22}", message.id)
    used = message.usage
    assert used.output_tokens_details.thinking_tokens == HELLO_THINKING < used.output_tokens
    assert (used.cache_read_input_tokens, used.cache_creation_input_tokens, used.service_tier) == (0, 0, "standard")


def test_older_model_thinks_only_when_asked(client):
    message = ask(client, model=PLAIN)
    assert [block.type for block in message.content] == ["text"] and message.model == "claude-haiku-4-5-20251001"
    asked = ask(client, model=PLAIN, max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024})
    assert [block.type for block in asked.content] == ["thinking", "text"]
    assert asked.usage.output_tokens == message.usage.output_tokens + HELLO_THINKING


@pytest.mark.parametrize(
    ("options", "thinking"),
    [({"thinking": {"type": "disabled"}}, 0), ({"output_config": {"effort": "high"}}, 2 * HELLO_THINKING)],
)
def test_thinking_can_be_turned_off_or_up(client, options, thinking):
    message = ask(client, **options)
    assert message.usage.output_tokens_details.thinking_tokens == thinking
    assert [block.type for block in message.content] == (["thinking", "text"] if thinking else ["text"])


def test_thinking_blocks_can_be_sent_back(client):
    first = ask(client)
    turns = [*user(HELLO), {"role": "assistant", "content": first.content}, *user("And goodbye.")]
    assert client.messages.create(model=THINKS, max_tokens=1000, messages=turns).usage.input_tokens > first.usage.input_tokens


def test_system_as_string_and_as_blocks_are_the_same(client, gateway):
    text = "Answer in at most eight words."
    plain = ask(client, "What is a list comprehension?", system=text)
    gateway.in_loop(gateway.house.forget)  # else it would draw another answer
    blocks = ask(client, "What is a list comprehension?", system=[{"type": "text", "text": text}])
    assert text_of(plain) == text_of(blocks) and plain.usage.input_tokens == blocks.usage.input_tokens
    assert plain.usage.input_tokens > ask(client, "What is a list comprehension?").usage.input_tokens


def test_stop_sequence_is_cut_and_named(client):
    message = ask(client, stop_sequences=["never said", ", lovely"])
    assert (text_of(message), message.stop_reason, message.stop_sequence) == ("Hello there", "stop_sequence", ", lovely")


def test_truncation(client):
    message = ask(client, model=PLAIN, max_tokens=3)
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 3) and text_of(message)


def test_thinking_can_eat_the_whole_budget(client):
    message = ask(client, max_tokens=20)
    assert ([block.type for block in message.content], message.stop_reason) == (["thinking"], "max_tokens")
    assert message.usage.output_tokens == message.usage.output_tokens_details.thinking_tokens == 20


def test_images(client):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    assert ask(client, [{"type": "text", "text": HELLO}, image]).usage.input_tokens > ask(client).usage.input_tokens + 250


# ---- streams -------------------------------------------------------------------
@pytest.mark.parametrize("model", [THINKS, PLAIN])
def test_stream_events(client, model):
    events = list(ask(client, model=model, stream=True))
    thought = ["content_block_start", "content_block_delta", "content_block_stop"] if model == THINKS else []
    said = ["content_block_start", "content_block_delta", "content_block_stop"]
    assert [kind for kind, _ in groupby(e.type for e in events)] == ["message_start", *thought, *said, "message_delta", "message_stop"]
    assert "".join(e.delta.text for e in events if e.type == "content_block_delta" and e.delta.type == "text_delta") == HELLO_ANSWER
    started, last, plain = events[0].message.usage, events[-2], ask(client, model=model).usage
    assert started.input_tokens == last.usage.input_tokens == plain.input_tokens, "the input counts are repeated"
    assert started.output_tokens == 1 and last.usage.output_tokens == plain.output_tokens, "and the output count is cumulative"
    assert last.delta.stop_reason == "end_turn"


@pytest.mark.parametrize("model", [THINKS, PLAIN])
def test_stream_on_the_wire(client, model):
    raw = client.messages.with_raw_response.create(model=model, max_tokens=1000, messages=user(HELLO), stream=True)
    assert raw.headers["content-type"].startswith("text/event-stream")
    frames = raw.http_response.read().decode().strip().split("\n\n")
    names = [frame.splitlines()[0] for frame in frames]
    assert names[:3] == ["event: message_start", "event: content_block_start", "event: ping"] and names.count("event: ping") == 1
    assert frames[2] == 'event: ping\ndata: {"type": "ping"}' and "[DONE]" not in frames[-1]
    assert any(re.search(r" +}$", frame) for frame in frames), "real streams pad their JSON"


@pytest.mark.parametrize("options", [{}, {"max_tokens": 20}, {"max_tokens": 35}, {"model": PLAIN}])
def test_stream_helper_gives_the_same_message(client, options):
    more = {"model": THINKS, "max_tokens": 1000, **options}
    with client.messages.stream(messages=user(HELLO), **more) as stream:
        assert "".join(stream.text_stream) == text_of(ask(client, **options))
        message = stream.get_final_message()
    plain = ask(client, **options)
    assert (message.stop_reason, [b.type for b in message.content]) == (plain.stop_reason, [b.type for b in plain.content])
    assert message.usage.output_tokens == plain.usage.output_tokens


# ---- counting ------------------------------------------------------------------
TOOL = {"name": "look", "description": "Look something up.", "input_schema": {"type": "object", "properties": {"what": {"type": "string"}}}}


@pytest.mark.parametrize("more", [{}, {"system": "Be brief."}, {"tools": [TOOL]}, {"model": PLAIN}])
def test_count_tokens_is_what_a_call_is_charged_for(client, more):
    more = {"model": THINKS, "messages": user(HELLO), **more}
    raw = client.messages.with_raw_response.count_tokens(**more)
    assert raw.parse().input_tokens == client.messages.create(max_tokens=1000, **more).usage.input_tokens
    assert not any(name.startswith("anthropic-ratelimit") for name in raw.headers)


def test_newer_tokenizer_makes_more_tokens(client):
    newer, older = (client.messages.count_tokens(model=model, messages=user(LONG)).input_tokens for model in (THINKS, PLAIN))
    assert newer == pytest.approx(1.3 * older, rel=0.01)


# ---- prompt caching ------------------------------------------------------------
def block(text=LONG, ttl=None):
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral", **({"ttl": ttl} if ttl else {})}}


def counts(message):
    used = message.usage
    return used.input_tokens, used.cache_creation_input_tokens, used.cache_read_input_tokens


def test_cache_is_written_then_read_and_the_counters_are_disjoint(client, gateway):
    total = client.messages.count_tokens(model=THINKS, messages=user(HELLO), system=[block()]).input_tokens
    rest, written, read = counts(ask(client, system=[block()]))
    assert read == 0 < rest < 30 and rest + written == total
    assert counts(ask(client, system=[block()])) == (rest, 0, written)
    assert counts(ask(client, "Another question.", system=[block()]))[1:] == (0, written)
    gateway.advance(minutes=4)
    assert counts(ask(client, system=[block()]))[2] == written, "a read renews"
    gateway.advance(minutes=4)
    assert counts(ask(client, system=[block()]))[2] == written
    gateway.advance(minutes=6)
    assert counts(ask(client, system=[block()])) == (rest, written, 0)


def test_cache_for_an_hour(client, gateway):
    used = ask(client, system=[block(ttl="1h")]).usage
    assert used.cache_creation.ephemeral_1h_input_tokens == used.cache_creation_input_tokens > 0
    assert used.cache_creation.ephemeral_5m_input_tokens == 0
    gateway.advance(minutes=59)
    assert ask(client, system=[block(ttl="1h")]).usage.cache_read_input_tokens == used.cache_creation_input_tokens
    gateway.advance(minutes=61)
    assert ask(client, system=[block(ttl="1h")]).usage.cache_read_input_tokens == 0


@pytest.mark.parametrize(("model", "text"), [(THINKS, "Too short to be kept. "), (PLAIN, LONG)])
def test_too_short_is_silently_not_cached(client, model, text):
    for _ in range(2):
        assert counts(ask(client, model=model, system=[block(text)]))[1:] == (0, 0)


def test_second_breakpoint_writes_only_what_is_new(client):
    _, first, _ = counts(ask(client, system=[block()]))
    _, more, read = counts(ask(client, [block("Some more. " * 100)], system=[block()]))
    assert read == first and 0 < more < first


def test_changed_beginning_is_written_anew(client):
    _, written, _ = counts(ask(client, system=[block()]))
    assert counts(ask(client, system=[block("First. " + LONG)]))[2] == 0
    assert counts(ask(client, system=[block()], tools=[TOOL]))[2] == 0, "tools come before the system prompt"
    assert counts(ask(client, system=[block()]))[2] == written


def test_automatic_caching_moves_with_the_conversation(client):
    auto = {"cache_control": {"type": "ephemeral"}}
    _, written, read = counts(ask(client, LONG, **auto))
    assert written > 0 == read
    turns = [*user(LONG), {"role": "assistant", "content": "I see."}, *user("Go on, please.")]
    _, more, again = counts(client.messages.create(model=THINKS, max_tokens=1000, messages=turns, **auto))
    assert again == written and 0 < more < 30


def test_five_breakpoints_are_too_many(client):
    with pytest.raises(anthropic.BadRequestError, match="maximum of 4 blocks"):
        ask(client, [block("one") for _ in range(5)])


def test_cached_input_does_not_count_for_the_limit(client, still):
    def left():
        raw = client.messages.with_raw_response.create(model=THINKS, max_tokens=1000, messages=user(HELLO), system=[block(LONG * 5)])
        return int(raw.headers["anthropic-ratelimit-input-tokens-remaining"]), counts(raw.parse())[1]

    (first, written), (second, _) = left(), left()
    assert first <= 2_000_000 - written and second >= first - 1000


# ---- batches -------------------------------------------------------------------
def request(id, **more):
    return {"custom_id": id, "params": {"model": THINKS, "max_tokens": 1000, "messages": user(HELLO), **more}}


@pytest.fixture
def slow_batches(gateway):
    """Two minutes of validating, five of running, one of finalizing: only the course's clock gets a batch on."""
    gateway.batches = Batches(gateway.clock, speed=lambda: 60)


def test_batch_life_cycle(client, gateway, slow_batches):
    batch = client.messages.batches.create(requests=[request("a"), request("b", model="claude-1"), request("c", max_tokens=20)])
    assert (batch.processing_status, batch.request_counts.processing, batch.results_url) == ("in_progress", 3, None)
    assert re.fullmatch(r"msgbatch_01[A-Za-z0-9]{22}", batch.id) and (batch.expires_at - batch.created_at).total_seconds() == 86400
    gateway.advance(minutes=4)
    running = client.messages.batches.with_raw_response.retrieve(batch.id)
    assert running.headers["retry-after"] == "10" and running.parse().request_counts.processing == 3
    with pytest.raises(anthropic.NotFoundError, match="no available results"):
        client.get(f"/v1/messages/batches/{batch.id}/results", cast_to=object)  # the SDK itself would not even ask
    with pytest.raises(anthropic.BadRequestError):
        client.messages.batches.delete(batch.id)
    gateway.advance(minutes=5)
    raw = client.messages.batches.with_raw_response.retrieve(batch.id)
    done = raw.parse()
    assert "retry-after" not in raw.headers and done.processing_status == "ended" and done.ended_at > done.created_at
    assert (done.request_counts.processing, done.request_counts.succeeded, done.request_counts.errored) == (0, 2, 1)
    results = {row.custom_id: row.result for row in client.messages.batches.results(batch.id)}
    assert [results[id].type for id in "abc"] == ["succeeded", "errored", "succeeded"]
    assert text_of(results["a"].message) == HELLO_ANSWER and results["a"].message.usage.service_tier == "batch"
    assert results["b"].error.error.type == "not_found_error" and results["c"].message.stop_reason == "max_tokens"
    assert [b.id for b in client.messages.batches.list()] == [batch.id]
    assert client.messages.batches.delete(batch.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.retrieve(batch.id)


def test_batch_times_have_microseconds(gateway):
    headers = {"x-api-key": "any", "anthropic-version": OLD}
    batch = httpx2.post(f"{gateway.base_url}/anthropic/v1/messages/batches", headers=headers, json={"requests": [request("a")]}).json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", batch["created_at"])


def test_batch_cancel(client, gateway, slow_batches):
    batch = client.messages.batches.create(requests=[request("a"), request("b")])
    canceling = client.messages.batches.cancel(batch.id)
    assert canceling.processing_status == "canceling" and canceling.cancel_initiated_at
    gateway.advance(minutes=2)
    gone = client.messages.batches.retrieve(batch.id)
    assert (gone.processing_status, gone.request_counts.canceled) == ("ended", 2)
    assert [row.result.type for row in client.messages.batches.results(batch.id)] == ["canceled", "canceled"]


@pytest.mark.parametrize("requests", [[], [request("a"), request("a")], [request("no spaces please")]])
def test_bad_batch(client, requests):
    with pytest.raises(anthropic.BadRequestError, match="requests"):
        client.messages.batches.create(requests=requests)


# ---- models --------------------------------------------------------------------
def test_models(client, gateway):
    listed = {model.id: model for model in client.models.list()}
    assert "claude-sonnet-4-20250514" not in listed and listed[THINKS].lifecycle == "active"
    assert (listed["claude-sonnet-4-5"].lifecycle, str(listed["claude-sonnet-4-5"].retires_at.date())) == ("deprecated", "2026-11-30")
    assert client.models.retrieve(THINKS) == listed[THINKS] and listed[THINKS].max_input_tokens == 1_000_000
    gateway.advance(hours=24 * 30)
    assert "claude-sonnet-4-5" not in {model.id for model in client.models.list()}


def test_async_client(gateway):
    async def both():
        async with AsyncAnthropic() as client:
            message = await client.messages.create(model=THINKS, max_tokens=1000, messages=user(HELLO))
            return [model.id async for model in client.models.list()], message

    ids, message = asyncio.run(both())
    assert THINKS in ids and text_of(message) == HELLO_ANSWER


# ---- API versions --------------------------------------------------------------
def post(gateway, version, **more):
    headers = {"x-api-key": "any", **({"anthropic-version": version} if version else {})}
    body = {"model": THINKS, "max_tokens": 1000, "messages": user(HELLO), **more}
    return httpx2.post(f"{gateway.base_url}/anthropic/v1/messages", headers=headers, json=body)


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_sampling_went_with_the_newer_version(gateway, client, name):
    assert post(gateway, OLD, **{name: 1}).status_code == 200
    refused = post(gateway, NEW, **{name: 1})
    error = refused.json()["error"]
    assert (refused.status_code, error["type"]) == (400, "invalid_request_error") and name in error["message"]
    with pytest.raises(anthropic.BadRequestError, match=name):
        ask(client, extra_body={name: 1})


def test_the_sdk_sends_the_newer_version_and_it_can_be_set_back(client):
    assert client.default_headers["anthropic-version"] == NEW
    assert ask(client, extra_headers={"anthropic-version": OLD}, extra_body={"temperature": 0.5}).content


@pytest.mark.parametrize("version", [None, "2020-01-01"])
def test_version_has_to_be_a_known_one(gateway, version):
    assert post(gateway, version).status_code == 400


def test_key_as_a_bearer_token(gateway):
    assert ask(Anthropic(api_key=None, auth_token="some-token")).content


# ---- limits --------------------------------------------------------------------
def limits(client):
    headers = client.messages.with_raw_response.create(model=THINKS, max_tokens=1000, messages=user(LONG)).headers
    start = "anthropic-ratelimit-"
    return {name.removeprefix(start): value for name, value in headers.items() if name.startswith(start)}


def test_rate_limit_headers(client, gateway, still):
    first, second = limits(client), limits(client)
    parts = ("input-tokens", "output-tokens")
    for seen in (first, second):
        for kind in ("limit", "remaining"):
            assert int(seen[f"tokens-{kind}"]) == sum(int(seen[f"{part}-{kind}"]) for part in parts)
        assert all(int(seen[f"{family}-remaining"]) % 1000 == 0 for family in ("tokens", *parts))
        for family in ("requests", "tokens", *parts):
            reset = datetime.strptime(seen[f"{family}-reset"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            assert 0 <= reset.timestamp() - gateway.clock.now() <= 60
    assert int(second["input-tokens-remaining"]) < int(first["input-tokens-remaining"]) < int(first["input-tokens-limit"])
    assert first["requests-remaining"] == "999"


def test_rate_limit(client, gateway, still):
    gateway.limit("anthropic", tokens=3000)
    ask(client, LONG)
    with pytest.raises(anthropic.RateLimitError, match="3,000 input tokens per minute") as caught:
        ask(client, LONG)
    assert caught.value.type == "rate_limit_error" and 1 <= int(caught.value.response.headers["retry-after"]) <= 60
    gateway.advance(minutes=1)
    assert ask(client, LONG).content


# ---- refusals ------------------------------------------------------------------
REFUSED = [
    ({"messages": None}, "messages: Field required"),
    ({"max_tokens": None}, "max_tokens: Field required"),
    ({"model": None}, "model: Field required"),
    ({"messages": []}, "messages: at least 1 item is required"),
    ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
    ({"messages": [{"role": "robot", "content": "Hi"}]}, "messages.0.role: Input should be 'user' or 'assistant'"),
    ({"messages": user([{"type": "text"}])}, "messages.0.content.0.text.text: Field required"),
    ({"messages": user([{"type": "hologram"}])}, "messages.0.content.0: Input tag 'hologram'"),
    ({"messages": user("")}, "messages.0: user messages must have non-empty content"),
    ({"messages": user([])}, "messages.0: user messages must have non-empty content"),
    ({"messages": user([{"type": "text", "text": ""}])}, "text content blocks must be non-empty"),
    ({"max_tokens": "many"}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to"),
    ({"max_tokens": 1_000_000}, "max_tokens: 1000000 > 128000"),
    ({"stop": ["x"]}, "stop: Extra inputs are not permitted"),
    ({"temperature": 1.5}, "temperature"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, '"thinking.type.enabled" is not supported'),
    ({"model": PLAIN, "thinking": {"type": "enabled"}}, "thinking.enabled.budget_tokens: Field required"),
    ({"model": PLAIN, "thinking": {"type": "enabled", "budget_tokens": 10}}, "greater than or equal to 1024"),
    ({"model": PLAIN, "thinking": {"type": "enabled", "budget_tokens": 1024}}, "`max_tokens` must be greater than"),
    ({"model": PLAIN, "messages": [{"role": "system", "content": "Hi"}]}, 'Unexpected role "system"'),
    ({"system": [block("Hi", ttl="2d")]}, "system.0.cache_control.ttl: Input should be '5m' or '1h'"),
]


@pytest.mark.parametrize(("change", "says"), REFUSED)
def test_bad_request(client, change, says):
    body = {"model": THINKS, "max_tokens": 1000, "messages": user(HELLO), **change}
    with pytest.raises(anthropic.BadRequestError, match=re.escape(says)) as caught:
        client.post("/v1/messages", body={name: value for name, value in body.items() if value is not None}, cast_to=object)
    assert caught.value.type == "invalid_request_error" and caught.value.request_id.startswith("req_01")
    assert caught.value.response.headers["x-should-retry"] == "false"


@pytest.mark.filterwarnings("ignore:The model")
@pytest.mark.parametrize("model", ["claude-99", "claude-sonnet-4-20250514"])
def test_unknown_and_retired_models(client, model):
    with pytest.raises(anthropic.NotFoundError, match=f"model: {model}") as caught:
        ask(client, model=model)
    assert caught.value.type == "not_found_error"
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve(model)


def test_prompt_too_long(client):
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: \d+ tokens > 200000 maximum"):
        ask(client, "word " * 205_000, model=PLAIN)


def test_body_too_large(client):
    with pytest.raises(anthropic.ContentTooLargeError) as caught:
        ask(client, "a" * 33_000_000)
    assert caught.value.type == "request_too_large"


def test_bad_key(gateway):
    with pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key") as caught:
        ask(Anthropic(api_key="sk-ant-invalid-0123456789", max_retries=0))
    assert caught.value.type == "authentication_error" and "0123456789" not in str(caught.value)
    assert not any(name.startswith("anthropic-ratelimit") for name in caught.value.response.headers)


def test_unknown_path(client):
    with pytest.raises(anthropic.NotFoundError):
        client.get("/v1/nothing", cast_to=object)
