"""/bookings: reserve, read, confirm, give back, cancel."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, patch, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from msgspec import Meta

from boxoffice.kernel.ids import EventId, OrderId, PaymentId, SeatId, UserId
from boxoffice.runtime import idempotency, web
from boxoffice.runtime.authn import Caller
from boxoffice.runtime.idempotency import Answer, KeyRequiredError, required
from boxoffice.runtime.paging import DEFAULT_PAGE_SIZE, PageSize
from boxoffice.services.sales.api.parts import MAX_BIGINT, NO_STORE, Parts, PublicId, call_of, written
from boxoffice.services.sales.api.reserving import ReserveBody, asked
from boxoffice.services.sales.api.views import BookingPageView, BookingView, HoldView, booking_view, page_view
from boxoffice.services.sales.domain.exchange import MOST_PLACES
from boxoffice.services.sales.domain.refusals import (
    BadAttendeeError,
    BadSelectionError,
    EventNotFoundError,
    ExchangeNeedsPaymentError,
    HoldBudgetSpentError,
    HoldExpiredError,
    LimitReachedError,
    NotEnoughSeatsError,
    NotOnSaleError,
    NotYourEventError,
    NotYourselfError,
    OrderNotFoundError,
    PaymentNeededError,
    SeatsTakenError,
    SeatsUnknownError,
    SingleSeatLeftError,
    TicketNotFoundError,
    TooLateToCancelError,
    TooLateToExchangeError,
    TooLateToNameError,
    WrongOrderStateError,
    WrongPaymentError,
)
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.confirm_for_buyer import confirm_for_buyer
from boxoffice.services.sales.usecases.exchange_tickets import Wish as Exchanged
from boxoffice.services.sales.usecases.exchange_tickets import exchange_tickets
from boxoffice.services.sales.usecases.name_attendees import Named, name_attendees
from boxoffice.services.sales.usecases.read_orders import orders_of_event, orders_of_user, show_order
from boxoffice.services.sales.usecases.release_order import give_back_hold

OK, CREATED = 200, 201
MAX_PAGE_NO = 10_000_000
"""More than anybody has bookings, and its offset still fits the database's integers."""
PageNo = Annotated[int, QueryParameter(name="pageNo", ge=0, le=MAX_PAGE_NO)]
EventFilter = Annotated[
    int | None, QueryParameter(name="eventId", ge=0, le=MAX_BIGINT, description="for the event's organisers")
]


class ConfirmBody(web.Model, frozen=True):
    """The payment that was made; left out for a free booking."""

    payment_id: UUID | None = None


class CancelBody(web.Model, frozen=True):
    """The tickets to cancel, by event seat or by issued ticket; all of them when left out."""

    ticket_ids: Annotated[list[PublicId | UUID], Meta(max_length=1000)] | None = None


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


