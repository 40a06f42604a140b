from scenarios import CALLS, COLOUR, HELLO, QUESTION, Colour, fault, get_weather, run
from smolagents import ChatMessage, MessageRole, OpenAIModel, ToolCallingAgent, tool

model = OpenAIModel("gpt-4o-mini")


def user(text):
    return [ChatMessage(role=MessageRole.USER, content=[{"type": "text", "text": text}])]


def asked():
    # An agent of this kind has to call in every step; what the house model makes of its long instruction is no name of a city.
    ToolCallingAgent(tools=[tool(get_weather)], model=model, max_steps=2, verbosity_level=0).run(QUESTION)
    return CALLS[0]


def filled():
    form = {"type": "json_schema", "json_schema": {"name": "colour", "schema": {**Colour.model_json_schema(), "additionalProperties": False}, "strict": True}}
    return Colour.model_validate_json(model.generate(user(COLOUR), response_format=form).content).model_dump()


def retried():
    fault("rate_limited")
    return model.generate(user(HELLO)).content


run(
    plain=lambda: model.generate(user(HELLO)).content,
    stream=lambda: [piece.content for piece in model.generate_stream(user(HELLO)) if piece.content],
    tool=asked,
    schema=filled,
    error=lambda: OpenAIModel("nobody").generate(user(HELLO)).content,
    retry=retried,
)
