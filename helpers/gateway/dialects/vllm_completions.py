"""vLLM's completions: text that the house model goes on with, without a chat template.

The bodies, chunks and refusals follow those of a real vLLM 0.32.0 with the house model, captured on 2026-11-28; where these
do not tell, vLLM's source. Only the house model has a tokenizer here, so that no other model completes.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from helpers.gateway.answer import Answer, Choice, Piece, TokenScore
from helpers.gateway.dialects import adapters, vllm, vllm_tokens
from helpers.gateway.dialects.openai import chat
from helpers.gateway.dialects.schema import BOOLEAN, INTEGER, STRING, checker, nullable, shape
from helpers.gateway.dialects.vllm_answer import FINGERPRINT, last_usage, plain_usage
from helpers.gateway.exchange import Question, Refusal
from helpers.gateway.wire import compact, hex_id
from helpers.models import Model

COLDEST = 1e-5  # a temperature below it is none: the likeliest token is taken
USUAL_LIMIT = 16  # tokens, where a request names none
SHAPES = ("echo", "include_stop_str_in_output", "return_token_ids")  # fields that shape an answer, and so are part of what a recording answers
NO_PIECE = Piece(0, "", 0.0, 0, is_last=True)
LEAST = -9999.0  # vLLM writes no lower log-probability
AS_IN_CHAT = (
    *("frequency_penalty", "presence_penalty", "temperature", "top_p", "min_p", "repetition_penalty", "max_tokens"),
    *("seed", "top_k", "logit_bias", "response_format", "stop", "stream", "user"),
)
_check_fields = checker(
    shape(
        **{name: vllm.FIELDS[name] for name in AS_IN_CHAT},
        **dict.fromkeys(("echo", "return_token_ids"), nullable(BOOLEAN)),
        **dict.fromkeys(("include_stop_str_in_output", "use_beam_search"), BOOLEAN),
        **dict.fromkeys(("logprobs", "prompt_logprobs"), nullable(INTEGER)),
        n=INTEGER,
        suffix=nullable(STRING),
        stream_options=nullable(shape(include_usage=nullable(BOOLEAN), continuous_usage_stats=nullable(BOOLEAN))),
    )
)


# ---- reading -----------------------------------------------------------------
def check(body: dict[str, Any]) -> None:
    """Raise a Refusal for a body that vLLM refuses before it looks at the model."""
    vllm_tokens.check_count(body.get("prompt"))
    if body.get("prompt") in (None, "") and body.get("prompt_embeds") in (None, []):
        raise vllm.invalid("Either prompt or prompt_embeds must be provided and non-empty.", "prompt")
    vllm.check_form(body)
    for name in ("prompt_logprobs", "logprobs"):
        _check_logprobs(name, body.get(name))
    _check_fields(body)
    vllm.check_schemas({"response_format": body.get("response_format")})


def question(body: dict[str, Any], model: Model, provider: str) -> Question:
    """The neutral question of a body that was checked. Raises Refusal."""
    _check_unserved(body)
    limit = USUAL_LIMIT if body.get("max_tokens") is None else body["max_tokens"]
    if limit > model.context:
        raise Refusal("above_window", param="max_tokens", value=limit, maximum=model.context)
    prompts, scored = vllm_tokens.prompts(body["prompt"], model), body.get("logprobs")
    vllm.check_sampling({**body, "max_completion_tokens": None, "top_logprobs": len(vllm_tokens.tokenizer().bytes) if scored == -1 else scored})
    n, stop = body.get("n", 1), body.get("stop") or []
    if n > 1 and body.get("temperature") is not None and body["temperature"] < COLDEST:
        raise vllm.invalid(f"n must be 1 when using greedy sampling, got {n}.")
    if n * len(prompts) > vllm_tokens.MOST_PROMPTS:
        text = f"The course's gateway gives {vllm_tokens.MOST_PROMPTS} answers in a completion; these would be {n * len(prompts)}."
        raise Refusal("bad_value", text, param="n")
    return Question(
        provider=provider,
        model=model,
        messages=(),
        prompts=prompts,
        schema=chat.schema(body.get("response_format")),
        top_logprobs=scored,
        limit=limit,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        n=n,
        stream=bool(body.get("stream")),
        sampling=(*chat.sampling(body), *((name, True) for name in SHAPES if body.get(name))),
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        echo=body,
    )


def _check_logprobs(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, int | float):
        raise vllm.invalid(f"`{name}` must be an integer.", name, value)
    if value is not None and value < 0 and value != -1:
        raise vllm.invalid(f"`{name}` must be a positive value or -1.", name, value)


def _check_unserved(body: dict[str, Any]) -> None:
    """What vLLM refuses without flags that it was not started with, and in the gateway's own words what vLLM does and this does not."""
    if body.get("prompt_embeds") not in (None, []):
        raise vllm.invalid("You must set `--enable-prompt-embeds` to input `prompt_embeds`.", "prompt_embeds")
    if body.get("suffix") is not None:
        raise Refusal("bad_value", "suffix is only supported for models with FIM completion rendering", param="suffix")
    unserved = {
        "prompt_logprobs": body.get("prompt_logprobs") is not None,
        "echo": bool(body.get("echo")) and (body.get("logprobs") is not None or body.get("max_tokens") == 0),
        "use_beam_search": body.get("use_beam_search"),
    }
    for name, is_asked in unserved.items():
        if is_asked:
            text = f"The course's gateway does not do this: {name}{' with logprobs, or with no tokens' * (name == 'echo')}. A real vLLM does."
            raise Refusal("bad_value", text, param=name)


