"""Token counts and pieces, by OpenAI's o200k encoding (its file ships in the litellm wheel, so no network)."""

from __future__ import annotations

import importlib.util
import os
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tiktoken

# A run of letters without a space is slow to encode; long texts are counted slice by slice instead,
# which can differ from the exact count by one token a slice.
SLICE = 20_000


def files() -> Path:
    """The folder with tiktoken's encoding files. Raises FileNotFoundError when litellm is not installed."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("litellm, whose wheel holds the tokenizer files, is not installed: run `make setup`")
    return Path(spec.submodule_search_locations[0]) / "litellm_core_utils" / "tokenizers"


@cache
def encoding() -> tiktoken.Encoding:
    """The o200k_base encoding; loading it takes about 0.3 s once."""
    os.environ["TIKTOKEN_CACHE_DIR"] = str(files())  # from a folder of the shell's it could be missing, and would be fetched
    import tiktoken

    return tiktoken.get_encoding("o200k_base")


@lru_cache(maxsize=4096)
def _short(text: str) -> tuple[int, ...]:
    return tuple(encoding().encode_ordinary(text))


def encode(text: str) -> tuple[int, ...]:
    """Token ids of a text."""
    if len(text) <= SLICE:
        return _short(text)
    slices = (text[i : i + SLICE] for i in range(0, len(text), SLICE))
    return tuple(token for piece in slices for token in encoding().encode_ordinary(piece))


def count(text: str) -> int:
    """Number of tokens in a text."""
    return len(encode(text))


def first(text: str, limit: int) -> str:
    """The beginning of a text that fits into `limit` tokens."""
    return encoding().decode_bytes(list(encode(text)[:limit])).decode("utf-8", "ignore")


def split(text: str, size: int) -> list[str]:
    """The text in pieces of `size` tokens; a character that spans tokens stays whole."""
    ids, out, pending = encode(text), [], b""
    for start in range(0, len(ids), size):
        pending += encoding().decode_bytes(list(ids[start : start + size]))
        try:
            out.append(pending.decode("utf-8"))
            pending = b""
        except UnicodeDecodeError:
            out.append("")
    return out
