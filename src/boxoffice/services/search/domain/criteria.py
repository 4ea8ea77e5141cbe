"""What may be asked: texts, days, where, page and order, all within bounds; what is not is refused by field."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar, Literal, cast, get_args

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.services.search.domain.geography import Near, Point, point_of

MAX_TEXT = 200
"""Characters of one text; nobody types more to find an event."""
MAX_WORDS = 12
"""Words of one text that count; the first ones say what is looked for."""
MAX_PAGE_SIZE = 100
MAX_DEPTH = 100_000
"""Hits from the first one that can be paged to; a larger catalogue is walked by date."""
MAX_FACET_VALUES = 50
DEFAULT_PAGE_SIZE = 20
DEFAULT_RADIUS_KM, MAX_RADIUS_KM = 50.0, 20_000.0
"""An evening's way; half-way around the Earth, where nothing is farther away."""
NUMBER = re.compile(r"[+-]?\d{1,5}(\.\d{1,15})?", re.ASCII)
"""Degrees and kilometres as people and devices write them: no exponents, no "nan"."""

Order = Literal["relevance", "date", "price", "name", "distance"]
Direction = Literal["asc", "desc"]
FacetName = Literal["category", "city", "venue", "month", "year", "composer"]

SORTS: Mapping[str, Order] = {
    "relevance": "relevance", "date": "date", "starttime": "date", "price": "price", "lowestprice": "price",
    "name": "name", "eventname": "name", "distance": "distance",
}  # fmt: skip
FACETS: tuple[FacetName, ...] = get_args(FacetName)
TEXTS = ("q", "eventName", "venueName", "location", "description", "keywords", "category")


class BadSearchError(DomainError):
    """A question out of bounds; ``errors`` names each field and what is wrong with it."""

    code: ClassVar[str] = "search.invalid_query"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "This cannot be searched for as written"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One end of a time span: an instant, or (naive) the time on the wall of the venue, whatever zone that is in."""

    at: datetime

    @property
    def is_local(self) -> bool:
        """Whether it means the venue's own clock."""
        return self.at.tzinfo is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """A question within bounds. ``since`` is inclusive, ``until`` exclusive; pages count from 0.

    Ordered by ``distance`` only where there is a ``near``.
    """

    q: str = ""
    event_name: str = ""
    venue_name: str = ""
    location: str = ""
    description: str = ""
    keywords: str = ""
    category: str = ""
    since: Bound | None = None
    until: Bound | None = None
    near: Near | None = None
    page_no: int = 0
    page_size: int = DEFAULT_PAGE_SIZE
    order: Order = "relevance"
    descending: bool = False
    facets: tuple[FacetName, ...] = ()

    @property
    def offset(self) -> int:
        """Hits before the page."""
        return self.page_no * self.page_size


def criteria(
    *,
    texts: Mapping[str, str],
    date_from: str = "",
    date_to: str = "",
    near: str = "",
    radius_km: str = "",
    page_no: int = 0,
    page_size: int = DEFAULT_PAGE_SIZE,
    sort_by: str = "",
    sort_dir: str = "",
    facets: str = "",
) -> Criteria:
    """Read a question; ``texts`` is by the contract's field names (q, eventName, …).

    :raises BadSearchError: when a value is out of bounds; every wrong field is named.
    """
    wrong: dict[str, str] = {}

    def read(field: str, value: str, how: Callable[[str], object]) -> object:
        try:
            return how(value)
        except ValueError as error:
            wrong[field] = str(error)
            return None

    clean = {field: cast("str", read(field, texts.get(field, ""), _text) or "") for field in TEXTS}
    since = cast("Bound | None", read("dateFrom", date_from, _since))
    until = cast("Bound | None", read("dateTo", date_to, _until))
    order = cast("Order", read("sortBy", sort_by, _order))
    descending = cast("bool", read("sortDir", sort_dir, _descending))
    wanted = cast("tuple[FacetName, ...]", read("facets", facets, _facets))
    point = cast("Point | None", read("near", near, _point))
    radius = cast("float | None", read("radiusKm", radius_km, _radius))
    if since and until and _reversed(since, until):
        wrong["dateFrom"] = "is after dateTo"
    if radius_km and not near:
        wrong["radiusKm"] = "needs near: the latitude and longitude that it is measured from"
    if order == "distance" and not near:
        wrong["sortBy"] = "distance needs near: the latitude and longitude that it is measured from"
    if not 1 <= page_size <= MAX_PAGE_SIZE:
        wrong["pageSize"] = f"must be 1 to {MAX_PAGE_SIZE}"
    elif not 0 <= page_no * page_size < MAX_DEPTH:
        wrong["pageNo"] = f"must be at least 0, and pages end at hit {MAX_DEPTH}; narrow the search by date"
    if wrong:
        raise BadSearchError(
            "; ".join(f"{field} {reason}" for field, reason in wrong.items()),
            errors=[{"field": field, "message": reason} for field, reason in wrong.items()],
        )
    return Criteria(
        q=clean["q"], event_name=clean["eventName"], venue_name=clean["venueName"], location=clean["location"],
        description=clean["description"], keywords=clean["keywords"], category=clean["category"],
        since=since, until=until,
        near=Near(point=point, radius_km=radius or DEFAULT_RADIUS_KM) if point else None,
        page_no=page_no, page_size=page_size, order=order, descending=descending,
        facets=wanted,
    )  # fmt: skip


