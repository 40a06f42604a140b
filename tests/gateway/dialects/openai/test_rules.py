"""What OpenAI's chat refuses although every field fits: status, code, param and words as public logs show them."""

import base64

import openai
import pytest

from helpers.gateway.server import Gateway
from tests.gateway.dialects.openai.samples import HELLO

LUNA, OLD, MINI = "gpt-6-luna", "gpt-4o", "gpt-5-mini"
CALL = {"id": "call_a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
ASKED, CALLED = {"role": "user", "content": HELLO}, {"role": "assistant", "content": None, "tool_calls": [CALL]}
PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


@pytest.fixture
def client(gateway):
    return openai.OpenAI(max_retries=0)


def refused(client, body, path="/chat/completions"):
    """The error of a body that is refused: param, code, message."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.post(path, body=body, cast_to=object)
    assert caught.value.type == "invalid_request_error"
    return caught.value.param, caught.value.code, caught.value.body["message"]


def chat(**more):
    body = {"model": LUNA, "messages": [ASKED], "max_completion_tokens": 16, **more}
    return {name: value for name, value in body.items() if value is not ...}


def only_with(name, needed):
    return name, None, f"Invalid value for '{name}': '{name}' is only allowed when '{needed}' are specified."


UNANSWERED = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
    "The following tool_call_ids did not have response messages: call_a"
)
NO_CALL = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
NO_CONTENT = "Invalid value for 'content': expected a string, got null."
PATTERN = "string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
BOTH = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."


def result(id):
    return {"role": "tool", "tool_call_id": id, "content": "7"}


def named(name):
    return {"type": "function", "function": {"name": name}}


COMBINATIONS = [
    (chat(stream_options={"include_usage": True}), "stream_options", None, "The 'stream_options' parameter is only allowed when 'stream' is enabled."),
    (chat(tool_choice="auto"), *only_with("tool_choice", "tools")),
    (chat(tool_choice="none"), *only_with("tool_choice", "tools")),
    (chat(parallel_tool_calls=False), *only_with("parallel_tool_calls", "tools")),
    (chat(function_call="auto"), *only_with("function_call", "functions")),
    (chat(model=OLD, max_tokens=8), "max_tokens", "invalid_parameter_combination", BOTH),
    (chat(model=OLD, top_logprobs=2), "top_logprobs", None, "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."),
    (chat(model=OLD, logprobs=True, top_logprobs=21), "top_logprobs", None, "Invalid value for 'top_logprobs': must be less than or equal to 20."),
    (
        chat(response_format={"type": "json_object"}),
        *("messages", None, "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."),
    ),
    (
        chat(max_completion_tokens=128_001),
        *("max_tokens", "invalid_value"),
        "max_tokens is too large: 128001. This model supports at most 128000 completion tokens, whereas you provided 128001.",
    ),
    (chat(prompt_cache_retention="x"), "prompt_cache_retention", None, "Invalid prompt_cache_retention argument"),
    (chat(prompt_cache_retention="in_memory"), "prompt_cache_retention", None, "This model is compatible only with 24h extended prompt caching"),
    (chat(model=...), None, None, "you must provide a model parameter"),
    (chat(model=""), None, None, "you must provide a model parameter"),
]
TURNS = [
    ([ASKED, result("call_a")], "messages.[1].role", None, NO_CALL),
    ([ASKED, CALLED, result("call_a"), ASKED, result("call_a")], "messages.[4].role", None, NO_CALL),
    ([ASKED, CALLED, ASKED], "messages.[2].role", None, UNANSWERED),
    ([ASKED, CALLED], "messages.[1].role", None, UNANSWERED),
    (
        [ASKED, CALLED, result("call_b")],
        *("messages.[2].tool_call_id", None, "Invalid parameter: 'tool_call_id' of 'call_b' not found in 'tool_calls' of previous message."),
    ),
    ([ASKED, {**CALLED, "tool_calls": [CALL, CALL]}], "messages.[1].tool_calls", None, "Duplicate value for 'tool_call_id' of call_a in message[1]"),
    (
        [ASKED, CALLED, {"role": "tool", "content": "7"}],
        *("messages[2].tool_call_id", "missing_required_parameter", "Missing required parameter: 'messages[2].tool_call_id'."),
    ),
    (
        [ASKED, {"role": "assistant", "tool_calls": []}],
        *("messages[1].tool_calls", "empty_array"),
        "Invalid 'messages[1].tool_calls': empty array. Expected an array with minimum length 1, but got an empty array instead.",
    ),
    ([{"role": "user"}], "messages.[0].content", None, NO_CONTENT),
    ([ASKED, {"role": "assistant", "content": None, "tool_calls": None}], "messages.[1].content", None, NO_CONTENT),
    ([{"role": "user", "content": None, "refusal": "no"}], "messages.[0].content", None, NO_CONTENT),
    ([{"role": "developer"}], "messages[0].content", "missing_required_parameter", "Missing required parameter: 'messages[0].content'."),
    (
        [{"role": "developer", "content": None}],
        *("messages[0].content", "invalid_type"),
        "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got null instead.",
    ),
    (
        [{"role": "user"}, {"role": "user", "content": 7}],
        *("messages[1].content", "invalid_type"),
        "Invalid type for 'messages[1].content': expected one of a string or array of objects, but got an integer instead.",
    ),
    (
        [{"role": "wizard", "content": "Hi"}],
        *("messages[0].role", "invalid_value"),
        "Invalid value: 'wizard'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.",
    ),
    (["ping"], "messages[0]", "invalid_type", "Invalid type for 'messages[0]': expected an object, but got a string instead."),
    ([{**ASKED, "name": "Jane Doe"}], "messages[0].name", "invalid_value", f"Invalid 'messages[0].name': {PATTERN}"),
    (
        [{**ASKED, "name": "x" * 65}],
        *("messages[0].name", "string_above_max_length"),
        "Invalid 'messages[0].name': string too long. Expected a string with maximum length 64, but got a string with length 65 instead.",
    ),
]
FIELDS = [
    (
        chat(tools=[TOOL] * 129),
        *("tools", "array_above_max_length"),
        "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length 129 instead.",
    ),
    (chat(tools=[named("my tool")]), "tools[0].function.name", "invalid_value", f"Invalid 'tools[0].function.name': {PATTERN}"),
    (
        chat(tools=[named("")]),
        *("tools[0].function.name", "empty_string"),
        "Invalid 'tools[0].function.name': empty string. Expected a string with minimum length 1, but got an empty string instead.",
    ),
    (chat(tools=[{"type": "function"}]), "tools[0].function", "missing_required_parameter", "Missing required parameter: 'tools[0].function'."),
    (chat(tools=[{"type": "web_search"}]), "tools[0].type", "invalid_value", "Invalid value: 'web_search'. Supported values are: 'function' and 'custom'."),
    (chat(tools="none"), "tools", "invalid_type", "Invalid type for 'tools': expected an array of objects, but got a string instead."),
    (
        chat(tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "array"}}}}}]),
        *("tools[0].function.parameters", "invalid_function_parameters"),
        "Invalid schema for function 'f': In context=('properties', 'a'), array schema missing items.",
    ),
    (
        chat(tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "array", "items": {}}}}]),
        *("tools[0].function.parameters", "invalid_function_parameters"),
        "Invalid schema for function 'f': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'.",
    ),
    (
        chat(tools=[TOOL], tool_choice=named("other"), reasoning_effort="none"),
        *("function_call", None, "Invalid value for 'function_call': no function named 'other' was specified in the 'functions' parameter."),
    ),
    (chat(tools=[TOOL], tool_choice="x"), "tool_choice", "invalid_value", "Invalid value: 'x'. Supported values are: 'none', 'auto', and 'required'."),
    (
        chat(tools=[TOOL], tool_choice={"type": "x"}),
        *("tool_choice.function", "missing_required_parameter", "Missing required parameter: 'tool_choice.function'."),
    ),
    (
        chat(tool_choice=7),
        *("tool_choice", "invalid_type"),
        "Invalid type for 'tool_choice': expected one of one of 'none', 'auto', or 'required' or object, but got an integer instead.",
    ),
    (
        chat(response_format={"type": "json_schema"}),
        *("response_format.json_schema", "missing_required_parameter", "Missing required parameter: 'response_format.json_schema'."),
    ),
    (
        chat(response_format={"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}),
        *("response_format.json_schema.name", "invalid_value", f"Invalid 'response_format.json_schema.name': {PATTERN}"),
    ),
    (chat(stream_options={"x": 1}), "stream_options.x", "unknown_parameter", "Unknown parameter: 'stream_options.x'."),
    (chat(zzz=1, n="many"), "zzz", "unknown_parameter", "Unknown parameter: 'zzz'."),
    (chat(n="2", stop=7), "n", "invalid_type", "Invalid type for 'n': expected an integer, but got a string instead."),
    (chat(seed=1.5), "seed", "invalid_type", "Invalid type for 'seed': expected an integer, but got a decimal number instead."),
    (chat(n=0), "n", "integer_below_min_value", "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead."),
    (
        chat(temperature=-1),
        *("temperature", "decimal_below_min_value", "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -1 instead."),
    ),
    (
        chat(service_tier={"a": 1}),
        *("service_tier", "invalid_type"),
        "Invalid type for 'service_tier': expected one of 'auto', 'default', 'fast', 'flex', or 'priority', but got an object instead.",
    ),
    (chat(metadata={"k": 7}), "metadata.k", "invalid_type", "Invalid type for 'metadata.k': expected a string, but got an integer instead."),
    (chat(metadata="x"), "metadata", "invalid_type", "Invalid type for 'metadata': expected a metadata object, but got a string instead."),
    (
        chat(metadata={str(n): "v" for n in range(17)}),
        *("metadata", "object_above_max_properties"),
        "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got an object with 17 properties instead.",
    ),
    (
        chat(metadata={"k" * 70: "v"}),
        *("metadata." + "k" * 70, "property_name_above_max_length"),
        "Invalid property name in 'metadata': 'kkk...kkk' is too long. Expected a string with maximum length 64, but got a string with length 70 instead.",
    ),
    (
        chat(reasoning_effort={"a": 1}),
        *("reasoning_effort", "unsupported_value"),
        "Unsupported value: 'reasoning_effort' does not support {'a': 1} with this model. "
        "Supported values are: 'none', 'low', 'medium', 'high', 'xhigh', and 'max'.",
    ),
]


def label(value):
    return str(value)[:60] if isinstance(value, str) else None


@pytest.mark.parametrize(("body", "param", "code", "text"), [*COMBINATIONS, *FIELDS, *((chat(messages=turns), *rest) for turns, *rest in TURNS)], ids=label)
def test_what_chat_refuses(client, body, param, code, text):
    assert refused(client, body) == (param, code, text)


@pytest.mark.parametrize(
    "taken",
    [
        {"messages": [ASKED, CALLED, result("call_a")]},
        {"messages": [ASKED, {**CALLED, "tool_calls": [CALL, {**CALL, "id": "b"}]}, result("b"), result("call_a"), ASKED]},
        {"messages": [{**ASKED, "name": "Jane_Doe-1"}]},
        {"messages": [{"role": "user", "content": ""}, {"role": "assistant", "refusal": "no"}, ASKED]},
        {"messages": [{**ASKED, "content": "As JSON: " + HELLO}], "response_format": {"type": "json_object"}},
        {"messages": [{"role": "system", "content": [{"type": "text", "text": "Json."}]}, ASKED], "response_format": {"type": "json_object"}},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"tool_choice": None, "parallel_tool_calls": None, "stream_options": None, "tools": None},
        {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False, "reasoning_effort": "none"},
        {"model": OLD, "logprobs": True, "top_logprobs": 20},
        {"model": MINI, "tools": [TOOL], "tool_choice": "none"},
        {"prompt_cache_retention": "24h", "prompt_cache_options": {"mode": "explicit", "ttl": "30m"}},
    ],
    ids=str,
)
def test_what_chat_takes(client, taken):
    client.post("/chat/completions", body=chat(**taken), cast_to=object)


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-6-luna"])
def test_an_empty_list_of_tools_is_none(client, model):
    with_none = client.chat.completions.create(model=model, messages=[{"role": "user", "content": HELLO}], tools=[])
    assert with_none.usage == client.chat.completions.create(model=model, messages=[{"role": "user", "content": HELLO}]).usage


@pytest.mark.parametrize("model", [LUNA, "gpt-6.1-terra", "gpt-6.1-sol"])
def test_gpt_6_calls_functions_in_chat_only_while_it_does_not_think(client, model):
    text = (
        f"Function tools with reasoning_effort are not supported for {model} in /v1/chat/completions. "
        "To use function tools, use /v1/responses or set reasoning_effort to 'none'."
    )
    assert refused(client, chat(model=model, tools=[TOOL])) == ("reasoning_effort", None, text)


# ---- names -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", ["user", "assistant", "system"])
def test_a_name_counts_as_its_tokens_and_one_more(client, role):
    def prompt_tokens(**name):
        messages = [{"role": role, "content": "Hi", **name}, ASKED]
        return client.chat.completions.create(model=LUNA, messages=messages, max_completion_tokens=16).usage.prompt_tokens

    assert prompt_tokens(name="alice") - prompt_tokens() == 2


# ---- images ------------------------------------------------------------------------------------------------
PLACE = "messages[0].content[1].image_url.url"
WANTED = "Expected a base64-encoded data URL with an image MIME type (e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but got "
NO_IMAGE = (
    "The image data you provided does not represent a valid image. Please check your input and try again with one of "
    "the supported image formats: ['image/jpeg', 'image/png', 'image/gif', 'image/webp']."
)
FORMATS = "You uploaded an unsupported image. Please make sure your image has of one the following formats: ['png', 'jpeg', 'gif', 'webp']."
IMAGES = [
    ("cat.png", "Expected a valid URL, but got a value with an invalid format.", None),
    ("ftp://host/cat.png", "Expected a valid URL, but got a value with an invalid format.", None),
    ("data:image/png,abc", WANTED + "a value without the ';base64' separator.", None),
    ("data:application/pdf;base64,AAAA", WANTED + "unsupported MIME type 'application/pdf'.", "Invalid MIME type. Only image types are supported."),
    ("data:image/bmp;base64,AAAA", WANTED + "unsupported MIME type 'image/bmp'.", "Invalid MIME type. Only image types are supported."),
    ("data:image/png;base64,", WANTED + "empty base64-encoded bytes.", "Invalid base64 image_url."),
    ("data:image/png;base64,not base64", WANTED + "an invalid base64-encoded value.", "Invalid base64 image_url."),
    ("data:image/png;base64,AAAA", NO_IMAGE, FORMATS),
]


def picture(url, role="user", **more):
    return [{"role": role, "content": [{"type": "text", "text": HELLO}, {"type": "image_url", "image_url": {"url": url, **more}}]}]


@pytest.mark.parametrize(("url", "text", "old_text"), IMAGES)
def test_what_is_no_image_is_refused(client, url, text, old_text):
    new = text if text == NO_IMAGE else f"Invalid image URL: '{PLACE}'. {text}"
    assert refused(client, chat(messages=picture(url))) == (PLACE, "invalid_value", new)
    if old_text:
        assert refused(client, chat(model=OLD, messages=picture(url)))[::2] == (None, old_text)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/cat.png",
        "HTTP://example.com/cat",
        PNG,
        "data:image/jpeg;base64," + base64.b64encode(b"\xff\xd8\xff\xe0").decode(),
        "data:image/gif;base64," + base64.b64encode(b"GIF89a").decode(),
        "data:image/webp;base64," + base64.b64encode(b"RIFF\0\0\0\0WEBP").decode(),
    ],
)
def test_images_are_taken_and_nothing_is_fetched(client, url):
    client.post("/chat/completions", body=chat(messages=picture(url, detail="original")), cast_to=object)


def test_an_image_has_a_detail_of_its_own_kind(client):
    found = refused(client, chat(messages=picture(PNG, detail="sharp")))
    text = "Invalid value: 'sharp'. Supported values are: 'low', 'high', 'auto', and 'original'."
    assert found == ("messages[0].content[1].image_url.detail", "invalid_value", text)


def test_a_part_of_another_type_is_refused(client):
    found = refused(client, chat(messages=[{"role": "user", "content": [{"type": "image", "source": {}}]}]))
    text = "Invalid value: 'image'. Supported values are: 'text', 'image_url', 'input_audio', 'refusal', 'audio', and 'file'."
    assert found == ("messages[0].content[0].type", "invalid_value", text)


@pytest.mark.parametrize("role", ["tool", "system", "assistant"])
def test_older_models_take_images_from_users_only(client, role):
    before = [ASKED, CALLED] if role == "tool" else []
    messages = [*before, {**picture(PNG, role)[0], **({"tool_call_id": "call_a"} if before else {})}]
    place = f"messages[{len(before)}]"
    text = f"Invalid '{place}'. Image URLs are only allowed for messages with role 'user', but this message with role '{role}' contains an image URL."
    assert refused(client, chat(model=OLD, messages=messages)) == (place, "invalid_value", text)


def test_a_model_that_cannot_see_refuses_images(client, monkeypatch):
    monkeypatch.setenv("COURSE_DATE", "2026-09-01")
    gateway = Gateway(pace=0).start()
    try:
        then = openai.OpenAI(base_url=f"{gateway.base_url}/openai/v1", max_retries=0)
        found = refused(then, chat(model="gpt-3.5-turbo", messages=picture(PNG)))
        assert found == ("messages.[0].content.[1].type", None, "Invalid content type. image_url is only supported by certain models.")
    finally:
        gateway.stop()
