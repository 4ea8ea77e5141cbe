"""/events: create, list, read, change, publish, reschedule, cancel, delete."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, post, put
from litestar.params import QueryParameter

from boxoffice.contracts.http.catalog import EventAnswer
from boxoffice.runtime import idempotency, web
from boxoffice.runtime.authn import ORGANISER, Caller, require
from boxoffice.runtime.database import Connection
from boxoffice.runtime.paging import DEFAULT_PAGE_SIZE, PageNo, PageSize, paging
from boxoffice.services.catalog.api.parts import (
    PRIVATE,
    PUBLIC,
    AnyRequest,
    BodyId,
    Id,
    IfMatch,
    Name,
    Parts,
    Text,
    Time,
    Word,
    cacheable,
    etag_of,
    etag_of_page,
    expected,
    once,
)
from boxoffice.services.catalog.api.views import EventsView, event_view
from boxoffice.services.catalog.domain import instants
from boxoffice.services.catalog.domain import refusals as no
from boxoffice.services.catalog.domain.event import (
    MAX_CANCEL_HOURS,
    MAX_CAPACITY,
    MAX_HOLD_MINUTES,
    MAX_LIMIT_PER_CUSTOMER,
    State,
    Work,
)
from boxoffice.services.catalog.store import events
from boxoffice.services.catalog.usecases import change_event as changing
from boxoffice.services.catalog.usecases import move_event as moving
from boxoffice.services.catalog.usecases.act_for import act_for, may_change
from boxoffice.services.catalog.usecases.create_event import create_event
from boxoffice.services.catalog.usecases.describe_event import Wish

MAX_WORKS = 500
MAX_SOLOISTS = 200


class RefundPolicyBody(web.Model, frozen=True):
    """Until how many hours before the start a buyer may cancel, and what share is paid back."""

    cancel_until_hours: Annotated[int, msgspec.Meta(ge=0, le=MAX_CANCEL_HOURS)] = 24
    refund_percent: Annotated[int, msgspec.Meta(ge=0, le=100)] = 100


class WorkBody(web.Model, frozen=True):
    """One work of the programme."""

    title: Word | None = None
    composer: Word | None = None
    conductor: Word | None = None
    soloists: Annotated[tuple[Word, ...], msgspec.Meta(max_length=MAX_SOLOISTS)] = ()
    movement: Word | None = None
    intermission: bool = False


class EventBody(web.Model, frozen=True):
    """An event. ``availableSeats`` is the capacity of one without a seat map.

    In a change, the optional parts behind ``categoryId`` keep their value when they are left out.
    """

    name: Name
    start_time: Time
    end_time: Time
    venue_id: BodyId
    description: Text = ""
    available_seats: Annotated[int, msgspec.Meta(ge=0, le=MAX_CAPACITY)] | None = None
    category_id: BodyId | None = None
    on_sale_at: Time | msgspec.UnsetType | None = msgspec.UNSET
    off_sale_at: Time | msgspec.UnsetType | None = msgspec.UNSET
    seat_map_id: BodyId | msgspec.UnsetType | None = msgspec.UNSET
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] | None = None
    limit_per_customer: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT_PER_CUSTOMER)] | None = None
    hold_minutes: Annotated[int, msgspec.Meta(ge=1, le=MAX_HOLD_MINUTES)] | None = None
    refund_policy: RefundPolicyBody | None = None
    programme: Annotated[tuple[WorkBody, ...], msgspec.Meta(max_length=MAX_WORKS)] | msgspec.UnsetType = msgspec.UNSET
    no_single_seats: (
        Annotated[bool, msgspec.Meta(description="Buyers may not leave a single free seat behind; on unless said.")]
        | None
    ) = None
    organisation_id: UUID | None = None


class RescheduleBody(web.Model, frozen=True):
    """The new times."""

    start_time: Time
    end_time: Time


CANNOT_BE = (
    no.BadEventError,
    no.BadTimeError,
    no.UnknownVenueError,
    no.UnknownCategoryError,
    no.UnknownSeatMapError,
)


class EventsController(Controller):
    """Events: anybody reads what is published, an organisation's owners and managers write."""

    path = "/events"

    @post(
        "/",
        guards=[require(ORGANISER)],
        opt=web.refuses(
            *CANNOT_BE, no.OrganisationNotYoursError, no.OrganisationNeededError, idempotency.KeyReusedError
        ),
    )
    async def create(
        self, request: AnyRequest, caller: Caller, parts: Parts, data: EventBody, key: web.IdempotencyKey = None
    ) -> Response[EventAnswer]:
        """Create an event as a draft, which only its organisation sees."""

        async def work(tx: Connection) -> EventAnswer:
            organisation = act_for(caller.organisations, data.organisation_id)
            made = await create_event(tx, wish_of(data), organisation=organisation, defaults=parts.defaults)
            return event_view(made)

        return await once(request, parts, caller, key, work, status=201)

    @get("/", opt=web.refuses(no.BadTimeError))
    async def list_them(
        self,
        *,
        request: AnyRequest,
        maybe_caller: Caller | None,
        parts: Parts,
        q: Annotated[
            str, QueryParameter(max_length=200, description="Beginnings of words of event, venue or category.")
        ] = "",
        status: State | None = None,
        venue: Annotated[int | None, QueryParameter(name="venueId", ge=1, le=2**53)] = None,
        category: Annotated[int | None, QueryParameter(name="categoryId", ge=1, le=2**53)] = None,
        organisation: Annotated[UUID | None, QueryParameter(name="organisationId")] = None,
        date_from: Annotated[str | None, QueryParameter(name="dateFrom", max_length=40)] = None,
        date_to: Annotated[str | None, QueryParameter(name="dateTo", max_length=40, description="Exclusive.")] = None,
        sort_dir: Annotated[str, QueryParameter(name="sortDir", pattern="^(asc|desc)$")] = "asc",
        page_no: PageNo = 0,
        page_size: PageSize = DEFAULT_PAGE_SIZE,
    ) -> Response[EventsView]:
        """List events by their start. Members also see the drafts of their organisations."""
        chosen = events.Filters(
            organisations=list(maybe_caller.organisations) if maybe_caller else [],
            status=status, venue_id=venue, category_id=category, organisation_id=organisation,
            starts_from=instants.read(date_from, parts.time_zone) if date_from else None,
            starts_before=instants.read(date_to, parts.time_zone) if date_to else None, words=events.words_of(q),
        )  # fmt: skip
        found, total = await events.page(
            parts.database, chosen, falling=sort_dir == "desc", limit=page_size, offset=page_no * page_size
        )
        return cacheable(
            request,
            etag_of_page(((event.id, event.version, event.on_sale) for event in found), total),
            lambda: EventsView(events=[event_view(event) for event in found], **paging(total, page_no, page_size)),
            keep=PRIVATE if maybe_caller else PUBLIC,
        )

    @get("/{event_id:int}", opt=web.refuses(no.EventNotFoundError))
    async def read(
        self, request: AnyRequest, maybe_caller: Caller | None, parts: Parts, event_id: Id
    ) -> Response[EventAnswer]:
        """Read an event. A draft is there for its organisation only."""
        own = list(maybe_caller.organisations) if maybe_caller else []
        event = await events.find(parts.database, event_id, own)
        if event is None:
            raise no.EventNotFoundError("There is no such event.", eventId=event_id)
        return cacheable(
            request,
            etag_of(event.version, on_sale=event.on_sale),
            lambda: event_view(event),
            keep=PRIVATE if event.state is State.DRAFT else PUBLIC,
        )

    @put(
        "/{event_id:int}",
        guards=[require(ORGANISER)],
        opt=web.refuses(
            *CANNOT_BE,
            no.EventNotFoundError,
            no.MoveRefusedError,
            no.FrozenError,
            no.ChangedMeanwhileError,
            no.BadPreconditionError,
        ),
    )
    async def change(
        self, request: AnyRequest, caller: Caller, parts: Parts, event_id: Id, data: EventBody, if_match: IfMatch = None
    ) -> Response[EventAnswer]:
        """Change an event. A published one keeps its times, venue, seat map and currency."""

        async def work(tx: Connection) -> EventAnswer:
            changed = await changing.change_event(
                tx, event_id, wish_of(data), organisations=may_change(caller.organisations),
                organisation=data.organisation_id, defaults=parts.defaults, expected_version=expected(if_match),
            )  # fmt: skip
            return event_view(changed)

        return await once(request, parts, caller, None, work)

    @delete(
        "/{event_id:int}",
        guards=[require(ORGANISER)],
        opt=web.refuses(no.EventNotFoundError, no.MoveRefusedError),
    )
    async def remove(self, caller: Caller, parts: Parts, event_id: Id) -> None:
        """Delete a draft. What was published is cancelled instead."""
        async with parts.database.transaction() as tx:
            await moving.delete_event(tx, event_id, organisations=may_change(caller.organisations))

    @post(
        "/{event_id:int}/publish",
        status_code=200,
        guards=[require(ORGANISER)],
        opt=web.refuses(no.EventNotFoundError, no.MoveRefusedError, idempotency.KeyReusedError),
    )
    async def publish(
        self, request: AnyRequest, caller: Caller, parts: Parts, event_id: Id, key: web.IdempotencyKey = None
    ) -> Response[EventAnswer]:
        """Publish a draft: everybody sees it, and it goes on sale when its terms say."""

        async def work(tx: Connection) -> EventAnswer:
            own = may_change(caller.organisations)
            return event_view(await moving.publish_event(tx, event_id, organisations=own))

        return await once(request, parts, caller, key, work)

    @post(
        "/{event_id:int}/cancel",
        status_code=200,
        guards=[require(ORGANISER)],
        opt=web.refuses(no.EventNotFoundError, no.MoveRefusedError, idempotency.KeyReusedError),
    )
    async def cancel(
        self, request: AnyRequest, caller: Caller, parts: Parts, event_id: Id, key: web.IdempotencyKey = None
    ) -> Response[EventAnswer]:
        """Cancel a published event. Its tickets are voided and refunded."""

        async def work(tx: Connection) -> EventAnswer:
            own = may_change(caller.organisations)
            return event_view(await moving.cancel_event(tx, event_id, organisations=own))

        return await once(request, parts, caller, key, work)

    @post(
        "/{event_id:int}/reschedule",
        status_code=200,
        guards=[require(ORGANISER)],
        opt=web.refuses(
            no.EventNotFoundError,
            no.MoveRefusedError,
            no.BadEventError,
            no.BadTimeError,
            idempotency.KeyReusedError,
        ),
    )
    async def reschedule(
        self,
        request: AnyRequest,
        caller: Caller,
        parts: Parts,
        event_id: Id,
        data: RescheduleBody,
        key: web.IdempotencyKey = None,
    ) -> Response[EventAnswer]:
        """Move a published event to other times, and tell everybody who should know."""

        async def work(tx: Connection) -> EventAnswer:
            moved = await moving.reschedule_event(
                tx, event_id, start_time=data.start_time, end_time=data.end_time,
                organisations=may_change(caller.organisations),
            )  # fmt: skip
            return event_view(moved)

        return await once(request, parts, caller, key, work)


