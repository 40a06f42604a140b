"""LoRA adapters beside a model: vLLM's way to add one to a running server, and what the course's engine can take of it.

A LoRA adapter is two small matrices, A and B, for each matrix of the model that it changes: W becomes W + (alpha / r) B A. Before
training B is zero, so that the adapter changes nothing. The course's engine adds no matrices, and so takes such adapters alone.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.gateway.dialects.schema import STRING, checker, shape
from helpers.gateway.exchange import Refusal

BASE = "house"  # the model that adapters are for
LARGEST = 64_000_000  # bytes of an adapter
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
SIZES = {"F16": 2, "BF16": 2, "F32": 4}  # bytes a number
_check = checker(shape("lora_name", lora_name=STRING, lora_path=STRING))


@dataclass(frozen=True)
class Adapter:
    """An adapter that is loaded, by the name that requests call it by."""

    name: str
    path: str
    base: str = BASE


def name_of(body: dict[str, Any]) -> str:
    """The name in a request to unload an adapter. Raises Refusal."""
    _check(body)
    return body["lora_name"]


def load(body: dict[str, Any]) -> Adapter:
    """The adapter that a request names, once its files were read. Raises Refusal: not_found, or bad_value for one that this engine cannot add."""
    _check(body)
    name, path = body["lora_name"], body.get("lora_path") or ""
    if not name or not path:
        raise Refusal("bad_value", "Both 'lora_name' and 'lora_path' must be provided.")
    folder = Path(path)
    if "\0" in path or not folder.is_absolute() or not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        raise Refusal("not_found", f"Loading lora {name} failed: No adapter found for {path}")
    if (folder / CONFIG).stat().st_size + (folder / WEIGHTS).stat().st_size > LARGEST:
        raise Refusal("bad_value", f"Loading lora {name} failed: it is larger than {LARGEST:,} bytes, which the course's gateway reads at most")
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        tensors = _tensors((folder / WEIGHTS).read_bytes())
        _check_shapes(config, tensors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise Refusal("bad_value", f"Loading lora {name} failed: {type(error).__name__}: {error}") from None
    if any(any(data) for tensor, (_, data) in tensors.items() if ".lora_B" in tensor):
        text = "its B is not zero, so it would change the model, and the course's engine adds no adapters; a real vLLM does"
        raise Refusal("bad_value", f"Loading lora {name} failed: {text}")
    return Adapter(name, path)


def _tensors(data: bytes) -> dict[str, tuple[tuple[int, ...], bytes]]:
    """The shape and the bytes of each tensor of a safetensors file. Raises ValueError and the like for what is none."""
    (length,) = struct.unpack("<Q", data[:8])
    head, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    found = {}
    for name, row in head.items():
        if name != "__metadata__":
            start, end = row["data_offsets"]
            dimensions = tuple(row["shape"])
            if end - start != dimensions[0] * dimensions[1] * SIZES[row["dtype"]] or not 0 <= start <= end <= len(body):
                raise ValueError(f"{name} has not the bytes that its shape says")
            found[name] = dimensions, body[start:end]
    return found


def _check_shapes(config: dict[str, Any], tensors: dict[str, Any]) -> None:
    """That there is an A and a B of the rank for each matrix. Raises ValueError."""
    rank = config["r"]
    if config["peft_type"] != "LORA" or not isinstance(rank, int) or rank < 1:
        raise ValueError("adapter_config.json describes no LoRA adapter")
    pairs = {name.replace(".lora_A", ".lora_B") for name in tensors if ".lora_A" in name}
    if not pairs or pairs != {name for name in tensors if ".lora_B" in name}:
        raise ValueError("each matrix needs an A and a B")
    for name, (dimensions, _) in tensors.items():
        if dimensions[0 if ".lora_A" in name else 1] != rank:
            raise ValueError(f"{name} is not of rank {rank}")
