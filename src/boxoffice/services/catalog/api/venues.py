"""/venues and /seat-maps."""

from typing import Annotated, cast
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, post, put
from litestar.params import QueryParameter

from boxoffice.contracts.hall import Hall
from boxoffice.contracts.http.catalog import SeatMapAnswer, VenueAnswer
from boxoffice.runtime import idempotency, web
from boxoffice.runtime.authn import ORGANISER, Caller, require
from boxoffice.runtime.database import Connection
from boxoffice.runtime.paging import DEFAULT_PAGE_SIZE, PageNo, PageSize, paging
from boxoffice.services.catalog.api.parts import (
    FOR_EVER,
    PUBLIC,
    AnyRequest,
    Id,
    IfMatch,
    Name,
    Parts,
    Text,
    Word,
    cacheable,
    etag_of,
    etag_of_page,
    expected,
    once,
)
from boxoffice.services.catalog.api.views import SeatMapView, VenuesView, venue_view
from boxoffice.services.catalog.domain import refusals as no
from boxoffice.services.catalog.domain.event import MAX_CAPACITY
from boxoffice.services.catalog.store import seat_maps, venues
from boxoffice.services.catalog.store.venues import Particulars
from boxoffice.services.catalog.usecases import keep_venues as keeping
from boxoffice.services.catalog.usecases.act_for import act_for, may_change
from boxoffice.services.catalog.usecases.add_seat_map import MAX_BYTES, add_seat_map


class VenueBody(web.Model, frozen=True):
    """A venue. ``location`` is an address or a map's URL; it is kept, never fetched."""

    name: Name
    location: Word
    total_seats: Annotated[int, msgspec.Meta(ge=0, le=MAX_CAPACITY)]
    description: Text = ""
    time_zone: Word | None = None
    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)] | None = None
    city: Word | None = None
    region: Word | None = None
    country: Word | None = None
    organisation_id: UUID | None = None

    def particulars(self, default_zone: str) -> Particulars:
        """Say what is said of the venue.

        :raises BadVenueError: when it has one coordinate without the other.
        """
        if (self.latitude is None) != (self.longitude is None):
            raise no.BadVenueError("Send latitude and longitude, or neither.", field="latitude")
        return Particulars(
            name=self.name.strip(), description=self.description, location=self.location,
            total_seats=self.total_seats, time_zone=self.time_zone or default_zone, latitude=self.latitude,
            longitude=self.longitude, city=self.city, region=self.region, country=self.country,
        )  # fmt: skip


