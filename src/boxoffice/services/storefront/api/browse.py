"""Public pages: home, search, one event with its house, the picture of a house."""

import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.params import Parameter
from litestar.status_codes import HTTP_304_NOT_MODIFIED

from boxoffice.services.storefront.api.errors import NothingHereError
from boxoffice.services.storefront.api.files import FOR_EVER, SVG, zipped
from boxoffice.services.storefront.api.front import Front
from boxoffice.services.storefront.api.rendering import Keep
from boxoffice.services.storefront.api.visit import Visit
from boxoffice.services.storefront.domain.house import CHOICE_LIMIT, read_choice, rows_of
from boxoffice.services.storefront.domain.svg import DRAWING_VERSION
from boxoffice.services.storefront.providers.shop import ApiRefusalError
from boxoffice.services.storefront.usecases.log_in import new_mark
from boxoffice.services.storefront.usecases.show_event import Shown, show_event

HOME_EVENTS = 12
SEARCH_EVENTS = 20
LISTS = Keep(browser_s=10, shared_s=30, at_most_s=50)
"""Home and search say in a word how events sell."""
EVENT = Keep(browser_s=5, shared_s=15, at_most_s=25)
"""Its house is brought up to date by the page itself, at once (``live-house.js``)."""
SEATS = Keep(browser_s=5, shared_s=10, at_most_s=25)
"""A plain list, which nothing brings up to date: a seat that went since is refused when it is chosen."""
MOST_TEXT = 200
MOST_CODE = 64
"""Characters of an access code as people type it."""
NUMBER = re.compile(r"[0-9]{1,6}")
FACETS = "category,city,venue,month"
FILTERS = ("q", "location", "venueName", "category", "dateFrom", "dateTo", "sortBy", "sortDir")
Text = Annotated[str, Parameter(required=False)]


@get("/", include_in_schema=False)
async def home(request: Request[Any, Any, Any], front: Front, visit: Visit) -> Response[bytes]:
    """Show the shop's front: a search box and what comes next."""
    found = await visit.shop.search({"pageSize": HOME_EVENTS, "sortBy": "startTime", "facets": FACETS})
    return front.pages.public(request, visit, "home.html", keep=LISTS, found=found, asked={})


@get("/search", include_in_schema=False)
async def search(request: Request[Any, Any, Any], front: Front, visit: Visit) -> Response[bytes]:
    """Find events by words, place, day and category."""
    asked = {name: text for name in FILTERS if (text := request.query_params.get(name, "").strip()[:MOST_TEXT])}
    page_no = _number(request.query_params.get("pageNo"), most=4_999)
    found = await visit.shop.search({**asked, "pageNo": page_no, "pageSize": SEARCH_EVENTS, "facets": FACETS})
    return front.pages.public(
        request, visit, "search.html", keep=LISTS, found=found, asked=asked, page_no=page_no,
        address=lambda **changes: _address(asked, changes),
    )  # fmt: skip


@get("/events/{event_id:int}", include_in_schema=False)
async def event(request: Request[Any, Any, Any], front: Front, visit: Visit, event_id: int) -> Response[bytes]:
    """Show an event and its house; ``code``: with the seats that an access code opens to this visitor."""
    code, opened, problem = await seats_of_code(visit, event_id, request.query_params.get("code", ""))
    shown = await show_event(visit.shop, front.houses, event_id, opened=opened)
    values = await event_values(front, shown, visit, wish=request.query_params, code=code, problem=problem)
    if problem is not None:
        return front.pages.personal(visit, "event.html", status=problem.status, **values)
    return front.pages.public(request, visit, "event.html", keep=EVENT, **values)


@get("/events/{event_id:int}/seats", include_in_schema=False)
async def seats(request: Request[Any, Any, Any], front: Front, visit: Visit, event_id: int) -> Response[bytes]:
    """List an event's seats as a plain form: the same choice without a picture or a script."""
    code, opened, problem = await seats_of_code(visit, event_id, request.query_params.get("code", ""))
    shown = await show_event(visit.shop, front.houses, event_id, opened=opened)
    wanted = request.query_params.get("section", "")
    rows = rows_of(shown.house.seats)
    section = wanted if wanted in rows else next(iter(rows), "")
    values = await event_values(front, shown, visit, wish=request.query_params, code=code, problem=problem)
    values |= {"section": section, "rows": rows.get(section, {})}
    if problem is not None:
        return front.pages.personal(visit, "seats.html", status=problem.status, **values)
    return front.pages.public(request, visit, "seats.html", keep=SEATS, **values)


