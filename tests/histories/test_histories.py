"""The gathered way, the plain way and the model agree on every history; and they do not where there is a defect.

``docs/howto/prove-the-sale.md`` says how to play more of them.
"""

import os
from contextlib import ExitStack

import pytest
from tests.histories import steps
from tests.histories.defects import DEFECTS
from tests.histories.house import FIELD, HALL, NEAR
from tests.histories.play import DisagreementError
from tests.histories.search import search, stage
from tests.histories.steps import Ask, Rules, Together
from tests.support.engines import Engines

HISTORIES = int(os.environ.get("BOXOFFICE_HISTORIES", "300"))
ENOUGH = 300
MOST_TO_FIND_A_DEFECT = 200
SOMETIMES = {
    "batches of holds with a collision": 50,
    "a batch said contested": 50,
    "a batch said alone": 50,
    "batches of places where some got none": 5,
    "batches of confirmations": 5,
    "decided in the outbox's order": 100,
    "held": 500,
    "replayed": 100,
    "seats taken over": 20,
    "request.idempotency_key_reused": 50,
    "sales.seats_taken": 200,
    "sales.seats_unknown": 3,
    "sales.limit_reached": 100,
    "sales.hold_budget_spent": 3,
    "sales.not_enough_seats": 50,
    "sales.single_seat_left": 10,
    "sales.companion_needs_wheelchair_place": 20,
    "sales.halted": 20,
    "Release: released": 50,
    "Extend: extended": 10,
    "Pay: payment": 50,
    "Pay: sales.hold_expired": 5,
    "Confirm: payment": 20,
    "Cancel: cancelled": 10,
}
"""What must have happened in 300 histories: a run without it proves nothing."""

pytestmark = pytest.mark.xdist_group("histories")


class TestHistories:
    def test_all_three_agree_on_each(self, engines: Engines) -> None:
        with stage(engines) as (runner, opened):
            seen = search(runner, opened, steps.everything, most=HISTORIES)
        print(*seen.most_common(), sep="\n")
        if HISTORIES >= ENOUGH:
            missing = {what: seen[what] for what, times in SOMETIMES.items() if seen[what] < times}
            assert not missing, "a boring run"


FOUND = {
    "a free seat that hopeless requests were tried for before": (
        [*[Ask(0, HALL, (0, 1, 2))] * 4, Ask(1, HALL, (0,))], Rules(limit=2, no_orphans=False), 1
    ),
    "places that only another area has": (
        [Ask(0, FIELD, quantity=4, level="Floor"), Ask(1, FIELD, quantity=3)], Rules(limit=4, no_orphans=False), 2
    ),
    "best seats that were kept for somebody over the limit": (
        [Ask(0, HALL, quantity=4, level=NEAR), Ask(1, HALL, quantity=1, level=NEAR)], Rules(limit=2, no_orphans=False), 1
    ),
}  # fmt: skip
"""What was refused or worse in a crowd once: who asked, by which rules, and how many of them hold something."""


class TestFound:
    @pytest.mark.parametrize("asked_for", FOUND)
    def test_is_got_in_a_crowd_too(self, engines: Engines, asked_for: str) -> None:
        asks, rules, held = FOUND[asked_for]
        with stage(engines) as (runner, opened):
            runner.run(opened.play([[Together(asks)]], rules))
        assert opened.seen["held"] == held


class TestDefects:
    @pytest.mark.parametrize("name", DEFECTS)
    def test_is_found(self, engines: Engines, name: str) -> None:
        defect = DEFECTS[name]
        with ExitStack() as stack:
            for edit in defect.code:
                stack.enter_context(edit())
            runner, opened = stack.enter_context(stage(engines))
            runner.run(defect.put_into(opened.gathered.database))
            with pytest.raises(DisagreementError):
                search(runner, opened, defect.found_by, most=MOST_TO_FIND_A_DEFECT, shorten=False)
