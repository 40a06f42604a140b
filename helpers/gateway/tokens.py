"""Token counts and pieces, by OpenAI's o200k encoding (its file ships in the litellm wheel, so no network)."""

from __future__ import annotations

import importlib.util
import os
import sys
from array import array
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.gateway.bounded import Bounded

if TYPE_CHECKING:
    import tiktoken

# A run of letters without a space is slow to encode; long texts are counted slice by slice instead,
# which can differ from the exact count by one token a slice.
SLICE = 20_000
MOST_KEPT = 32_000_000  # bytes of texts that were counted: a chat repeats what was said before

_known: Bounded[str, array[int]] = Bounded(MOST_KEPT, lambda text, ids: sys.getsizeof(text) + sys.getsizeof(ids))


def files() -> Path:
    """The folder with tiktoken's encoding files. Raises FileNotFoundError when litellm is not installed."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("litellm, whose wheel holds the tokenizer files, is not installed: run `make setup`")
    return Path(spec.submodule_search_locations[0]) / "litellm_core_utils" / "tokenizers"


@cache
def encoding(name: str = "o200k_base") -> tiktoken.Encoding:
    """An encoding, o200k_base unless named; loading it takes about 0.3 s once."""
    os.environ["TIKTOKEN_CACHE_DIR"] = str(files())  # from a folder of the shell's it could be missing, and would be fetched
    import tiktoken

    return tiktoken.get_encoding(name)


def encode(text: str) -> array[int]:
    """Token ids of a text, four bytes each."""
    if len(text) <= SLICE:
        found = _known.get(text)
        if found is None:
            found = _known[text] = _encoded(text)
        return found
    out = array("I")
    for start in range(0, len(text), SLICE):
        out += _encoded(text[start : start + SLICE])
    return out


def _encoded(text: str) -> array[int]:
    return array("I", encoding().encode_ordinary(text))


def count(text: str) -> int:
    """Number of tokens in a text."""
    return len(encode(text))


def first(text: str, limit: int) -> str:
    """The beginning of a text that fits into `limit` tokens."""
    return encoding().decode_bytes(list(encode(text)[:limit])).decode("utf-8", "ignore")


def split(text: str, size: int) -> list[str]:
    """The text in pieces of `size` tokens; a character that spans tokens stays whole."""
    each, out, pending = encoding().decode_tokens_bytes(encode(text)), [], b""
    for start in range(0, len(each), size):
        pending += b"".join(each[start : start + size])
        try:
            out.append(pending.decode("utf-8"))
            pending = b""
        except UnicodeDecodeError:
            out.append("")
    return out


def count_older(text: str) -> int:
    """Number of tokens in a text by cl100k_base, the encoding of OpenAI's embedding models."""
    slices = (text[start : start + SLICE] for start in range(0, len(text), SLICE))
    return sum(len(encoding("cl100k_base").encode_ordinary(part)) for part in slices)


def text_of_older(ids: list[int]) -> str:
    """The text of token ids of cl100k_base. Raises ValueError for what is none."""
    try:
        return encoding("cl100k_base").decode_bytes(ids).decode("utf-8", "replace")
    except (KeyError, OverflowError, TypeError) as error:
        raise ValueError(f"{error} is no token of cl100k_base") from None
