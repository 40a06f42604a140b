"""What Responses refuse of single fields, and of several that are wrong the first.

Nearly all was measured in public in August 2026 with gpt-5.6-terra; that fields of chat have moved was reported since 2025; the rest follows the style.
"""

import openai
import pytest

UNKNOWN, VALUE, TYPE, MISSING, UNSUPPORTED = "unknown_parameter", "invalid_value", "invalid_type", "missing_required_parameter", "unsupported_parameter"
FUNCTION = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
SCORES = {"include": ["message.output_text.logprobs"]}
NO_SCORES = "logprobs are not supported with reasoning models."
INCLUDED = (
    "'file_search_call.results', 'web_search_call.results', 'web_search_call.action.sources', 'message.input_image.image_url', "
    "'computer_call_output.output.image_url', 'code_interpreter_call.outputs', 'reasoning.encrypted_content', and 'message.output_text.logprobs'"
)


def unknown(name):
    return name, UNKNOWN, f"Unknown parameter: '{name}'."


def of_type(name, wanted, got):
    return name, TYPE, f"Invalid type for '{name}': expected {wanted}, but got {got} instead."


def of_values(name, value, known):
    return name, VALUE, f"Invalid value: '{value}'. Supported values are: {known}."


def without(name):
    return name, MISSING, f"Missing required parameter: '{name}'."


def moved(name, to):
    text = f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to '{to}'. Try again with the new parameter."
    return None, UNSUPPORTED, f"{text} See the API documentation for more information: https://platform.openai.com/docs/api-reference/responses/create."


