"""How measurements are compared."""

import pytest
from bench.rounds import Contender, Sample, against, fairness, interleaved, percentile, quicker


def contender(name: str, figures: list[float], order: list[str] | None = None) -> Contender:
    waiting = list(figures)

    async def measure() -> Sample:
        if order is not None:
            order.append(name)
        rate = waiting.pop(0)
        return Sample(rate=rate, p50_ms=1.0, p99_ms=1_000 / rate, more={"held": rate * 2})

    return Contender(name, "holds/s", measure)


class TestInterleaved:
    async def test_lets_each_round_begin_with_another(self) -> None:
        order: list[str] = []
        contenders = [contender(name, [1.0, 2.0], order) for name in "ab"]
        await interleaved(contenders, rounds=2, say=lambda _: None, left=lambda: 1.0)
        assert order == ["a", "b", "b", "a"]

    async def test_stops_between_rounds_when_time_is_up(self) -> None:
        only = contender("a", [1.0])
        await interleaved([only], rounds=5, say=lambda _: None, left=lambda: 0.0)
        assert only.figures == [1.0]


class TestAgainst:
    async def test_takes_the_median_of_the_rounds_own_ratios(self) -> None:
        # the whole machine was ten times slower in the second round: the ratio does not notice
        fast, slow = contender("fast", [200.0, 20.0, 210.0]), contender("slow", [100.0, 10.0, 105.0])
        await interleaved([fast, slow], rounds=3, say=lambda _: None, left=lambda: 1.0)
        record = against(fast, slow)
        assert (record.value, record.reference, record.ratio) == (200.0, 100.0, 2.0)

    async def test_compares_with_the_stronger_of_two_references(self) -> None:
        strong, weak = contender("strong", [100.0, 90.0]), contender("weak", [10.0, 200.0, 20.0])
        strong.samples = [await strong.measure() for _ in range(2)]
        weak.samples = [await weak.measure() for _ in range(3)]
        assert quicker([weak, strong]) is strong


class TestContender:
    async def test_takes_the_median_of_latencies_and_of_what_else_was_counted(self) -> None:
        one = contender("a", [10.0, 100.0, 1.0])
        await interleaved([one], rounds=3, say=lambda _: None, left=lambda: 1.0)
        assert (one.middle("p99_ms"), one.middle("held"), one.middle("unheard of")) == (100.0, 20.0, None)


class TestPercentile:
    @pytest.mark.parametrize(("share", "value"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0)])
    def test_is_the_smallest_value_that_the_share_does_not_exceed(self, share: float, value: float) -> None:
        assert percentile([float(n) for n in range(1, 101)], share) == value

    def test_of_nothing_is_nothing(self) -> None:
        assert percentile([], 0.99) == 0.0


class TestFairness:
    def test_tells_the_least_and_the_largest_share_in_medians(self) -> None:
        assert fairness([50.0, 100.0, 100.0, 100.0, 250.0]) == (0.5, 2.5)

    def test_of_nobody_served_is_not_fair(self) -> None:
        assert fairness([0.0, 0.0]) == (0.0, 0.0)