def _text(value: str) -> str:
    if len(value) > MAX_TEXT:
        raise ValueError(f"has {len(value)} characters, {MAX_TEXT} are searched for at most")
    return value.strip()


def _point(value: str) -> Point | None:
    if not value:
        return None
    numbers = [part.strip() for part in value.split(",")]
    if len(numbers) != 2 or not all(NUMBER.fullmatch(part) for part in numbers):  # noqa: PLR2004 - two coordinates
        raise ValueError("must be a latitude and a longitude in degrees, with a comma between: 22.29,114.17")
    point = point_of(float(numbers[0]), float(numbers[1]))
    if point is None:
        raise ValueError("must have a latitude of -90 to 90 and a longitude of -180 to 180 degrees, in this order")
    return point


def _radius(value: str) -> float | None:
    if not value:
        return None
    if not NUMBER.fullmatch(value.strip()) or not 0 < float(value) <= MAX_RADIUS_KM:
        raise ValueError(f"must be a number of kilometres: more than 0, at most {MAX_RADIUS_KM:.0f}")
    return float(value)


def _order(value: str) -> Order:
    if not value:
        return "relevance"
    if value.lower() not in SORTS:
        raise ValueError(f"must be one of {', '.join(sorted(set(SORTS.values()) | {'startTime'}))}")
    return SORTS[value.lower()]


def _descending(value: str) -> bool:
    if value.lower() not in {"", "asc", "desc"}:
        raise ValueError("must be asc or desc")
    return value.lower() == "desc"


def _facets(value: str) -> tuple[FacetName, ...]:
    names = [name.strip().lower() for name in value.split(",") if name.strip()]
    if names in ([], ["false"]):
        return ()
    if names in (["true"], ["all"]):
        return FACETS
    if unknown := sorted(set(names) - set(FACETS)):
        raise ValueError(f"has {', '.join(unknown)[:MAX_TEXT]}; there are {', '.join(FACETS)}")
    return tuple(name for name in FACETS if name in names)


def _since(value: str) -> Bound | None:
    return Bound(at=_moment(value)[0]) if value else None


def _until(value: str) -> Bound | None:
    """Read the last moment that is still meant: a whole day where a day is given, else that second."""
    if not value:
        return None
    at, whole_day = _moment(value)
    return Bound(at=at + (timedelta(days=1) if whole_day else timedelta(seconds=1)))


def _moment(value: str) -> tuple[datetime, bool]:
    """Read ``2024-12-31``, ``2024-12-31T19:30`` (the venue's clock) or an instant with an offset."""
    try:
        # "+" in a query string arrives as a space: 2024-12-31T19:30:00 02:00
        text = value.strip().replace(" ", "+") if "T" in value.upper() else value.strip()
        whole_day = len(text) == len("2024-12-31")
        at = datetime.combine(date.fromisoformat(text), datetime.min.time()) if whole_day else _instant(text)
        at + timedelta(days=2), at - timedelta(days=2)  # room for a day's end and any offset
    except (ValueError, OverflowError) as error:
        raise ValueError("must be a day (2024-12-31) or a time (2024-12-31T19:30:00-05:00)") from error
    return at, whole_day


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is None else at.astimezone(UTC)


def _reversed(since: Bound, until: Bound) -> bool:
    """Compare ends; an instant and a wall clock are only told apart when no zone could make them fit."""
    if since.is_local == until.is_local:
        return since.at >= until.at
    return since.at.replace(tzinfo=None) - until.at.replace(tzinfo=None) >= timedelta(days=1)
