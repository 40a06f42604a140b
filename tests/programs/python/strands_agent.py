import asyncio

import strands
from scenarios import COLOUR, HELLO, PROVIDER, QUESTION, Colour, fault, get_weather, run


def model(name):
    if PROVIDER == "openai":
        from strands.models.openai import OpenAIModel

        return OpenAIModel(model_id=name)
    if PROVIDER == "anthropic":
        from strands.models.anthropic import AnthropicModel

        return AnthropicModel(model_id=name, max_tokens=300)
    if PROVIDER == "gemini":
        from strands.models.gemini import GeminiModel

        return GeminiModel(model_id=name)
    from strands.models import BedrockModel

    return BedrockModel(model_id=name)


MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash", "bedrock": "us.anthropic.claude-haiku-5-5"}
NAME = MODELS[PROVIDER]


def agent(name=NAME, **more):
    return strands.Agent(model=model(name), callback_handler=None, **more)


def streamed():
    async def read():
        return [event["data"] async for event in agent().stream_async(HELLO) if "data" in event]

    return asyncio.run(read())


def retried():
    fault("rate_limited")
    return str(agent()(HELLO)).strip()


run(
    plain=lambda: str(agent()(HELLO)).strip(),
    stream=streamed,
    answered=lambda: str(agent(tools=[strands.tool(get_weather)])(QUESTION)).strip(),  # its agents leave the choice to the model
    schema=lambda: agent().structured_output(Colour, COLOUR).model_dump(),
    error=lambda: str(agent("nobody.nothing-v1")(HELLO)),
    retry=retried,
)
