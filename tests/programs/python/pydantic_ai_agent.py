from pydantic_ai import Agent
from scenarios import CALLS, COLOUR, HELLO, PROVIDER, QUESTION, Colour, fault, get_weather, run

MODELS = {
    "openai": ("openai-responses:gpt-6-luna", "openai-responses:nobody"),
    "azure": ("azure:gpt-4o-mini", "azure:nobody"),
    "anthropic": ("anthropic:claude-haiku-5-5", "anthropic:nobody"),
    "gemini": ("google:gemini-3.5-flash-lite", "google:nobody"),
    "bedrock": ("bedrock:us.anthropic.claude-haiku-5-5", "bedrock:nobody.nothing-v1"),
}
model, nobody = MODELS[PROVIDER]


def streamed():
    return list(Agent(model).run_stream_sync(HELLO).stream_text(delta=True, debounce_by=None))


def asked():
    # An agent that has to call: its answer is what the function returns.
    answer = Agent(model, output_type=get_weather).run_sync(QUESTION).output
    return {**CALLS[0], "answer": answer}


def retried():
    fault("rate_limited")
    return Agent(model).run_sync(HELLO).output


def given_up():
    fault("stalled")
    return Agent(model, model_settings={"timeout": 1, "max_retries": 0}).run_sync(HELLO).output


run(
    plain=lambda: Agent(model).run_sync(HELLO).output,
    stream=streamed,
    tool=asked,
    schema=lambda: Agent(model, output_type=Colour).run_sync(COLOUR).output.model_dump(),
    error=lambda: Agent(nobody).run_sync(HELLO).output,
    retry=retried,
    **({} if PROVIDER == "bedrock" else {"abort": given_up}),  # there the timeout belongs to the client of boto3
)
