"""The tokens of the house model, as vLLM 0.32.0 hands them out: /tokenize, /detokenize, and the prompts of completions.

The answers and refusals follow those of a real vLLM with the house model, captured on 2026-11-28.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.gateway.dialects import vllm
from helpers.gateway.dialects.openai import chat
from helpers.gateway.dialects.schema import BOOLEAN, STRING, between, checker, list_of, nullable, shape
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import Call
from helpers.models import Model

if TYPE_CHECKING:
    from helpers.house_model.tokenizer import Tokenizer

FILE = Path(__file__).parents[2] / "house_model" / "tokenizer.json"
SLOWER = 5  # bytes of other work that take as long as a byte of text takes the tokenizer, about
LOADING = 1_000_000  # bytes of other work that take as long as to load it, about
MOST_PROMPTS = 256  # of a request, and the most answers to them
INCOMPATIBLE = (
    "continue_final_message and add_generation_prompt are not compatible. Use continue_final_message when you want the model to continue the final "
    "message, and add_generation_prompt when you want to add a header that will prompt it to start a new assistant message instead."
)
OPENED = "<|im_start|>assistant\n"
TOKEN = between("integer", 0)
_check_text = checker(shape("prompt", prompt=STRING, add_special_tokens=BOOLEAN, return_token_strs=nullable(BOOLEAN)))
_check_chat = checker(
    shape(
        messages=list_of(vllm.MESSAGE),
        **dict.fromkeys(("add_generation_prompt", "continue_final_message", "add_special_tokens"), BOOLEAN),
        return_token_strs=nullable(BOOLEAN),
        tools=nullable(list_of(vllm.TOOL)),
    )
)
_check_tokens = checker(shape("tokens", tokens=list_of(TOKEN)))
_check_token = checker(TOKEN)


@cache
def tokenizer() -> Tokenizer:
    """The house model's tokenizer, loaded when it is first needed."""
    from helpers.house_model.tokenizer import Tokenizer

    return Tokenizer(FILE)


def weigh(call: Call) -> int:
    """How much more than its bytes a call is to be counted as, since its text is made tokens of."""
    return SLOWER * len(call.body) if tokenizer.cache_info().currsize else LOADING


# ---- /tokenize and /detokenize -----------------------------------------------
def tokenize(body: dict[str, Any], model: Model) -> dict[str, Any]:
    """The token ids of a text, or of a chat in the model's template. Raises Refusal."""
    ids = tokenizer().encode(_text(body, model))
    names = _names(ids) if body.get("return_token_strs") else None
    return {"count": len(ids), "max_model_len": model.context, "tokens": ids, "token_strs": names}


def detokenize(body: dict[str, Any]) -> dict[str, Any]:
    """The text of token ids. Raises Refusal."""
    _check_tokens(body)
    return {"prompt": decode(body["tokens"])}


def decode(ids: list[int] | tuple[int, ...]) -> str:
    """The text of token ids; an id that is no token's has none."""
    known = tokenizer().bytes
    return tokenizer().decode([id for id in ids if id in known])


def _text(body: dict[str, Any], model: Model) -> str:
    if "messages" not in body or isinstance(body.get("prompt"), str):
        _check_text(body)
        return body["prompt"]
    continues = body.get("continue_final_message")
    if continues and body.get("add_generation_prompt"):
        raise vllm.invalid("Cannot set both `continue_final_message` and `add_generation_prompt` to True.")
    _check_chat(body)
    begins = body.get("add_generation_prompt", True)
    if continues and begins:
        raise vllm.invalid(INCOMPATIBLE)
    if not body["messages"]:
        raise vllm.invalid("Cannot apply chat template to an empty conversation. Provide at least one message.")
    text = rendered(body["messages"], model, continues=continues)
    return text if continues or begins else text.removesuffix(OPENED)


def rendered(messages: list[dict[str, Any]], model: Model, *, continues: bool = False) -> str:
    """A chat in the model's template, with the beginning of an answer, or open at the end of the last message. Raises Refusal."""
    text = "".join(_turn(message, index, model) for index, message in enumerate(messages))
    return text.removesuffix("<|im_end|>\n") if continues else text + OPENED


def _turn(message: dict[str, Any], index: int, model: Model) -> str:
    """A turn in the model's chat template, read as in chat. It shows no calls."""
    read = chat.message(vllm.as_strings([message], model)[0], f"messages[{index}]", model)
    return f"<|im_start|>{read.role}\n{read.text}<|im_end|>\n"


def _names(ids: list[int]) -> list[str]:
    """The tokens as their vocabulary writes them: a letter for each byte."""
    vocabulary = {id: word for word, id in chain(tokenizer().ids.items(), tokenizer().special.items())}
    return [vocabulary[id] for id in ids]


# ---- the prompts of completions ----------------------------------------------
def prompts(given: Any, model: Model) -> tuple[tuple[int, ...], ...]:
    """The token ids of each prompt: of a text, of several, of token ids or of several lists of these. Raises Refusal."""
    _check_kind(given)
    if not given:
        raise vllm.invalid("You must pass at least one prompt")
    several = [given] if isinstance(given, str) or isinstance(given[0], int) else given
    return tuple([_prompt(prompt, model) for prompt in several])


def check_count(given: Any) -> None:
    """Refuse too many prompts. Raises Refusal."""
    if isinstance(given, list) and len(given) > MOST_PROMPTS and not isinstance(given[0], int):
        text = f"The course's gateway takes {MOST_PROMPTS} prompts in a request; these are {len(given)}. A real vLLM takes 1024."
        raise Refusal("bad_value", text, param="prompt")


def _check_kind(given: Any) -> None:
    """That it is one of the four kinds. What is none is refused for what keeps it from being a list of token ids, which pydantic tries first."""
    if isinstance(given, str):
        return
    if not isinstance(given, list):
        raise Refusal("wrong_type", param="prompt", expected="array", value=given)
    if all(isinstance(one, str) for one in given):
        return
    if all(isinstance(one, list) for one in given):
        for index, one in enumerate(given):
            _check_ids(one, f"prompt[{index}]")
        return
    _check_ids(given, "prompt")


def _check_ids(given: list[Any], at: str) -> None:
    for index, id in enumerate(given):
        _check_token(id, f"{at}[{index}]")


def _prompt(given: str | list[int], model: Model) -> tuple[int, ...]:
    """The token ids of one prompt. A text that cannot fit is not read to its end."""
    known = tokenizer()
    if isinstance(given, str) and len(given) > model.context * known.longest:
        raise _too_long(model)
    ids = known.encode(given) if isinstance(given, str) else given
    if len(ids) >= model.context:
        raise _too_long(model)
    if not ids:
        raise vllm.invalid("The decoder prompt cannot be empty")
    if unknown := next((id for id in ids if id not in known.bytes), None):
        raise vllm.invalid(f"Token id {unknown} is out of vocabulary")
    return tuple(ids)


def _too_long(model: Model) -> Refusal:
    return Refusal("too_long", model=model.id, tokens=model.context + 1, maximum=model.context, limit=None)
