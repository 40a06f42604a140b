from haystack.dataclasses import ChatMessage
from haystack.tools import create_tool_from_function
from scenarios import COLOUR, HELLO, PROVIDER, QUESTION, Colour, fault, get_weather, run


def generator(model, **options):
    if PROVIDER == "openai":
        from haystack.components.generators.chat import OpenAIChatGenerator

        return OpenAIChatGenerator(model=model, **options)
    if PROVIDER == "anthropic":
        from haystack_integrations.components.generators.anthropic import AnthropicChatGenerator

        return AnthropicChatGenerator(model=model, **options)
    if PROVIDER == "gemini":
        from haystack_integrations.components.generators.google_genai import GoogleGenAIChatGenerator

        return GoogleGenAIChatGenerator(model=model, **options)
    from haystack_integrations.components.generators.amazon_bedrock import AmazonBedrockChatGenerator

    return AmazonBedrockChatGenerator(model=model, **options)


MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-5-5", "gemini": "gemini-3.5-flash-lite", "bedrock": "us.anthropic.claude-haiku-5-5"}
FORCED = {
    "openai": {"tool_choice": "required"},
    "anthropic": {"tool_choice": {"type": "any"}},
    "gemini": {"tool_config": {"function_calling_config": {"mode": "ANY"}}},
}
FORM = {
    "openai": {"response_format": Colour},
    "anthropic": {"output_config": {"format": {"type": "json_schema", "schema": {**Colour.model_json_schema(), "additionalProperties": False}}}},
    "gemini": {"response_mime_type": "application/json", "response_schema": Colour},
}
chat = generator(MODELS[PROVIDER])
weather = create_tool_from_function(get_weather)


def ask(messages, **more):
    return chat.run(messages=messages, **more)["replies"][0]


def asked():
    messages = [ChatMessage.from_user(QUESTION)]
    messages.append(ask(messages, tools=[weather], generation_kwargs=FORCED[PROVIDER]))
    call = messages[1].tool_call
    messages.append(ChatMessage.from_tool(weather.invoke(**call.arguments), origin=call))
    return {"name": call.tool_name, "input": call.arguments, "answer": ask(messages, tools=[weather]).text}


def streamed():
    pieces = []
    ask([ChatMessage.from_user(HELLO)], streaming_callback=lambda piece: pieces.append(piece.content))
    return [piece for piece in pieces if piece]


def filled():
    return Colour.model_validate_json(ask([ChatMessage.from_user(COLOUR)], generation_kwargs=FORM[PROVIDER]).text).model_dump()


def retried():
    fault("rate_limited")
    return ask([ChatMessage.from_user(HELLO)]).text


run(
    plain=lambda: ask([ChatMessage.from_user(HELLO)]).text,
    stream=streamed,
    **({"tool": asked, "schema": filled} if PROVIDER in FORM else {}),  # for Bedrock it has no way to ask for either
    error=lambda: generator("nobody.nothing-v1").run(messages=[ChatMessage.from_user(HELLO)]),
    retry=retried,
)
