"""Generated JSON schemas through every way of asking for one: tools that must be called, and formats of the answer.

COURSE_CASES=200 asks that many of each way; three are enough to notice what broke.
"""

import json
import os
import random

import anthropic
import boto3
import jsonschema
import openai
import pytest
from google import genai
from google.genai import types

CASES = int(os.environ.get("COURSE_CASES", "3"))
PROMPT = "Make up an example of an order and give it to the tool."
NAMES = ["name", "age", "city", "tags", "unit", "items", "is_open", "note"]


def made_up(rng, depth=0):
    """A random JSON schema: nested objects, arrays, enums, bounds; such that every provider's subset has it."""
    kind = "object" if depth == 0 else rng.choice(["object", "array", "enum", "string", "integer", "number", "boolean"] if depth < 3 else ["enum", "integer", "string"])
    if kind == "object":
        names = rng.sample(NAMES, rng.randint(1, 4))
        properties = {name: made_up(rng, depth + 1) for name in names}
        return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}
    if kind == "array":
        return {"type": "array", "items": made_up(rng, depth + 1), "minItems": 1, "maxItems": rng.randint(1, 4)}
    low = rng.randint(-5, 5)
    return {
        "enum": {"type": "string", "enum": rng.sample(["low", "medium", "high", "very high", "n/a"], 3)},
        "string": {"type": "string"},
        "integer": {"type": "integer", "minimum": low, "maximum": low + 40},
        "number": {"type": "number"},
        "boolean": {"type": "boolean"},
    }[kind]


def function(schema):
    return {"name": "take_order", "description": "Takes an order.", "parameters": schema}


def chat_tool(schema, client=None, model="gpt-6-luna", stream=False):
    client = client or openai.OpenAI()
    tools = [{"type": "function", "function": function(schema)}]
    messages = [{"role": "user", "content": PROMPT}]
    # While it thinks, GPT-6 takes no functions in chat.
    answer = client.chat.completions.create(model=model, messages=messages, tools=tools, tool_choice="required", stream=stream, reasoning_effort="none")
    if not stream:
        return json.loads(answer.choices[0].message.tool_calls[0].function.arguments)
    calls = [chunk.choices[0].delta.tool_calls for chunk in answer if chunk.choices]
    return json.loads("".join(call[0].function.arguments for call in calls if call))


def chat_tool_streamed(schema):
    return chat_tool(schema, stream=True)


def azure_tool(schema):
    return chat_tool(schema, openai.AzureOpenAI())


def compatible_tool(schema):
    return chat_tool(schema, openai.OpenAI(base_url=os.environ["COMPATIBLE_BASE_URL"]), "house")


def chat_format(schema):
    wanted = {"type": "json_schema", "json_schema": {"name": "order", "schema": schema, "strict": True}}
    answer = openai.OpenAI().chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": PROMPT}], response_format=wanted)
    return json.loads(answer.choices[0].message.content)


def responses_tool(schema):
    tools = [{"type": "function", "strict": True, **function(schema)}]
    answer = openai.OpenAI().responses.create(model="gpt-6-luna", input=PROMPT, tools=tools, tool_choice="required")
    return json.loads(next(item for item in answer.output if item.type == "function_call").arguments)


def responses_format(schema):
    wanted = {"format": {"type": "json_schema", "name": "order", "schema": schema, "strict": True}}
    return json.loads(openai.OpenAI().responses.create(model="gpt-6-luna", input=PROMPT, text=wanted).output_text)


def anthropic_tool(schema, stream=False):
    request = {
        "model": "claude-haiku-4-5",
        "max_tokens": 4000,
        "messages": [{"role": "user", "content": PROMPT}],
        "tools": [{"name": "take_order", "description": "Takes an order.", "input_schema": schema}],
        "tool_choice": {"type": "tool", "name": "take_order"},
    }
    if stream:
        with anthropic.Anthropic().messages.stream(**request) as events:
            message = events.get_final_message()
    else:
        message = anthropic.Anthropic().messages.create(**request)
    return next(block for block in message.content if block.type == "tool_use").input


def anthropic_tool_streamed(schema):
    return anthropic_tool(schema, stream=True)


def gemini_tool(schema):
    declared = types.FunctionDeclaration(name="take_order", description="Takes an order.", parameters_json_schema=schema)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY")),
    )
    client = genai.Client()
    return client.models.generate_content(model="gemini-3.5-flash-lite", contents=PROMPT, config=config).function_calls[0].args


def gemini_format(schema):
    config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=schema)
    client = genai.Client()
    return json.loads(client.models.generate_content(model="gemini-3.5-flash-lite", contents=PROMPT, config=config).text)


def bedrock_tool(schema):
    tools = {
        "tools": [{"toolSpec": {"name": "take_order", "description": "Takes an order.", "inputSchema": {"json": schema}}}],
        "toolChoice": {"tool": {"name": "take_order"}},
    }
    messages = [{"role": "user", "content": [{"text": PROMPT}]}]
    answer = boto3.client("bedrock-runtime").converse(modelId="amazon.nova-lite-v1:0", messages=messages, toolConfig=tools)
    return next(block["toolUse"] for block in answer["output"]["message"]["content"] if "toolUse" in block)["input"]


WAYS = [
    chat_tool, chat_tool_streamed, chat_format, azure_tool, compatible_tool, responses_tool, responses_format,
    anthropic_tool, anthropic_tool_streamed, gemini_tool, gemini_format, bedrock_tool,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_what_comes_back_fits_the_schema(gateway, way):
    for case in range(CASES):
        schema = made_up(random.Random(case))
        jsonschema.validate(way(schema), schema)


NONE = [{}, {"type": "object"}, {"type": "object", "properties": {}}, {"type": "object", "properties": {}, "required": [], "additionalProperties": False}]


@pytest.mark.parametrize("schema", NONE)
def test_a_function_without_arguments_is_called_without_any(gateway, schema):
    tools = [{"type": "function", "function": {"name": "now", "parameters": schema}}]
    answer = openai.OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": PROMPT}], tools=tools, tool_choice="required")
    assert answer.choices[0].message.tool_calls[0].function.arguments == "{}"


@pytest.mark.parametrize("more", [{"minProperties": 1}, {"required": ["boxes"]}])
def test_a_function_whose_arguments_have_no_names_of_their_own_is_given_some(gateway, more):
    schema = {"type": "object", "additionalProperties": {"type": "integer"}, **more}
    tool = {"name": "count", "input_schema": schema}
    reply = anthropic.Anthropic().messages.create(
        model="claude-haiku-4-5", max_tokens=100, messages=[{"role": "user", "content": PROMPT}], tools=[tool], tool_choice={"type": "any"}
    )
    assert reply.content[0].input
