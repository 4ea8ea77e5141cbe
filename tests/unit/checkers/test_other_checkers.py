"""The checkers of tickets, money, fences, effects, circles and boredom, each on a history that is bad in one way."""

import pytest
from tests.support.checkers import bank, cycles, effects, fence, tickets
from tests.support.checkers.bank import Book, Snapshot
from tests.support.checkers.cycles import Transaction
from tests.support.checkers.fence import Seen
from tests.support.checkers.history import Operation
from tests.support.checkers.sometimes import LEAST, Sometimes
from tests.support.checkers.tickets import FinalTicket


def told(f: str, outcome: str = "ok", **value: object) -> Operation:
    return Operation(f, "p", "", outcome, 0.0, 1.0, dict(value))  # type: ignore[arg-type]


class TestTickets:
    CONFIRMED = told("confirm", booking="a", tickets=["t1"])

    def test_accepts_what_was_acknowledged(self) -> None:
        assert tickets.violations([self.CONFIRMED], [FinalTicket("t1", "a", 1, live=True)], {"a"}) == []

    def test_misses_a_ticket_that_is_gone(self) -> None:
        assert "is not there" in tickets.violations([self.CONFIRMED], [], {"a"})[0]

    def test_misses_a_booking_that_is_gone(self) -> None:
        assert "booking is not there" in tickets.violations([told("reserve", booking="a")], [], set())[0]

    def test_sees_a_ticket_that_nobody_paid(self) -> None:
        invented = FinalTicket("t2", "b", 1, live=True)
        assert "nobody paid" in tickets.violations([], [invented], {"b"})[0]
        assert tickets.violations([told("approve", "info", booking="b")], [invented], {"b"}) == []

    def test_sees_a_ticket_that_died_by_itself(self) -> None:
        void = FinalTicket("t1", "a", 1, live=False)
        assert "nobody cancelled" in tickets.violations([self.CONFIRMED], [void], {"a"})[0]
        perhaps = told("cancel", "info", booking="a")
        assert tickets.violations([self.CONFIRMED, perhaps], [void], {"a"}) == []

    def test_sees_a_cancelled_ticket_that_lives(self) -> None:
        live = FinalTicket("t1", "a", 1, live=True)
        assert "was cancelled" in tickets.violations([self.CONFIRMED, told("cancel", booking="a")], [live], {"a"})[0]


class TestBank:
    def test_accepts_money_that_bought_something(self) -> None:
        assert bank.unbalanced([Snapshot(0.0, captured=10, refunded=4, live=5, kept=1)]) == []

    def test_sees_money_without_tickets(self) -> None:
        assert bank.unbalanced([Snapshot(0.0, captured=10, refunded=0, live=5, kept=0)])

    def test_accepts_books_that_agree(self) -> None:
        assert bank.disagreements({"a": Book((10,), (3, 2))}, {"a": Book((10,), (2, 3))}) == []

    @pytest.mark.parametrize(
        ("ours", "theirs", "says"),
        [
            (Book((10,)), Book((10, 10)), "charged more than once"),
            (Book(), Book((10,)), "the provider's"),
            (Book((10,)), Book(), "the provider's"),
            (Book((10,), (10,)), Book((10,)), "the provider's"),
            (Book((10,), (10,)), Book((10,), (10, 10)), "more than it paid"),
        ],
    )
    def test_sees_books_that_differ(self, ours: Book, theirs: Book, says: str) -> None:
        assert says in " ".join(bank.disagreements({"a": ours}, {"a": theirs}))


class TestFence:
    def test_accepts_numbers_that_rise_with_each_owner(self) -> None:
        looks = [Seen(1, 1, "a"), Seen(1, 1, "a"), Seen(1, 2, None), Seen(1, 3, "b")]
        assert fence.violations(looks, complete=True) == []

    def test_sees_a_number_that_fell(self) -> None:
        assert "down" in fence.violations([Seen(1, 5, "a"), Seen(1, 4, "b")])[0]

    def test_sees_two_owners_under_one_number(self) -> None:
        assert "under the one fence" in fence.violations([Seen(1, 5, "a"), Seen(1, 5, "b")])[0]

    def test_sees_a_gap_in_a_complete_record_only(self) -> None:
        looks = [Seen(1, 1, "a"), Seen(1, 3, "b")]
        assert fence.violations(looks) == []
        assert "jumped" in fence.violations(looks, complete=True)[0]


