"""OpenAI's moderations: which texts and images count as harmful, by category. Found is what harm.py defines, and nothing else.

The shape, the order of the categories, and zero for what was not looked at, are those of recordings of August 2026.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from helpers.gateway import harm
from helpers.gateway.answer import Answer
from helpers.gateway.dialects.openai import images
from helpers.gateway.dialects.openai.errors import refused
from helpers.gateway.dialects.schema import STRING, checker, one_of, shape
from helpers.gateway.exchange import Message, Part, Provenance, Question, Refusal
from helpers.gateway.threads import in_thread
from helpers.gateway.wire import Call, Dialect, Response, Route, random_id, route

LATEST = "omni-moderation-latest"
MODELS = (LATEST, "omni-moderation-2024-09-26")
RETIRED = ("text-moderation-latest", "text-moderation-stable", "text-moderation-007")  # litellm 1.110.2's table has them no more
# The categories, each with the kinds of input that it is looked for in.
CATEGORIES = {
    **dict.fromkeys(("harassment", "harassment/threatening"), ("text",)),
    "sexual": ("text", "image"),
    **dict.fromkeys(("hate", "hate/threatening", "illicit", "illicit/violent"), ("text",)),
    **dict.fromkeys(("self-harm/intent", "self-harm/instructions", "self-harm"), ("text", "image")),
    "sexual/minors": ("text",),
    **dict.fromkeys(("violence", "violence/graphic"), ("text", "image")),
}
NAMES = {"harassment": "harassment", "hate speech": "hate", "sexually explicit": "sexual", "dangerous content": "illicit"}  # of harm.py's categories
SCORES = {"low": 0.3, "medium": 0.7, "high": 0.95}
NOTHING, FLAGGED = 0.0001, 0.5  # the score where nothing was found; from which one on it is harmful
MOST_IMAGES = 1
PLAYED = Provenance("scripted", detail="a filter that the course plays")

check_body = checker(shape("input", closed=True, model=STRING, input={"type": ["string", "array"], "minItems": 1, "items": {"type": ["string", "object"]}}))
check_part = checker(shape("type", type=one_of("text", "image_url"), text=STRING, image_url=shape("url", url=STRING)))


class OpenAIModerations:
    """The route /v1/moderations."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def routes(self) -> list[Route]:
        return [route("POST", "/v1/moderations", "moderations", handle=self.create)]

    def create(self, call: Call) -> Response:
        body = call.json
        check_body(body)
        model = body.get("model", LATEST)
        check_model(model)
        response = self._dialect.ok({"id": random_id("modr-", 29), "model": model, "results": _results(body["input"])})
        response.provenance = PLAYED
        return response


def check_model(model: str) -> None:
    """Raise a Refusal for a model that does not moderate."""
    if model not in MODELS:
        raise Refusal("retired_model" if model in RETIRED else "unknown_model", param="model", model=model)


def judged(text: str, kinds: tuple[str, ...] = ("text",)) -> dict[str, Any]:
    """The verdict on a text, and on the kinds of input that came with it: of an image nothing is ever found."""
    looked_at = {name: [kind for kind in kinds if kind in possible] for name, possible in CATEGORIES.items()}
    found = [one for one in harm.found([Message("user", (Part(text),))]) if not one.in_answer]
    scores = {name: NOTHING if looked_at[name] else 0.0 for name in CATEGORIES}
    for one in found:
        scores[NAMES[one.category]] = max(scores[NAMES[one.category]], SCORES[one.level])
    flags = {name: score >= FLAGGED for name, score in scores.items()}
    return {"flagged": any(flags.values()), "categories": flags, "category_scores": scores, "category_applied_input_types": looked_at}


async def chunks_with(question: Question, answer: Answer, chunks: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    """The chunks of a moderated chat: the verdicts come when all is said, before the usage."""
    head: dict[str, Any] = {}
    async for chunk in chunks:
        if not chunk["choices"]:
            yield {**head, "choices": [], "moderation": await in_thread(None, of_chat, question, answer)}
            head = {}
        else:
            head = chunk
        yield chunk
    if head:
        yield {**head, "choices": [], "moderation": await in_thread(None, of_chat, question, answer)}


def of_chat(question: Question, answer: Answer) -> dict[str, Any]:
    """The verdicts on what users said, and on each choice of the answer."""
    model, users = question.echo["moderation"]["model"], [message for message in question.messages if message.role == "user"]
    kinds = ("text", "image") if any(part.kind == "image" for message in users for part in message.parts) else ("text",)
    said = judged("\n".join(message.text for message in users), kinds)
    return {"input": _verdicts(model, [said]), "output": _verdicts(model, [judged(choice.text) for choice in answer.choices])}


def _verdicts(model: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "moderation_results", "model": model, "results": [{"type": "moderation_result", "model": model, **one} for one in found]}


def _results(given: str | list[Any]) -> list[dict[str, Any]]:
    """One verdict for a text, one for each of several, one for all parts together. Raises Refusal."""
    if isinstance(given, str):
        return [judged(given)]
    if all(isinstance(one, str) for one in given):
        return [judged(one) for one in given]
    return [_of_parts(given)]


def _of_parts(parts: list[Any]) -> dict[str, Any]:
    for index, part in enumerate(parts):
        if isinstance(part, str):
            raise Refusal("wrong_type", param=f"input[{index}]", expected="object", value=part)
        check_part(part, f"input[{index}]")
        if part["type"] not in part:
            raise Refusal("missing", param=f"input[{index}].{part['type']}")
    shown = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    if len(shown) > MOST_IMAGES:
        raise refused(f"Number of images ({len(shown)}) exceeds maximum of {MOST_IMAGES}", "input", "too_many_images")
    for url in shown:
        if problem := images.problem(url):
            raise refused(problem[1], "input", "invalid_image_url")
    text = "\n".join(part["text"] for part in parts if part["type"] == "text")
    return judged(text, tuple(kind for kind, is_there in (("text", len(shown) < len(parts)), ("image", bool(shown))) if is_there))