class BookingsController(Controller):
    """Bookings of the caller, and of the events that the caller organises."""

    path = "/bookings"
    response_headers = NO_STORE

    @post(
        "/reserve",
        responses={CREATED: ResponseSpec(data_container=HoldView, generate_examples=False)},
        opt=web.refuses(
            EventNotFoundError, NotOnSaleError, SeatsTakenError, SeatsUnknownError, LimitReachedError,
            NotEnoughSeatsError, BadSelectionError, NotYourselfError, HoldBudgetSpentError, SingleSeatLeftError,
        ),
    )  # fmt: skip
    async def reserve(
        self, caller: Caller, parts: Parts, data: ReserveBody, body: bytes, idempotency_key: web.IdempotencyKey = None
    ) -> Response[bytes]:
        """Hold seats, all or nothing; 409 names those that somebody else has."""
        wish, call = asked(data, caller, idempotency_key, body)
        answer = await parts.holds.place(wish, call)
        return written(answer, status=CREATED)

    @get("/", opt=web.refuses(EventNotFoundError, NotYourEventError))
    async def listing(
        self,
        caller: Caller,
        parts: Parts,
        page_no: PageNo = 0,
        page_size: PageSize = DEFAULT_PAGE_SIZE,
        event_id: EventFilter = None,
    ) -> BookingPageView:
        """List one's own bookings, or (``eventId``) those of an event that one organises; newest first."""
        offset = page_no * page_size
        if event_id is None:
            shown, total = await orders_of_user(parts.database, caller.user_id, offset=offset, limit=page_size)
        else:
            shown, total = await orders_of_event(
                parts.database, EventId(event_id), caller.organisation_ids(), offset=offset, limit=page_size
            )
        return page_view(shown, page_no=page_no, page_size=page_size, total=total)

    @get("/{booking_id:uuid}", opt=web.refuses(OrderNotFoundError))
    async def read(self, caller: Caller, parts: Parts, booking_id: UUID) -> BookingView:
        """Read one booking."""
        return await _shown(parts, caller, booking_id)

    @put(
        "/confirm/{reservation_id:uuid}",
        opt=web.refuses(OrderNotFoundError, PaymentNeededError, WrongPaymentError, HoldExpiredError),
    )
    async def confirm(self, caller: Caller, parts: Parts, reservation_id: UUID, data: ConfirmBody) -> BookingView:
        """Confirm a booking whose payment was made, or a free one; repeating it gives the same answer."""
        await confirm_for_buyer(
            parts.till,
            order_id=OrderId(reservation_id),
            user_id=caller.user_id,
            payment_id=None if data.payment_id is None else PaymentId(data.payment_id),
        )
        return await _shown(parts, caller, reservation_id)

    @delete("/{booking_id:uuid}/hold", opt=web.refuses(OrderNotFoundError, WrongOrderStateError))
    async def give_back(self, caller: Caller, parts: Parts, booking_id: UUID) -> None:
        """Give held seats back now."""
        async with parts.database.transaction() as tx:
            await give_back_hold(tx, order_id=OrderId(booking_id), user_id=caller.user_id)

    @post(
        "/{booking_id:uuid}/cancel",
        status_code=OK,
        responses={OK: ResponseSpec(data_container=BookingView, generate_examples=False)},
        opt=web.refuses(OrderNotFoundError, WrongOrderStateError, TooLateToCancelError, TicketNotFoundError),
    )
    async def cancel(
        self,
        caller: Caller,
        parts: Parts,
        booking_id: UUID,
        data: CancelBody,
        body: bytes,
        idempotency_key: web.IdempotencyKey = None,
    ) -> Response[bytes]:
        """Cancel a booking or some of its tickets: by the policy shown before paying, or as the event's organiser."""
        call = call_of(caller.user_id, idempotency_key, f"POST /bookings/{booking_id}/cancel", body)
        async with parts.database.transaction() as tx:
            earlier = await idempotency.begin(tx, call)
            if earlier is not None and earlier.status:
                return written(earlier.body, status=OK)
            await cancel_order(
                tx,
                order_id=OrderId(booking_id),
                by=Canceller(user_id=caller.user_id, organisations=caller.organisation_ids()),
                chosen=data.ticket_ids,
            )
            shown = await show_order(tx, OrderId(booking_id), caller.user_id, caller.organisation_ids())
            answer = Answer(status=OK, body=msgspec.json.encode(booking_view(shown)))
            await idempotency.finish(tx, call, answer)
        return written(answer.body, status=OK)

    @post(
        "/{booking_id:uuid}/exchange",
        status_code=OK,
        responses={OK: ResponseSpec(data_container=BookingView, generate_examples=False)},
        opt=web.refuses(
            OrderNotFoundError, WrongOrderStateError, TicketNotFoundError, TooLateToExchangeError, NotOnSaleError,
            SeatsTakenError, SeatsUnknownError, BadSelectionError, SingleSeatLeftError, ExchangeNeedsPaymentError,
            KeyRequiredError,
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
        wish = Exchanged(
            order_id=OrderId(booking_id), user_id=caller.user_id, give=tuple(data.give),
            take=tuple(SeatId(seat) for seat in data.take),
        )  # fmt: skip
        async with parts.database.transaction() as tx:
            earlier = await idempotency.begin(tx, call)
            if earlier is not None and earlier.status:
                return written(earlier.body, status=OK)
            await exchange_tickets(tx, wish, signer=parts.signer)
            shown = await show_order(tx, OrderId(booking_id), caller.user_id, caller.organisation_ids())
            answer = Answer(status=OK, body=msgspec.json.encode(booking_view(shown)))
            await idempotency.finish(tx, call, answer)
        return written(answer.body, status=OK)

    @patch(
        "/{booking_id:uuid}/attendees",
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
        return await _shown(parts, caller, booking_id)


async def _shown(parts: Parts, caller: Caller, booking_id: UUID) -> BookingView:
    user_id = UserId(caller.user_id)
    return booking_view(await show_order(parts.database, OrderId(booking_id), user_id, caller.organisation_ids()))


ROUTES: list[Any] = [BookingsController]
