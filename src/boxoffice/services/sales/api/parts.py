"""What the handlers work with, opened by ``app.py`` when the process starts; and headers that several of them send."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from litestar import Request
from litestar.datastructures import ResponseHeader, State
from litestar.params import HeaderParameter

from boxoffice.runtime.barcodes import KeyRing
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.runtime.peers import Peers
from boxoffice.services.sales.usecases.read_availability import Houses
from boxoffice.services.sales.usecases.settle_payment import Settling

NO_STORE = [ResponseHeader(name="Cache-Control", value="no-store", description="personal: kept by nobody")]
LIVE = "public, max-age=0, s-maxage=1, must-revalidate"
"""A cache in front may share the answer for a second; a browser always asks, mostly for a 304."""
PRIVATE = "private, no-cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The database, the pictures of the houses, the key that signs tickets, and what payments need."""

    database: Database
    houses: Houses
    peers: Peers
    signer: KeyRing
    till: Settling


async def parts(state: State) -> Parts:
    """Litestar dependency: the parts of this process."""
    found: Parts = state.parts
    return found


IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="Makes a repeated call the same call, with the same answer: send a new UUID.",
    ),
]


def call_of(principal: UUID, key: str | None, route: str, body: bytes) -> IdempotentCall | None:
    """Read the idempotency key of a call.

    :raises BadKeyError: when it cannot be used.
    """
    return IdempotentCall.of(principal=principal, key=key, route=route, body=body)


def is_known(request: Request, tag: str) -> bool:  # type: ignore[type-arg]
    """Whether the client already has the answer with this entity tag (RFC 9110, If-None-Match, weak comparison)."""
    known = request.headers.get("if-none-match", "")
    return known.strip() == "*" or tag in {entry.strip().removeprefix("W/").strip('"') for entry in known.split(",")}
