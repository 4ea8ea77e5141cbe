"""How long jobs rest, on a clock that jumps to whatever is waited for next."""

import asyncio
import json
import selectors
from collections.abc import Awaitable, Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from boxoffice.runtime.jobs import BACKOFF_S, LONGEST_REST_S, Job, Pace, running
from boxoffice.runtime.telemetry import configure_logging
from boxoffice.services.sales import jobs as sale

Run = Callable[[], Awaitable[int]]
Make = Callable[[Run], Job]
HOUR_S = 3_600.0
RUSH_S = 600.0
A_FIFTIETH = 1 / 50 * 1.03
"""And what was rested ahead."""


class Jumping(asyncio.SelectorEventLoop):
    """A loop whose clock passes no time but what somebody waits for."""

    def __init__(self) -> None:
        self.now = 1_000.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: Jumping) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        self._loop.now += timeout or 0.0
        return super().select(0)


def played(make: Make, *took: float, did: int = 0, seconds: float) -> list[float]:
    """Run a job whose runs take so long, in turn; returns when each began."""
    began: list[float] = []

    async def run() -> int:
        began.append(asyncio.get_running_loop().time() - 1_000.0)
        await asyncio.sleep(took[(len(began) - 1) % len(took)])
        return did

    async def play() -> None:
        async with running([make(run)]):
            await asyncio.sleep(seconds)

    with asyncio.Runner(loop_factory=Jumping) as runner:
        runner.run(play())
    return began


def shared(run: Run) -> Job:
    return Job(name="job", every_seconds=5, run=run, share=1 / 50, longest_rest_seconds=30)


def unlimited(run: Run) -> Job:
    return Job(name="job", every_seconds=5, run=run)


def of_the_sale(name: str) -> Make:
    """The job as it stands in the sale, with other work."""
    nothing: Any = None
    relay: Any = SimpleNamespace(forget_old=None)
    jobs = [*sale.sale_jobs(nothing, relay, nothing), *sale.watch_jobs(nothing)]
    [found] = [job for job in jobs if job.name == name]
    return lambda run: Job(
        name=name, every_seconds=found.every_seconds, run=run, share=found.share,
        longest_rest_seconds=found.longest_rest_seconds,
    )  # fmt: skip


def gaps(began: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(began)]


class TestRest:
    def test_is_as_long_as_was_said_after_short_runs(self) -> None:
        assert gaps(played(shared, 0.09, seconds=HOUR_S)) == pytest.approx([5.09] * 707, abs=0.001)

    @pytest.mark.parametrize("took", [0.11, 0.3, 0.6])
    def test_leaves_a_job_its_share_of_the_time(self, took: float) -> None:
        assert len(played(shared, took, seconds=HOUR_S)) * took <= HOUR_S * A_FIFTIETH

    def test_comes_after_a_run_that_did_something_too(self) -> None:
        assert len(played(shared, 0.3, did=20, seconds=HOUR_S)) * 0.3 <= HOUR_S * A_FIFTIETH
        assert len(played(unlimited, 0.3, did=20, seconds=60)) * 0.3 > 60 * 0.99

    @pytest.mark.parametrize("took", [0.7, 1.5])
    def test_is_no_longer_than_it_may_be(self, took: float) -> None:
        assert max(gaps(played(shared, took, seconds=HOUR_S))) == pytest.approx(30 + took)

    def test_is_longer_than_that_where_it_would_be_less_than_nineteen_times_the_run(self) -> None:
        assert max(gaps(played(shared, 4.0, seconds=HOUR_S))) == pytest.approx(80)
        assert max(gaps(played(shared, 60.0, seconds=HOUR_S))) == pytest.approx(60 + LONGEST_REST_S)

    def test_works_a_backlog_off_at_once_as_far_as_was_rested_ahead(self) -> None:
        pace = Pace(Job(name="job", every_seconds=5, run=asyncio.Event().wait, share=1 / 50))
        for _ in range(2):
            at_once = [pace.rest_s(0.01, least_s=0) for _ in range(30)]
            assert at_once[:20] == [0] * 20
            assert at_once[21:] == pytest.approx([0.49] * 9), "more was saved than ten seconds"
            for _ in range(10):
                assert pace.rest_s(0, least_s=5) == 5

    def test_comes_after_failures(self) -> None:
        began: list[float] = []

        async def fail() -> int:
            began.append(asyncio.get_running_loop().time())
            await asyncio.sleep(60)
            raise TimeoutError

        async def play() -> None:
            async with running([shared(fail), Job(name="quick", every_seconds=60, run=fail)]):
                await asyncio.sleep(HOUR_S)

        with asyncio.Runner(loop_factory=Jumping) as runner:
            runner.run(play())
        assert len(began) == pytest.approx(HOUR_S / (60 + LONGEST_REST_S) + HOUR_S / (60 + BACKOFF_S), abs=2)

    @pytest.mark.usefixtures("logging_as_it_was")
    def test_a_failure_is_logged_with_its_job_and_its_cause(self, capsys: pytest.CaptureFixture[str]) -> None:
        async def fail() -> int:
            raise RuntimeError("nobody expected this")

        async def play() -> None:
            configure_logging(service="bookings")
            async with running([Job(name="tidy", every_seconds=60, run=fail)]):
                await asyncio.sleep(BACKOFF_S / 2)

        with asyncio.Runner(loop_factory=Jumping) as runner:
            runner.run(play())
        (said,) = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
        assert (said["event"], said["level"], said["job"]) == ("job.failed", "error", "tidy")
        assert said["exception"].endswith("RuntimeError: nobody expected this")


class TestSale:
    def test_looks_at_a_hot_event_for_a_fiftieth_of_the_time_and_within_half_a_minute(self) -> None:
        began = played(of_the_sale("watch-sale"), 0.3, seconds=RUSH_S)
        assert len(began) * 0.3 <= RUSH_S * A_FIFTIETH
        assert max(gaps(began)) < 16
        assert max(gaps(played(of_the_sale("watch-sale"), 1.5, seconds=RUSH_S))) < 32

    def test_counts_a_hot_event_for_a_fiftieth_of_the_time_and_twice_in_four_seconds(self) -> None:
        began = played(of_the_sale("summarise-sales"), 0.033, 0.002, seconds=RUSH_S)
        assert sum((0.033, 0.002)[number % 2] for number in range(len(began))) <= RUSH_S * A_FIFTIETH
        assert max(gaps(began)) < 2

    def test_keeps_the_rhythm_of_small_events(self) -> None:
        assert gaps(played(of_the_sale("watch-sale"), 0.1, seconds=60)) == pytest.approx([5.1] * 11)
        assert gaps(played(of_the_sale("summarise-sales"), 0.02, seconds=60)) == pytest.approx([1.02] * 58)
