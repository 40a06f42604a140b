"""What OpenAI refuses in the schemas of functions and answers, through its own SDK, by chat completions, Responses and Azure."""

import os

import openai
import pytest

EMAIL = r"^(?!\.)(?!.*\.\.)[A-Za-z0-9_.]*@[a-z]+\.[a-z]{2,}$"
INTEGER = {"type": "integer"}
ASKED = [{"role": "user", "content": "Say hello in five words."}]


def record(properties, **more):
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False, **more}


def chat_tool(schema, strict=None, client=None, model="gpt-6-luna"):
    function = {"name": "f", "parameters": schema, **({} if strict is None else {"strict": strict})}
    tools = [{"type": "function", "function": {"name": "first"}}, {"type": "function", "function": function}]
    effort = "none" if model.startswith("gpt-6") else openai.omit  # while it thinks, GPT-6 takes no functions in chat
    (client or openai.OpenAI()).chat.completions.create(model=model, messages=ASKED, tools=tools, reasoning_effort=effort)


def azure_tool(schema, strict=None):
    chat_tool(schema, strict, openai.AzureOpenAI())


def responses_tool(schema, strict=None):
    tools = [{"type": "function", "name": "f", "parameters": schema, "strict": strict}]
    openai.OpenAI().responses.create(model="gpt-6-luna", input="Say hello.", tools=tools)


def chat_format(schema, strict=True, client=None, model="gpt-6-luna"):
    wanted = {"type": "json_schema", "json_schema": {"name": "r", "schema": schema, "strict": strict}}
    (client or openai.OpenAI()).chat.completions.create(model=model, messages=ASKED, response_format=wanted)


def responses_format(schema, strict=True):
    wanted = {"format": {"type": "json_schema", "name": "r", "schema": schema, "strict": strict}}
    openai.OpenAI().responses.create(model="gpt-6-luna", input="Say hello.", text=wanted)


def refusal(act, *arguments):
    """The words, the field and the code of a refusal."""
    with pytest.raises(openai.BadRequestError) as caught:
        act(*arguments)
    return caught.value.body["message"], caught.value.param, caught.value.code


@pytest.mark.parametrize(
    ("act", "param"),
    [(chat_tool, "tools"), (azure_tool, "tools"), (responses_tool, "tools"), (chat_format, "response_format"), (responses_format, "text.format.schema")],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize(
    ("schema", "place"),
    [
        (record({"email": {"type": "string", "pattern": EMAIL}}), "$.properties.email.pattern"),
        (record({"to": {"type": "array", "items": {"type": "string", "pattern": "a(?<!b)"}}}), "$.properties.to.items.pattern"),
        (record({"a": {"$ref": "#/$defs/A"}}, **{"$defs": {"A": {"anyOf": [INTEGER, {"type": "string", "pattern": "(?=a)"}]}}}), "$['$defs'].A.anyOf[1].pattern"),
    ],
)  # fmt: skip
def test_lookaround_is_refused_also_where_the_tool_need_not_be_called(gateway, act, param, schema, place):
    assert refusal(act, schema) == (f"Invalid JSON schema: regex lookaround is not supported. Found at {place}.", param, "invalid_json_schema")


@pytest.mark.parametrize("pattern", [r"\(?=a", r"[(?=]", r"a(?:b)?", r"(?P<x>a)"])
def test_what_only_looks_like_lookaround_is_taken(gateway, pattern):
    chat_format(record({"a": {"type": "string", "pattern": pattern}}))


def test_older_models_and_other_servers_take_lookaround(gateway):
    schema = record({"email": {"type": "string", "pattern": EMAIL}})
    chat_format(schema, True, None, "gpt-4o-mini")
    chat_format(schema, True, openai.OpenAI(base_url=os.environ["COMPATIBLE_BASE_URL"]), "house")


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "object", "properties": {}, "anyOf": [{"required": ["a"]}]}, "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."),
        ({"properties": {}}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."),
        ({"type": "array", "items": INTEGER}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'."),
        (record({"a": {"type": "array"}}), "In context=('properties', 'a'), array schema missing items."),
        (record({"a": {"type": "any"}}), "'any' is not valid under any of the given schemas"),
        (record({"a": {"type": "string", "pattern": r"\p{L}"}}), r"'\\p{L}' is not a 'regex'"),
        ({"type": "object", "properties": []}, "[] is not of type 'object'"),
        (record({"a": {"type": "string", "minLength": "x"}}), "'x' is not of type 'integer'"),
        (record({"a": {"type": "string", "maxLength": -1}}), "-1 is less than the minimum of 0"),
        ({**record({}), "required": True}, "True is not of type 'array'"),
        (record({"a": {"anyOf": []}}), "[] should be non-empty"),
    ],
)  # fmt: skip
def test_parameters_that_are_no_schema_of_an_object_are_refused(gateway, schema, words):
    words = f"Invalid schema for function 'f': {words}"
    assert refusal(chat_tool, schema) == (words, "tools[1].function.parameters", "invalid_function_parameters")
    assert refusal(responses_tool, schema) == (words, "tools[0].parameters", "invalid_function_parameters")


STRICT = [
    ({"type": "object", "properties": {"a": INTEGER}, "required": ["a"]}, "In context=(), 'additionalProperties' is required to be supplied and to be false."),
    (record({"a": INTEGER}, required=[]), "In context=(), 'required' is required to be supplied and to be an array including every key in properties. Missing 'a'."),
    (record({"a": {"description": "anything"}}), "In context=('properties', 'a'), schema must have a 'type' key."),
    (record({"a": {"type": "string", "format": "uri"}}), "In context=('properties', 'a'), 'uri' is not a valid format."),
    (record({"a": record({"b": {"oneOf": [INTEGER]}})}), "In context=('properties', 'a', 'properties', 'b'), 'oneOf' is not permitted."),
    *[(record({"a": {**INTEGER, word: value}}), f"In context=('properties', 'a'), '{word}' is not permitted.") for word, value in [("allOf", [INTEGER]), ("not", {"const": 5}), ("if", {}), ("uniqueItems", True), ("contains", {}), ("minProperties", 1), ("dependentRequired", {})]],
]  # fmt: skip


@pytest.mark.parametrize(("schema", "words"), STRICT, ids=lambda value: str(value)[-60:])
def test_a_strict_schema_keeps_to_openais_part_of_json_schema(gateway, schema, words):
    assert refusal(chat_tool, schema, True) == (f"Invalid schema for function 'f': {words}", "tools[1].function.parameters", "invalid_function_parameters")
    assert refusal(responses_tool, schema, True) == (f"Invalid schema for function 'f': {words}", "tools[0].parameters", "invalid_function_parameters")
    assert refusal(chat_format, schema) == (f"Invalid schema for response_format 'r': {words}", "response_format", None)
    assert refusal(responses_format, schema) == (f"Invalid schema for response_format 'r': {words}", "text.format.schema", "invalid_json_schema")


@pytest.mark.parametrize(("schema", "words"), STRICT, ids=lambda value: str(value)[-60:])
def test_a_schema_that_is_not_strict_may_use_all_of_it(gateway, schema, words):
    chat_tool(schema, False)
    chat_format(schema, False)


def test_a_property_may_have_any_keyword_for_a_name(gateway):
    schema = record({name: INTEGER for name in ("pattern", "not", "type", "enum", "allOf", "properties", "required", "$ref", "format")})
    chat_format(schema)
    chat_tool(schema, True)
