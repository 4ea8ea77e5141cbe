"""Defects of the gathered way, each put into the product's own text; the histories must find every one.

A guard that another one backs up is taken out together with it.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from hypothesis import strategies as st
from tests.histories import steps
from tests.histories.steps import History
from tests.mutants.surgery import edited, rewritten

from boxoffice.runtime.database import Database
from boxoffice.services.sales.usecases import gather_places, hold_best_available
from boxoffice.services.sales.usecases.gather_holds import HoldDesk

Edit = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, kw_only=True)
class Defect:
    """Passages of functions (``code``) and of functions of the database (name, before, after) that are others."""

    code: Sequence[Edit] = ()
    routines: Sequence[tuple[str, str, str]] = ()
    schema: str = ""
    found_by: st.SearchStrategy[History] = steps.seats

    async def put_into(self, database: Database) -> None:
        """Break a database, which is a test's own copy."""
        if self.schema:
            await database.fetch(self.schema)
        for routine, before, after in self.routines:
            async with rewritten(database, routine, before, after):
                pass


HOLDS, PLACES = "gather_holds", "gather_places"

DEFECTS = {
    "the limit is not looked at": Defect(
        routines=[
            (HOLDS, "l.n + EXCLUDED.n <= EXCLUDED.cap", "true"),
            (HOLDS, "p_n[w.req] <= t.limit_per_customer", "true"),
        ],
        schema="ALTER TABLE customer_limits DROP CONSTRAINT customer_limit",
    ),
    "the hold budget is not looked at": Defect(
        routines=[(HOLDS, "<= hold_budget(EXCLUDED.cap", "<= 100 * hold_budget(EXCLUDED.cap")]
    ),
    "an idempotency key is not looked up": Defect(
        routines=[
            (HOLDS, "i.key = r.key) IS NULL", "i.key = r.key) IS NULL OR true"),
            (
                HOLDS,
                "p_key[o.req] IS NOT NULL ORDER BY 1, 2",
                "p_key[o.req] IS NOT NULL ORDER BY 1, 2 ON CONFLICT DO NOTHING",
            ),
        ]
    ),
    "one key twice in a batch": Defect(
        code=[partial(edited, HoldDesk._next_batch, "and persons.isdisjoint(waiting.persons)", "and True")]
    ),
    "one customer twice in a batch of places": Defect(
        code=[partial(edited, gather_places._apart, "yield asked.wish.event_id, asked.wish.user_id", "yield object()")],
        found_by=steps.places,
    ),
    "a single seat may be left": Defect(routines=[(HOLDS, "IF guards_singles THEN", "IF false THEN")]),
    "a hold that lasts is taken over": Defect(
        routines=[(HOLDS, "(s.state = 'held' AND s.hold_expires_at <= clock_timestamp())", "s.state = 'held'")]
    ),
    "the first message of a batch is not written": Defect(
        routines=[
            (
                HOLDS,
                "p_trace[o.req]\n        FROM kept o ORDER BY",
                "p_trace[o.req]\n        FROM kept o WHERE o.req > 1 ORDER BY",
            )
        ]
    ),
    "a seat tried for somebody else is refused as taken": Defect(
        code=[
            partial(
                edited,
                HoldDesk._settle,
                "        return False  # its seats",
                "        _refuse(waiting, holds.taken_refusal(verdict.taken)); return True  #",
            )
        ]
    ),
    "only one area is looked at": Defect(
        code=[partial(edited, gather_places._settle, "if waiting.ask.anywhere", "if False")], found_by=steps.places
    ),
    "places that were not got stay counted": Defect(
        routines=[(PLACES, "SET n = l.n - p_n[w.req], held = l.held - p_n[w.req]", "SET n = l.n, held = l.held")],
        found_by=steps.places,
    ),
    "seats are kept from others in vain": Defect(
        code=[partial(edited, hold_best_available._check_choices, "raise _ChosenInVainError", "return")],
        found_by=steps.best,
    ),
    "what was bought stays held": Defect(
        routines=[("confirm_orders", "SET held = l.held - b.places", "SET held = l.held")]
    ),
}
