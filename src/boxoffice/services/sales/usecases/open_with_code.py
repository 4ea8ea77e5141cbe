"""Let a customer's hold into the allocation that their access code opens; wrong codes are counted by customer.

A call without a code asks nothing here. What the code opens is looked up by its hash; whether an event or a code is
there, or was, is told to nobody who does not know the code.
"""

import msgspec

from boxoffice.kernel.ids import EventId, SeatId, UserId
from boxoffice.runtime import idempotency
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.runtime.limits import Guesses, Limiter
from boxoffice.services.sales.domain.access_code import digest
from boxoffice.services.sales.domain.allocation import TooManyCodesError, UnknownAccessCodeError
from boxoffice.services.sales.store import allocations
from boxoffice.services.sales.usecases.place_hold import Wish


def code_guesses(limiter: Limiter, *, per_minute: int) -> Guesses:
    """Count wrong codes by customer."""
    return Guesses(
        limiter=limiter, per_minute=per_minute, wrong=UnknownAccessCodeError, too_many=TooManyCodesError,
        said="Wait a moment.",
    )  # fmt: skip


async def open_with_code(
    database: Database, guesses: Guesses, wish: Wish, code: str, call: IdempotentCall | None
) -> Wish:
    """Give the wish with the allocation that the code opens: its seats are offered to it beside everybody's.

    A repeat of a call that succeeded gets its answer though the code was taken back since.

    :raises UnknownAccessCodeError: when the code opens nothing of the event.
    :raises TooManyCodesError: when the customer sent too many such codes.
    """
    async with guesses.guess(_bucket(wish.user_id)):
        try:
            found = await _allocation(database, wish.event_id, code)
        except UnknownAccessCodeError:
            if call is not None and await idempotency.known(database, [call]):
                return wish
            raise
    return msgspec.structs.replace(wish, allocation_id=found)


async def seats_of_code(
    database: Database, guesses: Guesses, event_id: EventId, user_id: UserId, code: str
) -> list[SeatId]:
    """List the free seats of an event that a code opens beside those that are free for everybody.

    :raises UnknownAccessCodeError: when the code opens nothing of the event.
    :raises TooManyCodesError: when the customer sent too many such codes.
    """
    async with guesses.guess(_bucket(user_id)):
        found = await _allocation(database, event_id, code)
    return await allocations.opened_seats(database, event_id, found)


async def _allocation(database: Database, event_id: EventId, code: str) -> int:
    found = await allocations.of_code(database, event_id, digest(code))
    if found is None:
        raise UnknownAccessCodeError("Check it letter by letter, or ask who gave it to you.")
    return found


def _bucket(user_id: UserId) -> str:
    return f"access-code:{user_id}"
