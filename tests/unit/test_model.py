"""The protocol holds in every interleaving; and the checker would see it if it did not."""

import pytest
from tests.support.protocol_model import ALL_FEATURES, Protocol, check, mutant

pytestmark = pytest.mark.thorough

TWO_BUYERS = Protocol(wants=((0,), (0,)))
EVERYTHING = Protocol(wants=((0, 1), (1,)), features=ALL_FEATURES, prices=(2, 1, 1))
"""Two seats and a spare one: small worlds are enough to find what a lost guard does, never to show that none is lost."""

MUTANTS = {
    "steal_paying": "that is paying lost seat",
    "confirm_unchecked+steal_paying": "that is paying lost seat",
    "pay_unchecked": "that is held lost seat",
    "capture_no_claim": "money taken for released seats",
    "deadline_blind": "money taken for released seats",
    "capture_new_key": "charged twice",
    "webhook_twice": "two live tickets",
    "refund_new_key": "refunded more than captured",
    "auto_capture": "money taken for released seats",
}
"""Guards of the bare protocol left out, and what the checker finds then."""

MORE_MUTANTS = {
    "sweep_unchecked": "that is held lost seat",
    "give_back_unchecked": "that is held lost seat",
    "extend_unchecked": "that is held lost seat",
    "turn_back_blind": "money taken for released seats",
    "cancel_twice": "refunded more than captured",
    "cancel_used": "a used ticket is void",
    "cancel_keeps_seats": "is sold for 0, its tickets are of []",
    "part_refunds_all": "refunded more than captured",
    "event_looks_once": "tickets of an event that is off",
    "event_pays_nothing": "money and tickets differ",
    "exchange_unchecked": "two live tickets",
    "exchange_keeps_ticket": "is free for None, its tickets are of [0]",
    "exchange_keeps_seat": "is sold for 0, its tickets are of []",
    "exchange_pays_nothing": "money and tickets differ",
    "exchange_for_dearer": "a ticket without money",
}
"""Guards of what was added to it."""

STEPS = frozenset({
    "abandon", "admit", "approve", "cancel", "cancel_event", "cancel_for_event", "capture_declined", "capture_ok",
    "claim", "confirm", "deadline", "decline", "exchange", "expire", "extend", "give_back", "hold", "hold_is_gone",
    "refund", "refund_done", "release", "return_to_hold", "start_payment", "sweep", "try_another_card", "turn_back",
    "void",
})  # fmt: skip


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

    @pytest.mark.parametrize("feature", sorted(ALL_FEATURES))
    def test_never_breaks_with_one_thing_more(self, feature: str) -> None:
        bare = check(Protocol(wants=((0, 1), (1,)), prices=(2, 1, 1)))
        verdict = check(Protocol(wants=((0, 1), (1,)), features=frozenset({feature}), prices=(2, 1, 1)))
        assert verdict.violation is None, " -> ".join(verdict.path)
        assert verdict.worlds > bare.worlds, "the feature adds nothing"

    @pytest.mark.parametrize(
        ("wants", "without"),
        [
            pytest.param(((0,), (0,)), frozenset({"extend"}), id="1 seat wanted by 2"),
            pytest.param(((0, 1), (1,)), frozenset({"admit", "event"}), id="2 seats, one buyer wants both"),
            pytest.param(((0,), (1,)), frozenset({"part", "event"}), id="2 buyers who may swap"),
        ],
    )
    def test_never_breaks_with_everything_together(
        self, wants: tuple[tuple[int, ...], ...], without: frozenset[str]
    ) -> None:
        verdict = check(Protocol(wants=wants, features=ALL_FEATURES - without, prices=(2, 1)))
        assert verdict.violation is None, " -> ".join(verdict.path)
        assert verdict.worlds > 20_000, "a smaller space would mean that steps got lost"
        if len(without) == 1:
            assert verdict.steps == STEPS - without, "every kind of step was taken somewhere"


class TestMutants:
    @pytest.mark.parametrize(("mutations", "found"), MUTANTS.items())
    def test_every_one_of_the_bare_protocol_is_caught(self, mutations: str, found: str) -> None:
        self._caught(TWO_BUYERS, mutations, found)

    @pytest.mark.parametrize(("mutations", "found"), MORE_MUTANTS.items())
    def test_every_one_of_the_rest_is_caught(self, mutations: str, found: str) -> None:
        self._caught(EVERYTHING, mutations, found)

    def _caught(self, protocol: Protocol, mutations: str, found: str) -> None:
        verdict = check(mutant(protocol, *mutations.split("+")))
        assert verdict.violation is not None
        assert found in verdict.violation
        assert verdict.path, "the way there is told"
