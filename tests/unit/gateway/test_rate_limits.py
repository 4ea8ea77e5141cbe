"""GCRA: in any window no more than the burst and the rate allow, and a client that keeps to the rate is never refused."""

from hypothesis import given
from hypothesis import strategies as st

from boxoffice.runtime.limits import Limiter, Rate, gcra

RATE = Rate(per_second=10, burst=20)


class TestGcra:
    @given(st.lists(st.floats(min_value=0, max_value=0.5), max_size=300))
    def test_in_any_window_accepts_at_most_burst_and_rate(self, gaps: list[float]) -> None:
        now, due, accepted = 1_000.0, 0.0, []
        for gap in gaps:
            now += gap
            verdict, due = gcra(due, now, RATE)
            if verdict.allowed:
                accepted.append(now)
        for first in range(len(accepted)):
            for last in range(first, len(accepted)):
                window = accepted[last] - accepted[first]
                assert last - first + 1 <= RATE.burst + RATE.per_second * window + 1

    @given(st.integers(min_value=1, max_value=500))
    def test_never_refuses_who_keeps_to_the_rate(self, calls: int) -> None:
        due = 0.0
        for number in range(calls):
            verdict, due = gcra(due, 1_000.0 + number * RATE.interval_s, RATE)
            assert verdict.allowed

    def test_takes_the_whole_burst_at_once_and_says_when_the_next_may_come(self) -> None:
        due, allowed = 0.0, 0
        for _ in range(30):
            verdict, due = gcra(due, 1_000.0, RATE)
            allowed += verdict.allowed
        assert allowed == 20
        assert abs(verdict.wait_s - 0.1) < 1e-6
        assert gcra(due, 1_000.0 + verdict.wait_s, RATE)[0].allowed

    def test_a_refusal_costs_nothing(self) -> None:
        _, due = gcra(2_000.0, 1_000.0, RATE)
        assert due == 2_000.0


class TestLimiterInProcess:
    def test_counts_each_client_alone(self) -> None:
        limiter = Limiter()
        first = [limiter.take_here("a", RATE, now=1.0).allowed for _ in range(25)]
        assert sum(first) == 20
        assert limiter.take_here("b", RATE, now=1.0).allowed

    async def test_what_is_given_back_may_be_taken_again(self) -> None:
        limiter, narrow = Limiter(), Rate(per_second=0.1, burst=1)
        assert (await limiter.take("a", narrow)).allowed
        assert not (await limiter.take("a", narrow)).allowed
        await limiter.give_back("a", narrow)
        assert (await limiter.take("a", narrow)).allowed
        assert not (await limiter.take("a", narrow)).allowed

    def test_forgets_rather_than_grows(self) -> None:
        from boxoffice.runtime import limits

        limiter = Limiter()
        for number in range(limits.KEYS_IN_PROCESS + 10):
            limiter.take_here(str(number), RATE, now=1.0)
        assert len(limiter._here) == limits.KEYS_IN_PROCESS
