"""What the handlers share: the parts of the process, opened by ``app.py``; ids, headers, answers that are written."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response
from litestar.datastructures import ResponseHeader, State
from msgspec import Meta

from boxoffice.runtime.barcodes import KeyRing
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.runtime.limits import Guesses
from boxoffice.runtime.peers import Peers
from boxoffice.services.sales.usecases.gather_confirmations import ConfirmDesk
from boxoffice.services.sales.usecases.keep_houses import Houses
from boxoffice.services.sales.usecases.refuse_hopeless import EarlyNo
from boxoffice.services.sales.usecases.settle_payment import Settling

NO_STORE = [ResponseHeader(name="Cache-Control", value="no-store", description="personal: kept by nobody")]
LIVE = "public, max-age=0, s-maxage=1, must-revalidate"
"""A cache in front may share the answer for a second; a browser always asks, mostly for a 304."""
PRIVATE = "private, no-cache"
JSON = "application/json"
MAX_BIGINT = 2**63 - 1
"""The largest id that the database takes."""
PublicId = Annotated[int, Meta(ge=0, le=MAX_BIGINT)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The database, the desks for holds and confirmations, the pictures of the houses, the key that signs tickets.

    ``codes`` counts the wrong access codes of a customer.
    """

    database: Database
    holds: EarlyNo
    confirmations: ConfirmDesk
    houses: Houses
    codes: Guesses
    peers: Peers
    signer: KeyRing
    till: Settling


async def parts(state: State) -> Parts:
    """Litestar dependency: the parts of this process."""
    found: Parts = state.parts
    return found


def call_of(principal: UUID, key: str | None, route: str, body: bytes) -> IdempotentCall | None:
    """Read the idempotency key of a call.

    :raises BadKeyError: when it cannot be used.
    """
    return IdempotentCall.of(principal=principal, key=key, route=route, body=body)


def written(body: bytes, *, status: int) -> Response[bytes]:
    """Answer with JSON that is written already: a repeat of the call gets it byte for byte."""
    return Response(content=body, status_code=status, media_type=JSON)


def is_known(request: Request[Any, Any, Any], tag: str) -> bool:
    """Whether the client already has the answer with this entity tag (RFC 9110, If-None-Match, weak comparison)."""
    return knows(request.headers.get("if-none-match", ""), tag)


def knows(known: str, tag: str) -> bool:
    """Whether a client that sent ``If-None-Match: known`` has the answer with this entity tag."""
    return known.strip() == "*" or tag in {entry.strip().removeprefix("W/").strip('"') for entry in known.split(",")}
