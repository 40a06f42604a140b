"""OpenAI's refusals as they were recorded: which of its headers they carry, and the codes of numbers that are out of range."""

import httpx2
import openai
import pytest
from openai import AzureOpenAI, OpenAI

from tests.gateway.dialects.openai.samples import HELLO, user

ALL = {"openai-organization", "openai-project", "openai-processing-ms", "openai-version", "x-request-id"}
TIMED = {"openai-processing-ms", "openai-version", "x-request-id"}  # of a wrong key where nothing is known of its owner
BARE = {"x-request-id"}
CHAT, RESPONSES, EMBEDDINGS = "/chat/completions", "/responses", "/embeddings"


def chat(**more):
    return {"model": "gpt-4o", "messages": user(HELLO), **more}


def respond(**more):
    return {"model": "gpt-4o", "input": HELLO, **more}


REFUSED = [
    ("invalid", CHAT, chat(), 401, BARE),
    ("invalid", EMBEDDINGS, {"model": "text-embedding-3-small", "input": "x"}, 401, BARE),
    ("invalid", RESPONSES, respond(), 401, TIMED),
    ("invalid", "/files", {}, 401, TIMED),
    ("good", CHAT, chat(model="gpt-none"), 404, BARE),
    ("good", CHAT, chat(model="gpt-3.5-turbo"), 404, BARE),
    ("good", EMBEDDINGS, {"model": "text-none", "input": "x"}, 404, BARE),
    ("good", RESPONSES, respond(model="gpt-none"), 400, ALL),
    ("good", CHAT, chat(stop=["a"] * 5), 400, ALL),
    ("good", RESPONSES, respond(temperature=-1), 400, ALL),
    ("good", "/batches/b/cancel", {}, 404, ALL),
]


@pytest.mark.parametrize(("key", "path", "body", "status", "names"), REFUSED)
def test_a_refusal_has_the_headers_that_were_recorded_with_it(gateway, key, path, body, status, names):
    answer = httpx2.post(f"{gateway.base_url}/openai/v1{path}", json=body, headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == status
    assert {name for name in answer.headers if name in ALL} == names
    assert ("www-authenticate" in answer.headers) is (status == 401)


# Each number that chat and Responses take, below and above what they take; None: that side is open, or has words of its own.
RANGES = [
    ("temperature", "decimal", (-1, 0), (2.5, 2)),
    ("top_p", "decimal", (-0.1, 0), (1.5, 1)),
    ("presence_penalty", "decimal", (-3, -2), (3, 2)),
    ("frequency_penalty", "decimal", (-2.5, -2), (2.5, 2)),
    ("n", "integer", (0, 1), (129, 128)),
    ("top_logprobs", "integer", (-1, 0), None),
    ("max_tokens", "integer", (0, 1), None),
    ("max_completion_tokens", "integer", (-1, 1), None),
]
RANGES_OF_RESPONSES = [RANGES[0], RANGES[1], ("top_logprobs", "integer", (-1, 0), (21, 20)), ("max_output_tokens", "integer", (15, 16), None)]
OUT_OF_RANGE = [
    (body, name, kind, side, *bounds)
    for body, ranges in ((chat, RANGES), (respond, RANGES_OF_RESPONSES))
    for name, kind, *sides in ranges
    for side, bounds in zip(("below", "above"), sides, strict=True)
    if bounds
]


@pytest.mark.parametrize(("body", "name", "kind", "side", "value", "bound"), OUT_OF_RANGE)
def test_a_number_out_of_range_is_refused_by_its_kind(gateway, body, name, kind, side, value, bound):
    which, sign = ("below_min", ">=") if side == "below" else ("above_max", "<=")
    words = f"Invalid '{name}': {kind} {which.split('_')[0]} {'minimum' if side == 'below' else 'maximum'} value. Expected a value {sign} {bound}, but got {value} instead."
    for model in ("gpt-4o", "gpt-6-luna", "gpt-5-mini"):
        with pytest.raises(openai.BadRequestError) as caught:
            OpenAI(max_retries=0).post(CHAT if body is chat else RESPONSES, body=body(model=model, **{name: value}), cast_to=object)
        assert (caught.value.body["message"], caught.value.param, caught.value.code) == (words, name, f"{kind}_{which}_value")


@pytest.mark.parametrize("stream", [False, True])
def test_a_temperature_below_zero_is_refused_before_a_stream_begins_on_azure_too(gateway, stream):
    for client, act in ((OpenAI, "responses"), (OpenAI, "chat"), (AzureOpenAI, "chat")):
        with pytest.raises(openai.BadRequestError) as caught:
            if act == "chat":
                client(max_retries=0).chat.completions.create(model="gpt-4o", messages=user(HELLO), temperature=-1, stream=stream)
            else:
                client(max_retries=0).responses.create(model="gpt-4o", input=HELLO, temperature=-1, stream=stream)
        assert caught.value.code == "decimal_below_min_value"


def test_likely_tokens_without_log_probabilities_are_refused(gateway):
    with pytest.raises(openai.BadRequestError) as caught:
        OpenAI(max_retries=0).chat.completions.create(model="gpt-4o", messages=user(HELLO), top_logprobs=2)
    assert caught.value.body["message"] == "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."
    assert (caught.value.param, caught.value.code) == ("top_logprobs", None)
