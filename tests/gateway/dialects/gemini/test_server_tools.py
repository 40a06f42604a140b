"""A search and code that Google ran, as scripted answers, with Google's own SDK: parts, metadata, usage, bill."""

import json
from decimal import Decimal

import pytest
from google import genai

from helpers import costs
from helpers.costs import Bill

NEW, OLD = "gemini-3.5-flash-lite", "gemini-2.5-flash"
TEXT = "Größe zählt. Canberra is the capital."
SEARCH = {
    "queries": ["capital of australia", "canberra"],
    "sources": [["example.org", "https://example.org/a"], ["example.com", "https://example.com/b"]],
    "supports": [["Canberra is the capital.", [0, 1]]],
}
RUN = {"code": "print(sum(range(10)))", "output": "45\n"}


@pytest.fixture
def client(gateway):
    for prompt, tool, answer in (
        ("Capital?", {"googleSearch": {}}, {"text": TEXT, "search": SEARCH}),
        ("Sum?", {"codeExecution": {}}, {"text": "It is 45.", "thinking_tokens": 20, "run": RUN}),
    ):
        line = {"kind": "scripted", "date": "2026-11-27", "provider": "gemini", "models": [NEW, OLD], "messages": [["user", prompt]]}
        line |= {"tools": [json.dumps(tool)], "answers": [answer]}
        gateway.in_loop(lambda line=line: gateway.recordings.add(line))
    return genai.Client()


def ask(client, prompt, tool, model=NEW):
    return client.models.generate_content(model=model, contents=prompt, config={"tools": [{tool: {}}]})


def test_a_search_comes_as_grounding_metadata(client):
    found = ask(client, "Capital?", "google_search").candidates[0].grounding_metadata
    assert found.web_search_queries == SEARCH["queries"]
    assert [[chunk.web.title, chunk.web.uri] for chunk in found.grounding_chunks] == SEARCH["sources"]
    (support,) = found.grounding_supports
    assert support.grounding_chunk_indices == [0, 1]
    assert TEXT.encode()[support.segment.start_index : support.segment.end_index].decode() == support.segment.text
    assert "capital of australia" in found.search_entry_point.rendered_content


def test_the_end_of_a_stream_has_the_grounding(client):
    pieces = list(client.models.generate_content_stream(model=NEW, contents="Capital?", config={"tools": [{"google_search": {}}]}))
    assert [bool(piece.candidates[0].grounding_metadata) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert "".join(piece.text or "" for piece in pieces) == TEXT


@pytest.mark.parametrize(("model", "searches"), [(NEW, 2), (OLD, 1)])
def test_the_bill_has_a_price_for_each_search_or_for_each_prompt_that_led_to_any(gateway, client, model, searches):
    ask(client, "Capital?", "google_search", model)
    (entry,) = gateway.meter.log()
    assert entry.usage.searches == searches
    rate = costs.price(model, "gemini").search
    rest = costs.cost(type(entry.usage)(entry.usage.input_tokens, output_tokens=entry.usage.output_tokens), model, "gemini")
    assert Bill([entry]).live == rest + rate * searches / 1000
    assert rate in (Decimal(14), Decimal(35))


def test_code_and_its_output_are_parts_before_the_text(client):
    response = ask(client, "Sum?", "code_execution")
    code, result, text = response.candidates[0].content.parts
    assert (code.executable_code.code, code.executable_code.language.name) == (RUN["code"], "PYTHON")
    assert (result.code_execution_result.output, result.code_execution_result.outcome.name) == (RUN["output"], "OUTCOME_OK")
    assert text.text == "It is 45." and response.executable_code == RUN["code"] and response.code_execution_result == RUN["output"]


def test_what_a_tool_gave_back_is_counted_apart_and_as_input(gateway, client):
    used = ask(client, "Sum?", "code_execution").usage_metadata
    parts = (used.prompt_token_count, used.candidates_token_count, used.thoughts_token_count, used.tool_use_prompt_token_count)
    assert used.total_token_count == sum(parts) and min(parts) > 0
    (entry,) = gateway.meter.log()
    assert entry.usage.input_tokens == used.prompt_token_count + used.tool_use_prompt_token_count


def test_a_stream_has_the_code_first(client):
    pieces = list(client.models.generate_content_stream(model=NEW, contents="Sum?", config={"tools": [{"code_execution": {}}]}))
    assert pieces[0].executable_code == RUN["code"]
    assert pieces[-1].usage_metadata.tool_use_prompt_token_count > 0


def test_a_turn_with_code_can_be_sent_back(client):
    said = ask(client, "Sum?", "code_execution").candidates[0].content
    history = [{"role": "user", "parts": [{"text": "Sum?"}]}, said, {"role": "user", "parts": [{"text": "Sure?"}]}]
    assert client.models.generate_content(model=NEW, contents=history, config={"tools": [{"code_execution": {}}]}).text


def test_a_limit_that_goes_on_thinking_leaves_no_code(client):
    config = {"tools": [{"code_execution": {}}], "max_output_tokens": 10, "thinking_config": {"thinking_level": "high"}}
    response = client.models.generate_content(model=NEW, contents="Sum?", config=config)
    assert response.candidates[0].finish_reason.name == "MAX_TOKENS" and response.executable_code is None
