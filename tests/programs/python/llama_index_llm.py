from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from scenarios import COLOUR, HELLO, PROVIDER, QUESTION, Colour, fault, get_weather, run


def llm(model, **options):
    if PROVIDER == "openai":
        from llama_index.llms.openai import OpenAI

        return OpenAI(model, **options)
    if PROVIDER == "anthropic":
        from llama_index.llms.anthropic import Anthropic

        return Anthropic(model, **options)
    if PROVIDER == "gemini":
        from llama_index.llms.google_genai import GoogleGenAI

        return GoogleGenAI(model, **options)
    from llama_index.llms.bedrock_converse import BedrockConverse

    return BedrockConverse(model, **options)


MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash", "bedrock": "us.anthropic.claude-haiku-4-5-20251001-v1:0"}
# Known to this client, and retired by the provider: what it does not know, it refuses itself.
RETIRED = {"openai": "o1-preview", "anthropic": "claude-sonnet-4-20250514", "gemini": "gemini-1.5-pro", "bedrock": "anthropic.claude-v2"}
chat = llm(MODELS[PROVIDER])


def asked():
    tool = FunctionTool.from_defaults(get_weather)
    answer = chat.chat_with_tools([tool], user_msg=QUESTION, tool_required=True)
    [call] = chat.get_tool_calls_from_response(answer)
    result = ChatMessage(role="tool", content=tool.call(**call.tool_kwargs).content, additional_kwargs={"tool_call_id": call.tool_id})
    second = chat.chat_with_tools([tool], chat_history=[ChatMessage(QUESTION), answer.message, result])
    return {"name": call.tool_name, "input": call.tool_kwargs, "answer": second.message.content}


def retried():
    fault("rate_limited")
    return chat.complete(HELLO).text


run(
    plain=lambda: chat.complete(HELLO).text,
    stream=lambda: [piece.delta for piece in chat.stream_complete(HELLO) if piece.delta],
    tool=asked,
    schema=lambda: chat.as_structured_llm(Colour).complete(COLOUR).raw.model_dump(),
    error=lambda: llm(RETIRED[PROVIDER]).complete(HELLO).text,
    retry=retried,
)
