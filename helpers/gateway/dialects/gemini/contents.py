"""Gemini's contents: a generateContent body as a question, an answer as a body or as the pieces of a stream."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from helpers.gateway.answer import Answer, Choice, Piece, TokenScore
from helpers.gateway.dialects.gemini import fields, media, modalities, parts, safety, server_tools, turns
from helpers.gateway.dialects.gemini import tools as gemini_tools
from helpers.gateway.dialects.schema import checker
from helpers.gateway.exchange import Function, Message, Question, Refusal, Usage
from helpers.gateway.wire import LETTERS, random_id
from helpers.models import Model

check = checker(fields.GENERATE)

LEVELS = ("minimal", "low", "medium", "high")
LARGEST_BUDGET = 24_576  # what Google documents for its Flash models
SAMPLING = ("temperature", "topP", "topK", "seed")
PENALTIES = ("presencePenalty", "frequencyPenalty")  # refused by every current model, as users were shown and Google's pages say since 3.5 Flash-Lite
RESOLUTIONS = ("", *(f"MEDIA_RESOLUTION_{level}" for level in ("UNSPECIFIED", "LOW", "MEDIUM", "HIGH")))  # of a whole request; parts know ULTRA_HIGH too
CHUNK_TOKENS = 16
CALLED = "Model generated function call(s)."  # of every answer with a call since Gemini 2.5, as recorded
ROLES = {"": "user", "user": "user", "model": "assistant", "function": "tool"}


@dataclass(frozen=True)
class Cached:
    """What an explicit cache holds: the beginning of every prompt that names it."""

    messages: tuple[Message, ...] = ()
    tools: tuple[str, ...] = ()
    tokens: int = 0
    functions: tuple[Function, ...] = ()
    must_call: tuple[str, ...] = ()
    details: tuple[dict[str, Any], ...] = ()  # its tokens by modality


# ---- reading ---------------------------------------------------------------
def checked(body: dict[str, Any]) -> dict[str, Any]:
    """The body with its fields' names in camelCase. Raises Refusal for what Google's parser refuses."""
    body = fields.normalised(body, fields.GENERATE)
    check(body)
    if not body.get("contents"):
        raise Refusal("missing", param="contents")
    safety.check(body)
    return body


def counted(body: dict[str, Any]) -> dict[str, Any]:
    """The body whose tokens are to be counted: contents alone, or a whole request."""
    whole = body.get("generateContentRequest", body.get("generate_content_request"))
    return whole if isinstance(whole, dict) else body


def question(body: dict[str, Any], model: Model, cached: Cached | None = None) -> Question:
    """The neutral question of a checked body. Raises Refusal for what this model refuses."""
    config = body.get("generationConfig", {})
    modalities.check(config)
    if any(config.get(name) for name in PENALTIES):
        raise Refusal("unsupported", f"Penalty is not enabled for models/{model.id}", param="generationConfig")
    effort, budget = thinking(config.get("thinkingConfig", {}), model)
    if cached and any(body.get(name) for name in ("systemInstruction", "tools", "toolConfig")):
        text = (
            "CachedContent can not be used with GenerateContent request setting system_instruction, tools or tool_config.\n\n"
            "Proposed fix: move those values to CachedContent from GenerateContent request."
        )
        raise Refusal("bad_value", text, param="cachedContent")
    held = cached or Cached()
    functions = gemini_tools.functions(body)
    said = messages(body, model)
    return Question(
        provider="gemini",
        model=model,
        messages=(*held.messages, *said),
        tools=(*held.tools, *tools(body)),
        functions=(*held.functions, *functions),
        must_call=(*held.must_call, *gemini_tools.must_call(body, functions)),
        schema=gemini_tools.schema(body, model),
        top_logprobs=gemini_tools.top_logprobs(body, model),
        limit=config.get("maxOutputTokens"),
        stop=tuple(config.get("stopSequences", ())),
        n=config.get("candidateCount", 1),
        effort=effort,
        thinking_limit=budget,
        sampling=tuple((name, config[name]) for name in SAMPLING if name in config),
        cached_prefix_tokens=held.tokens,
        harm=safety.blocked(body, said),
        one_search=model.id.startswith("gemini-2."),
        echo={"bare": gemini_tools.is_bare(body), "cached": list(held.details)},
        chunk_tokens=CHUNK_TOKENS,
    )


def streamed(question: Question, *, sse: bool) -> Question:
    return replace(question, stream=True, echo={**question.echo, "sse": sse})


def thinking(config: dict[str, Any], model: Model) -> tuple[str, int | None]:
    """Effort and budget: a level, or a number of tokens, of which 0 is off and -1 the model's own choice. Not both."""
    level, budget = config.get("thinkingLevel"), config.get("thinkingBudget")
    path = "generationConfig.thinkingConfig"
    if level is not None and budget is not None:
        raise Refusal("bad_value", "You can only set only one of thinking budget and thinking level.", param=path)
    if model.thinks == "never":
        if level is not None or budget:
            raise Refusal("unsupported", f"Thinking is not enabled for models/{model.id}", param=path)
        return "none", None
    if level is not None:
        if level.lower() not in LEVELS or level.lower() not in model.efforts:
            text = f"Thinking level {level.upper()} is not supported for this model."
            raise Refusal("unsupported", text, param=f"{path}.thinkingLevel")
        return level.lower(), None
    if budget == 0:
        if not {"none", "minimal"} & set(model.efforts):
            text = "Budget 0 is invalid. This model only works in thinking mode."
            raise Refusal("unsupported", text, param=f"{path}.thinkingBudget")
        return "none", None
    if budget is not None and not -1 <= budget <= LARGEST_BUDGET:
        text = f"The thinking budget {budget} is invalid. Please choose a value between 1 and {LARGEST_BUDGET}."
        raise Refusal("bad_value", text, param=f"{path}.thinkingBudget")
    usual = model.effort if budget is not None else model.default_effort  # a budget makes those think that do not by themselves
    return usual, None if budget == -1 else budget


