"""How measurements are compared."""

from bench.rounds import Contender, against, interleaved


def contender(name: str, figures: list[float], order: list[str] | None = None) -> Contender:
    waiting = list(figures)

    async def measure() -> float:
        if order is not None:
            order.append(name)
        return waiting.pop(0)

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
