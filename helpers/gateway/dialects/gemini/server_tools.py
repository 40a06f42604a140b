"""Tools that Google runs, as scripted answers have them: code and its output as parts, a search as grounding metadata."""

from __future__ import annotations

from html import escape
from typing import Any

from helpers.gateway.answer import Choice
from helpers.gateway.exchange import Search


def run_parts(choice: Choice) -> list[dict[str, Any]]:
    """The code that was run, and what it printed; nothing where none was."""
    if choice.run is None:
        return []
    code = {"executableCode": {"language": "PYTHON", "code": choice.run.code}}
    return [code, {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": choice.run.output}}]


def grounding(choice: Choice) -> dict[str, Any]:
    """What was searched for and found, and which passage rests on what. Places count bytes of UTF-8."""
    search = choice.search
    return {
        "searchEntryPoint": {"renderedContent": suggestions(search)},
        "groundingChunks": [{"web": {"uri": uri, "title": title}} for title, uri in search.sources],
        "groundingSupports": [_support(choice.text, passage, sources) for passage, sources in search.supports if passage in choice.text],
        "webSearchQueries": list(search.queries),
    }


def suggestions(search: Search) -> str:
    """The search suggestions that an application has to show, here without Google's styles."""
    return f'<div class="container">{"".join(f"<a class=chip>{escape(query)}</a>" for query in search.queries)}</div>'


def _support(text: str, passage: str, sources: tuple[int, ...]) -> dict[str, Any]:
    start, end = span(text, passage)
    segment = {**({"startIndex": start} if start else {}), "endIndex": end, "text": passage}
    return {"segment": segment, "groundingChunkIndices": list(sources)}


def span(text: str, passage: str) -> tuple[int, int]:
    """Where a passage of a text begins and ends, in bytes of UTF-8."""
    start = len(text[: text.index(passage)].encode())
    return start, start + len(passage.encode())