# ---- writing -----------------------------------------------------------------
def write(question: Question, answer: Answer) -> bytes:
    """A plain answer: the choices prompt by prompt."""
    body = {**_head(question), "choices": [_choice(index, choice, question) for index, choice in enumerate(answer.choices)]}
    body |= {"service_tier": None, "system_fingerprint": FINGERPRINT, "usage": plain_usage(answer)}
    return compact({**body, "kv_transfer_params": None, "ec_transfer_params": None, "metrics": None})


async def stream(question: Question, answer: Answer) -> AsyncIterator[bytes]:
    """A chunk for each token, the one that ends the turn too."""
    head, choices = _head(question), [_Streamed(question, index) for index in range(len(answer.choices))]
    options = question.echo.get("stream_options") or {}
    async for piece in answer.stream():
        chunk = {**head, "choices": [choices[piece.choice].chunk(piece, answer.choices[piece.choice])]}
        if question.include_usage and options.get("continuous_usage_stats"):
            chunk["usage"] = choices[piece.choice].usage(piece)
        if piece.is_last and not question.include_usage:
            chunk["system_fingerprint"] = FINGERPRINT
        yield chat.frame(chunk)
    for choice, streamed in zip(answer.choices, choices, strict=True):
        if streamed.is_new:  # a text that has no piece ends all the same
            yield chat.frame({**head, "choices": [streamed.chunk(NO_PIECE, choice)]})
    if question.include_usage:
        yield chat.frame({**head, "choices": [], "usage": last_usage(answer), "system_fingerprint": FINGERPRINT})
    yield chat.DONE


class _Streamed:
    """A choice of a stream, and how far it was shown."""

    def __init__(self, question: Question, index: int) -> None:
        self._question, self._index = question, index
        self._prompt = question.prompts[index // question.n]
        self._offset = 0
        self.is_new = True  # nothing of it was shown yet

    def chunk(self, piece: Piece, choice: Choice) -> dict[str, Any]:
        asked, finish = self._question.echo, chat.finish_reason(choice, self._question) if piece.is_last else None
        scores = _logprobs(piece.scores, self._question, self._offset)
        self._offset = scores["text_offset"][-1] + len(scores["tokens"][-1]) if scores and scores["tokens"] else self._offset
        shows_prompt, self.is_new = self.is_new and bool(asked.get("echo") or asked.get("return_token_ids")), False
        return {
            "index": self._index,
            "text": (_echoed(self._question, self._index) if shows_prompt else "") + piece.text + (_stop_shown(choice, self._question) if finish else ""),
            "logprobs": scores,
            "finish_reason": finish,
            "stop_reason": choice.stop_sequence if finish else None,
            "prompt_token_ids": self._prompt if shows_prompt else None,
            "token_ids": piece.ids if asked.get("return_token_ids") else None,
        }

    def usage(self, piece: Piece) -> dict[str, Any]:
        """Of this choice so far."""
        read, written = len(self._prompt), piece.tokens_so_far
        return {"prompt_tokens": read, "total_tokens": read + written, "completion_tokens": written}


def _head(question: Question) -> dict[str, Any]:
    model = question.echo.get("model") or adapters.BASE
    return {"id": hex_id("cmpl-", 16), "object": "text_completion", "created": int(time.time()), "model": model}


def _choice(index: int, choice: Choice, question: Question) -> dict[str, Any]:
    shows_ids = question.echo.get("return_token_ids")
    return {
        "index": index,
        "text": _echoed(question, index) + choice.text + _stop_shown(choice, question),
        "logprobs": _logprobs(choice.scores, question),
        "finish_reason": chat.finish_reason(choice, question),
        "stop_reason": choice.stop_sequence,
        "token_ids": choice.ids if shows_ids else None,
        "prompt_logprobs": None,
        "prompt_token_ids": question.prompts[index // question.n] if shows_ids else None,
        "routed_experts": None,
    }


def _echoed(question: Question, index: int) -> str:
    """The prompt of a choice, where it is repeated; beside its token ids vLLM does not repeat it."""
    if not question.echo.get("echo") or question.echo.get("return_token_ids"):
        return ""
    given, number = question.echo["prompt"], index // question.n
    if isinstance(given, str):
        return given
    return given[number] if isinstance(given[0], str) else vllm_tokens.decode(question.prompts[number])


def _stop_shown(choice: Choice, question: Question) -> str:
    """The stop text that ended a choice, where it is to be shown."""
    return choice.stop_sequence or "" if question.echo.get("include_stop_str_in_output") else ""


def _logprobs(scores: Sequence[TokenScore], question: Question, offset: int = 0) -> dict[str, Any] | None:
    """The log-probabilities in the form of the older API, each token's own first; null where none were asked for."""
    if question.top_logprobs is None:
        return None
    names, offsets = [_name(score.token) for score in scores], []
    for name in names:
        offsets.append(offset)
        offset += len(name)
    top = [{_name(token): max(value, LEAST) for token, value in ((score.token, score.logprob), *score.top)} for score in scores]
    return {"text_offset": offsets, "token_logprobs": [max(score.logprob, LEAST) for score in scores], "tokens": names, "top_logprobs": top}


def _name(token: bytes) -> str:
    return token.decode("utf-8", "replace")
