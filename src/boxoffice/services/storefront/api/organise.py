"""The organiser's pages: one's events with what is sold, the orders of one event, the seats that are set aside of it.

The API decides who sees and does what.
"""

from collections.abc import Sequence
from typing import Any
from uuid import uuid5

from litestar import Request, Response, get, post
from litestar.datastructures import FormMultiDict

from boxoffice.services.storefront.api.buy import KEYS
from boxoffice.services.storefront.api.front import Front
from boxoffice.services.storefront.api.visit import Visit
from boxoffice.services.storefront.domain.aside import KINDS, read_release, read_rows, say_rows
from boxoffice.services.storefront.domain.house import rows_of
from boxoffice.services.storefront.providers.answers import Allocation, EventAnswer
from boxoffice.services.storefront.providers.shop import ApiRefusalError
from boxoffice.services.storefront.usecases.count_sales import MOST_PAGES, count_many, count_sales
from boxoffice.services.storefront.usecases.log_in import new_mark

EVENTS = 20
ORDERS = 50
MOST_TEXT = 200


@get("/organiser", include_in_schema=False)
async def events(request: Request[Any, Any, Any], front: Front, visit: Visit) -> Response[bytes]:
    """List the organisation's events with what is sold of each."""
    session = visit.known()
    page_no = _page(request)
    asked: dict[str, str | int] = {"pageNo": page_no, "pageSize": EVENTS}
    if session.organisations:
        asked["organisationId"] = session.organisations[0]
    found = await visit.shop.events(asked)
    own = tuple(event for event in found.events if str(event.organisation_id) in session.organisations)
    return front.pages.personal(
        visit, "organiser.html", found=found, sales=await count_many(visit.shop, own), page_no=page_no
    )  # fmt: skip


@get("/organiser/events/{event_id:int}", include_in_schema=False)
async def orders(request: Request[Any, Any, Any], front: Front, visit: Visit, event_id: int) -> Response[bytes]:
    """Show one event's sales, its orders, and what is set aside of it."""
    visit.known()
    event = await visit.shop.event(event_id)
    return await _show(front, visit, event, page_no=_page(request))


@post("/organiser/events/{event_id:int}/allocations", include_in_schema=False)
async def set_aside(request: Request[Any, Any, Any], front: Front, visit: Visit, event_id: int) -> Response[bytes]:
    """Set a section, or rows of it, aside."""
    visit.known()
    form = await request.form()
    visit.check_form(request, form)
    event = await visit.shop.event(event_id)
    try:
        key = str(uuid5(KEYS, f"aside:{event_id}:{form.get('key', '')}"))
        await visit.shop.set_aside(event_id, _plan(form, event), key=key)
    except ApiRefusalError as refusal:
        if refusal.is_unauthenticated:
            raise
        return await _show(front, visit, event, problem=refusal, form=form)
    return front.pages.go(visit, f"/organiser/events/{event_id}#aside")


@post("/organiser/events/{event_id:int}/allocations/{allocation_id:int}", include_in_schema=False)
async def move(
    request: Request[Any, Any, Any], front: Front, visit: Visit, event_id: int, allocation_id: int
) -> Response[bytes]:
    """Open an allocation now, give its seats back, or make an access code for it, which is shown this once."""
    visit.known()
    form = await request.form()
    visit.check_form(request, form)
    event = await visit.shop.event(event_id)
    code = ""
    try:
        match form.get("move"):
            case "open":
                key = str(uuid5(KEYS, f"open:{allocation_id}:{form.get('key', '')}"))
                await visit.shop.open_allocation(event_id, allocation_id, key=key)
            case "release":
                await visit.shop.release_allocation(event_id, allocation_id)
            case "code":
                code = await visit.shop.issue_access_code(event_id, allocation_id)
    except ApiRefusalError as refusal:
        if refusal.is_unauthenticated:
            raise
        return await _show(front, visit, event, problem=refusal)
    if code:
        return await _show(front, visit, event, code=(allocation_id, code))
    return front.pages.go(visit, f"/organiser/events/{event_id}#aside")


@get(
    [
        "/organiser/events/{event_id:int}/allocations",
        "/organiser/events/{event_id:int}/allocations/{allocation_id:int}",
    ],
    include_in_schema=False,
)
async def back(front: Front, visit: Visit, event_id: int) -> Response[bytes]:
    """Lead somebody who loads a form's address again back to the page that it was on."""
    return front.pages.go(visit, f"/organiser/events/{event_id}#aside")


async def _show(
    front: Front,
    visit: Visit,
    event: EventAnswer,
    *,
    page_no: int = 0,
    problem: ApiRefusalError | None = None,
    code: tuple[int, str] | None = None,
    form: FormMultiDict | None = None,
) -> Response[bytes]:
    sales = await count_sales(visit.shop, event, pages=MOST_PAGES)
    aside = await _allocations(visit, event)
    house = await front.houses.house(visit.shop, event) if aside is not None and event.seat_map_id else None
    start = page_no * ORDERS
    return front.pages.personal(
        visit, "organiser_event.html", status=problem.status if problem else 200, event=event, sales=sales,
        bookings=sales.bookings[start : start + ORDERS], page_no=page_no, is_last=start + ORDERS >= len(sales.bookings),
        aside=aside, kinds=KINDS, sections=rows_of(house.seats) if house else {}, say_rows=_rows, problem=problem,
        named=_named(problem), code=code, form=form or {}, csrf=visit.form_token(), key=new_mark(),
    )  # fmt: skip


async def _allocations(visit: Visit, event: EventAnswer) -> tuple[Allocation, ...] | None:
    """Read what is set aside; none of an event that is not the visitor's, or has no tickets yet."""
    try:
        return await visit.shop.allocations(event.id)
    except ApiRefusalError as refusal:
        if refusal.is_unauthenticated:
            raise
        return None


def _plan(form: FormMultiDict, event: EventAnswer) -> dict[str, Any]:
    plan: dict[str, Any] = {name: str(form.get(name, ""))[:MOST_TEXT] for name in ("kind", "name", "section")}
    rows = read_rows(str(form.get("rows", "")))
    if rows:
        plan["rows"] = rows
    release_at = read_release(str(form.get("releaseAt", "")), event.time_zone)
    if release_at is not None:
        plan["releaseAt"] = release_at
    return plan


def _named(problem: ApiRefusalError | None) -> Sequence[str]:
    """Name the seats that stand in the way."""
    if problem is None:
        return ()
    entries = [*problem.context.get("taken", []), *problem.context.get("setAside", [])]
    return [f"{one.get('section')}, row {one.get('row')}, seat {one.get('number')}" for one in entries]


def _rows(allocation: Allocation) -> list[str]:
    return say_rows((row.section, row.row) for row in allocation.rows)


def _page(request: Request[Any, Any, Any]) -> int:
    text = request.query_params.get("pageNo", "0")
    return int(text) if text.isdecimal() and len(text) < 5 else 0  # noqa: PLR2004 - nobody pages further


ROUTES: list[Any] = [events, orders, set_aside, move, back]
