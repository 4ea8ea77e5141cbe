"""The organiser's pages: one's events with what is sold, and the orders of one event. The API decides who sees what."""

from typing import Any

from litestar import Request, Response, get

from boxoffice.services.storefront.api.front import Front
from boxoffice.services.storefront.api.visit import Visit
from boxoffice.services.storefront.usecases.count_sales import MOST_PAGES, count_many, count_sales

EVENTS = 20
ORDERS = 50


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
    """Show one event's sales and its orders."""
    visit.known()
    event = await visit.shop.event(event_id)
    page_no = _page(request)
    sales = await count_sales(visit.shop, event, pages=MOST_PAGES)
    start = page_no * ORDERS
    shown = sales.bookings[start : start + ORDERS]
    return front.pages.personal(
        visit, "organiser_event.html", event=event, sales=sales, bookings=shown, page_no=page_no,
        is_last=start + ORDERS >= len(sales.bookings),
    )  # fmt: skip


def _page(request: Request[Any, Any, Any]) -> int:
    text = request.query_params.get("pageNo", "0")
    return int(text) if text.isdecimal() and len(text) < 5 else 0  # noqa: PLR2004 - nobody pages further


ROUTES: list[Any] = [events, orders]
