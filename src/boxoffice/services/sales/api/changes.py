"""/bookings/{id}: choose ticket types, exchange tickets, name who comes, ask for a little more time."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, patch, post
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Meta

from boxoffice.kernel.ids import OrderId, SeatId
from boxoffice.runtime import idempotency, web
from boxoffice.runtime.authn import Caller
from boxoffice.runtime.database import Connection
from boxoffice.runtime.idempotency import Answer, IdempotentCall, KeyRequiredError, required
from boxoffice.services.sales.api.parts import MAX_BIGINT, NO_STORE, Parts, PublicId, call_of, written
from boxoffice.services.sales.api.views import BookingView, booking_view
from boxoffice.services.sales.domain.exchange import MOST_PLACES
from boxoffice.services.sales.domain.refusals import (
    AlreadyExtendedError,
    BadAttendeeError,
    BadSelectionError,
    CompanionAloneError,
    ExchangeNeedsPaymentError,
    HoldBudgetSpentError,
    HoldExpiredError,
    NotOnSaleError,
    OrderNotFoundError,
    SaleHaltedError,
    SeatsTakenError,
    SeatsUnknownError,
    SingleSeatLeftError,
    TicketNotFoundError,
    TicketTypeNotOfferedError,
    TooLateToExchangeError,
    TooLateToNameError,
    WrongOrderStateError,
)
from boxoffice.services.sales.usecases.act_for import may_sell
from boxoffice.services.sales.usecases.choose_ticket_types import choose_ticket_types
from boxoffice.services.sales.usecases.exchange_tickets import Wish, exchange_tickets
from boxoffice.services.sales.usecases.extend_hold import extend_hold
from boxoffice.services.sales.usecases.name_attendees import Named, name_attendees
from boxoffice.services.sales.usecases.read_orders import show_order

OK = 200
MOST_DIGITS = len(str(MAX_BIGINT))
"""A longer number is no id; reading one of thousands of digits would only cost time."""
SHOWN = {OK: ResponseSpec(data_container=BookingView, generate_examples=False)}


class ExchangeBody(web.Model, frozen=True):
    """Tickets to give, by event seat or by issued ticket, and as many event seats to take for them, in that order."""

    give: Annotated[list[PublicId | UUID], Meta(min_length=1, max_length=MOST_PLACES)]
    take: Annotated[list[PublicId], Meta(min_length=1, max_length=MOST_PLACES)]


class AttendeeBody(web.Model, frozen=True):
    """Who comes with a ticket, named by event seat or by issued ticket; without a name, nobody in particular."""

    ticket_id: PublicId | UUID
    name: Annotated[str, Meta(max_length=1_000)] | None = None
    email: Annotated[str, Meta(max_length=1_000)] | None = None


class AttendeesBody(web.Model, frozen=True):
    """Who comes; tickets that are left out stay as they are."""

    attendees: Annotated[list[AttendeeBody], Meta(min_length=1, max_length=MOST_PLACES)]


class TicketTypesBody(web.Model, frozen=True):
    """What places of a held booking are to be sold as, by event seat; those left out stay as they are."""

    ticket_types: Annotated[dict[str, Annotated[str, Meta(max_length=200)]], Meta(max_length=MOST_PLACES)]


class ChangesController(Controller):
    """Changes of one's own bookings."""

    path = "/bookings/{booking_id:uuid}"
    response_headers = NO_STORE

    @post(
        "/exchange",
        status_code=OK,
        responses=SHOWN,
        opt=web.refuses(
            OrderNotFoundError, WrongOrderStateError, TicketNotFoundError, TooLateToExchangeError, NotOnSaleError,
            SaleHaltedError, SeatsTakenError, SeatsUnknownError, BadSelectionError, SingleSeatLeftError,
            CompanionAloneError,             ExchangeNeedsPaymentError, KeyRequiredError,
        ),
    )  # fmt: skip
    async def exchange(
        self,
        caller: Caller,
        parts: Parts,
        booking_id: UUID,
        data: ExchangeBody,
        body: bytes,
        idempotency_key: web.IdempotencyKey = None,
    ) -> Response[bytes]:
        """Give tickets of a booking for other seats of its event, in one step: all of it, or nothing changes.

        What the new seats cost less goes back by the booking's refund policy; seats that cost more are refused (402).
        """
        call = required(call_of(caller.user_id, idempotency_key, f"POST /bookings/{booking_id}/exchange", body))
        wish = Wish(
            order_id=OrderId(booking_id), user_id=caller.user_id, give=tuple(data.give),
            take=tuple(SeatId(seat) for seat in data.take),
        )  # fmt: skip
        return await _once(parts, caller, booking_id, call, lambda tx: exchange_tickets(tx, wish, signer=parts.signer))

    @post(
        "/extend",
        status_code=OK,
        responses=SHOWN,
        opt=web.refuses(
            OrderNotFoundError, WrongOrderStateError, HoldExpiredError, AlreadyExtendedError, HoldBudgetSpentError,
            KeyRequiredError,
        ),
    )  # fmt: skip
    async def extend(
        self,
        caller: Caller,
        parts: Parts,
        booking_id: UUID,
        body: bytes,
        idempotency_key: web.IdempotencyKey = None,
    ) -> Response[bytes]:
        """Keep held seats five minutes longer, once, counted from when the first of them was held.

        All open holds of the event share one clock, so they all get the time.
        """
        call = required(call_of(caller.user_id, idempotency_key, f"POST /bookings/{booking_id}/extend", body))
        return await _once(
            parts, caller, booking_id, call,
            lambda tx: extend_hold(tx, order_id=OrderId(booking_id), user_id=caller.user_id),
        )  # fmt: skip

    @patch(
        "/ticket-types",
        opt=web.refuses(
            OrderNotFoundError, WrongOrderStateError, HoldExpiredError, TicketNotFoundError, TicketTypeNotOfferedError
        ),
    )
    async def types(self, caller: Caller, parts: Parts, booking_id: UUID, data: TicketTypesBody) -> BookingView:
        """Choose the ticket types (adult, child, …) of a held booking, before paying; its total changes with them.

        Repeating it changes nothing.
        """
        wished = _wished(data.ticket_types)
        async with parts.database.transaction() as tx:
            await choose_ticket_types(tx, order_id=OrderId(booking_id), user_id=caller.user_id, wished=wished)
        return booking_view(
            await show_order(parts.database, OrderId(booking_id), caller.user_id, may_sell(caller.organisations))
        )

    @patch(
        "/attendees",
        opt=web.refuses(
            OrderNotFoundError, WrongOrderStateError, TicketNotFoundError, TooLateToNameError, BadAttendeeError
        ),
    )
    async def attendees(self, caller: Caller, parts: Parts, booking_id: UUID, data: AttendeesBody) -> BookingView:
        """Name who comes with tickets of one's booking, until an hour before the start; without a name: take it back.

        Names are on the ticket and its PDF, never in its barcode.
        """
        named = [Named(ticket=one.ticket_id, name=one.name, email=one.email) for one in data.attendees]
        async with parts.database.transaction() as tx:
            await name_attendees(tx, order_id=OrderId(booking_id), user_id=caller.user_id, named=named)
        return booking_view(
            await show_order(parts.database, OrderId(booking_id), caller.user_id, may_sell(caller.organisations))
        )


