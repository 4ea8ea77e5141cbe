"""HTTP in: ``/search``, ``/search/getAll``, ``/search/suggest``: public, the same for everybody, cached for seconds."""

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from boxoffice.kernel.clock import rfc3339
from boxoffice.kernel.money import Money
from boxoffice.runtime import paging, web
from boxoffice.runtime.web import View
from boxoffice.services.search.domain.criteria import DEFAULT_PAGE_SIZE, BadSearchError, Criteria, criteria
from boxoffice.services.search.domain.geography import Near, distance_km, point_of
from boxoffice.services.search.domain.listing import Entry, SaleState, changes_at, sale_state
from boxoffice.services.search.providers.engine import Matching, SearchUnavailableError, SuggestionKind
from boxoffice.services.search.usecases.answer import Made
from boxoffice.services.search.usecases.find_events import Answer, find_events, question_of
from boxoffice.services.search.usecases.suggest_names import MAX_SUGGESTIONS, suggest_names, typed_as

CACHE = "public, max-age=5, s-maxage=10, stale-while-revalidate=25"
"""A proxy may answer the crowd: how events sell is ten seconds old, and 35 at most where nobody asked for a while."""
CACHE_OF_NAMES = "public, max-age=30, stale-while-revalidate=30"
"""Names say nothing of a sale: a new one may be completed half a minute late."""
CACHE_OF_ONE = "private, max-age=5, stale-while-revalidate=30"
"""Where somebody is is no business of a proxy's."""
SHORT = 240
"""Characters of a description in a hit."""


class HitVenue(View, frozen=True, kw_only=True):
    """Where a hit takes place."""

    id: int
    name: str
    location: str
    city: str | None
    region: str | None
    country: str | None
    latitude: float | None
    longitude: float | None


class HitCategory(View, frozen=True, kw_only=True):
    """The category of a hit."""

    id: int | None
    name: str


class Hit(View, frozen=True, kw_only=True, omit_defaults=True):
    """One event. ``sale_state`` is what can be said honestly now; ``lowest_price`` is a total price, fees included.

    ``distance_km`` stands in answers to ``near``: kilometres as the crow flies, to ten metres.
    """

    id: int
    name: str
    description: str
    start_time: str
    end_time: str
    time_zone: str
    venue: HitVenue
    category: HitCategory | None
    composers: tuple[str, ...]
    status: str
    sale_state: SaleState
    on_sale: bool
    on_sale_at: str | None
    lowest_price: str | None
    currency: str | None
    distance_km: float | None = None


class FacetCount(View, frozen=True, kw_only=True):
    """How many hits have a value."""

    value: str
    count: int


class Page(paging.Page, frozen=True, kw_only=True, omit_defaults=True):
    """One page of hits. ``matching`` says how literally the texts were taken; ``degraded`` that events are missing."""

    events: tuple[Hit, ...]
    matching: Matching
    facets: dict[str, tuple[FacetCount, ...]] | None = None
    degraded: bool | None = None


class SuggestedName(View, frozen=True, kw_only=True):
    """A name that may be meant, what it is the name of, and how many events have it."""

    text: str
    kind: SuggestionKind
    count: int


class Suggestions(View, frozen=True, kw_only=True):
    """Names that may be meant, the most frequent first."""

    suggestions: tuple[SuggestedName, ...]


Text = Annotated[str, QueryParameter(description="Words; case, accents and small typing errors do not matter.")]
PageNo = Annotated[int, QueryParameter(name="pageNo", description="From 0.")]
PageSize = Annotated[int, QueryParameter(name="pageSize", description="1 to 100.")]


@get(
    "/search",
    summary="Find events",
    responses={200: ResponseSpec(data_container=Page, description="One page of hits", generate_examples=False)},
    opt=web.refuses(BadSearchError, SearchUnavailableError),
)
async def search(
    *,
    request: Request[Any, Any, Any],
    state: State,
    q: Text = "",
    event_name: Annotated[str, QueryParameter(name="eventName", description="Words of the event's name.")] = "",
    location: Annotated[str, QueryParameter(description="Words of city, region, country or address.")] = "",
    date_from: Annotated[
        str,
        QueryParameter(name="dateFrom", description="First day, on the venue's clock; or an instant."),
    ] = "",
    date_to: Annotated[str, QueryParameter(name="dateTo", description="Last day, inclusive; or an instant.")] = "",
    venue_name: Annotated[str, QueryParameter(name="venueName", description="Words of the venue's name.")] = "",
    description: Annotated[str, QueryParameter(description="Words of the description.")] = "",
    keywords: Annotated[str, QueryParameter(description="As q.")] = "",
    category: Annotated[str, QueryParameter(description="A category's name, or words of it.")] = "",
    page_no: PageNo = 0,
    page_size: PageSize = DEFAULT_PAGE_SIZE,
    sort_by: Annotated[
        str, QueryParameter(name="sortBy", description="relevance, date (or startTime), price, name or distance.")
    ] = "",
    sort_dir: Annotated[str, QueryParameter(name="sortDir", description="asc or desc; not for relevance.")] = "",
    facets: Annotated[
        str, QueryParameter(description="category, city, venue, month, year, composer, comma-separated; or all.")
    ] = "",
    near: Annotated[
        str, QueryParameter(description="Latitude and longitude in degrees, with a comma between: 22.29,114.17.")
    ] = "",
    radius_km: Annotated[
        str,
        QueryParameter(name="radiusKm", description="Kilometres from there, as the crow flies; 50 if none is said."),
    ] = "",
) -> Response[bytes]:
    """Find events by words, place, days and category, closest first, upcoming before past.

    Or find what is near, by distance if that is asked; venues without coordinates are near nothing.
    """
    asked = criteria(
        texts={
            "q": q, "eventName": event_name, "location": location, "venueName": venue_name,
            "description": description, "keywords": keywords, "category": category,
        },
        date_from=date_from, date_to=date_to, near=near, radius_km=radius_km, page_no=page_no, page_size=page_size,
        sort_by=sort_by, sort_dir=sort_dir, facets=facets,
    )  # fmt: skip
    return await _page(request, state, asked)


