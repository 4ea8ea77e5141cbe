"""/tickets and /events/{id}/availability: what is on sale, in which state, and tickets that were bought."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from itertools import chain
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from msgspec import Meta

from boxoffice.kernel.ids import EventId, SeatId, UserId, event_of, seat_id
from boxoffice.kernel.money import BadMoneyError, Money
from boxoffice.runtime import authn, idempotency, web
from boxoffice.runtime.authn import Caller
from boxoffice.runtime.idempotency import Answer
from boxoffice.services.sales.api.parts import (
    JSON,
    LIVE,
    MAX_BIGINT,
    NO_STORE,
    PRIVATE,
    Parts,
    PublicId,
    call_of,
    is_known,
    written,
)
from boxoffice.services.sales.api.views import (
    IssuedTicketView,
    LevelTypesView,
    SeatView,
    issued_ticket_view,
    seat_view,
    seats_json,
    types_view,
)
from boxoffice.services.sales.domain.limited_view import MAX_NOTICE, USUAL_NOTICE, LimitedView
from boxoffice.services.sales.domain.prices import Area, EventSeat, PriceLevel, SeatMatch
from boxoffice.services.sales.domain.refusals import (
    AlreadyOpenError,
    BadPriceLevelsError,
    BadSelectionError,
    BadTicketListError,
    EventNotFoundError,
    NotYourEventError,
    NotYourselfError,
    SeatsTakenError,
    SeatsUnknownError,
)
from boxoffice.services.sales.domain.seat import TicketStatus
from boxoffice.services.sales.domain.ticket_types import MAX_NAME, MOST_TYPES, TicketType
from boxoffice.services.sales.store.terms import EventTerms
from boxoffice.services.sales.usecases.act_for import may_look, may_manage
from boxoffice.services.sales.usecases.block_seats import block_seats
from boxoffice.services.sales.usecases.create_event_seats import (
    ListedSeat,
    create_within,
    general_admission,
    hall_for,
    listed,
    mixed_house,
    terms_for,
    types_of,
)
from boxoffice.services.sales.usecases.read_tickets import (
    MOST_IDS,
    seats_by_ids,
    seats_of_event,
    tag_of_seats,
    tickets_of_user,
    types_of_event,
)

OK, CREATED, NOT_MODIFIED = 200, 201, 304
MAX_LIST_BYTES = 8 * 1024 * 1024
"""A list of 50,000 seats, as the seed sends it."""
Label = Annotated[str, Meta(max_length=200)]
TicketIds = Annotated[
    list[str], QueryParameter(name="ticketIds", description="Ids, repeated or separated by commas; at most 100.")
]


class ListedSeatBody(web.Model, frozen=True):
    """One seat of the seed's list; ``seatId`` is the organiser's own name for it."""

    seat_id: int | Label
    section: Label
    row: Label
    number: Label | int
    price: Decimal


class SeatMatchBody(web.Model, frozen=True):
    """Seats of one section, all rows or those named."""

    section: Label
    rows: list[Label] | None = None


class TicketTypeBody(web.Model, frozen=True):
    """One way of selling a price level's seats: adult, child, … as the organiser names it."""

    name: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
    price: Decimal


class PriceLevelBody(web.Model, frozen=True):
    """A price level; without ``seats`` it takes what is left; ``quantity`` is for general admission.

    With ``ticketTypes`` its seats are held at the first one's price, and the buyer chooses before paying; ``price`` may
    be left out then.
    """

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    price: Decimal | None = None
    ticket_types: Annotated[tuple[TicketTypeBody, ...], Meta(max_length=MOST_TYPES)] = ()
    seats: list[SeatMatchBody] | None = None
    quantity: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class LimitedViewBody(web.Model, frozen=True):
    """Places of a section with a limited view for this event: all rows or those named, all numbers or those named."""

    section: Label
    rows: list[Label] | None = None
    numbers: list[Label] | None = None
    notice: Annotated[str, Meta(min_length=1, max_length=MAX_NOTICE)] = USUAL_NOTICE


class CreateBody(web.Model, frozen=True):
    """What to sell: a seat map by price levels, general admission by quantities, or both in one house."""

    price_levels: Annotated[list[PriceLevelBody], Meta(min_length=1, max_length=100)]
    seat_map_id: PublicId | None = None
    currency: str | None = None
    limited_views: Annotated[tuple[LimitedViewBody, ...], Meta(max_length=1_000)] = ()


class UpdateSeatsBody(web.Model, frozen=True):
    """Event seats to block, or to make available again."""

    ticket_ids: Annotated[list[PublicId], Meta(max_length=10_000)]
    status: Literal["BLOCKED", "AVAILABLE"]