def _wished(types: Mapping[str, str]) -> dict[SeatId, str]:
    """Read the event seats of a choice; a name that is no number is none of anybody's."""
    foreign = sorted(name for name in types if not (name.isascii() and name.isdigit() and len(name) <= MOST_DIGITS))
    if foreign:
        raise TicketNotFoundError("These are no tickets of this booking.", ticketIds=foreign[:MOST_PLACES])
    return {SeatId(int(name)): wished for name, wished in types.items()}


async def _once(
    parts: Parts,
    caller: Caller,
    booking_id: UUID,
    call: IdempotentCall,
    change: Callable[[Connection], Awaitable[object]],
) -> Response[bytes]:
    """Change a booking and answer with it, once for a key: change, answer and key commit together (I10)."""
    async with parts.database.transaction() as tx:
        earlier = await idempotency.begin(tx, call)
        if earlier is not None and earlier.status:
            return written(earlier.body, status=OK)
        await change(tx)
        shown = await show_order(tx, OrderId(booking_id), caller.user_id, may_sell(caller.organisations))
        answer = Answer(status=OK, body=msgspec.json.encode(booking_view(shown)))
        await idempotency.finish(tx, call, answer)
    return written(answer.body, status=OK)


ROUTES: list[Any] = [ChangesController]
