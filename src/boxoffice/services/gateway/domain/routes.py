"""Which path goes to which service. The first entry that matches counts; ``*`` stands for one segment.

A pattern matches a path that begins with it, segment by segment, so ``/api/v1/users`` takes ``/api/v1/users/me`` and
not ``/api/v1/usersfoo``. What is not listed: a problem below ``/api``, the storefront elsewhere.
"""

from dataclasses import dataclass
from enum import StrEnum

KIB = 1024
USUAL_BODY_BYTES = 64 * KIB
"""No call of the API needs more."""
SEAT_MAP_BODY_BYTES = 1024 * KIB
"""A map of 50,000 seats takes 200 KB; ranges make it much shorter."""

SEATS_BODY_BYTES = 512 * KIB
"""Twenty thousand ids of event seats."""


class Limit(StrEnum):
    """Which rate limit a path counts towards."""

    USUAL = "usual"
    AUTH = "auth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One entry of the table."""

    pattern: str
    service: str
    limit: Limit = Limit.USUAL
    max_body_bytes: int = USUAL_BODY_BYTES

    @property
    def segments(self) -> tuple[str, ...]:
        """The pattern's segments."""
        return segments(self.pattern)


def _to(service: str, pattern: str, *, limit: Limit = Limit.USUAL, max_body_bytes: int = USUAL_BODY_BYTES) -> Route:
    return Route(pattern=pattern, service=service, limit=limit, max_body_bytes=max_body_bytes)


ROUTES: tuple[Route, ...] = (
    _to("identity", "/.well-known"),
    _to("identity", "/api/v1/auth", limit=Limit.AUTH),
    _to("notification", "/api/v1/users/me/preferences"),
    _to("identity", "/api/v1/users"),
    _to("identity", "/api/v1/organisations"),
    _to("tickets", "/api/v1/events/*/availability"),
    _to("tickets", "/api/v1/events/*/live"),
    # Seats are set aside by the thousand.
    _to("tickets", "/api/v1/events/*/allocations", max_body_bytes=SEATS_BODY_BYTES),
    _to("tickets", "/api/v1/events/*/access-code"),
    _to("catalog", "/api/v1/events"),
    _to("catalog", "/api/v1/venues/*/seat-maps", max_body_bytes=SEAT_MAP_BODY_BYTES),
    _to("catalog", "/api/v1/venues"),
    _to("catalog", "/api/v1/seat-maps"),
    _to("catalog", "/api/v1/categories"),
    _to("search", "/api/v1/search"),
    # A big house as the seed's list, one entry a seat, comes here too.
    _to("tickets", "/api/v1/tickets/event/*/create", max_body_bytes=SEAT_MAP_BODY_BYTES),
    _to("tickets", "/api/v1/tickets"),
    _to("tickets", "/api/v1/bookings/*/tickets.pdf"),
    _to("bookings", "/api/v1/bookings"),
    _to("payments", "/api/v1/payments"),
    _to("notification", "/api/v1/notifications"),
    _to("mailbox", "/mailbox"),
)
STOREFRONT = _to("storefront", "/")
API_ROOT = "api"
INSIDE = frozenset({"health", "metrics", "openapi", "openapi.json"})
"""What every process tells those who run it, below these names. The gateway has pages of its own there, no more."""
DESCRIBED = ("identity", "catalog", "tickets", "bookings", "search", "payments", "notification")
"""Services of the API, in the order of the contract."""
SERVICES = (*DESCRIBED, "storefront")
"""Whom the gateway asks whether it is ready."""


def segments(path: str) -> tuple[str, ...]:
    """Split a path into its segments."""
    return tuple(path.strip("/").split("/")) if path.strip("/") else ()


def find(path: str) -> Route | None:
    """Tell where a path goes; none for a path below ``/api`` that nobody serves, and for what is told inside only."""
    parts = segments(path)
    if parts[:1] and parts[0] in INSIDE:
        return None
    for route in ROUTES:
        if _matches(route.segments, parts):
            return route
    return None if parts[:1] == (API_ROOT,) else STOREFRONT


def _matches(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return len(pattern) <= len(parts) and all(
        wanted in ("*", part) for wanted, part in zip(pattern, parts, strict=False)
    )


def is_plain(path: str, raw_path: bytes) -> bool:
    """Whether a path means the same to everybody who reads it: no dots, doubled, encoded or backward slashes, no NUL.

    The gateway decides by the path where a call goes; a service that read it otherwise would be reached by a side door.
    """
    lowered = raw_path.split(b"?")[0].lower()
    if b"%2f" in lowered or b"%5c" in lowered or b"%00" in lowered:
        return False
    if "\\" in path or "//" in path or any(ord(letter) < 32 or ord(letter) == 127 for letter in path):  # noqa: PLR2004 - ASCII's control characters
        return False
    return path.startswith("/") and not any(part in {".", ".."} for part in path.split("/"))
