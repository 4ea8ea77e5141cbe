"""The checker of one owner a seat is tested on histories whose verdict is known."""

from pathlib import Path

from tests.support.checkers import register
from tests.support.checkers.history import Kind, Log, Operation, pair, read


def did(f: str, begin: float, end: float | None, outcome: Kind = "ok", **value: object) -> Operation:
    return Operation(f, "p", "", outcome, begin, None if outcome == "info" else end, dict(value))


def reserve(booking: str, begin: float, end: float, *, seats: tuple[int, ...] = (1,), hold_s: float = 10) -> Operation:
    return did("reserve", begin, end, booking=booking, seats=list(seats), hold_s=hold_s)


class TestOneOwnerASeat:
    def test_accepts_a_sale_given_back_and_sold_again(self) -> None:
        history = [
            reserve("a", 0, 1), did("pay", 1, 2, booking="a", pay_s=60), did("confirm", 2, 3, booking="a"),
            did("cancel", 4, 5, booking="a"), reserve("b", 4.5, 6),
        ]  # fmt: skip
        assert register.violations(history) == []

    def test_catches_two_holders_at_once(self) -> None:
        found = register.violations([reserve("a", 0, 1), reserve("b", 2, 3)])
        assert len(found) == 1
        assert "seat 1" in found[0]

    def test_accepts_a_takeover_once_the_hold_is_over_and_not_before(self) -> None:
        assert register.violations([reserve("a", 0, 1, hold_s=5), reserve("b", 5, 6)]) == []
        assert register.violations([reserve("a", 0, 1, hold_s=5), reserve("b", 3, 4.9)])

    def test_catches_a_seat_stolen_from_somebody_who_is_paying(self) -> None:
        paying = [reserve("a", 0, 1, hold_s=5), did("pay", 1, 2, booking="a", pay_s=60)]
        assert register.violations([*paying, reserve("b", 20, 21)])
        assert register.violations([*paying, reserve("b", 62, 63)]) == []

    def test_catches_a_confirmation_after_the_seat_was_lost(self) -> None:
        history = [
            reserve("a", 0, 1, hold_s=5), did("pay", 1, 2, booking="a", pay_s=10), reserve("b", 12, 13),
            did("confirm", 14, 15, booking="a"),
        ]  # fmt: skip
        assert register.violations(history)

    def test_lets_an_unanswered_operation_happen_late_or_never(self) -> None:
        lost = did("cancel", 3, None, "info", booking="a")
        sold = [reserve("a", 0, 1), did("pay", 1, 2, booking="a"), did("confirm", 2, 3, booking="a")]
        assert register.violations([*sold, lost, reserve("b", 50, 51)]) == []
        assert register.violations([*sold, lost]) == []
        assert register.violations([*sold, reserve("b", 50, 51)])

    def test_takes_no_notice_of_what_failed(self) -> None:
        refused = did("reserve", 2, 3, "fail", seats=[1], hold_s=10)
        assert register.violations([reserve("a", 0, 1), refused]) == []

    def test_takes_seats_together_or_not_at_all(self) -> None:
        both = [reserve("a", 0, 1, seats=(1, 2)), reserve("b", 2, 3, seats=(2, 3))]
        assert [text.split(":")[0] for text in register.violations(both)] == ["seat 2"]

    def test_accepts_overlapping_operations_in_the_order_that_works(self) -> None:
        history = [reserve("a", 0, 1, hold_s=100), did("release", 2, 6, booking="a"), reserve("b", 3, 4)]
        assert register.violations(history) == []

    def test_lets_a_repeated_release_change_nothing(self) -> None:
        history = [reserve("a", 0, 1, hold_s=2), reserve("b", 3, 4), did("release", 5, 6, booking="a")]
        assert register.violations(history) == []

    def test_follows_an_exchange_from_seat_to_seat(self) -> None:
        sold = [reserve("a", 0, 1), did("pay", 1, 2, booking="a"), did("confirm", 2, 3, booking="a")]
        moved = did("exchange", 4, 5, booking="a", gives=[1], takes=[2])
        assert register.violations([*sold, moved, reserve("b", 6, 7)]) == []
        assert register.violations([*sold, moved, reserve("b", 6, 7, seats=(2,))])

    def test_copes_with_a_long_history_of_one_seat(self) -> None:
        history = []
        for number in range(1500):
            at = number * 10.0
            history += [reserve(f"b{number}", at, at + 1), did("release", at + 2, at + 3, booking=f"b{number}")]
        assert register.violations(history) == []
        assert register.violations([*history, reserve("x", 5000.5, 5001)])


class TestLog:
    def test_reads_back_what_it_wrote(self, tmp_path: Path) -> None:
        log = Log(tmp_path / "history.jsonl")
        sent = log.invoke("p1", "reserve", {"seats": [1]}, key="k")
        log.answer(sent, "ok", booking="a", hold_s=5)
        log.invoke("p1", "confirm", {"booking": "a"})
        again = pair(read(tmp_path / "history.jsonl"))
        assert [(found.f, found.outcome) for found in again] == [("reserve", "ok"), ("confirm", "info")]
        assert again[0].value == {"seats": [1], "booking": "a", "hold_s": 5}
        assert again[0].key == "k"