class TicketsController(Controller):
    """Event seats and tickets."""

    path = "/tickets"

    @post(
        "/event/{event_id:int}/create",
        guards=[authn.require(authn.ORGANISER)],
        request_max_body_size=MAX_LIST_BYTES,
        responses={CREATED: ResponseSpec(data_container=list[SeatView], generate_examples=False)},
        opt=web.refuses(
            EventNotFoundError, NotYourEventError, AlreadyOpenError, BadPriceLevelsError, BadTicketListError
        ),
    )
    async def create(
        self,
        caller: Caller,
        parts: Parts,
        event_id: int,
        data: list[ListedSeatBody] | CreateBody,
        body: bytes,
        idempotency_key: web.IdempotencyKey,
    ) -> Response[bytes]:
        """Create the tickets of an event, once: from a seat map, as general admission, or as a list of seats."""
        call = call_of(caller.user_id, idempotency_key, f"POST /tickets/event/{event_id}/create", body)
        event, capacity = await terms_for(
            parts.peers, EventId(event_id), token=caller.token, organisations=may_manage(caller.organisations)
        )
        levels = [] if isinstance(data, list) else [_level(level, event.currency) for level in data.price_levels]
        priced, admission = await _priced(parts, event, capacity, data, levels)
        async with parts.database.transaction() as tx:
            earlier = await idempotency.begin(tx, call)
            if earlier is not None and earlier.status:
                return written(earlier.body, status=CREATED)
            await create_within(tx, event, priced, admission, types_of(levels))
            every = chain(priced, *(area.places() for area in admission))
            created = msgspec.json.encode([_new_seat(event, seat) for seat in every])
            await idempotency.finish(tx, call, Answer(status=CREATED, body=created))
        await parts.houses.tell([event.event_id])
        return written(created, status=CREATED)

    @get(
        "/event/{event_id:int}",
        responses={OK: ResponseSpec(data_container=list[SeatView], generate_examples=False)},
        opt=web.refuses(EventNotFoundError),
    )
    async def of_event(
        self, request: Request[Any, Any, Any], maybe_caller: Caller | None, parts: Parts, event_id: int
    ) -> Response[bytes]:
        """List every ticket of an event with its state now; a draft's for its organisers only."""
        organisations = may_look(maybe_caller.organisations) if maybe_caller else []
        event, tag = await tag_of_seats(parts.database, EventId(event_id), organisations)
        if is_known(request, tag):
            return _cacheable(b"", event, tag, status=NOT_MODIFIED)
        return _cacheable(seats_json(await seats_of_event(parts.database, event.event_id, organisations)), event, tag)

    @get("/event/{event_id:int}/types", opt=web.refuses(EventNotFoundError))
    async def types(self, maybe_caller: Caller | None, parts: Parts, event_id: int) -> list[LevelTypesView]:
        """List the ticket types of an event's price levels; a level without types has one price and is left out."""
        organisations = may_look(maybe_caller.organisations) if maybe_caller else []
        found = await types_of_event(parts.database, EventId(event_id), organisations)
        return [LevelTypesView(price_level=level, ticket_types=types_view(types)) for level, types in found.items()]

    @get("/available-seats", opt=web.refuses(BadSelectionError, SeatsUnknownError))
    async def available(self, parts: Parts, ticket_ids: TicketIds) -> list[SeatView]:
        """List those of the tickets that are available now."""
        shown = [seat_view(record) for record in await seats_by_ids(parts.database, _ids(ticket_ids))]
        return [seat for seat in shown if seat.status == TicketStatus.AVAILABLE]

    @get("/reservation", opt=web.refuses(BadSelectionError, SeatsUnknownError))
    async def reservation(self, parts: Parts, ticket_ids: TicketIds) -> list[SeatView]:
        """List the tickets with their states now; who holds them is nobody's business."""
        return [seat_view(record) for record in await seats_by_ids(parts.database, _ids(ticket_ids))]

    @get("/user/{user_id:uuid}", response_headers=NO_STORE, opt=web.refuses(NotYourselfError))
    async def of_user(self, caller: Caller, parts: Parts, user_id: UUID) -> list[IssuedTicketView]:
        """List one's own tickets, newest first."""
        owned = await tickets_of_user(parts.database, UserId(user_id), caller_id=caller.user_id)
        return [issued_ticket_view(ticket) for ticket in owned]

    @put(
        "/update-seats",
        guards=[authn.require(authn.ORGANISER)],
        opt=web.refuses(BadSelectionError, SeatsUnknownError, EventNotFoundError, NotYourEventError, SeatsTakenError),
    )
    async def update(self, caller: Caller, parts: Parts, data: UpdateSeatsBody) -> list[SeatView]:
        """Block free seats of an event, or make blocked ones available; what is held or sold stays as it is."""
        seat_ids = [SeatId(seat) for seat in data.ticket_ids]
        records = await block_seats(
            parts.database,
            seat_ids=seat_ids,
            organisations=may_manage(caller.organisations),
            blocked=data.status == "BLOCKED",
        )
        await parts.houses.tell({event_of(seat) for seat in seat_ids})
        return [seat_view(record) for record in records]