class VenuesController(Controller):
    """Venues: anybody reads, an organisation's owners and managers write."""

    path = "/venues"

    @post(
        "/",
        guards=[require(ORGANISER)],
        opt=web.refuses(
            no.BadVenueError,
            no.UnknownZoneError,
            no.OrganisationNotYoursError,
            no.OrganisationNeededError,
            idempotency.KeyReusedError,
        ),
    )
    async def create(
        self, request: AnyRequest, caller: Caller, parts: Parts, data: VenueBody, key: web.IdempotencyKey = None
    ) -> Response[VenueAnswer]:
        """Create a venue."""

        async def work(tx: Connection) -> VenueAnswer:
            organisation = act_for(caller.organisations, data.organisation_id)
            made = await keeping.create_venue(tx, data.particulars(parts.time_zone), organisation=organisation)
            return venue_view(made)

        return await once(request, parts, caller, key, work, status=201)

    @get("/")
    async def list_them(
        self,
        request: AnyRequest,
        parts: Parts,
        organisation: Annotated[UUID | None, QueryParameter(name="organisationId")] = None,
        page_no: PageNo = 0,
        page_size: PageSize = DEFAULT_PAGE_SIZE,
    ) -> Response[VenuesView]:
        """List venues."""
        found, total = await venues.page(parts.database, organisation, limit=page_size, offset=page_no * page_size)
        return cacheable(
            request,
            etag_of_page(((venue.id, venue.version) for venue in found), total),
            lambda: VenuesView(venues=[venue_view(venue) for venue in found], **paging(total, page_no, page_size)),
            keep=PUBLIC,
        )

    @get("/{venue_id:int}", opt=web.refuses(no.VenueNotFoundError))
    async def read(self, request: AnyRequest, parts: Parts, venue_id: Id) -> Response[VenueAnswer]:
        """Read a venue."""
        venue = await venues.find(parts.database, venue_id)
        if venue is None:
            raise no.VenueNotFoundError("There is no such venue.", venueId=venue_id)
        return cacheable(request, etag_of(venue.version), lambda: venue_view(venue), keep=PUBLIC)

    @put(
        "/{venue_id:int}",
        guards=[require(ORGANISER)],
        opt=web.refuses(
            no.VenueNotFoundError,
            no.BadVenueError,
            no.UnknownZoneError,
            no.ChangedMeanwhileError,
            no.BadPreconditionError,
        ),
    )
    async def change(
        self, request: AnyRequest, caller: Caller, parts: Parts, venue_id: Id, data: VenueBody, if_match: IfMatch = None
    ) -> Response[VenueAnswer]:
        """Change a venue; its events tell of it."""

        async def work(tx: Connection) -> VenueAnswer:
            changed = await keeping.change_venue(
                tx, venue_id, data.particulars(parts.time_zone), organisations=may_change(caller.organisations),
                expected_version=expected(if_match),
            )  # fmt: skip
            return venue_view(changed)

        return await once(request, parts, caller, None, work)

    @delete("/{venue_id:int}", guards=[require(ORGANISER)], opt=web.refuses(no.VenueNotFoundError, no.VenueInUseError))
    async def remove(self, caller: Caller, parts: Parts, venue_id: Id) -> None:
        """Delete a venue that has no events."""
        async with parts.database.transaction() as tx:
            await keeping.delete_venue(tx, venue_id, organisations=may_change(caller.organisations))

    @post(
        "/{venue_id:int}/seat-maps",
        guards=[require(ORGANISER)],
        request_max_body_size=MAX_BYTES,
        opt=web.refuses(
            no.VenueNotFoundError, no.UnreadableSeatMapError, no.TotalsDifferError, idempotency.KeyReusedError
        ),
    )
    async def add_map(
        self,
        request: AnyRequest,
        caller: Caller,
        parts: Parts,
        venue_id: Id,
        data: Hall,
        key: web.IdempotencyKey = None,
    ) -> Response[SeatMapView]:
        """Add a seat map in the format `hall/1`; the same content again is the same version."""

        async def work(tx: Connection) -> SeatMapView:
            venue = await keeping.own_venue(tx, venue_id, may_change(caller.organisations))
            kept, _ = await add_seat_map(tx, venue.id, data)
            return SeatMapView(
                id=kept.id, venue_id=venue.id, version=kept.version, name=kept.name, seats=kept.places,
                credit=kept.credit,
            )  # fmt: skip

        return await once(request, parts, caller, key, work, status=201)


@get("/seat-maps/{seat_map_id:int}", opt=web.refuses(no.SeatMapNotFoundError))
async def read_seat_map(request: AnyRequest, parts: Parts, seat_map_id: Id) -> Response[SeatMapAnswer]:
    """Read a seat map. It never changes: keep it for ever."""
    found = await seat_maps.find(parts.database, seat_map_id)
    if found is None:
        raise no.SeatMapNotFoundError("There is no such seat map.", seatMapId=seat_map_id)
    # The document goes out as it was kept, not read and written again.
    document = msgspec.Raw(found.document.encode())
    view = {"id": found.id, "venueId": found.venue_id, "version": found.version, "hall": document}
    return cacheable(request, etag_of(found.version), lambda: cast("SeatMapAnswer", view), keep=FOR_EVER)
