"""What stands in a regular expression, as far as schemas are concerned. It is read, never run."""

from __future__ import annotations

import re
from typing import Any


def has_lookaround(pattern: Any) -> bool:
    """Whether a pattern has a lookahead or a lookbehind."""
    return isinstance(pattern, str) and bool(re.search(r"\(\?<?[=!]", without_classes(pattern)))


def without_classes(pattern: str) -> str:
    """A pattern without its classes and escapes, in which signs mean themselves."""
    return re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]?", "", pattern)
