"""Contexts that must be left by the task that entered them, for fixtures, whose two halves run in two tasks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def in_own_task(context: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context in one task of its own: ``async with in_own_task(app.lifespan()): …``."""
    opened: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    leave = asyncio.Event()

    async def keep() -> None:
        async with context as value:
            opened.set_result(value)
            await leave.wait()

    task = asyncio.create_task(keep())
    await asyncio.wait([opened, task], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    try:
        yield opened.result()
    finally:
        leave.set()
        await task
