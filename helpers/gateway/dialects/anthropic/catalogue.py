"""Anthropic's list of models: what each is and can do.

Source: anthropic 2.14.0 (types/model_info.py, model_capabilities.py, model_list_params.py), read on 2026-11-27.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from helpers.gateway.dialects.anthropic import paging, thinking
from helpers.gateway.exchange import Refusal
from helpers.models import Model

LINES = ("haiku", "sonnet", "opus", "fable", "mythos")
STAGES = ("active", "deprecated", "retired")
EFFORTS = ("low", "medium", "high", "xhigh", "max")
YES, NO = {"supported": True}, {"supported": False}


def page(known: Sequence[Model], query: dict[str, str], today: date) -> dict[str, Any]:
    """A page of the list, as the query asks for it. Raises Refusal for one that there is not."""
    stages = _stages(query.get("lifecycle[]") or query.get("lifecycle"))
    rows = [model for model in known if _stage(model, today) in stages]
    part, has_more = paging.window([model.id for model in rows], query, "model")
    return paging.page([body(model, today) for model in rows[part]], has_more)


def _stages(asked: str | None) -> tuple[str, ...]:
    if asked is None:
        return STAGES[:2]
    for stage in asked.split(","):
        if stage not in STAGES:
            raise Refusal("bad_value", param="lifecycle", rule="enum", bound=STAGES, value=stage)
    return tuple(asked.split(","))


def _stage(model: Model, today: date) -> str:
    if model.retires is None:
        return "active"
    return "retired" if model.is_retired(today) else "deprecated"


def body(model: Model, today: date) -> dict[str, Any]:
    """A model as the list shows it. Capabilities say what this gateway serves."""
    weighs = "effort" in thinking.takes(model) and model.thinks != "never"
    efforts = {name: _support(weighs and name in (model.efforts or EFFORTS)) for name in EFFORTS}
    kinds = {kind: _support(taken) for kind, taken in thinking.kinds(model).items()}
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.id.replace("-", " ").title(),
        "created_at": f"{model.released or '1970-01-01'}T00:00:00Z",
        "line": next((line for line in LINES if line in model.id), None),
        "lifecycle": _stage(model, today),
        "deprecated_at": None,
        "retires_at": f"{model.retires}T00:00:00Z" if model.retires else None,
        "max_input_tokens": model.context,
        "max_tokens": model.max_output,
        "capabilities": {
            "batch": YES,
            "citations": NO,
            "code_execution": NO,
            "context_management": {**NO, "clear_thinking_20251015": NO, "clear_tool_uses_20250919": NO, "compact_20260112": NO},
            "effort": {**_support(weighs), **efforts},
            "image_input": YES,
            "pdf_input": YES,
            "server_tools": {**NO, "code_execution": NO, "web_search": NO},
            "structured_outputs": YES,
            "thinking": {**_support(model.thinks != "never"), "types": kinds},
        },
    }


def _support(is_there: bool) -> dict[str, bool]:
    return YES if is_there else NO
