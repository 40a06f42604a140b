"""How much a Claude thinks, and which sampling parameters go with it: what each model takes, and what it refuses."""

from __future__ import annotations

from typing import Any

from helpers.gateway.exchange import Refusal
from helpers.models import Model

SAMPLING = ("temperature", "top_p", "top_k")
# What models without sampling take nevertheless, as it changes nothing. Of top_p both values are called the default somewhere.
DEFAULTS = {"temperature": (1,), "top_p": (0.99, 1), "top_k": ()}
LEAST_BUDGET = 1024
KINDS = ("adaptive", "between_tools", "disabled", "enabled")
# What a model takes by how it thinks, where its row does not say: adaptive thinking, a budget of it, an effort, sampling, and
# instructions amid a conversation.
USUAL = {"never": ("adaptive", "effort", "sampling"), "optional": ("budget", "sampling"), **dict.fromkeys(("default", "always"), ("adaptive", "effort", "system"))}
WORDS = frozenset().union(*USUAL.values())
ENABLED = "when thinking is enabled or in adaptive mode."


def takes(model: Model) -> frozenset[str]:
    """Which of WORDS a model takes."""
    return WORDS & frozenset(model.accepts) or frozenset(USUAL[model.thinks])


def read(body: dict[str, Any], model: Model) -> tuple[str, int | None]:
    """Effort and budget of thinking: on by default on the 5.x models, on demand on older ones. Raises Refusal."""
    asked = body.get("thinking") or {}
    effort = (body.get("output_config") or {}).get("effort")
    kind = asked.get("type")
    if effort and "effort" not in takes(model):
        raise Refusal("unsupported", "This model does not support the effort parameter.", param="output_config.effort")
    if effort and model.efforts and effort not in model.efforts:
        text = f"This model does not support effort level '{effort}'. Supported levels: {', '.join(sorted(model.efforts))}."
        raise Refusal("unsupported", text, param="output_config.effort")
    if kind == "enabled":
        return effort or "medium", _budget(asked, body, model)
    if kind == "adaptive" and "adaptive" not in takes(model):
        raise Refusal("unsupported", "adaptive thinking is not supported on this model", param="thinking")
    if kind == "disabled" and model.thinks == "always":
        raise _unsupported(kind, _lowest(model))
    if kind == "between_tools" and model.thinks == "always" and not _has_floor(model):
        raise _unsupported(kind, _lowest(model))
    if kind in ("disabled", "between_tools") and effort in ("xhigh", "max"):
        text = f'"thinking.type.{kind}" is not supported with effort "{effort}". Use effort "high" or below.'
        raise Refusal("unsupported", text, param="thinking")
    if kind == "disabled" or model.thinks == "never" or (kind is None and model.thinks == "optional"):
        return "none", None
    return effort or "medium", None


def kinds(model: Model) -> dict[str, bool]:
    """Which types of thinking a model takes."""
    return {kind: _takes(kind, model) for kind in KINDS}


def _takes(kind: str, model: Model) -> bool:
    try:
        read({"thinking": {"type": kind, "budget_tokens": LEAST_BUDGET}}, model)
    except Refusal:
        return False
    return True


def _budget(asked: dict[str, Any], body: dict[str, Any], model: Model) -> int:
    budget = asked.get("budget_tokens")
    if budget is None:
        raise Refusal("missing", param="thinking.enabled.budget_tokens")
    if "budget" not in takes(model):
        raise _unsupported("enabled", 'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.')
    if budget < LEAST_BUDGET:
        raise Refusal("bad_value", param="thinking.enabled.budget_tokens", rule="minimum", bound=LEAST_BUDGET, value=budget)
    if "max_tokens" in body and budget >= body["max_tokens"]:
        raise Refusal("bad_value", "`max_tokens` must be greater than `thinking.budget_tokens`.", param="max_tokens")
    return budget


def _has_floor(model: Model) -> bool:
    """Whether the lowest setting of a model that always thinks is to think between tools: Sonnet's since 5.5."""
    return "claude-sonnet" in model.served_as


def _lowest(model: Model) -> str:
    if _has_floor(model):
        return 'Use "thinking.type.between_tools" for the lowest thinking setting.'
    return 'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'


def _unsupported(kind: str, advice: str) -> Refusal:
    return Refusal("unsupported", f'"thinking.type.{kind}" is not supported for this model. {advice}', param="thinking")


def check_sampling(body: dict[str, Any], model: Model) -> None:
    """Refuse what this model refuses of temperature, top_p and top_k, as measured on the service in 2026."""
    given = {name: body[name] for name in SAMPLING if body.get(name) is not None}
    if "sampling" not in takes(model):
        for name, value in given.items():
            if value not in DEFAULTS[name]:
                raise Refusal("unsupported", f"`{name}` is deprecated for this model.", param=name)
    elif "temperature" in given and "top_p" in given:
        text = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
        raise Refusal("unsupported", text, param="top_p")
    if (body.get("thinking") or {}).get("type") == "enabled":
        _check_beside_thinking(given)


def _check_beside_thinking(given: dict[str, Any]) -> None:
    if given.get("temperature", 1) != 1:
        raise Refusal("unsupported", f"`temperature` may only be set to 1 {ENABLED}", param="temperature")
    if given.get("top_p", 1) < 0.95:
        raise Refusal("unsupported", f"`top_p` must be greater than or equal to 0.95 or unset {ENABLED}", param="top_p")
    if "top_k" in given:
        raise Refusal("unsupported", f"`top_k` must be unset {ENABLED}", param="top_k")