def wish_of(data: EventBody) -> Wish:
    """Read a body; what it leaves out is named, so that a change can keep it."""
    optional = ("on_sale_at", "off_sale_at", "seat_map_id", "programme")
    plain = ("currency", "limit_per_customer", "hold_minutes", "no_single_seats")
    left_out = {name for name in optional if getattr(data, name) is msgspec.UNSET}
    left_out |= {name for name in plain if getattr(data, name) is None}
    if data.refund_policy is None:
        left_out |= {"cancel_until_hours", "refund_percent"}
    policy = data.refund_policy
    return Wish(
        name=data.name, description=data.description, start_time=data.start_time, end_time=data.end_time,
        venue_id=data.venue_id, category_id=data.category_id, capacity=data.available_seats,
        on_sale_at=_given(data.on_sale_at), off_sale_at=_given(data.off_sale_at),
        seat_map_id=None if isinstance(data.seat_map_id, msgspec.UnsetType) else data.seat_map_id,
        currency=data.currency, limit_per_customer=data.limit_per_customer, hold_minutes=data.hold_minutes,
        cancel_until_hours=policy.cancel_until_hours if policy else None,
        refund_percent=policy.refund_percent if policy else None,
        programme=() if isinstance(data.programme, msgspec.UnsetType) else tuple(map(_work, data.programme)),
        no_single_seats=data.no_single_seats, left_out=frozenset(left_out),
    )  # fmt: skip


def _given(text: str | msgspec.UnsetType | None) -> str | None:
    return None if isinstance(text, msgspec.UnsetType) else text


def _work(work: WorkBody) -> Work:
    return Work(
        title=work.title, composer=work.composer, conductor=work.conductor, soloists=work.soloists,
        movement=work.movement, intermission=work.intermission,
    )  # fmt: skip
