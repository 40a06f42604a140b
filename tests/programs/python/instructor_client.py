import instructor
from pydantic import BaseModel
from scenarios import COLOUR, HELLO, PROVIDER, QUESTION, Colour, fault, run

MODELS = {
    "openai": ("openai/gpt-4o-mini", "openai/nobody"),
    "anthropic": ("anthropic/claude-haiku-4-5", "anthropic/nobody"),
    "gemini": ("google/gemini-2.5-flash", "google/nobody"),
    "bedrock": ("bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0", "bedrock/nobody.nothing-v1"),
}
model, nobody = MODELS[PROVIDER]
options = {"max_tokens": 300} if PROVIDER == "anthropic" else {}
client = instructor.from_provider(model)


class Weather(BaseModel):
    """The weather in a city now."""

    city: str


def user(text):
    return [{"role": "user", "content": text}]


def create(text, form, client=client, **more):
    return client.create(messages=user(text), response_model=form, **options, **more).model_dump()


def streamed():
    return [part.model_dump() for part in client.create_partial(messages=user(COLOUR), response_model=Colour, **options)]


def retried():
    fault("rate_limited")
    return create(COLOUR, Colour)


run(
    schema=lambda: create(COLOUR, Colour),
    tool=lambda: {"name": "Weather", "input": create(QUESTION, Weather)},  # what it makes a form of is a function that has to be called
    **({"stream_schema": streamed} if PROVIDER != "bedrock" else {}),  # for Bedrock it streams nothing
    error=lambda: create(HELLO, Colour, instructor.from_provider(nobody)),
    retry=retried,
)
