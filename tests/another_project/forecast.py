"""A program that calls two providers and knows nothing of any gateway."""

import json
import time

import anthropic
import openai

client = openai.OpenAI(max_retries=0)
claude = anthropic.Anthropic()

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city today.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def weather(city: str) -> str:
    return f"{city}: rain, 8 degrees"


def forecast(question: str) -> str:
    """Answer a question about the weather, with the tool where the model asks for it."""
    messages = [{"role": "user", "content": question}]
    while True:
        message = client.chat.completions.create(model="gpt-6-luna", reasoning_effort="none", messages=messages, tools=[WEATHER]).choices[0].message
        if not message.tool_calls:
            return message.content
        messages.append(message)
        for call in message.tool_calls:
            messages.append({"role": "tool", "tool_call_id": call.id, "content": weather(**json.loads(call.function.arguments))})


def advice(text: str) -> str:
    """What to wear, by Claude; streamed."""
    with claude.messages.stream(model="claude-haiku-4-5", max_tokens=200, messages=[{"role": "user", "content": f"What to wear? {text}"}]) as stream:
        return stream.get_final_text()


def patient(question: str, tries: int = 3) -> str:
    """The same as forecast(), and again where the provider says that it is too much."""
    for left in reversed(range(tries)):
        try:
            return forecast(question)
        except openai.RateLimitError as error:
            if not left:
                raise
            time.sleep(float(error.response.headers["retry-after"]))
