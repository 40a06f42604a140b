import asyncio

from agents import Agent, ModelSettings, Runner, function_tool, set_tracing_disabled
from scenarios import CALLS, COLOUR, HELLO, QUESTION, Colour, fault, get_weather, run

set_tracing_disabled(True)  # traces go to OpenAI's own address, whatever the environment says
MODEL = "gpt-6-luna"
agent = Agent(name="Assistant", model=MODEL)
loop = asyncio.new_event_loop()


async def asked(agent, text):
    return (await Runner.run(agent, text)).final_output


async def streamed():
    events = Runner.run_streamed(agent, HELLO).stream_events()
    return [event.data.delta async for event in events if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"]


async def called():
    forced = Agent(name="Assistant", model=MODEL, tools=[function_tool(get_weather)], model_settings=ModelSettings(tool_choice="required"))
    answer = await asked(forced, QUESTION)
    return {**CALLS[0], "answer": answer}


async def filled():
    return (await asked(Agent(name="Assistant", model=MODEL, output_type=Colour), COLOUR)).model_dump()


async def retried():
    fault("rate_limited")
    return await asked(agent, HELLO)


async def given_up():
    fault("stalled")
    return await asyncio.wait_for(asked(agent, HELLO), 1)


run(
    plain=lambda: loop.run_until_complete(asked(agent, HELLO)),
    stream=lambda: loop.run_until_complete(streamed()),
    tool=lambda: loop.run_until_complete(called()),
    schema=lambda: loop.run_until_complete(filled()),
    error=lambda: loop.run_until_complete(asked(Agent(name="Assistant", model="nobody"), HELLO)),
    retry=lambda: loop.run_until_complete(retried()),
    abort=lambda: loop.run_until_complete(given_up()),
)
