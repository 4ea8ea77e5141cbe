"""The gateway's own answers, written straight to the server: refusals, pages, files."""

import html
from collections.abc import Mapping
from typing import Any

from litestar import Response

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.runtime import problems
from boxoffice.runtime.hotpaths import SECURITY_HEADERS
from boxoffice.runtime.telemetry import REFUSALS, log, trace_id
from boxoffice.services.gateway.domain.headers import Header, find

SERVICE = "gateway"
HTML = "text/html; charset=utf-8"
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013
"""Codes of RFC 6455, section 7.4.1, and of the registry that it opens."""

_log = log(__name__)


async def answer(
    send: Any,
    *,
    status: int,
    body: bytes,
    media_type: str,
    headers: Mapping[str, str] | None = None,
    without_body: bool = False,
) -> None:
    """Send one whole answer with the headers that every answer has."""
    given: list[Header] = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", trace_id().encode()),
        *((name.lower().encode(), value.encode("latin-1", "replace")) for name, value in (headers or {}).items()),
    ]
    present = {name for name, _ in given}
    given.extend((name, value) for name, value in SECURITY_HEADERS.items() if name not in present)
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": b"" if without_body else body})


async def refuse(scope: dict[str, Any], send: Any, error: DomainError) -> int:
    """Answer a refusal: a problem for programs, a short page for people. Returns the status."""
    status = problems.STATUS[error.category]
    REFUSALS.labels(SERVICE, error.code).inc()
    _log.info("refused", code=error.code, detail=error.detail)
    if scope["type"] == "websocket":
        code = TRY_AGAIN_LATER if error.category in {Category.UNAVAILABLE, Category.TOO_MANY} else POLICY_VIOLATION
        await send({"type": "websocket.close", "code": code, "reason": error.code})
        return status
    headers = {"Cache-Control": "no-store"}
    if "retryAfterSeconds" in error.context:
        headers["Retry-After"] = str(error.context["retryAfterSeconds"])
    if error.category is Category.TOO_LARGE:
        headers["Connection"] = "close"
    body = problems.render(status=status, code=error.code, title=error.title, detail=error.detail, **error.context)
    media_type = problems.MEDIA_TYPE
    if _is_for_people(scope):
        body, media_type = _page(error.title, error.detail), HTML
    await answer(
        send, status=status, body=body, media_type=media_type, headers=headers, without_body=scope["method"] == "HEAD"
    )
    return status


async def apologise(scope: dict[str, Any], send: Any, sorry: Response[bytes]) -> None:
    """Answer what nobody expected, which is logged already, as a refusal is answered."""
    body, media_type = sorry.content, problems.MEDIA_TYPE
    if _is_for_people(scope):
        body, media_type = (
            _page("Something went wrong on our side", "It was logged. Give the number below when you report it."),
            HTML,
        )
    await answer(
        send, status=problems.SERVER_ERROR, body=body, media_type=media_type, headers={"Cache-Control": "no-store"},
        without_body=scope["method"] == "HEAD",
    )  # fmt: skip


def _is_for_people(scope: dict[str, Any]) -> bool:
    accepted = find(scope["headers"], b"accept") or b""
    return b"text/html" in accepted and not f"{scope['path']}/".startswith(("/api/", "/.well-known/"))


def _page(title: str, detail: str) -> bytes:
    title, detail = html.escape(title), html.escape(detail)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<h1>{title}</h1><p>{detail}</p><p>Please try again in a moment.</p><p><small>{trace_id()}</small></p></html>"
    ).encode()