@get(
    "/search/getAll",
    summary="List all events",
    responses={200: ResponseSpec(data_container=Page, description="One page of events", generate_examples=False)},
    opt=web.refuses(BadSearchError, SearchUnavailableError),
)
async def get_all(
    request: Request[Any, Any, Any], state: State, page_no: PageNo = 0, page_size: PageSize = DEFAULT_PAGE_SIZE
) -> Response[bytes]:
    """List every event: the next one first, then what is past."""
    return await _page(request, state, criteria(texts={}, page_no=page_no, page_size=page_size))


@get(
    "/search/suggest",
    summary="Complete what is being typed",
    responses={200: ResponseSpec(data_container=Suggestions, description="Names", generate_examples=False)},
    opt=web.refuses(BadSearchError, SearchUnavailableError),
)
async def suggest(
    request: Request[Any, Any, Any],
    state: State,
    q: Text = "",
    limit: Annotated[int, QueryParameter(description="1 to 10.")] = MAX_SUGGESTIONS,
) -> Response[bytes]:
    """Complete what is being typed: composers, performers, works, venues, cities, categories, events."""

    async def make() -> Made:
        found = await suggest_names(state.patience, state.peers, q, limit=limit, now=datetime.now(UTC))
        names = tuple(SuggestedName(text=one.text, kind=one.kind, count=one.count) for one in found)
        return Made(body=msgspec.json.encode(Suggestions(suggestions=names)), may_keep=not state.patience.away)

    return _cacheable(request, await state.answers.give(typed_as(q, limit=limit), make), CACHE_OF_NAMES)


async def _page(request: Request[Any, Any, Any], state: State, asked: Criteria) -> Response[bytes]:
    async def make() -> Made:
        now = datetime.now(UTC)
        answer = await find_events(state.shelf, state.patience, state.peers, asked, now=now)
        until = [changes_at(entry.listing, now=now) for entry in answer.found.hits if entry.listing]
        return Made(
            body=msgspec.json.encode(page_of(answer, asked, now=now)), until=min(filter(None, until), default=None),
            may_keep=not answer.degraded,
        )  # fmt: skip

    body = await state.answers.give(question_of(asked), make)
    return _cacheable(request, body, CACHE_OF_ONE if asked.near else CACHE)


def page_of(answer: Answer, asked: Criteria, *, now: datetime) -> Page:
    """Write an answer as of an instant."""
    found = answer.found
    facets = {
        str(name): tuple(FacetCount(value=one.value, count=one.count) for one in values)
        for name, values in found.facets.items()
    }
    return Page(
        events=tuple(hit_of(entry, now=now, near=asked.near) for entry in found.hits),
        matching=found.matching, facets=facets or None, degraded=answer.degraded or None,
        **paging.paging(found.total, asked.page_no, asked.page_size),
    )  # fmt: skip


def hit_of(entry: Entry, *, now: datetime, near: Near | None = None) -> Hit:
    """Write one hit as of an instant, with its distance from what it was to be near."""
    listing, sale = entry.listing, entry.sale
    assert listing is not None
    venue, state = listing.venue, sale_state(listing, sale, now=now)
    lowest = None
    if sale is not None and sale.lowest_price_minor is not None and sale.currency is not None:
        lowest = Money(sale.lowest_price_minor, sale.currency)
    point = point_of(venue.latitude, venue.longitude)
    return Hit(
        id=entry.event_id, name=listing.name, description=_shortened(listing.description),
        start_time=rfc3339(listing.starts_at), end_time=rfc3339(listing.ends_at), time_zone=venue.time_zone,
        venue=HitVenue(
            id=venue.id, name=venue.name, location=venue.location, city=venue.city, region=venue.region,
            country=venue.country, latitude=venue.latitude, longitude=venue.longitude,
        ),
        category=HitCategory(id=listing.category_id, name=listing.category) if listing.category else None,
        composers=listing.composers, status="cancelled" if listing.cancelled else "published",
        sale_state=state, on_sale=state in {"on_sale", "few_left"},
        on_sale_at=rfc3339(listing.on_sale_at) if listing.on_sale_at else None,
        lowest_price=lowest.decimal() if lowest else None, currency=lowest.currency if lowest else listing.currency,
        distance_km=round(distance_km(near.point, point), 2) if near and point else None,
    )  # fmt: skip


def _shortened(text: str) -> str:
    if len(text) <= SHORT:
        return text
    return text[:SHORT].rsplit(maxsplit=1)[0] + " …"


def _cacheable(request: Request[Any, Any, Any], body: bytes, cache: str) -> Response[bytes]:
    """Answer with an ETag over the content, or 304 to who has it already."""
    etag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": cache}
    if etag in request.headers.get("if-none-match", ""):
        return Response(content=b"", status_code=304, headers=headers)
    return Response(content=body, media_type="application/json", headers=headers)