def messages(body: dict[str, Any], model: Model) -> tuple[Message, ...]:
    """The turns, with the system instruction first."""
    out, resolution = [], body.get("generationConfig", {}).get("mediaResolution", "")
    if resolution not in RESOLUTIONS:
        raise Refusal("wrong_type", param="generationConfig.mediaResolution", expected="resolution", value=resolution)
    if "systemInstruction" in body:
        out.append(Message("system", parts.read(body["systemInstruction"], "systemInstruction", model, resolution)))
    for index, content in enumerate(body.get("contents", ())):
        role = content.get("role", "")
        if role not in ROLES:
            raise Refusal("bad_value", "Please use a valid role: user, model.", param=f"contents[{index}].role")
        out.append(Message(ROLES[role], parts.read(content, f"contents[{index}]", model, resolution)))
    turns.check(body.get("contents", ()), model)
    return tuple(out)


def tools(body: dict[str, Any]) -> tuple[str, ...]:
    """Every function on its own; a tool that Google runs as it stands."""
    out = []
    for tool in body.get("tools", ()):
        out += tool.get("functionDeclarations", [])
        out += [{name: value} for name, value in tool.items() if name != "functionDeclarations"]
    return tuple(json.dumps(one, sort_keys=True) for one in out)


# ---- writing ---------------------------------------------------------------
def usage_body(usage: Usage, question: Question, text_tokens: int | None = None) -> dict[str, Any]:
    """The counts of an answer, or of one of which only so many tokens of text were sent. Zeros are left out."""
    text = usage.output_tokens - usage.thinking_tokens if text_tokens is None else text_tokens
    cached, ran = usage.cache_read_tokens, usage.tool_tokens
    body = {
        "promptTokenCount": usage.input_tokens - ran,
        "candidatesTokenCount": text,
        "totalTokenCount": usage.input_tokens + text + usage.thinking_tokens,
        "cachedContentTokenCount": cached,
        "promptTokensDetails": details(question),
        "cacheTokensDetails": cache_details(question, cached),
        "toolUsePromptTokenCount": ran,
        "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": ran}] if ran else [],
        "thoughtsTokenCount": usage.thinking_tokens,
        "serviceTier": "standard",
    }
    return {name: value for name, value in body.items() if value}


