"""What the handlers share: the parts of the process, idempotent answers, ETags."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, cast

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.params import HeaderParameter, PathParameter

from boxoffice.runtime import idempotency
from boxoffice.runtime.authn import Caller
from boxoffice.runtime.database import Connection, Database
from boxoffice.runtime.idempotency import Answer, IdempotentCall
from boxoffice.services.catalog.domain.refusals import BadPreconditionError
from boxoffice.services.catalog.usecases.describe_event import Defaults

T = TypeVar("T")

JSON = "application/json"
NO_STORE = "no-store"
PRIVATE = "private, no-cache"
FRESH_S = 15
"""How long a cache may answer for us: an event that was just published or cancelled shows within this."""
SHOWN_IF_AWAY_S = 3_600
"""How much later a cache may still show it while we do not answer: an event's page is worth more than an error."""
PUBLIC = f"public, max-age={FRESH_S}, stale-if-error={SHOWN_IF_AWAY_S}"
FOR_EVER = f"public, max-age=31536000, immutable, stale-if-error={SHOWN_IF_AWAY_S}"
NOT_MODIFIED = 304
MAX_ID = 2**53 - 1
ETAG = re.compile(r'(?:W/)?"v(\d{1,18})(?:-[01])?"')

Id = Annotated[int, PathParameter(le=MAX_ID)]
BodyId = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*[^\x00-\x20][^\x00-\x1f]*$")]
Text = Annotated[str, msgspec.Meta(max_length=10_000, pattern=r"^[^\x00]*$")]
Word = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^[^\x00-\x1f]*$")]
Time = Annotated[
    str,
    msgspec.Meta(
        max_length=40,
        description="RFC 3339; without an offset it is read in the venue's zone.",
        examples=["2030-05-01T19:30:00"],
    ),
]
IfMatch = Annotated[str | None, HeaderParameter(name="If-Match", description="The ETag of what you have seen.")]
AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a process of the catalog works with."""

    database: Database
    defaults: Defaults
    time_zone: str


async def parts(state: State) -> Parts:
    """Litestar dependency: the parts of this process."""
    found: Parts = state.parts
    return found


async def once(
    request: AnyRequest,
    here: Parts,
    caller: Caller,
    key: str | None,
    work: Callable[[Connection], Awaitable[T]],
    *,
    status: int = 200,
) -> Response[T]:
    """Do the work in one transaction, once per idempotency key; a repeat gets the same answer, byte for byte.

    :raises KeyReusedError: when the key came with another body or on another route.
    """
    call = IdempotentCall.of(
        principal=caller.user_id, key=key, route=f"{request.method} {request.url.path}", body=await request.body()
    )
    async with here.database.transaction() as tx:
        answer = await idempotency.begin(tx, call)
        if answer is None:
            answer = Answer(status=status, body=msgspec.json.encode(await work(tx)))
            await idempotency.finish(tx, call, answer)
    return ready_made(answer.body, status=answer.status, headers={"Cache-Control": NO_STORE})


def ready_made(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> Response[Any]:
    """Answer with JSON that is written already."""
    return Response(cast("Any", body), status_code=status, media_type=JSON, headers=headers or {})


def cacheable(request: AnyRequest, etag: str, view: Callable[[], T], *, keep: str) -> Response[T]:
    """Answer a read: 304 when the caller has this ETag, else what ``view`` makes."""
    headers = {"ETag": etag, "Cache-Control": keep, "Vary": "Authorization"}
    known = request.headers.get("if-none-match", "")
    if known == "*" or etag.removeprefix("W/") in {one.strip().removeprefix("W/") for one in known.split(",")}:
        return Response(cast("Any", None), status_code=NOT_MODIFIED, headers=headers)
    return ready_made(msgspec.json.encode(view()), headers=headers)


def etag_of(version: int, *, on_sale: bool | None = None) -> str:
    """Name a state: its version, and for an event whether it is on sale, which changes by itself."""
    return f'"v{version}"' if on_sale is None else f'"v{version}-{int(on_sale)}"'


def etag_of_page(parts_of_it: Iterable[object], total: int) -> str:
    """Name a page by what is on it."""
    text = repr((total, list(parts_of_it)))
    return f'W/"{hashlib.sha256(text.encode()).hexdigest()[:24]}"'


def expected(if_match: str | None) -> int | None:
    """Read the version that a change expects; none when any will do.

    :raises BadPreconditionError: when the header is none of our ETags.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    match = ETAG.fullmatch(if_match.strip())
    if match is None:
        raise BadPreconditionError("Send the ETag of the answer that you have seen, or nothing.")
    return int(match[1])
