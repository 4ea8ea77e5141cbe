"""Decide holds of general admission that arrive together: one transaction for all, one update of each area's record.

A lone request goes as the plain call of ``place_hold.py``, which stays the reference. What a batch cannot answer in few
words (a repeat, a limit, a closed sale) it leaves to that call too. Invariant I17: never one place more than there are,
and not one less while anybody wants it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import EventId, OrderId
from boxoffice.runtime.database import Database, DatabaseBusyError
from boxoffice.runtime.gathering import Gathering, Waiting
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.runtime.telemetry import HOLDS_TOGETHER, current_trace
from boxoffice.runtime.uuids import uuid7
from boxoffice.services.sales.domain.refusals import NotEnoughSeatsError
from boxoffice.services.sales.store import areas, holds, seats
from boxoffice.services.sales.usecases.place_hold import RETRY_CONTESTED_S, Wish, place_hold

LANES = 1
"""Calls at the database at once. They would only wait for each other at the area's record."""
MOST_TOGETHER = 128
"""Requests of one batch: some ten milliseconds of locks."""
MOST_TRIES = 5
"""How often a request is tried while others are just ending holds that ran out: a tenth of a second."""
MOST_EVENTS = 100_000
"""Events of which it is known what they sell: some ten MB."""


@dataclass(frozen=True, slots=True)
class Sold:
    """What an event sells: its areas by name, and whether it has seats too. Decided once, when its tickets are made."""

    areas: frozenset[str]
    has_seats: bool

    def is_for_area(self, wish: Wish) -> bool:
        """Whether a wish is for places without seats; beside seats an area has to be named."""
        return bool(self.areas) and (not self.has_seats or not self.areas.isdisjoint((wish.price_level, wish.section)))


@dataclass(frozen=True, slots=True)
class Asked:
    """One request in line; ``anywhere``: it may be served from more than one area."""

    wish: Wish
    call: IdempotentCall | None
    trace: str | None
    anywhere: bool


class PlaceDesk:
    """Takes the holds of general admission of one process."""

    def __init__(self, database: Database, *, lanes: int = LANES, most_together: int = MOST_TOGETHER) -> None:
        self._database = database
        self._line: Gathering[Asked, bytes | None] = Gathering(
            self._decide, apart=_apart, lanes=lanes, most_together=most_together
        )
        self._sold: OrderedDict[EventId, Sold] = OrderedDict()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["PlaceDesk"]:
        """Keep the desk open while inside; on leaving, what is at the database is waited for no longer."""
        async with self._line.open():
            yield self

    async def serves(self, wish: Wish) -> bool:
        """Whether a wish is for so many places of general admission."""
        if wish.seat_ids is not None:
            return False
        known = self._sold.get(wish.event_id)
        if known is None:
            async with self._database.connection() as connection:
                known = Sold(
                    await areas.names(connection, wish.event_id), await seats.exist(connection, wish.event_id)
                )  # fmt: skip
            if known.areas or known.has_seats:
                self._sold[wish.event_id] = known
                while len(self._sold) > MOST_EVENTS:
                    self._sold.popitem(last=False)
        return known.is_for_area(wish)

    async def place(self, wish: Wish, call: IdempotentCall | None = None) -> bytes:
        """Hold so many places; the same answers and refusals as :func:`place_hold`.

        :raises DomainError: one of the refusals in ``store/holds.py`` or of :meth:`Wish.check`; nothing is held then.
        """
        wish.check()
        wish = _in_section(wish)
        sold = self._sold.get(wish.event_id)
        anywhere = wish.price_level is None and sold is not None and len(sold.areas) > 1
        asked = Asked(wish, call, current_trace(), anywhere)
        for _ in range(MOST_TRIES):
            answer = await self._line.ask(asked)
            if answer is not None:
                return answer
            await asyncio.sleep(RETRY_CONTESTED_S)
        raise _refusal()

    async def _decide(self, batch: list[Waiting[Asked, bytes | None]]) -> None:
        HOLDS_TOGETHER.observe(len(batch))
        if len(batch) == 1:
            await self._alone(batch[0])
            return
        try:
            async with self._database.connection() as connection:
                verdicts = await areas.gather(
                    connection, [_asked(waiting.ask) for waiting in batch], route=_route(batch)
                )
        except DatabaseBusyError:
            verdicts = {}  # somebody outside has a record of one of them: each alone, so that only that one waits
        left = [waiting for number, waiting in enumerate(batch) if not _settle(waiting, verdicts.get(number))]
        for waiting in left:
            await self._alone(waiting)

    async def _alone(self, waiting: Waiting[Asked, bytes | None]) -> None:
        asked = waiting.ask
        try:
            waiting.answer(await place_hold(self._database, asked.wish, asked.call, trace=asked.trace))
        except DomainError as refusal:
            waiting.refuse(refusal)


def _in_section(wish: Wish) -> Wish:
    """Take a wished section for what it is here, the area: price level and section of its tickets are its name.

    :raises NotEnoughSeatsError: when price level and section name two areas.
    """
    if wish.section is None:
        return wish
    if wish.price_level not in (None, wish.section):
        raise _refusal()
    return msgspec.structs.replace(wish, price_level=wish.section)


def _apart(asked: Asked) -> Iterable[Hashable]:
    yield asked.wish.event_id, asked.wish.user_id
    if asked.call is not None:
        yield asked.call.principal, asked.call.key


def _asked(asked: Asked) -> areas.Asked:
    wish, call = asked.wish, asked.call
    assert wish.quantity is not None
    return areas.Asked(
        event_id=wish.event_id, area=wish.price_level, places=wish.quantity, user_id=wish.user_id,
        order_id=OrderId(uuid7()), key=call.key if call else None, fingerprint=call.fingerprint if call else None,
        trace=asked.trace,
    )  # fmt: skip


def _route(batch: list[Waiting[Asked, bytes | None]]) -> str:
    return next((waiting.ask.call.route for waiting in batch if waiting.ask.call), "")


def _settle(waiting: Waiting[Asked, bytes | None], verdict: tuple[areas.VerdictKind, bytes | None] | None) -> bool:
    """Answer a request as far as the batch decided it; false when it is to be decided alone."""
    if verdict is None:
        return False
    match verdict[0]:
        case "placed" | "contested":
            waiting.answer(verdict[1])
        case "none" if waiting.ask.anywhere:
            return False  # the batch looked at one area for it, and another may have as many
        case "none":
            waiting.refuse(_refusal())
        case "alone":
            return False
    return True


def _refusal() -> DomainError:
    kind, said = holds.REFUSALS["BX007"]
    assert kind is NotEnoughSeatsError
    return kind(said)
