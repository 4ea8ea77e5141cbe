"""/bookings: reserve, read, confirm, give back, cancel."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from msgspec import Meta

from boxoffice.kernel.ids import EventId, OrderId, UserId
from boxoffice.runtime import idempotency, web
from boxoffice.runtime.authn import Caller
from boxoffice.runtime.idempotency import Answer
from boxoffice.runtime.paging import DEFAULT_PAGE_SIZE, PageSize
from boxoffice.services.sales.api.parts import MAX_BIGINT, NO_STORE, Parts, PublicId, call_of, written
from boxoffice.services.sales.api.paying import ConfirmBody, confirmed
from boxoffice.services.sales.api.reserving import ReserveBody, reserved
from boxoffice.services.sales.api.views import BookingPageView, BookingView, HoldView, booking_view, page_view
from boxoffice.services.sales.domain.allocation import TooManyCodesError, UnknownAccessCodeError
from boxoffice.services.sales.domain.refusals import (
    BadSelectionError,
    CompanionAloneError,
    EventNotFoundError,
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
    WrongOrderStateError,
    WrongPaymentError,
)
from boxoffice.services.sales.usecases.act_for import may_sell
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.read_orders import orders_of_event, orders_of_user, show_order
from boxoffice.services.sales.usecases.release_order import give_back_hold

OK, CREATED = 200, 201
MAX_PAGE_NO = 10_000_000
"""More than anybody has bookings, and its offset still fits the database's integers."""
PageNo = Annotated[int, QueryParameter(name="pageNo", ge=0, le=MAX_PAGE_NO)]
EventFilter = Annotated[
    int | None, QueryParameter(name="eventId", ge=0, le=MAX_BIGINT, description="for the event's organisers")
]


class CancelBody(web.Model, frozen=True):
    """The tickets to cancel, by event seat or by issued ticket; all of them when left out."""

    ticket_ids: Annotated[list[PublicId | UUID], Meta(max_length=1000)] | None = None


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
            CompanionAloneError, UnknownAccessCodeError, TooManyCodesError,
        ),
    )  # fmt: skip
    async def reserve(
        self, caller: Caller, parts: Parts, data: ReserveBody, body: bytes, idempotency_key: web.IdempotencyKey = None
    ) -> Response[bytes]:
        """Hold seats, all or nothing; 409 names those that somebody else has, or that would be left single.

        With ``quantity`` the best available ones are chosen, nearest to the focus of the map. What is tried, in this
        order, and told as ``arrangement``: ``together`` side by side, leaving nobody a single seat;
        ``together_leaving_one`` where that cannot be avoided; ``two_rows`` one behind the other; ``pairs`` near each
        other; ``split`` in as few groups as possible. With ``together`` only the first two. ``priceLevel`` and
        ``section`` are conditions and are never widened. Wheelchair places and companions' seats are held by
        ``ticketIds`` only. Of general admission the first places of an area. With ``accessCode`` the seats that are set
        aside for it are open too, chosen or of our choice.
        """
        answer = await reserved(parts, data, caller, idempotency_key, body)
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
                parts.database, EventId(event_id), may_sell(caller.organisations), offset=offset, limit=page_size
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
        return booking_view(await confirmed(parts, caller, reservation_id, data))

    @delete("/{booking_id:uuid}/hold", opt=web.refuses(OrderNotFoundError, WrongOrderStateError))
    async def give_back(self, caller: Caller, parts: Parts, booking_id: UUID) -> None:
        """Give held seats back now."""
        async with parts.database.transaction() as tx:
            await give_back_hold(tx, order_id=OrderId(booking_id), user_id=caller.user_id)

    @post(
        "/{booking_id:uuid}/cancel",
        status_code=OK,
        responses={OK: ResponseSpec(data_container=BookingView, generate_examples=False)},
        opt=web.refuses(
            OrderNotFoundError, WrongOrderStateError, TooLateToCancelError, TicketNotFoundError, CompanionAloneError
        ),
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
                by=Canceller(user_id=caller.user_id, organisations=may_sell(caller.organisations)),
                chosen=data.ticket_ids,
            )
            shown = await show_order(tx, OrderId(booking_id), caller.user_id, may_sell(caller.organisations))
            answer = Answer(status=OK, body=msgspec.json.encode(booking_view(shown)))
            await idempotency.finish(tx, call, answer)
        return written(answer.body, status=OK)


async def _shown(parts: Parts, caller: Caller, booking_id: UUID) -> BookingView:
    user_id = UserId(caller.user_id)
    return booking_view(await show_order(parts.database, OrderId(booking_id), user_id, may_sell(caller.organisations)))


ROUTES: list[Any] = [BookingsController]
