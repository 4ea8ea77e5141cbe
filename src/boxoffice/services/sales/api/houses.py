"""/events/{id}/availability and /events/{id}/live: the state of a whole house, once or as it changes.

Both are what a crowd asks for: the usual case is answered before the framework (``runtime/hotpaths.py``); the handlers
here take the rest (drafts, tokens, unknown events) and describe the calls in OpenAPI.
"""

from collections.abc import Callable
from typing import Any, Final

from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec

from boxoffice.kernel.ids import EventId
from boxoffice.runtime import hotpaths, web
from boxoffice.runtime.authn import Caller
from boxoffice.runtime.hotpaths import HotPath
from boxoffice.services.sales.api.parts import JSON, LIVE, MAX_BIGINT, PRIVATE, Parts, is_known, knows
from boxoffice.services.sales.domain.refusals import EventNotFoundError
from boxoffice.services.sales.usecases.act_for import may_look
from boxoffice.services.sales.usecases.keep_houses import Houses
from boxoffice.services.sales.usecases.kept_house import HouseView, KeptHouse

OK, NOT_MODIFIED = 200, 304
MOST_DIGITS: Final = len(str(MAX_BIGINT)) - 1
"""Longer ids are the framework's business."""


@get(
    "/events/{event_id:int}/availability",
    responses={OK: ResponseSpec(data_container=HouseView, generate_examples=False)},
    opt=web.refuses(EventNotFoundError),
)
async def availability(
    request: Request[Any, Any, Any], maybe_caller: Caller | None, parts: Parts, event_id: int
) -> Response[bytes]:
    """Show the whole house in one small answer, two bits a seat; a picture, read at most every 100 ms for everybody."""
    kept = await visible_house(parts.houses, event_id, maybe_caller)
    is_there = is_known(request, kept.tag)
    return Response(
        content=b"" if is_there else kept.body, status_code=NOT_MODIFIED if is_there else OK, media_type=JSON,
        headers={"ETag": f'W/"{kept.tag}"', "Cache-Control": LIVE if kept.is_public else PRIVATE},
    )  # fmt: skip


@get(
    "/events/{event_id:int}/live",
    opt=web.refuses(EventNotFoundError, web.UpgradeNeededError),
)
async def live(maybe_caller: Caller | None, parts: Parts, event_id: int) -> None:
    """Follow the house live, over a WebSocket: a snapshot, then a delta for every change (docs/howto/follow-a-house).

    ``?version=`` and ``?hash=`` of what a client has already bring only what changed since. A plain GET is refused.
    """
    await visible_house(parts.houses, event_id, maybe_caller)
    raise web.UpgradeNeededError("Open a WebSocket at this address, or ask for /availability.")


async def visible_house(houses: Houses, event_id: int, caller: Caller | None) -> KeptHouse:
    """Give a house that the caller may see.

    :raises EventNotFoundError: when there is no such event, or it is a draft of somebody else.
    """
    kept = await houses.look(EventId(event_id))
    if not kept.is_visible_to(may_look(caller.organisations) if caller else []):
        raise EventNotFoundError("There is no such event.")
    return kept


def availability_path(parts: Callable[[], Parts]) -> HotPath:
    """Answer for public houses whose picture is good, to callers without a token: nearly everybody."""

    def answer(call: hotpaths.Call) -> hotpaths.Answer | None:
        text = hotpaths.segment(call.path)
        if len(text) > MOST_DIGITS or not (text.isascii() and text.isdigit()):
            return None
        kept = parts().houses.glance(EventId(int(text)))
        if kept is None or not kept.is_public:
            return None
        fresh, unchanged = kept.written or _write(kept)
        known = None
        for name, value in call.headers:
            if name == b"authorization":
                return None
            if name == b"if-none-match":
                known = value.decode("latin-1")
        return unchanged if known is not None and knows(known, kept.tag) else fresh

    return HotPath(
        "GET", "/api/v1/events/{}/availability", begin=answer, route="/api/v1/events/{event_id}/availability"
    )  # fmt: skip


def _write(kept: KeptHouse) -> tuple[hotpaths.Answer, hotpaths.Answer]:
    headers = {"etag": f'W/"{kept.tag}"', "cache_control": LIVE}
    kept.written = found = (
        hotpaths.Answer.of(OK, kept.body, media_type=JSON, **headers),
        hotpaths.Answer.of(NOT_MODIFIED, b"", media_type=JSON, **headers),
    )
    return found


ROUTES: list[Any] = [availability, live]
