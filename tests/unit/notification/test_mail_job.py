import itertools
import re
from uuid import uuid4

import pytest

from boxoffice.kernel.ids import UserId
from boxoffice.services.notification.domain.letter import (
    MAX_TITLE,
    Template,
    aggregate_of_order,
    letter_of_order,
    title,
)
from boxoffice.services.notification.domain.mail_job import (
    LONGEST_PAUSE_S,
    PATIENCE,
    TRANSITIONS,
    JobAction,
    JobState,
    NewMail,
    pause_s,
)


class TestTransitions:
    def test_only_a_waiting_mail_moves(self):
        assert {state for state, _ in TRANSITIONS} == {JobState.WAITING}
        assert {action for _, action in TRANSITIONS} == set(JobAction)
        assert set(TRANSITIONS.values()) == set(JobState)


class TestPause:
    def test_grows_and_stays_bounded(self):
        pauses = [pause_s(attempts, 0.0) for attempts in range(1, 50)]
        assert pauses[0] == 2.0
        assert all(later >= earlier for earlier, later in itertools.pairwise(pauses))
        assert pauses[-1] == LONGEST_PAUSE_S

    @pytest.mark.parametrize("attempts", [-1, 0, 1, 5, 10_000])
    @pytest.mark.parametrize("spread", [0.0, 1.0])
    def test_is_never_nothing_and_never_too_long(self, attempts: int, spread: float):
        assert 2.0 <= pause_s(attempts, spread) <= LONGEST_PAUSE_S

    def test_tries_a_mail_often_enough_within_its_patience(self):
        assert PATIENCE.total_seconds() / LONGEST_PAUSE_S > 90


class TestNewMail:
    def test_has_the_same_id_for_the_same_fact(self):
        def mail(aggregate: str, template: Template) -> NewMail:
            return NewMail(aggregate=aggregate, template=template, user_id=UserId(uuid4()), title="x", facts={})

        assert mail("a", Template.TICKETS).job_id == mail("a", Template.TICKETS).job_id
        assert mail("a", Template.TICKETS).job_id != mail("b", Template.TICKETS).job_id
        assert mail("a", Template.TICKETS).job_id != mail("a", Template.REFUNDED).job_id


class TestLetterOfOrder:
    @pytest.mark.parametrize(
        ("type_", "reason", "template"),
        [
            ("confirmed", None, Template.TICKETS),
            ("cancelled", None, Template.ORDER_CANCELLED),
            ("refunded", None, Template.REFUNDED),
            ("released", "payment_declined", Template.PAYMENT_FAILED),
            ("released", "payment_expired", Template.PAYMENT_FAILED),
            ("released", "given_back", None),
            ("released", "payment_abandoned", None),
            ("released", None, None),
            ("held", None, None),
            ("something_new", None, None),
        ],
    )
    def test_tells_what_is_worth_a_mail(self, type_: str, reason: str | None, template: Template | None):
        assert letter_of_order(f"sales.order.{type_}", reason) is template

    def test_sends_tickets_once_an_order_and_a_cancellation_once_a_change(self):
        assert aggregate_of_order(Template.TICKETS, "o", 3) == aggregate_of_order(Template.TICKETS, "o", 4)
        assert aggregate_of_order(Template.ORDER_CANCELLED, "o", 3) != aggregate_of_order(
            Template.ORDER_CANCELLED, "o", 4
        )


class TestTitle:
    @pytest.mark.parametrize(
        "name",
        [
            "a\r\nBcc: x@example.org",
            "a\nb",
            "a\x00b",
            "a\u2028b",
            "a\x85b",
            "a\x0bb",
            "\ud800",
            "%0aBcc: x",
            "  a   b ",
        ],
    )
    def test_is_always_one_line(self, name: str):
        text = title(Template.TICKETS, name)
        assert len(text.splitlines()) == 1
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", text)

    def test_is_cut_with_an_ellipsis(self):
        text = title(Template.TICKETS, "x" * 1_000)
        assert len(text) == MAX_TITLE
        assert text.endswith("…")

    def test_keeps_accents_and_other_scripts(self):
        assert title(Template.TICKETS, "Dvořák 香港 👩‍🎤") == "Your tickets: Dvořák 香港 👩‍🎤"
