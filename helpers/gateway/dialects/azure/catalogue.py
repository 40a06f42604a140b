"""The models that a resource can have deployments of, in the fields of the dated versions of Azure's API (reference of 2024-10-21, Models - List)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

from helpers.models import Model


def body(model: Model) -> dict[str, Any]:
    ends = {"deprecation": {"inference": _seconds(model.retires)}} if model.retires else {}
    is_chat = model.kind == "chat"
    return {
        "status": "succeeded",
        "capabilities": {"fine_tune": False, "inference": True, "completion": False, "chat_completion": is_chat, "embeddings": not is_chat},
        "lifecycle_status": "generally-available",
        **ends,
        "id": model.served_as,
        "created_at": _seconds(model.released) if model.released else 0,
        "object": "model",
    }


def _seconds(day: date) -> int:
    """Seconds since 1970."""
    return int(datetime.combine(day, time(), UTC).timestamp())
