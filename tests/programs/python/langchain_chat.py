from langchain.chat_models import init_chat_model
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from scenarios import COLOUR, HELLO, PROVIDER, QUESTION, Colour, fault, get_weather, run

MODELS = {
    "openai": ("openai:gpt-4o-mini", "openai:nobody"),
    "azure": ("azure_openai:gpt-4o-mini", "azure_openai:nobody"),
    "anthropic": ("anthropic:claude-haiku-5-5", "anthropic:nobody"),
    "gemini": ("google_genai:gemini-3.5-flash-lite", "google_genai:nobody"),
    "bedrock": ("bedrock_converse:us.anthropic.claude-haiku-5-5", "bedrock_converse:nobody.nothing-v1"),
}
model, nobody = MODELS[PROVIDER]
chat = init_chat_model(model)
weather = tool(get_weather)


def asked():
    messages = [HumanMessage(QUESTION)]
    messages.append(chat.bind_tools([weather], tool_choice="get_weather").invoke(messages))
    [call] = messages[1].tool_calls
    messages.append(weather.invoke(call))
    return {"name": call["name"], "input": call["args"], "answer": chat.bind_tools([weather]).invoke(messages).text}


def retried():
    fault("rate_limited")
    return chat.invoke(HELLO).text


def given_up():
    fault("stalled")
    if PROVIDER == "bedrock":
        from botocore.config import Config

        hasty = init_chat_model(model, config=Config(read_timeout=1, retries={"total_max_attempts": 1}))
    else:
        hasty = init_chat_model(model, timeout=1, max_retries=0)
    return hasty.invoke(HELLO).text


run(
    plain=lambda: chat.invoke(HELLO).text,
    stream=lambda: [piece.text for piece in chat.stream(HELLO) if piece.text],
    tool=asked,
    schema=lambda: chat.with_structured_output(Colour).invoke(COLOUR).model_dump(),
    error=lambda: init_chat_model(nobody).invoke(HELLO).text,
    retry=retried,
    abort=given_up,
)
