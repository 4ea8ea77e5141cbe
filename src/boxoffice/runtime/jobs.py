"""Background work of a process: timers that survive their own failures, stop cleanly and take no more than their share.

A job with a ``share`` rests so long that over time it works for that part of the time at most, which is at most that
part of one core: a run waits for what it has others do. It rests no longer than ``longest_rest_seconds`` for it, unless
it would work for more than a twentieth of the time then.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from boxoffice.runtime.tasks import end
from boxoffice.runtime.telemetry import JOBS, log
from boxoffice.runtime.tracing import running_job

BACKOFF_S = 2.0
"""Pause after a failed run, at least; the next one finds the same work."""
WHOLE: Final = 1.0
LARGEST_SHARE: Final = 1 / 20
"""Of a job that would have to rest for longer than it may: being prompt is worth that much and no more."""
LONGEST_REST_S: Final = 300.0
"""Whatever a run took: nothing waits for longer than an alarm does (``AuditorDoesNotLook``)."""
SAVED_S: Final = 10.0
"""How much rest counts in advance: after quiet seconds, and at the start, a small backlog is worked off at once."""

_log = log(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """``run`` is called again ``every_seconds`` after it ended; it returns how much it did (more than 0: again now).

    ``share``: the part of the time that it may work, over time; 1: no limit. See above for ``longest_rest_seconds``.
    """

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[int]]
    share: float = WHOLE
    longest_rest_seconds: float = LONGEST_REST_S


@dataclass(slots=True)
class Pace:
    """How long a job rests between runs; ``owed_s`` is what its share still asks for, below 0 what it rested ahead."""

    job: Job
    owed_s: float = -SAVED_S

    def rest_s(self, took_s: float, *, least_s: float) -> float:
        """Give the seconds to rest after a run of ``took_s``, and count them as rested."""
        longest = max(self.job.longest_rest_seconds, min(_rest_of(took_s, LARGEST_SHARE), LONGEST_REST_S))
        self.owed_s = min(self.owed_s + _rest_of(took_s, self.job.share), longest)
        rest = max(least_s, self.owed_s)
        self.owed_s = max(self.owed_s - rest, -SAVED_S)
        return rest


def _rest_of(took_s: float, share: float) -> float:
    return took_s * (1 / share - 1)


@asynccontextmanager
async def running(jobs: Sequence[Job]) -> AsyncIterator[None]:
    """Run the jobs while inside; on leaving each finishes or is cancelled at its next await."""
    tasks = [asyncio.create_task(_repeat(job), name=job.name) for job in jobs]
    try:
        yield
    finally:
        await end(tasks)


async def _repeat(job: Job) -> None:
    clock, pace = asyncio.get_running_loop().time, Pace(job)
    while True:
        began = clock()
        try:
            with running_job(job.name) as run:
                done = await job.run()
                run.did(done)
            JOBS.labels(job.name, "ok").inc()
            least = 0.0 if done else job.every_seconds
        except Exception as error:  # noqa: BLE001 - a timer must outlive whatever its work meets; it is logged and counted
            JOBS.labels(job.name, "failed").inc()
            _log.exception("job.failed", job=job.name, error=type(error).__name__)
            least = BACKOFF_S
        await asyncio.sleep(pace.rest_s(clock() - began, least_s=least))
