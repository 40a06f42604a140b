"""What comes out of an interaction: its steps in the order in which they were taken, and its usage."""

from __future__ import annotations

import base64
from random import Random
from typing import Any

from helpers.gateway.answer import Answer, Choice
from helpers.gateway.dialects.gemini import contents as bodies
from helpers.gateway.dialects.gemini import server_tools
from helpers.gateway.dialects.gemini import tools as gemini_tools
from helpers.gateway.dialects.gemini.interaction_input import turn

Json = dict[str, Any]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def steps(answer: Answer, name: str) -> list[Json]:
    """A thought where there was one, what Google's tools did, and a text or a call; nothing of what a limit left nothing of.

    name: that of the interaction, of which ids and signatures are made, so that they are the same in its stream and where it is kept.
    """
    choice, out, drawn = answer.choices[0], [], Random(name)
    if answer.usage.thinking_tokens:
        out.append({"type": "thought", "signature": base64.b64encode(drawn.randbytes(96)).decode()})
    out += _run(choice, drawn) + _search(choice, drawn)
    if choice.function:
        arguments = gemini_tools.arguments(choice)
        made = {"type": "function_call", "id": _id(drawn), "name": choice.function, "arguments": arguments}
        return [*out, made] if arguments is not None or not choice.text else out
    text = "" if choice.finish == "refusal" else choice.text
    if not text and answer.is_silent:
        return out
    return [*out, {"type": "model_output", "content": [{"type": "text", "text": text, **_notes(choice)}]}]


def _id(drawn: Random) -> str:
    return "".join(drawn.choices(LETTERS, k=8))


def _run(choice: Choice, drawn: Random) -> list[Json]:
    if choice.run is None:
        return []
    name = _id(drawn)
    call = {"type": "code_execution_call", "id": name, "arguments": {"language": "python", "code": choice.run.code}}
    return [call, {"type": "code_execution_result", "call_id": name, "result": choice.run.output, "is_error": False}]


def _search(choice: Choice, drawn: Random) -> list[Json]:
    if choice.search is None:
        return []
    name = _id(drawn)
    call = {"type": "google_search_call", "id": name, "arguments": {"queries": list(choice.search.queries)}}
    return [call, {"type": "google_search_result", "call_id": name, "result": [{"search_suggestions": server_tools.suggestions(choice.search)}]}]


def _notes(choice: Choice) -> Json:
    """The sources of passages, as annotations of the text."""
    notes = []
    for passage, sources in choice.search.supports if choice.search else ():
        if passage in choice.text:
            start, end = server_tools.span(choice.text, passage)
            for place in sources:
                title, url = choice.search.sources[place]
                notes.append({"type": "url_citation", "url": url, "title": title, "start_index": start, "end_index": end})
    return {"annotations": notes} if notes else {}


def content_of(made: list[Json]) -> list[Json]:
    """The model's turn of generateContent that these steps are; none where they say nothing."""
    parts = [part for place, step in enumerate(made) for part in turn(step, f"steps[{place}]")[1] if part.get("text") != ""]
    return [{"role": "model", "parts": parts}] if parts else []


def usage_body(answer: Answer) -> Json:
    """The counts; unlike generateContent, it states zeros too."""
    usage, question = answer.usage, answer.question
    text = usage.output_tokens - usage.thinking_tokens
    body = {
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "total_input_tokens": usage.input_tokens - usage.tool_tokens,
        "input_tokens_by_modality": [{"modality": one["modality"].lower(), "tokens": one["tokenCount"]} for one in bodies.details(question)],
        "total_cached_tokens": usage.cache_read_tokens,
        "total_output_tokens": text,
        "total_thought_tokens": usage.thinking_tokens,
        "total_tool_use_tokens": usage.tool_tokens,
    }
    return {**body, "grounding_tool_count": [{"type": "google_search", "count": usage.searches}]} if usage.searches else body
