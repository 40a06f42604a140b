"""Work in other threads, so that the gateway's own goes on answering."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(pool: Executor | None, action: Callable[..., T], *arguments: Any) -> T:
    """What an action returns, done in a thread of a pool (None: the loop's own).

    When the interpreter ends, pools take no more work, while the program's last threads may still wait for
    an answer: then it is done here.
    """
    try:
        doing = asyncio.get_running_loop().run_in_executor(pool, action, *arguments)
    except RuntimeError:
        return action(*arguments)
    return await doing
