"""Ending background tasks for certain: a cancellation can get lost, and a process that waits for it never stops."""

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 0.5
"""A cancellation that arrives while a driver cleans up may be replaced by the driver's own error, which a loop that
must outlive errors then swallows; so it is sent again."""


async def end(tasks: "Iterable[asyncio.Task[Any]]") -> None:
    """Cancel tasks until each has ended; their errors are not ours any more."""
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        ended, left = await asyncio.wait(left, timeout=AGAIN_S)
        for task in ended:
            if not task.cancelled():
                task.exception()  # seen, so that nobody is told that it never was
