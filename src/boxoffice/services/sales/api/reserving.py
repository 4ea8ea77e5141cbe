"""POST /bookings/reserve as a crowd calls it: before the framework, with the usual headers and a body that can be read.

Whatever is unusual (no token, no length, a body that is not as described) is left to the handler in ``bookings.py``,
which says what is wrong with it.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from boxoffice.kernel.ids import EventId, SeatId
from boxoffice.runtime import web
from boxoffice.runtime.authn import Caller, TokenVerifier
from boxoffice.runtime.hotpaths import Answer, Call, Head, HotPath, reader
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.services.sales.api.parts import Parts, PublicId, call_of
from boxoffice.services.sales.domain.access_code import MAX_TYPED
from boxoffice.services.sales.domain.refusals import NotYourselfError
from boxoffice.services.sales.usecases.open_with_code import open_with_code
from boxoffice.services.sales.usecases.place_hold import Wish

CREATED = 201
PATH = f"{web.API}/bookings/reserve"
ROUTE = "POST /bookings/reserve"
HELD = Head.of(CREATED, cache_control="no-store")


class ReserveBody(web.Model, frozen=True):
    """Chosen seats, or a quantity of our choice; ``userId``, as the seed sends it, must be the caller's.

    ``accessCode`` opens the seats of its allocation to this request, beside those that are for everybody.
    """

    event_id: PublicId
    user_id: UUID | None = None
    ticket_ids: Annotated[list[PublicId], Meta(max_length=100)] | None = None
    quantity: int | None = None
    price_level: Annotated[str, Meta(max_length=200)] | None = None
    section: Annotated[str, Meta(max_length=200)] | None = None
    together: bool = False
    access_code: Annotated[str, Meta(min_length=1, max_length=MAX_TYPED)] | None = None


async def reserved(parts: Parts, data: ReserveBody, caller: Caller, idempotency_key: str | None, body: bytes) -> bytes:
    """Hold what a caller wishes for; returns the answer's body.

    :raises DomainError: what :func:`asked`, the access code or the desk refuses with.
    """
    wish, call = asked(data, caller, idempotency_key, body)
    if data.access_code is not None:
        wish = await open_with_code(parts.database, parts.codes, wish, data.access_code, call)
    return await parts.holds.place(wish, call)


def asked(
    data: ReserveBody, caller: Caller, idempotency_key: str | None, body: bytes
) -> tuple[Wish, IdempotentCall | None]:
    """Read what a caller wishes for, and the call as it is remembered.

    :raises NotYourselfError: when it is for somebody else.
    :raises BadKeyError: when the idempotency key cannot be used.
    """
    if data.user_id is not None and data.user_id != caller.user_id:
        raise NotYourselfError("You can only reserve for yourself.")
    wish = Wish(
        user_id=caller.user_id, event_id=EventId(data.event_id),
        seat_ids=None if data.ticket_ids is None else tuple(SeatId(seat) for seat in data.ticket_ids),
        quantity=data.quantity, price_level=data.price_level, section=data.section,
        together=data.together,
    )  # fmt: skip
    return wish, call_of(caller.user_id, idempotency_key, ROUTE, body)


def hot_path(parts: Callable[[], Parts], verifier: TokenVerifier) -> HotPath:
    """Build the hot path; ``parts`` are asked for at each call, as they are opened later."""
    read = reader(ReserveBody)

    async def reserve(call: Call) -> Answer | None:
        token = call.bearer()
        if token is None:
            return None
        caller = await verifier.caller(token)
        data = read(call.body)
        if data is None:
            return None
        return _held(await reserved(parts(), data, caller, call.header(b"idempotency-key"), call.body))

    def begin(call: Call) -> asyncio.Future[bytes] | None:
        token = call.bearer()
        caller = None if token is None else verifier.known(token)
        if caller is None:
            return None
        data = read(call.body)
        if data is None or data.access_code is not None:
            return None
        return parts().holds.place_at_once(*asked(data, caller, call.header(b"idempotency-key"), call.body))

    return HotPath("POST", PATH, reserve, begin=begin, written=_held)


def _held(body: bytes) -> Answer:
    return Answer(HELD, body)