class TestEffects:
    def test_accepts_each_message_once(self) -> None:
        assert effects.missing_and_phantom({"m1", "m2"}, {"c": ["m2", "m1"]}) == []

    @pytest.mark.parametrize(("taken", "says"), [(["m1"], "never took"), (["m1", "m2", "m2"], "more than once"),
                                                 (["m1", "m2", "m3"], "nobody wrote")])  # fmt: skip
    def test_sees_a_lost_a_repeated_and_an_invented_effect(self, taken: list[str], says: str) -> None:
        assert says in effects.missing_and_phantom({"m1", "m2"}, {"c": taken})[0]

    def test_allows_as_many_second_mails_as_kills_of_the_sender(self) -> None:
        assert effects.mails(["a"], ["a", "a"], sender_kills=1) == []
        assert "went out again" in effects.mails(["a"], ["a", "a"], sender_kills=0)[0]
        assert "never sent" in effects.mails(["a", "b"], ["a"], sender_kills=0)[0]
        assert "for nothing" in effects.mails(["a"], ["a", "z"], sender_kills=0)[0]

    def test_sees_versions_that_went_down(self) -> None:
        assert effects.out_of_order([("a", 0), ("b", 3), ("a", 1)]) == []
        assert effects.out_of_order([("a", 1), ("a", 0)])


class TestCycles:
    def test_accepts_transactions_that_came_one_after_another(self) -> None:
        history = [
            Transaction(1, {1: (), 2: ()}, {1: 10, 2: 11}),
            Transaction(2, {1: (10,), 2: (11,)}, {1: 20}),
            Transaction(3, {1: (10, 20), 2: (11,)}, {2: 31}),
        ]
        assert cycles.violations(history, {1: (10, 20), 2: (11, 31)}) == []

    def test_sees_write_skew(self) -> None:
        """Each read what the other was about to write: no order explains both."""
        history = [Transaction(1, {1: (), 2: ()}, {1: 10}), Transaction(2, {1: (), 2: ()}, {2: 20})]
        assert "circle" in cycles.violations(history, {1: (10,), 2: (20,)})[0]

    def test_sees_a_read_that_was_behind(self) -> None:
        """A replica's answer: it follows the first write of one key and not the earlier one of another."""
        history = [
            Transaction(1, {1: ()}, {1: 10}),
            Transaction(2, {1: (10,)}, {2: 20}),
            Transaction(3, {1: (), 2: (20,)}, {}),
        ]
        assert "circle" in cycles.violations(history, {1: (10,), 2: (20,)})[0]

    def test_sees_a_lost_write_and_one_that_was_read_and_is_not_there(self) -> None:
        assert "is not there" in cycles.violations([Transaction(1, {}, {1: 10})], {1: ()})[0]
        assert "no beginning" in cycles.violations([Transaction(1, {1: (7,)}, {})], {1: (8,)})[0]

    def test_lets_an_unanswered_transaction_be_lost(self) -> None:
        assert cycles.violations([Transaction(1, {}, {1: 10}, acknowledged=False)], {1: ()}) == []


class TestSometimes:
    def test_calls_a_boring_run_invalid(self) -> None:
        assert len(Sometimes().missing(10)) == len(LEAST)

    def test_is_content_when_everything_happened(self) -> None:
        seen = Sometimes()
        for name, times in LEAST.items():
            seen.saw(name, times)
        assert seen.missing(60) == []
        seen.counted["duplicate webhook"] -= 1
        assert seen.missing(10) == ["duplicate webhook: 49 of 50"]

    def test_knows_only_the_list(self) -> None:
        with pytest.raises(KeyError):
            Sometimes().saw("something else")
