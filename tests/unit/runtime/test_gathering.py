"""How many requests a batch may have, and when another batch begins beside one."""

import asyncio

import pytest

from boxoffice.runtime.gathering import FEW, PATIENCE_S, WORTH, Gathering, Lanes, Size, Waiting, fair_share


@pytest.mark.parametrize(
    ("there", "lanes", "share"), [(1, 2, FEW), (2 * FEW, 2, FEW), (64, 2, 32), (65, 2, 33), (900, 2, 128), (64, 1, 64)]
)
def test_lanes_share_what_there_is_to_do(there: int, lanes: int, share: int) -> None:
    assert fair_share(there, lanes=lanes, most=128) == share


def test_a_batch_is_never_bigger_than_allowed() -> None:
    assert fair_share(1_000, lanes=1, most=5) == 5


class TestLanes:
    def test_a_lone_request_never_waits(self) -> None:
        assert Lanes(2).may_begin(1, now=0.0)

    def test_nothing_begins_for_nobody(self) -> None:
        lanes = Lanes(2)
        assert not lanes.may_begin(0, now=0.0)
        lanes.begin("first", now=0.0)
        assert not lanes.may_begin(0, now=60.0)

    def test_a_second_lane_begins_when_it_is_worth_it(self) -> None:
        lanes = Lanes(2)
        lanes.begin("first", now=0.0)
        assert not lanes.may_begin(WORTH - 1, now=0.001)
        assert lanes.may_begin(WORTH, now=0.001)

    def test_nobody_waits_behind_a_batch_that_waits_itself(self) -> None:
        lanes = Lanes(2)
        lanes.begin("first", now=0.0)
        assert lanes.may_begin(1, now=2 * PATIENCE_S)

    def test_there_are_never_more_than_allowed(self) -> None:
        lanes = Lanes(2)
        lanes.begin("first", now=0.0)
        lanes.begin("second", now=0.0)
        assert not lanes.may_begin(1_000, now=60.0)
        lanes.end("first")
        assert lanes.may_begin(1_000, now=60.0)


class TestSize:
    def test_is_the_most_until_something_is_known(self) -> None:
        assert Size(128, least=16, should_take_s=0.005).now == 128

    def test_fits_what_batches_took(self) -> None:
        size = Size(128, least=16, should_take_s=0.005)
        for _ in range(100):
            size.learn(32, 0.008)
        assert size.now == 20

    def test_stays_the_most_where_a_batch_of_them_is_quick(self) -> None:
        size = Size(128, least=16, should_take_s=0.005)
        for _ in range(100):
            size.learn(128, 0.004)
        assert size.now == 128

    def test_is_never_too_small_to_be_worth_a_batch(self) -> None:
        size = Size(128, least=16, should_take_s=0.005)
        for _ in range(100):
            size.learn(8, 2.0)
        assert size.now == 16

    def test_one_slow_batch_is_soon_forgotten(self) -> None:
        size = Size(128, least=16, should_take_s=0.005)
        for seconds in (*[0.005] * 50, 0.25, *[0.005] * 30):
            size.learn(25, seconds)
        assert size.now > 16

    def test_small_batches_teach_nothing(self) -> None:
        size = Size(128, least=16, should_take_s=0.005)
        size.learn(FEW - 1, 2.0)
        assert size.now == 128


class TestGathering:
    async def test_few_wait_for_the_batch_before_and_share_the_next_one(self) -> None:
        batches: list[list[int]] = []
        gates = [asyncio.Event(), asyncio.Event()]

        async def decide(batch: list[Waiting[int, int]]) -> None:
            batches.append([one.ask for one in batch])
            await gates[len(batches) - 1].wait()
            for one in batch:
                one.answer(-one.ask)

        line = Gathering(decide, apart=None, lanes=2, most_together=32)
        async with line.open():
            first = asyncio.create_task(line.ask(1))
            await asyncio.sleep(0)
            others = [asyncio.create_task(line.ask(number)) for number in (2, 3, 4)]
            await asyncio.sleep(0.001)
            assert batches == [[1]]
            gates[0].set()
            await first
            gates[1].set()
            assert await asyncio.gather(*others) == [-2, -3, -4]
        assert batches == [[1], [2, 3, 4]]

    async def test_whoever_waits_behind_a_stuck_batch_gets_a_lane_of_their_own(self) -> None:
        stuck = asyncio.Event()

        async def decide(batch: list[Waiting[int, int]]) -> None:
            if batch[0].ask == 1:
                await stuck.wait()
            for one in batch:
                one.answer(-one.ask)

        line = Gathering(decide, apart=None, lanes=2, most_together=32)
        async with line.open():
            first = asyncio.create_task(line.ask(1))
            await asyncio.sleep(0)
            assert await asyncio.wait_for(line.ask(2), timeout=10) == -2
            assert not first.done()
            stuck.set()
            assert await first == -1