def details(question: Question) -> list[dict[str, Any]]:
    """The prompt's tokens by modality."""
    counts = {"TEXT": 0}
    for part in [part for message in question.messages for part in message.parts if part.kind == "image"]:
        name = media.modality(part, question.model)
        counts[name] = counts.get(name, 0) + round(part.token_count() * question.model.token_ratio)
    counts["TEXT"] = question.prompt_tokens - sum(count for name, count in counts.items() if name != "TEXT")
    return _by_modality(counts)


def cache_details(question: Question, cached: int) -> list[dict[str, Any]]:
    """The tokens read from a cache by modality: those that an explicit one holds; of another's each modality has its share, as recorded."""
    held = question.echo.get("cached")
    if held and sum(one["tokenCount"] for one in held) == cached:
        return held
    whole = details(question)
    shares = {one["modality"]: round(cached * one["tokenCount"] / question.prompt_tokens) for one in whole if cached}
    if shares:
        first = next(iter(shares))
        shares[first] += cached - sum(shares.values())
    return _by_modality(shares)


def _by_modality(counts: dict[str, int]) -> list[dict[str, Any]]:
    return [{"modality": name, "tokenCount": count} for name, count in counts.items() if count]


def count_body(question: Question) -> dict[str, Any]:
    cached = question.cached_prefix_tokens
    body = {"totalTokens": question.prompt_tokens, "promptTokensDetails": details(question)}
    return {**body, "cachedContentTokenCount": cached, "cacheTokensDetails": cache_details(question, cached)} if cached else body


def finish_reason(choice: Choice) -> str:
    if choice.finish in ("length", "refusal"):
        return {"length": "MAX_TOKENS", "refusal": "SAFETY"}[choice.finish]
    return "MALFORMED_FUNCTION_CALL" if choice.function and gemini_tools.arguments(choice) is None else "STOP"


def _head(answer: Answer) -> dict[str, Any]:
    return {"modelVersion": answer.question.model.served_as, "responseId": random_id("", 22, LETTERS + "-_")}


def _text_parts(text: str) -> list[dict[str, Any]]:
    return [{"text": text}] if text else []


def _parts(question: Question, choice: Choice) -> list[dict[str, Any]]:
    """The parts of a whole candidate."""
    if choice.function:
        return gemini_tools.call_parts(choice, question.model)
    if choice.finish == "refusal":
        return []
    return server_tools.run_parts(choice) + _text_parts(gemini_tools.bare(choice.text) if question.echo["bare"] else choice.text)


def _candidate(index: int, said: list[dict[str, Any]], scores: Sequence[TokenScore], choice: Choice | None = None) -> dict[str, Any]:
    """A candidate, or a piece of one; with the choice it is the end of it. Without parts its content has none, not an empty list."""
    body: dict[str, Any] = {"content": {"parts": said, "role": "model"} if said else {"role": "model"}}
    if choice:
        body["finishReason"] = finish_reason(choice)
        if choice.finish == "refusal":
            body["content"] = {}
        if choice.search:
            body["groundingMetadata"] = server_tools.grounding(choice)
        if choice.scores:
            body["avgLogprobs"] = sum(score.logprob for score in choice.scores) / len(choice.scores)
    if scores:
        body["logprobsResult"] = gemini_tools.logprobs_result(scores)
    called = {"finishMessage": CALLED} if choice and any("functionCall" in part for part in said) else {}
    return {**body, "index": index, **called}


