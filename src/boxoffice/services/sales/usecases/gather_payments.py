"""Begin payments that were asked for at the same moment in one transaction, and note in one what their providers said.

P of the protocol for the usual case (reliability section 4.5), under the same guards as ``start_payment.py``: the
record is committed before any call to a provider (I4). What is not usual is left to that path, which repeats nothing.
"""

from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from boxoffice.runtime.database import Database, DatabaseBusyError
from boxoffice.runtime.gathering import Gathering, Waiting
from boxoffice.runtime.idempotency import Answer
from boxoffice.services.sales.domain.payment import Payment
from boxoffice.services.sales.providers import Begun as BegunThere
from boxoffice.services.sales.store import quick_payments
from boxoffice.services.sales.store.quick_payments import Beginning, Begun, Told

LANES = 2
MOST_TOGETHER = 32
"""As for confirmations: each locks its order and its seats."""

Render = Callable[[Payment], Answer]


@dataclass(frozen=True, slots=True)
class _Begin:
    beginning: Beginning
    window: timedelta


class BeginDesk:
    """Begins the payments of one process."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._line: Gathering[_Begin, Begun | None] = Gathering(
            self._begin, apart=_marks, lanes=LANES, most_together=MOST_TOGETHER
        )
        self._told: Gathering[Told, None] = Gathering(self._note, apart=None, lanes=LANES, most_together=MOST_TOGETHER)

    @classmethod
    @asynccontextmanager
    async def open(cls, database: Database) -> AsyncIterator["BeginDesk"]:
        """Keep a desk open while inside."""
        desk = cls(database)
        async with desk._line.open(), desk._told.open():
            yield desk

    async def begin(self, beginning: Beginning, window: timedelta) -> Begun | None:
        """Begin the first payment of a held order; none, with nothing changed, when it is not that case."""
        return await self._line.ask(_Begin(beginning, window))

    async def note(self, begun: Begun, beginning: Beginning, there: BegunThere, render: Render) -> Answer:
        """Note what the provider said; returns what the buyer is told."""
        payment = replace(begun.payment, provider_ref=there.provider_ref, approval_url=there.approval_url)
        answer = render(payment)
        await self._told.ask(
            Told(
                payment_id=payment.payment_id, provider_ref=there.provider_ref, approval_url=there.approval_url,
                call=beginning.call, answer=answer,
            )
        )  # fmt: skip
        return answer

    async def _begin(self, batch: list[Waiting[_Begin, Begun | None]]) -> None:
        try:
            async with self.database.connection() as connection:
                begun = await quick_payments.begin(
                    connection, [waiting.ask.beginning for waiting in batch], window=batch[0].ask.window
                )
        except DatabaseBusyError:
            begun = {}  # somebody has a record of one of them: each alone, so that only that one waits
        for waiting in batch:
            waiting.answer(begun.get(waiting.ask.beginning.order_id))

    async def _note(self, batch: list[Waiting[Told, None]]) -> None:
        async with self.database.connection() as connection:
            await quick_payments.begun(connection, [waiting.ask for waiting in batch])
        for waiting in batch:
            waiting.answer(None)


def _marks(asked: _Begin) -> Iterable[Hashable]:
    one = asked.beginning
    return (one.order_id, (one.call.principal, one.call.key)) if one.call else (one.order_id,)
