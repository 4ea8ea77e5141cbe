"""Let a customer's hold into the allocation that their access code opens; wrong codes are counted by customer.

A call without a code asks nothing here. What the code opens is looked up by its hash; whether an event or a code is
there, or was, is told to nobody who does not know the code.
"""

from dataclasses import dataclass

import msgspec

from boxoffice.kernel.ids import EventId, SeatId, UserId
from boxoffice.runtime import idempotency
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.runtime.limits import Limiter, Rate
from boxoffice.services.sales.domain.access_code import digest
from boxoffice.services.sales.domain.allocation import TooManyCodesError, UnknownAccessCodeError
from boxoffice.services.sales.store import allocations
from boxoffice.services.sales.usecases.place_hold import Wish

SECONDS_A_MINUTE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeAttempts:
    """Counts wrong codes by customer; 0 a minute means that nobody counts. A right code never uses the budget up."""

    limiter: Limiter
    per_minute: int

    @property
    def rate(self) -> Rate:
        """The wrong codes that one customer may send."""
        return Rate(per_second=self.per_minute / SECONDS_A_MINUTE, burst=self.per_minute)

    async def check(self, user_id: UserId) -> None:
        """Let an attempt pass.

        :raises TooManyCodesError: when the customer sent too many wrong codes.
        """
        if self.per_minute > 0:
            verdict = await self.limiter.look(_bucket(user_id), self.rate)
            if not verdict.allowed:
                raise TooManyCodesError("Wait a moment.", retryAfterSeconds=int(verdict.wait_s) + 1)

    async def failed(self, user_id: UserId) -> None:
        """Count a wrong code."""
        if self.per_minute > 0:
            await self.limiter.take(_bucket(user_id), self.rate)


async def open_with_code(
    database: Database, attempts: CodeAttempts, wish: Wish, code: str, call: IdempotentCall | None
) -> Wish:
    """Give the wish with the allocation that the code opens: its seats are offered to it beside everybody's.

    A repeat of a call that succeeded gets its answer though the code was taken back since.

    :raises UnknownAccessCodeError: when the code opens nothing of the event.
    :raises TooManyCodesError: when the customer sent too many such codes.
    """
    try:
        found = await _allocation(database, attempts, wish.event_id, wish.user_id, code)
    except UnknownAccessCodeError:
        if call is not None and await idempotency.known(database, [call]):
            return wish
        await attempts.failed(wish.user_id)
        raise
    return msgspec.structs.replace(wish, allocation_id=found)


async def seats_of_code(
    database: Database, attempts: CodeAttempts, event_id: EventId, user_id: UserId, code: str
) -> list[SeatId]:
    """List the free seats of an event that a code opens beside those that are free for everybody.

    :raises UnknownAccessCodeError: when the code opens nothing of the event.
    :raises TooManyCodesError: when the customer sent too many such codes.
    """
    try:
        found = await _allocation(database, attempts, event_id, user_id, code)
    except UnknownAccessCodeError:
        await attempts.failed(user_id)
        raise
    return await allocations.opened_seats(database, event_id, found)


async def _allocation(database: Database, attempts: CodeAttempts, event_id: EventId, user_id: UserId, code: str) -> int:
    await attempts.check(user_id)
    found = await allocations.of_code(database, event_id, digest(code))
    if found is None:
        raise UnknownAccessCodeError("Check it letter by letter, or ask who gave it to you.")
    return found


def _bucket(user_id: UserId) -> str:
    return f"access-code:{user_id}"