@get("/houses/{seat_map_id:int}/{version:str}/house.svg", include_in_schema=False)
async def house(
    request: Request[Any, Any, Any], front: Front, visit: Visit, seat_map_id: int, version: str
) -> Response[bytes]:
    """Give the picture of a house; the same address gives the same picture for ever."""
    if version != DRAWING_VERSION:
        raise NothingHereError("There is no such drawing.")
    etag = f'"house-{seat_map_id}-{DRAWING_VERSION}"'
    if etag in request.headers.get("if-none-match", ""):
        return Response(
            content=b"", status_code=HTTP_304_NOT_MODIFIED, headers={"ETag": etag, "Cache-Control": FOR_EVER}
        )
    picture = await front.pictures.picture(visit.shop, seat_map_id)
    return zipped(request, picture.zipped, media_type=SVG, cache=FOR_EVER, etag=etag)


async def seats_of_code(visit: Visit, event_id: int, typed: str) -> tuple[str, tuple[int, ...], ApiRefusalError | None]:
    """Ask which seats an access code opens: the code, their ids, and the refusal of one that opens nothing.

    A page with a code is never kept by a proxy: it is for somebody who is logged in.

    :raises LoginNeededError: when nobody is.
    """
    code = typed.strip()[:MOST_CODE]
    if not code:
        return "", (), None
    visit.known()
    try:
        found = await visit.shop.opened_by(event_id, code)
    except ApiRefusalError as refusal:
        if refusal.is_unauthenticated:
            raise
        return "", (), refusal
    return code, found.ticket_ids, None


async def event_values(
    front: Front,
    shown: Shown,
    visit: Visit,
    *,
    wish: Any,
    lost: tuple[str, ...] = (),
    problem: ApiRefusalError | None = None,
    without: tuple[int, ...] = (),
    code: str = "",
) -> dict[str, Any]:
    """Gather what an event's page needs. ``wish``: what was chosen before (a login, a refusal), by the form's names."""
    places = len(shown.house.letters)
    chosen = [place for place in read_choice(_all(wish, "choose", "place"), places=places) if place not in without]
    levels = [
        {
            "name": level.name, "price": level.price, "currency": level.currency, "free": free,
            "places": level.places, "is_area": level.is_area, "types": level.types,
        }
        for level, free in zip(shown.house.levels, shown.free, strict=True)
    ]  # fmt: skip
    seat_map = shown.event.seat_map_id
    picture = None if seat_map is None else await front.pictures.picture(visit.shop, seat_map)
    return {
        "shown": shown, "event": shown.event, "levels": levels, "chosen": chosen, "lost": lost, "problem": problem,
        "limit": min(CHOICE_LIMIT, shown.event.limit_per_customer),
        "quantity": max(1, _number(wish.get("quantity"), most=CHOICE_LIMIT)), "level": wish.get("level") or "",
        "wanted_section": wish.get("section") or "", "sections": list(rows_of(shown.house.seats)),
        "together": "quantity" not in wish or wish.get("together") == "yes",
        "code": code, "credit": picture.credit if picture else "",
        "drawing": None if seat_map is None else f"/houses/{seat_map}/{DRAWING_VERSION}/house.svg",
        "csrf": visit.form_token() if visit.logged_in else "", "key": new_mark() if visit.logged_in else "",
    }  # fmt: skip


def _all(wish: Any, *names: str) -> list[str]:
    return [str(text) for name in names for text in wish.getall(name, [])]


def _number(text: Any, *, most: int) -> int:
    return min(int(text), most) if isinstance(text, str) and NUMBER.fullmatch(text) else 0


def _address(asked: Mapping[str, str], changes: Mapping[str, Any]) -> str:
    """Write the address of the same search with something changed; none takes it away."""
    merged = {**asked, **changes}
    kept = {name: value for name, value in merged.items() if value not in (None, "")}
    return f"/search?{urlencode(kept)}" if kept else "/search"


ROUTES: list[Any] = [home, search, event, seats, house]