async def _priced(
    parts: Parts,
    event: EventTerms,
    capacity: int | None,
    data: list[ListedSeatBody] | CreateBody,
    levels: Sequence[PriceLevel],
) -> tuple[list[EventSeat], list[Area]]:
    """Turn a body into priced seats and areas of general admission.

    :raises BadTicketListError: when the list cannot be meant.
    :raises BadPriceLevelsError: when the price levels do not fit.
    """
    if isinstance(data, list):
        listing = [
            ListedSeat(
                seat_id=str(seat.seat_id), section=seat.section, row=seat.row, number=str(seat.number),
                price=_price(seat.price, event.currency, BadTicketListError),
            )
            for seat in data
        ]  # fmt: skip
        return listed(listing), []
    if data.currency is not None and data.currency != event.currency:
        raise BadPriceLevelsError("The event is sold in another currency.", currency=event.currency)
    seat_map_id = data.seat_map_id if data.seat_map_id is not None else event.seat_map_id
    if seat_map_id is None:
        return [], general_admission(levels, capacity)
    views = [
        LimitedView(
            section=view.section, rows=None if view.rows is None else frozenset(view.rows),
            numbers=None if view.numbers is None else frozenset(view.numbers), notice=view.notice,
        )
        for view in data.limited_views
    ]  # fmt: skip
    hall = await hall_for(parts.peers, event, seat_map_id)
    return await asyncio.to_thread(mixed_house, hall, levels, views)


def _level(level: PriceLevelBody, currency: str) -> PriceLevel:
    types = tuple(
        TicketType(name=one.name, price=_price(one.price, currency, BadPriceLevelsError)) for one in level.ticket_types
    )
    if level.price is None and not types:
        raise BadPriceLevelsError("A price level needs a price, or ticket types.", priceLevels=[level.name])
    return PriceLevel(
        name=level.name,
        price=types[0].price if level.price is None else _price(level.price, currency, BadPriceLevelsError),
        types=types,
        seats=None if level.seats is None else tuple(
            SeatMatch(section=match.section, rows=None if match.rows is None else frozenset(match.rows))
            for match in level.seats
        ),
        quantity=level.quantity,
    )  # fmt: skip


def _price(value: Decimal, currency: str, refusal: type[BadTicketListError | BadPriceLevelsError]) -> Money:
    try:
        return Money.parse(value, currency)
    except BadMoneyError as error:
        raise refusal(f"A price cannot be read: {error}.") from error


def _new_seat(event: EventTerms, seat: EventSeat) -> SeatView:
    return SeatView(
        ticket_id=seat_id(event.event_id, seat.place), section=seat.section, row=seat.row, number=seat.number,
        price=seat.price.decimal(), currency=seat.price.currency, price_level=seat.price_level,
        status=TicketStatus.AVAILABLE.value, mark=seat.mark, notice=seat.notice,
    )  # fmt: skip


MOST_DIGITS = len(str(MAX_BIGINT))
"""A longer number is no id; reading one of thousands of digits would only cost time."""


def _ids(given: Sequence[str]) -> list[SeatId]:
    """Read at most one id more than a query may name: enough for the use case to see that there are too many."""
    texts = list(dict.fromkeys(part.strip() for text in given for part in text.split(",") if part.strip()))
    texts = texts[: MOST_IDS + 1]
    if any(len(text) > MOST_DIGITS or not (text.isascii() and text.isdigit()) for text in texts):
        raise BadSelectionError("ticketIds are whole numbers.")
    ids = [int(text) for text in texts]
    if any(found > MAX_BIGINT for found in ids):
        raise BadSelectionError("ticketIds are whole numbers.")
    return [SeatId(found) for found in dict.fromkeys(ids)]


def _cacheable(body: bytes, event: EventTerms, tag: str, *, status: int = OK) -> Response[bytes]:
    headers = {"ETag": f'W/"{tag}"', "Cache-Control": LIVE if event.is_public else PRIVATE}
    return Response(content=body, status_code=status, media_type=JSON, headers=headers)


ROUTES: list[Any] = [TicketsController]
