"""Background work of a process: timers that survive their own failures and stop cleanly."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from boxoffice.runtime.tasks import end
from boxoffice.runtime.telemetry import JOBS, log
from boxoffice.runtime.tracing import running_job

BACKOFF_S = 2.0
"""Pause after a failed run; the next one finds the same work."""

_log = log(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """``run`` is called again ``every_seconds`` after it ended; it returns how much it did (more than 0: again now)."""

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[int]]


@asynccontextmanager
async def running(jobs: Sequence[Job]) -> AsyncIterator[None]:
    """Run the jobs while inside; on leaving each finishes or is cancelled at its next await."""
    tasks = [asyncio.create_task(_repeat(job), name=job.name) for job in jobs]
    try:
        yield
    finally:
        await end(tasks)


async def _repeat(job: Job) -> None:
    while True:
        try:
            with running_job(job.name) as run:
                done = await job.run()
                run.did(done)
            JOBS.labels(job.name, "ok").inc()
        except Exception as error:  # noqa: BLE001 - a timer must outlive whatever its work meets; it is logged and counted
            JOBS.labels(job.name, "failed").inc()
            _log.exception("job.failed", job=job.name, error=type(error).__name__)
            await asyncio.sleep(BACKOFF_S)
            continue
        await asyncio.sleep(0 if done else job.every_seconds)
