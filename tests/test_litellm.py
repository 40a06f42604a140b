"""litellm reaches every provider through the gateway with nothing but a model's name: the environment does the rest."""

import warnings

import httpx
import pytest
from pydantic import BaseModel

from helpers import limits, models
from helpers.image_tokens import image_tokens

PROMPT = [{"role": "user", "content": "Say hello in five words."}]
NAMES = {
    "openai/gpt-6-luna": "openai",
    "anthropic/claude-haiku-5-5": "anthropic",
    "gemini/gemini-3.5-flash-lite": "gemini",
    "bedrock/converse/us.anthropic.claude-haiku-5-5": "bedrock",
    "bedrock/converse/amazon.nova-lite-v1:0": "bedrock",
    "bedrock/converse/meta.llama3-1-8b-instruct-v1:0": "bedrock",
    "azure/gpt-6-luna": "azure",
}
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def litellm():
    """Imported once, and late: it costs seconds. Its price table is read from the wheel, not from the network."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        warnings.simplefilter("ignore")
        import litellm
    return litellm


@pytest.fixture(autouse=True)
def fresh_clients(litellm):
    """litellm keeps its clients, and with them the port of the last test's gateway."""
    litellm.in_memory_llm_clients_cache.flush_cache()


@pytest.mark.parametrize("name", NAMES)
def test_a_completion_plain_and_streamed_says_the_same(litellm, gateway, name):
    plain = litellm.completion(name, PROMPT)
    gateway.in_loop(gateway.house.forget)  # else it would draw another answer
    chunks = list(litellm.completion(name, PROMPT, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == plain.choices[0].message.content != ""

    log = gateway.meter.log()
    assert [(entry.provider, entry.status) for entry in log] == [(NAMES[name], 200)] * 2, str(log)
    used = log[0].usage
    for usage in (plain.usage, chunks[-1].usage):
        assert (usage.prompt_tokens, usage.completion_tokens) == (used.input_tokens, used.output_tokens)


@pytest.mark.parametrize("name", ["openai/gpt-6-luna", "anthropic/claude-haiku-5-5", "gemini/gemini-3.5-flash-lite", "bedrock/converse/us.anthropic.claude-haiku-5-5"])
def test_where_no_time_out_is_set_one_number_holds_for_every_clock(litellm, gateway, monkeypatch, name):
    """Chapter 12c says so: to connect takes as long as to read, ten minutes, and with the Router ten times as long."""
    seen, send = [], httpx.Client.send

    def watched(client, request, **options):
        seen.append(request.extensions["timeout"])
        return send(client, request, **options)

    monkeypatch.setattr(httpx.Client, "send", watched)
    litellm.completion(name, PROMPT)
    litellm.Router(model_list=[{"model_name": "ours", "litellm_params": {"model": name}}]).completion("ours", PROMPT)

    constants = litellm.constants
    expected = (constants.COMPLETION_HTTP_FALLBACK_SECONDS, constants.DEFAULT_REQUEST_TIMEOUT_SECONDS)
    assert seen == [dict.fromkeys(("connect", "read", "write", "pool"), seconds) for seconds in expected]
    assert expected == (600, 6000)


@pytest.mark.parametrize("name", ["openai/gpt-6-luna", "anthropic/claude-haiku-5-5", "gemini/gemini-3.5-flash-lite", "azure/gpt-6-luna"])
def test_a_rate_limit_has_one_name_for_all_providers(litellm, gateway, name):
    gateway.fault("rate_limited", times=None)
    with pytest.raises(litellm.RateLimitError):
        litellm.completion(name, PROMPT, num_retries=0, max_retries=0)


@pytest.mark.parametrize("name", ["openai/gpt-6-luna", "anthropic/claude-haiku-5-5", "azure/gpt-6-luna"])
def test_the_wait_that_a_provider_asks_for_is_found_in_the_exceptions_of_litellm(litellm, gateway, name):
    gateway.fault("rate_limited", seconds=30, times=None)
    with pytest.raises(litellm.RateLimitError) as caught:
        litellm.completion(name, PROMPT, max_retries=0, timeout=5)
    assert limits.quota(caught.value).retry_after == 30


@pytest.mark.parametrize("name", ["openai/gpt-6-luna", "anthropic/claude-haiku-5-5", "gemini/gemini-3.5-flash-lite", "bedrock/us.anthropic.claude-haiku-5-5"])
def test_a_refusal_for_money_is_not_worth_a_retry_in_the_exceptions_of_litellm(litellm, gateway, name):
    """Of some providers it keeps the code in its text alone."""
    gateway.fault("out_of_credit", times=None)
    with pytest.raises(litellm.RateLimitError) as caught:
        litellm.completion(name, PROMPT, max_retries=0)
    assert not limits.worth_retrying(caught.value)


class City(BaseModel):
    name: str
    people: int


@pytest.mark.parametrize("name", ["anthropic/claude-haiku-5-5", "bedrock/us.anthropic.claude-haiku-5-5", "bedrock/invoke/us.anthropic.claude-haiku-5-5"])
def test_a_schema_is_taken_at_the_first_try(litellm, gateway, name):
    reply = litellm.completion(name, PROMPT, response_format=City)
    assert City.model_validate_json(reply.choices[0].message.content)
    assert [entry.status for entry in gateway.meter.log()] == [200]


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_tokens_on_bedrock_are_those_of_the_gateway(litellm, gateway, stream):
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    reply = litellm.completion("bedrock/us.anthropic.claude-haiku-5-5", PROMPT, **options)
    usage = list(reply)[-1].usage if stream else reply.usage
    assert usage.completion_tokens_details.reasoning_tokens == gateway.meter.log()[0].usage.thinking_tokens > 0


FAMILIES = {
    "gpt-6.2-astra": "gpt-6-astra",
    "gpt-4o": "gpt-4o",
    "gpt-4o-mini": "gpt-4o-mini",
    "claude-haiku-4-5": "claude-standard",
    "claude-sonnet-5-5": "claude-high",
}


@pytest.mark.parametrize("model", FAMILIES)
def test_images_are_counted_as_litellm_counts_them(litellm, model):
    from litellm.litellm_core_utils.token_counter import _image_policy_tokens

    for size in ((1, 1), (200, 200), (513, 512), (1024, 1024), (1920, 1080), (1080, 1920), (2560, 1440), (8000, 10), (8000, 6000)):
        detail = "original" if model.startswith("gpt-6") else "high"
        assert image_tokens(models.get(model), *size) == _image_policy_tokens(FAMILIES[model], size, detail), size


EMBEDDINGS = {
    "text-embedding-3-small": ("openai", 1536),
    "azure/text-embedding-3-small": ("azure", 1536),
    "gemini/gemini-embedding-001": ("gemini", 3072),
    "gemini/gemini-embedding-2": ("gemini", 3072),
    "bedrock/amazon.titan-embed-text-v2:0": ("bedrock", 1024),
    "bedrock/cohere.embed-english-v3": ("bedrock", 1024),
    "bedrock/cohere.embed-v4:0": ("bedrock", 1536),
}


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeddings_of_every_provider(litellm, gateway, name):
    found = litellm.embedding(name, input=["What is a token?", "Explain tokens to me."])
    provider, length = EMBEDDINGS[name]
    assert [len(row["embedding"]) for row in found.data] == [length] * 2 and found.usage.prompt_tokens > 0
    assert {entry.provider for entry in gateway.meter.log()} == {provider}
    assert litellm.completion_cost(found) > 0


def test_anthropics_files(gateway, litellm):
    own = {"custom_llm_provider": "anthropic"}
    file = litellm.create_file(file=("a.pdf", b"%PDF-1.4", "application/pdf"), purpose="messages", **own)
    assert [one.id for one in litellm.file_list(**own)] == [file.id] and litellm.file_retrieve(file.id, **own).filename == "a.pdf"
    said = [{"role": "user", "content": [{"type": "text", "text": "Read."}, {"type": "file", "file": {"file_id": file.id, "format": "application/pdf"}}]}]
    reply = litellm.completion(model="anthropic/claude-haiku-4-5", max_tokens=9, messages=said)
    assert reply.usage.prompt_tokens > 258
    assert litellm.file_delete(file.id, **own).deleted and litellm.file_list(**own) == []
