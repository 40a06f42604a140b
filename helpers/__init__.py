"""What a notebook needs: `start` the course, `ask` any provider, `estimate` a cost, look up a `price` or a `model`, draw `charts`, live with
`limits`, try prompts in the `playground`.

Imports happen when a name is first used, so that `import helpers` itself takes next to no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helpers.calls import Reply, ask
    from helpers.costs import cost, estimate, price
    from helpers.course import Course, start
    from helpers.models import default as model
    from helpers.models import least_effort
    from helpers.playground_widget import playground

__all__ = ["Course", "Reply", "ask", "charts", "cost", "estimate", "least_effort", "limits", "model", "models", "playground", "price", "start"]

_HOMES = {
    "start": ("helpers.course", "start"),
    "Course": ("helpers.course", "Course"),
    "ask": ("helpers.calls", "ask"),
    "Reply": ("helpers.calls", "Reply"),
    "estimate": ("helpers.costs", "estimate"),
    "cost": ("helpers.costs", "cost"),
    "price": ("helpers.costs", "price"),
    "model": ("helpers.models", "default"),
    "least_effort": ("helpers.models", "least_effort"),
    "playground": ("helpers.playground_widget", "playground"),
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        module, attribute = _HOMES[name]
        return getattr(import_module(module), attribute)
    if name in ("charts", "limits", "models"):
        return import_module(f"helpers.{name}")
    raise AttributeError(f"helpers has no {name!r}; it has {', '.join(__all__)}")
