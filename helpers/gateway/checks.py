"""What may stand in an order to the gateway: the numbers that a cell, or a program over HTTP, gives it."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any


def is_whole(value: Any) -> bool:
    """Whether it is a whole number, numpy's too. True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether it is a number, numpy's too. True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)
