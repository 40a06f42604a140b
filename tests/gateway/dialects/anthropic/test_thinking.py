"""Sampling and thinking by model: what each Claude takes of it, over HTTP, as the SDK has no such parameters any more."""

import httpx2
import pytest

NEW, SONNET, OPUS, OLD = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5", "claude-haiku-4-5"
BUDGET = {"type": "enabled", "budget_tokens": 1024}
BESIDE = "when thinking is enabled or in adaptive mode."


@pytest.fixture
def post(gateway):
    """Status and message of a request under the older API version."""

    def post(model, **more):
        body = {"model": model, "max_tokens": 2000, "messages": [{"role": "user", "content": "Hello"}], **more}
        reply = httpx2.post(f"{gateway.base_url}/anthropic/v1/messages", headers={"x-api-key": "any", "anthropic-version": "2023-06-01"}, json=body)
        return reply.status_code, reply.json().get("error", {}).get("message")

    return post


@pytest.mark.parametrize("model", [NEW, SONNET, OPUS])
@pytest.mark.parametrize(("name", "value"), [("temperature", 0), ("temperature", 0.7), ("top_p", 0.9), ("top_k", 5)])
def test_the_newer_models_have_no_sampling(post, model, name, value):
    assert post(model, **{name: value}) == (400, f"`{name}` is deprecated for this model.")


@pytest.mark.parametrize("more", [{"temperature": 1}, {"temperature": 1.0, "top_p": 1}, {"top_p": 0.99}, {"temperature": None}])
def test_what_changes_nothing_is_taken(post, more):
    assert post(NEW, **more)[0] == 200


@pytest.mark.parametrize("more", [{"temperature": 0.2}, {"top_p": 0.5}, {"top_k": 5}, {"temperature": 0.2, "top_k": 5}])
def test_the_older_models_have_sampling(post, more):
    assert post(OLD, **more)[0] == 200


def test_an_older_model_takes_one_of_temperature_and_top_p(post):
    words = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
    assert post(OLD, temperature=0.2, top_p=0.5) == (400, words)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"temperature": 0.2}, f"`temperature` may only be set to 1 {BESIDE}"),
        ({"top_p": 0.5}, f"`top_p` must be greater than or equal to 0.95 or unset {BESIDE}"),
        ({"top_k": 5}, f"`top_k` must be unset {BESIDE}"),
        ({"temperature": 1}, None),
        ({"top_p": 0.95}, None),
    ],
)
def test_sampling_beside_thinking(post, more, message):
    assert post(OLD, thinking=BUDGET, **more) == ((400, message) if message else (200, None))


@pytest.mark.parametrize(
    ("model", "more", "message"),
    [
        (OLD, {"thinking": {"type": "adaptive"}}, "adaptive thinking is not supported on this model"),
        (OLD, {"output_config": {"effort": "low"}}, "This model does not support the effort parameter."),
        (
            NEW,
            {"thinking": BUDGET},
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.',
        ),
        (
            SONNET,
            {"thinking": {"type": "disabled"}},
            '"thinking.type.disabled" is not supported for this model. Use "thinking.type.between_tools" for the lowest thinking setting.',
        ),
    ],
)
def test_thinking_that_a_model_does_not_have(post, model, more, message):
    assert post(model, **more) == (400, message)


@pytest.mark.parametrize(
    ("model", "kind", "effort", "status"),
    [
        (NEW, "disabled", "high", 200),
        (NEW, "disabled", "xhigh", 400),
        (SONNET, "between_tools", "high", 200),
        (SONNET, "between_tools", "max", 400),
        (OPUS, "between_tools", None, 400),
        (OPUS, "disabled", None, 400),
        (OPUS, "adaptive", "max", 200),
    ],
)
def test_the_lowest_thinking_of_each_model(post, model, kind, effort, status):
    assert post(model, thinking={"type": kind}, **({"output_config": {"effort": effort}} if effort else {}))[0] == status


@pytest.mark.parametrize("stop", ["", " ", "\n\n"])
def test_a_stop_sequence_is_more_than_white_space(post, stop):
    assert post(NEW, stop_sequences=["END", stop]) == (400, "stop_sequences: each stop sequence must contain non-whitespace")