REFUSED = [
    ({"messages": [{"role": "user", "content": "Hi"}]}, moved("messages", "input")),
    ({"response_format": {"type": "json_object"}}, moved("response_format", "text.format")),
    ({"reasoning_effort": "low"}, moved("reasoning_effort", "reasoning.effort")),
    ({"input": [{"role": "user", "content": "Hi", "name": "Ada"}]}, unknown("input[0].name")),
    ({"input": {"role": "user"}}, of_type("input", "one of a string or array of input items", "an object")),
    ({"reasoning": {"generate_summary": "concise"}}, unknown("reasoning.generate_summary")),
    ({"reasoning": {"depth": 1}}, unknown("reasoning.depth")),
    ({"reasoning": {"summary": "none"}}, of_values("reasoning.summary", "none", "'concise', 'detailed', and 'auto'")),
    ({"presence_penalty": 0.5}, ("presence_penalty", None, "Unsupported parameter: 'presence_penalty' is not supported with this model.")),
    ({"frequency_penalty": "x"}, of_type("frequency_penalty", "a decimal", "a string")),
    ({"top_logprobs": 1}, ("top_logprobs", UNSUPPORTED, NO_SCORES)),
    (SCORES, ("include", UNSUPPORTED, NO_SCORES)),
    ({**SCORES, "top_logprobs": 1}, ("include", UNSUPPORTED, NO_SCORES)),
    ({"include": ["logprobs"]}, of_values("include[0]", "logprobs", INCLUDED)),
    (
        {"include": "logprobs"},
        of_type("include", "an array of one of 'fil...lts', 'web...lts', 'web...ces', 'mes...url', 'com...url', 'cod...uts', 'rea...ent', or 'mes...obs'", "a string"),
    ),
    ({"prompt": "greeting"}, of_type("prompt", "an object", "a string")),
    ({"prompt": {"version": "1"}}, without("prompt.id")),
    ({"prompt_cache_options": {"depth": 1}}, unknown("prompt_cache_options.depth")),
    ({"prompt_cache_options": ["explicit"]}, of_type("prompt_cache_options", "an object", "an array")),
    ({"prompt_cache_retention": "1h"}, of_values("prompt_cache_retention", "1h", "'in_memory' and '24h'")),
    ({"prompt_cache_retention": {"for": 1}}, of_type("prompt_cache_retention", "one of 'in_memory' or '24h'", "an object")),
    ({"prompt_cache_retention": "in_memory"}, ("prompt_cache_retention", "invalid_parameter", "This model is compatible only with 24h extended prompt caching")),
    ({"moderation": "on"}, of_type("moderation", "an object", "a string")),
    ({"tools": "look"}, of_type("tools", "an array of tools", "a string")),
    ({"tool_choice": 7}, of_type("tool_choice", "one of an object or 'none', 'auto', or 'required'", "an integer")),
    ({"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "look"}}}, without("tool_choice.name")),
    (
        {"conversation": "conv_1", "previous_response_id": "resp_1"},
        (None, "mutually_exclusive_parameters", "Mutually exclusive parameters: ''. Ensure you are only providing one of: 'pre..._id' or 'conversation'."),
    ),
    ({"prompt": {"id": "pmpt_1"}, "include": ["logprobs"]}, of_values("include[0]", "logprobs", INCLUDED)),
    ({"tools": "x", "metadata": "x"}, of_type("tools", "an array of tools", "a string")),
    ({"temperature": "x", "text": "x"}, of_type("text", "an object", "a string")),
    ({"stream": "x", "parallel_tool_calls": "x"}, of_type("parallel_tool_calls", "a boolean", "a string")),
    ({"safety_identifier": 7, "user": 7}, of_type("user", "a string", "an integer")),
    ({"instructions": 7, "truncation": "x"}, of_values("truncation", "x", "'auto' and 'disabled'")),
    ({"previous_response_id": "resp_1", "temperature": 0.5}, ("previous_response_id", "previous_response_not_found", "Previous response with id 'resp_1' not found.")),
]


@pytest.mark.parametrize(("more", "expected"), REFUSED, ids=lambda value: str(value)[:70] if isinstance(value, dict) else "")
def test_what_responses_refuse_of_their_fields(client, more, expected):
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/responses", body={"model": "gpt-6-luna", "input": "Hi", "max_output_tokens": 16, **more}, cast_to=object)
    assert (caught.value.param, caught.value.code, caught.value.body["message"]) == expected


def test_a_prompt_that_nobody_keeps_is_not_found_though_no_model_is_named(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.post("/responses", body={"prompt": {"id": "pmpt_1"}}, cast_to=object)
    assert (caught.value.param, caught.value.code, caught.value.body["message"]) == (None, None, "Prompt with id 'pmpt_1' not found.")


@pytest.mark.parametrize("summary", ["auto", "concise", "detailed", None])
def test_a_summary_may_be_asked_for(client, summary):
    answer = client.responses.create(model="gpt-6-luna", input="Hi", max_output_tokens=16, reasoning={"summary": summary})
    assert answer.reasoning.summary == summary


def test_what_the_sdk_gives_out_may_be_sent_back(client):
    said = client.responses.create(model="gpt-6-luna", input="Hi", max_output_tokens=16)
    again = client.beta.responses.create(model="gpt-6-luna", input="Hi", max_output_tokens=16)
    for output in (said.output, again.output):
        asked = [{"role": "user", "content": "Hi"}, *(item.model_dump() for item in output), {"role": "user", "content": "And?"}]
        assert client.beta.responses.create(model="gpt-6-luna", input=asked, max_output_tokens=16, store=False).status


@pytest.mark.parametrize("options", [None, {"mode": "implicit", "prewarm": False}, {"mode": "explicit", "ttl": "30m", "comparison_response_id": None}])
def test_cache_options_that_the_sdk_knows_are_taken(client, options):
    assert client.responses.create(model="gpt-6-luna", input="Hi", max_output_tokens=16, prompt_cache_options=options).status


def test_a_prompt_is_not_prewarmed(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="gpt-6-luna", input="Hi", max_output_tokens=16, prompt_cache_options={"mode": "implicit", "prewarm": True})
    assert (caught.value.param, caught.value.code) == ("prompt_cache_options.prewarm", "unsupported_value")
