"""Ending background tasks for certain."""

import asyncio

from boxoffice.runtime.jobs import Job, running
from boxoffice.runtime.tasks import end


class TestEnd:
    async def test_ends_a_task_whose_cleaning_up_swallows_the_cancellation(self) -> None:
        async def stubborn() -> None:
            for _ in range(2):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    continue
            await asyncio.Event().wait()

        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        await asyncio.wait_for(end([task]), 5)
        assert task.cancelled()

    async def test_takes_tasks_that_ended_or_failed_before(self) -> None:
        async def fail() -> None:
            raise KeyError

        tasks = [asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(0))]
        await asyncio.sleep(0.01)
        await end(tasks)

    async def test_a_job_whose_driver_fails_while_it_is_cancelled_ends(self) -> None:
        async def run() -> int:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise OSError("the connection was closed while cleaning up") from None
            return 0

        async def start_and_stop() -> None:
            async with running([Job(name="j", every_seconds=60, run=run)]):
                await asyncio.sleep(0.01)

        await asyncio.wait_for(start_and_stop(), 5)
