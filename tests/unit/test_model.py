"""The protocol holds in every interleaving; and the checker would see it if it did not."""

import pytest
from tests.support.protocol_model import Protocol, check, mutant

TWO_BUYERS = Protocol(wants=((0,), (0,)))

MUTANTS = {
    "steal_paying": "at rest, money and tickets differ",
    "confirm_unchecked+steal_paying": "two live tickets",
    "pay_unchecked": "its tickets are of",
    "capture_no_claim": "money taken for released seats",
    "deadline_blind": "money taken for released seats",
    "capture_new_key": "charged twice",
    "webhook_twice": "two live tickets",
    "refund_new_key": "refunded more than captured",
    "auto_capture": "money taken for released seats",
}
"""Guards left out, and what the checker finds then."""


class TestProtocol:
    @pytest.mark.parametrize(
        ("wants", "worlds", "at_rest"),
        [
            pytest.param(((0,), (0,)), 2417, 345, id="1 seat, 2 buyers"),
            pytest.param(((0, 1), (1,)), 2417, 345, id="2 seats, one buyer wants both"),
            pytest.param(((0,), (0,), (0,)), 83099, 6075, id="1 seat, 3 buyers"),
            pytest.param(((0, 1), (1,), (0,)), 120371, 6315, id="2 seats, 3 buyers"),
        ],
    )
    def test_never_breaks(self, wants: tuple[tuple[int, ...], ...], worlds: int, at_rest: int) -> None:
        verdict = check(Protocol(wants=wants))
        assert verdict.violation is None, " -> ".join(verdict.path)
        # The figures of the reliability page: a smaller space would mean that steps got lost.
        assert (verdict.worlds, verdict.at_rest) == (worlds, at_rest)


class TestMutants:
    @pytest.mark.parametrize(("mutations", "found"), MUTANTS.items())
    def test_every_one_is_caught(self, mutations: str, found: str) -> None:
        verdict = check(mutant(TWO_BUYERS, *mutations.split("+")))
        assert verdict.violation is not None
        assert found in verdict.violation
        assert verdict.path, "the way there is told"
