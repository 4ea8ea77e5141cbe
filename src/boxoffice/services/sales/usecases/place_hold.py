"""Hold chosen seats, or so many places without seats, all or nothing, in one round trip (reliability section 4.5 R)."""

import asyncio
from random import uniform
from typing import cast

import msgspec

from boxoffice.kernel.ids import EventId, OrderId, SeatId, UserId, event_of
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.runtime.telemetry import current_trace
from boxoffice.runtime.uuids import uuid7
from boxoffice.services.sales.domain.order import MAX_TICKETS_PER_CALL
from boxoffice.services.sales.domain.refusals import (
    BadSelectionError,
    CompanionAloneError,
    NotEnoughSeatsError,
    SeatsTakenError,
    SeatsUnknownError,
)
from boxoffice.services.sales.store import holds

RETRY_CONTESTED_S = 0.02
"""A seat that was only locked, not taken, may be free again once the other's transaction ended; it lasts some ms."""
MOST_RETRIES = 3
"""Two who hold next to each other may meet again: after so many times the buyer is told."""


class Wish(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a customer wants of one event: these seats, or ``quantity`` of our choice.

    ``together``: side by side, or not at all.
    """

    user_id: UserId
    event_id: EventId
    seat_ids: tuple[SeatId, ...] | None = None
    quantity: int | None = None
    price_level: str | None = None
    section: str | None = None
    together: bool = False
    allocation_id: int | None = None

    def check(self) -> None:
        """Refuse what cannot be meant, before the database is asked.

        :raises BadSelectionError: when there are no seats, more than 8, one twice, or both seats and a quantity.
        :raises SeatsUnknownError: when a seat belongs to another event.
        """
        if (self.seat_ids is None) == (self.quantity is None):
            raise BadSelectionError("Send either ticketIds or a quantity.")
        wanted = self.quantity if self.seat_ids is None else len(self.seat_ids)
        if not 1 <= (wanted or 0) <= MAX_TICKETS_PER_CALL:
            raise BadSelectionError(
                f"Between 1 and {MAX_TICKETS_PER_CALL} tickets can be held at once.", most=MAX_TICKETS_PER_CALL
            )
        if self.seat_ids is None:
            return
        if wanted != 1 and len(set(self.seat_ids)) != wanted:
            twice = sorted({seat for seat in self.seat_ids if self.seat_ids.count(seat) > 1})
            raise BadSelectionError("A seat stands twice.", ticketIds=twice)
        foreign = [seat for seat in self.seat_ids if event_of(seat) != self.event_id]
        if foreign:
            foreign.sort()
            raise SeatsUnknownError("Choose seats of this event.", ticketIds=foreign)


async def place_hold(
    database: Database, wish: Wish, call: IdempotentCall | None = None, *, trace: str | None = None
) -> bytes:
    """Hold what is wished for; returns the answer as JSON, byte for byte the same for a repeat of the call.

    :raises DomainError: one of the refusals in ``store/holds.py`` or of :meth:`Wish.check`; nothing is held then.
    """
    wish.check()
    for _ in range(MOST_RETRIES):
        try:
            return await _place(database, wish, call, trace or current_trace())
        except (SeatsTakenError, NotEnoughSeatsError) as refusal:
            if not refusal.contested:
                raise
        except CompanionAloneError as refusal:
            if not _wants(wish, refusal):
                raise
        await pause()
    return await _place(database, wish, call, trace or current_trace())


def _wants(wish: Wish, refusal: CompanionAloneError) -> bool:
    """Whether the wheelchair place that is missing was wished for too: then somebody has only locked it just now."""
    places = cast("list[dict[str, SeatId]]", refusal.context["wheelchairPlaces"])
    return any(place["ticketId"] in (wish.seat_ids or ()) for place in places)


async def pause() -> None:
    """Wait for whoever was at the same seats; not for all the same time, or the same two meet again."""
    await asyncio.sleep(RETRY_CONTESTED_S * uniform(0.5, 1.5))  # noqa: S311 - spreads retries, guards nothing


async def _place(database: Database, wish: Wish, call: IdempotentCall | None, trace: str | None) -> bytes:
    async with database.connection() as connection:
        return await holds.place(
            connection,
            user_id=wish.user_id,
            event_id=wish.event_id,
            seat_ids=None if wish.seat_ids is None else sorted(wish.seat_ids),
            quantity=wish.quantity,
            price_level=wish.price_level,
            together=wish.together,
            order_id=OrderId(uuid7()),
            call=call,
            trace=trace,
            allocation_id=wish.allocation_id,
        )