def response_body(answer: Answer) -> dict[str, Any]:
    question = answer.question
    if is_stopped(question):
        return stopped_body(answer)
    candidates = [_candidate(i, _parts(question, choice), choice.scores, choice) for i, choice in enumerate(answer.choices)]
    return {"candidates": _rated(candidates, question), "usageMetadata": usage_body(answer.usage, question), **_head(answer)}


def _rated(candidates: list[dict[str, Any]], question: Question) -> list[dict[str, Any]]:
    """With the ratings of what the settings do not let pass; those of all else are left out."""
    return [{**one, "safetyRatings": safety.ratings(question.harm)} for one in candidates] if question.harm else candidates


def is_stopped(question: Question) -> bool:
    """Whether the prompt itself is blocked, so that there is no candidate."""
    return question.harm is not None and not question.harm.in_answer


def stopped_body(answer: Answer) -> dict[str, Any]:
    """The answer to a blocked prompt, plain and as the only piece of a stream."""
    feedback = safety.feedback(answer.question.harm)
    return {"promptFeedback": feedback, "usageMetadata": usage_body(answer.usage, answer.question), **_head(answer)}


async def pieces(answer: Answer) -> AsyncIterator[dict[str, Any]]:
    """The pieces of a stream, each with the usage so far; the last one ends every candidate. Calls and words of an enum come whole."""
    head, question = _head(answer), answer.question
    if is_stopped(question):
        yield stopped_body(answer)
        return
    whole = question.echo["bare"] or answer.choices[0].function is not None
    scores: dict[int, list[TokenScore]] = defaultdict(list)  # of what was not sent yet
    tokens: dict[int, int] = {}
    held: Piece | None = None  # until it is known whether it is the last
    length = 0

    def said(piece: Piece) -> dict[str, Any]:
        tokens[piece.choice] = piece.tokens_so_far
        candidate = _candidate(piece.choice, _text_parts(piece.text), scores.pop(piece.choice, ()))
        return {"candidates": [candidate], "usageMetadata": usage_body(answer.usage, question, sum(tokens.values())), **head}

    for index, choice in enumerate(answer.choices):
        if ran := server_tools.run_parts(choice):
            yield {"candidates": [_candidate(index, ran, ())], "usageMetadata": usage_body(answer.usage, question, 0), **head}
    async for piece in answer.stream():
        if held and piece.text:
            yield said(held)
            held = None
        scores[piece.choice] += piece.scores
        length += len(piece.text)
        if piece.text and not whole:
            held = piece
        # Of a recorded answer all is known from its beginning, so that only its last piece has to wait.
        if held and length < sum(len(choice.text) for choice in answer.choices):
            yield said(held)
            held = None
    last = [_parts(question, choice) if whole else [] for choice in answer.choices]
    if held:
        last[held.choice] = _text_parts(held.text)
    ends = [_candidate(i, last[i], scores[i], choice) for i, choice in enumerate(answer.choices)]
    yield {"candidates": _rated(ends, question), "usageMetadata": usage_body(answer.usage, question), **head}


def parse_usage(payloads: list[dict[str, Any]]) -> Usage | None:
    """The usage in a body or in the pieces of a stream; it is cumulative, so the last one counts. None where a stream has no end."""
    found = next((p["usageMetadata"] for p in reversed(payloads) if p.get("usageMetadata")), None)
    if found is None or (len(payloads) > 1 and not any(_ends(p) for p in payloads)):
        return None
    thought = found.get("thoughtsTokenCount", 0)
    return Usage(
        input_tokens=found.get("promptTokenCount", 0) + found.get("toolUsePromptTokenCount", 0),
        cache_read_tokens=found.get("cachedContentTokenCount", 0),
        output_tokens=found.get("candidatesTokenCount", 0) + thought,
        thinking_tokens=thought,
    )


def _ends(payload: dict[str, Any]) -> bool:
    """Whether a piece is the last of a stream: it says why a candidate ended, or that the prompt was blocked."""
    return "promptFeedback" in payload or any(candidate.get("finishReason") for candidate in payload.get("candidates") or ())
