"""/events/{id}/allocations: seats set aside, for its organisers; /events/{id}/access-code: what a code opens."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, delete, get, patch, post, put
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Meta

from boxoffice.kernel.ids import EventId, SeatId
from boxoffice.runtime import authn, idempotency, web
from boxoffice.runtime.authn import Caller
from boxoffice.runtime.database import Connection
from boxoffice.runtime.idempotency import Answer, IdempotentCall, KeyRequiredError, required
from boxoffice.services.sales.api.parts import NO_STORE, Parts, PublicId, call_of, written
from boxoffice.services.sales.domain.access_code import MAX_TYPED
from boxoffice.services.sales.domain.allocation import (
    MOST_ROWS,
    MOST_SEATS,
    AllocationKind,
    AllocationNotFoundError,
    AllocationState,
    BadAllocationError,
    SeatsSetAsideError,
    Selection,
    TooManyAllocationsError,
    TooManyCodesError,
    UnknownAccessCodeError,
    WrongAllocationStateError,
)
from boxoffice.services.sales.domain.refusals import (
    BadSelectionError,
    EventNotFoundError,
    SeatsTakenError,
    SeatsUnknownError,
)
from boxoffice.services.sales.usecases.act_for import may_manage
from boxoffice.services.sales.usecases.change_allocation import change_allocation
from boxoffice.services.sales.usecases.create_allocation import Plan, create_allocation
from boxoffice.services.sales.usecases.give_seats_back import give_seats_back
from boxoffice.services.sales.usecases.issue_access_code import issue_access_code, withdraw_access_code
from boxoffice.services.sales.usecases.open_allocation import open_allocation
from boxoffice.services.sales.usecases.open_with_code import seats_of_code
from boxoffice.services.sales.usecases.read_allocations import (
    ShownAllocation,
    allocations_of_event,
    show_allocation,
)
from boxoffice.services.sales.usecases.release_allocation import release_allocation
from boxoffice.services.sales.usecases.set_seats_aside import patiently, set_seats_aside

OK, CREATED = 200, 201
MAX_SEATS_BYTES = 512 * 1024
"""Twenty thousand ids."""
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Label = Annotated[str, Meta(max_length=200)]
Instant = Annotated[datetime, Meta(tz=True)]
Move = Callable[[Connection], Awaitable[int]]


class SelectionBody(web.Model, frozen=True):
    """Event seats by ``ticketIds``, or a whole ``section``, or ``rows`` of it."""

    ticket_ids: Annotated[list[PublicId], Meta(max_length=MOST_SEATS)] = msgspec.field(default_factory=list)
    section: Label | None = None
    rows: Annotated[list[Label], Meta(max_length=MOST_ROWS)] | None = None

    def selection(self) -> Selection:
        """Give what is selected, as it stands."""
        return Selection(
            seat_ids=tuple(SeatId(seat) for seat in self.ticket_ids), section=self.section,
            rows=None if self.rows is None else tuple(self.rows),
        )  # fmt: skip


class AllocationBody(SelectionBody, frozen=True, kw_only=True):
    """A new allocation; without ``releaseAt`` it stays closed until somebody opens it; ``kill`` has none."""

    kind: AllocationKind
    name: Name
    release_at: Instant | None = None


class ChangeBody(web.Model, frozen=True):
    """What changes of a closed allocation; ``releaseAt: null``: it does not open by itself."""

    name: Name | None = None
    release_at: Instant | msgspec.UnsetType | None = msgspec.UNSET


class AccessCodeBody(web.Model, frozen=True):
    """An access code as it was given; case, spaces and hyphens do not count."""

    access_code: Annotated[str, Meta(min_length=1, max_length=MAX_TYPED)]


class AllocationRowView(web.View, frozen=True):
    """The seats of an allocation in one row."""

    section: str
    row: str
    seats: int
    free: int
    held: int
    sold: int
    blocked: int


class AllocationView(web.View, frozen=True):
    """An allocation and how its seats stand: ``free + held + sold + blocked == seats``.

    ``closed``: for who has its access code; ``open`` (since ``releaseAt``): for everybody.
    """

    id: int
    event_id: int
    kind: AllocationKind
    name: str
    state: AllocationState
    release_at: datetime | None
    has_access_code: bool
    version: int
    seats: int
    free: int
    held: int
    sold: int
    blocked: int
    rows: list[AllocationRowView]


class AllocationsView(web.View, frozen=True):
    """The allocations of an event that are not released, in the order in which they were made."""

    allocations: list[AllocationView]


class AccessCodeView(web.View, frozen=True):
    """A new access code: shown now and never again."""

    access_code: str


class OpenedView(web.View, frozen=True):
    """The free event seats that an access code opens, beside those that are free for everybody."""

    ticket_ids: list[int]


NOT_THERE = (AllocationNotFoundError, WrongAllocationStateError)
NOT_SELECTED = (BadSelectionError, SeatsUnknownError, SeatsTakenError)
SHOWN = ResponseSpec(data_container=AllocationView, generate_examples=False)


class AllocationsController(Controller):
    """Allocations of an event; every call is for its organisers, to anybody else the event is not there."""

    path = "/events/{event_id:int}/allocations"
    guards = [authn.require(authn.ORGANISER)]  # noqa: RUF012 - the framework's shape
    response_headers = NO_STORE

    @get("/", opt=web.refuses(EventNotFoundError))
    async def listing(self, caller: Caller, parts: Parts, event_id: int) -> AllocationsView:
        """List the allocations of an event with how their seats stand."""
        found = await allocations_of_event(parts.database, EventId(event_id), may_manage(caller.organisations))
        return AllocationsView(allocations=[allocation_view(one) for one in found])

    @get("/{allocation_id:int}", opt=web.refuses(AllocationNotFoundError))
    async def read(self, caller: Caller, parts: Parts, event_id: int, allocation_id: int) -> AllocationView:
        """Read one allocation."""
        return allocation_view(
            await show_allocation(parts.database, EventId(event_id), allocation_id, may_manage(caller.organisations))
        )

    @post(
        "/",
        request_max_body_size=MAX_SEATS_BYTES,
        responses={CREATED: SHOWN},
        opt=web.refuses(
            EventNotFoundError, BadAllocationError, TooManyAllocationsError, SeatsSetAsideError, *NOT_SELECTED,
            KeyRequiredError,
        ),
    )  # fmt: skip
    async def create(
        self,
        caller: Caller,
        parts: Parts,
        event_id: int,
        data: AllocationBody,
        body: bytes,
        idempotency_key: web.IdempotencyKey = None,
    ) -> Response[bytes]:
        """Set seats aside in a new allocation, all of them or none; 409 names those that are held, sold or elsewhere.

        A wheelchair place and its companions' seats are set aside together. An allocation may begin without seats.
        """
        plan = Plan(kind=data.kind, name=data.name, release_at=data.release_at)
        call = required(call_of(caller.user_id, idempotency_key, f"POST /events/{event_id}/allocations", body))

        async def create(tx: Connection) -> int:
            return await create_allocation(
                tx, EventId(event_id), plan, data.selection(), organisations=may_manage(caller.organisations)
            )

        return await _once(parts, caller, event_id, call, create, status=CREATED)

    @post(
        "/{allocation_id:int}/seats",
        status_code=OK,
        request_max_body_size=MAX_SEATS_BYTES,
        responses={OK: SHOWN},
        opt=web.refuses(*NOT_THERE, SeatsSetAsideError, *NOT_SELECTED, KeyRequiredError),
    )
    async def add(
        self,
        caller: Caller,
        parts: Parts,
        event_id: int,
        allocation_id: int,
        data: SelectionBody,
        body: bytes,
        idempotency_key: web.IdempotencyKey = None,
    ) -> Response[bytes]:
        """Set more seats aside in a closed allocation, all of them or none."""
        call = required(call_of(caller.user_id, idempotency_key, f"POST {_path(event_id, allocation_id)}/seats", body))

        async def add(tx: Connection) -> int:
            await set_seats_aside(
                tx, EventId(event_id), allocation_id, data.selection(), organisations=may_manage(caller.organisations)
            )
            return allocation_id

        return await _once(parts, caller, event_id, call, add, status=OK)

    @post(
        "/{allocation_id:int}/give-back",
        status_code=OK,
        request_max_body_size=MAX_SEATS_BYTES,
        responses={OK: SHOWN},
        opt=web.refuses(*NOT_THERE, *NOT_SELECTED, KeyRequiredError),
    )
    async def give_back(
        self,
        caller: Caller,
        parts: Parts,
        event_id: int,
        allocation_id: int,
        data: SelectionBody,
        body: bytes,
        idempotency_key: web.IdempotencyKey = None,
    ) -> Response[bytes]:
        """Give some of its seats back to the public sale; what was bought from it stays bought."""
        call = required(
            call_of(caller.user_id, idempotency_key, f"POST {_path(event_id, allocation_id)}/give-back", body)
        )

        async def give_back(tx: Connection) -> int:
            await give_seats_back(
                tx, EventId(event_id), allocation_id, data.selection(), organisations=may_manage(caller.organisations)
            )
            return allocation_id

        return await _once(parts, caller, event_id, call, give_back, status=OK)

    @post(
        "/{allocation_id:int}/open",
        status_code=OK,
        responses={OK: SHOWN},
        opt=web.refuses(*NOT_THERE, SeatsTakenError, KeyRequiredError),
    )
    async def open(
        self,
        caller: Caller,
        parts: Parts,
        event_id: int,
        allocation_id: int,
        body: bytes,
        idempotency_key: web.IdempotencyKey = None,
    ) -> Response[bytes]:
        """Open its seats to everybody now; at its release time an allocation opens by itself."""
        call = required(call_of(caller.user_id, idempotency_key, f"POST {_path(event_id, allocation_id)}/open", body))

        async def open_it(tx: Connection) -> int:
            await open_allocation(tx, EventId(event_id), allocation_id, organisations=may_manage(caller.organisations))
            return allocation_id

        return await _once(parts, caller, event_id, call, open_it, status=OK)

    @patch(
        "/{allocation_id:int}",
        responses={OK: SHOWN},
        opt=web.refuses(*NOT_THERE, BadAllocationError, SeatsTakenError),
    )
    async def change(
        self, caller: Caller, parts: Parts, event_id: int, allocation_id: int, data: ChangeBody
    ) -> Response[bytes]:
        """Change the name of a closed allocation, or when it opens by itself."""

        async def change(tx: Connection) -> int:
            await change_allocation(
                tx, EventId(event_id), allocation_id, organisations=may_manage(caller.organisations), name=data.name,
                release_at=None if data.release_at is msgspec.UNSET else data.release_at,
                keeps_release=data.release_at is msgspec.UNSET,
            )  # fmt: skip
            return allocation_id

        return await _once(parts, caller, event_id, None, change, status=OK)

    @delete("/{allocation_id:int}", opt=web.refuses(AllocationNotFoundError, SeatsTakenError))
    async def release(self, caller: Caller, parts: Parts, event_id: int, allocation_id: int) -> None:
        """End an allocation: all its seats go back to the public sale, its access code opens nothing any more."""

        async def release() -> None:
            async with parts.database.transaction() as tx:
                await release_allocation(
                    tx, EventId(event_id), allocation_id, organisations=may_manage(caller.organisations)
                )

        await patiently(release)
        await parts.houses.tell([EventId(event_id)])

    @put("/{allocation_id:int}/access-code", opt=web.refuses(*NOT_THERE))
    async def issue_code(self, caller: Caller, parts: Parts, event_id: int, allocation_id: int) -> AccessCodeView:
        """Make a new access code, which is shown this once; the one before opens nothing from now on."""
        async with parts.database.transaction() as tx:
            code = await issue_access_code(
                tx, EventId(event_id), allocation_id, organisations=may_manage(caller.organisations)
            )
        return AccessCodeView(access_code=code)

    @delete("/{allocation_id:int}/access-code", opt=web.refuses(*NOT_THERE))
    async def withdraw_code(self, caller: Caller, parts: Parts, event_id: int, allocation_id: int) -> None:
        """Take the access code back; what was held or bought with it stays."""
        async with parts.database.transaction() as tx:
            await withdraw_access_code(
                tx, EventId(event_id), allocation_id, organisations=may_manage(caller.organisations)
            )


@post(
    "/events/{event_id:int}/access-code",
    status_code=OK,
    response_headers=NO_STORE,
    opt=web.refuses(UnknownAccessCodeError, TooManyCodesError),
)
async def open_with(caller: Caller, parts: Parts, event_id: int, data: AccessCodeBody) -> OpenedView:
    """List the free seats that an access code opens; to hold them, send it as ``accessCode`` with the reservation.

    Nothing is held by this. A code that opens nothing is a 404, whatever the reason; too many of them are a 429.
    """
    seats = await seats_of_code(parts.database, parts.codes, EventId(event_id), caller.user_id, data.access_code)
    return OpenedView(ticket_ids=list(seats))


def allocation_view(shown: ShownAllocation) -> AllocationView:
    """Show an allocation."""
    allocation = shown.allocation
    rows = [
        AllocationRowView(
            section=part.section, row=part.row, seats=part.seats, free=part.free, sold=part.sold,
            blocked=part.blocked, held=part.seats - part.free - part.sold - part.blocked,
        )
        for part in shown.parts
    ]  # fmt: skip
    return AllocationView(
        id=allocation.allocation_id, event_id=allocation.event_id, kind=allocation.kind, name=allocation.name,
        state=allocation.state, release_at=allocation.release_at, has_access_code=allocation.has_code,
        version=allocation.version, seats=sum(row.seats for row in rows), free=sum(row.free for row in rows),
        held=sum(row.held for row in rows), sold=sum(row.sold for row in rows),
        blocked=sum(row.blocked for row in rows), rows=rows,
    )  # fmt: skip


def _path(event_id: int, allocation_id: int) -> str:
    return f"/events/{event_id}/allocations/{allocation_id}"


async def _once(
    parts: Parts, caller: Caller, event_id: int, call: IdempotentCall | None, move: Move, *, status: int
) -> Response[bytes]:
    """Make a move and answer with the allocation, once for a key: move, answer and key commit together (I10)."""

    async def once() -> bytes:
        async with parts.database.transaction() as tx:
            earlier = await idempotency.begin(tx, call)
            if earlier is not None and earlier.status:
                return earlier.body
            allocation_id = await move(tx)
            shown = await show_allocation(tx, EventId(event_id), allocation_id, may_manage(caller.organisations))
            answer = Answer(status=status, body=msgspec.json.encode(allocation_view(shown)))
            await idempotency.finish(tx, call, answer)
        return answer.body

    body = await patiently(once)
    await parts.houses.tell([EventId(event_id)])
    return written(body, status=status)


ROUTES: list[Any] = [AllocationsController, open_with]
