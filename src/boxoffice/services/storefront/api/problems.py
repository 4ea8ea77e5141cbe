"""Error pages: what went wrong, in words, and what to do now. The API's refusals keep their status and code."""

from collections.abc import Mapping
from random import randrange
from typing import Any
from urllib.parse import quote

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.status_codes import HTTP_404_NOT_FOUND, HTTP_500_INTERNAL_SERVER_ERROR, HTTP_503_SERVICE_UNAVAILABLE

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.runtime.problems import STATUS
from boxoffice.runtime.telemetry import REFUSALS, log, trace_id
from boxoffice.services.storefront.api.errors import LoginNeededError
from boxoffice.services.storefront.api.front import Front
from boxoffice.services.storefront.api.rendering import Pages
from boxoffice.services.storefront.api.visit import Visit
from boxoffice.services.storefront.providers.shop import ApiRefusalError

_log = log(__name__)

ADVICE: Mapping[str, str] = {
    "sales.event_not_found": "The address may be old, or the event is not announced yet. Search for it.",
    "sales.booking_not_found": "It may belong to another account. Your own bookings are listed under My bookings.",
    "sales.ticket_not_found": "It may belong to another account. Your own tickets are listed under My bookings.",
    "sales.hold_expired": "The seats are free for everybody again. Nothing was paid. Choose again on the event's page.",
    "sales.wrong_booking_state": "Something changed since the page was shown. Open the booking again.",
    "sales.too_late_to_cancel": "The policy that you agreed to ended earlier. The organiser can still help you.",
    "storefront.stale_form": "Go back, load the page again and send the form once more. Nothing was changed.",
}
"""What to do, by the refusal's code; else by its status."""
BY_STATUS: Mapping[int, str] = {
    STATUS[Category.NOT_FOUND]: "Check the address, or search for what you are looking for.",
    STATUS[Category.FORBIDDEN]: "Log in with the account that may do this.",
    STATUS[Category.TOO_MANY]: "Wait a moment, then try again.",
    STATUS[Category.UNAVAILABLE]: "This passes. Try again in a moment; what you hold stays held until its clock ends.",
}
AGAIN_S = 5
"""Seconds, at least, until a page that could not be shown asks for itself again; up to twice as many, so that those who
were refused at the same moment do not come back at the same moment.
"""
USUAL = "Go back and try again. If it happens once more, tell us the number below."


def handlers() -> dict[Any, Any]:
    """Give the pages their exception handlers."""
    return {
        LoginNeededError: _on_login_needed,
        ApiRefusalError: _on_api_refusal,
        DomainError: _on_refusal,
        HTTPException: _on_framework,
        Exception: _on_surprise,
    }


def _on_login_needed(request: Request[Any, Any, Any], error: LoginNeededError) -> Response[bytes]:
    """Lead to the login form and back; a form's address is no page, so it leads back to where it stood."""
    visit = _visit(request)
    where = visit.path if visit and request.method == "GET" else "/bookings"
    if visit is None:
        return _page(request, status=STATUS[error.category], title=error.title, detail=error.detail, code=error.code)
    return _pages(request).go(visit, f"/login?next={quote(where)}")


def _on_api_refusal(request: Request[Any, Any, Any], error: ApiRefusalError) -> Response[bytes]:
    visit = _visit(request)
    if error.is_unauthenticated and visit is not None:
        visit.become(None)
        where = visit.path if request.method == "GET" else "/"
        return _pages(request).go(visit, f"/login?next={quote(where)}")
    return _page(
        request, status=error.status, title=error.title, detail=error.detail, code=error.code,
        retry_after_s=error.retry_after_s,
    )  # fmt: skip


def _on_refusal(request: Request[Any, Any, Any], error: DomainError) -> Response[bytes]:
    REFUSALS.labels("storefront", error.code).inc()
    _log.info("refused", code=error.code, detail=error.detail)
    retry = error.context.get("retryAfterSeconds", 0)
    return _page(
        request, status=STATUS[error.category], title=error.title, detail=error.detail, code=error.code,
        retry_after_s=retry if isinstance(retry, int) else 0,
    )  # fmt: skip


def _on_framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    if error.status_code == HTTP_404_NOT_FOUND:
        return _page(
            request, status=error.status_code, title="There is nothing at this address", code="request.not_found"
        )
    return _page(request, status=error.status_code, title="The request cannot be read as sent", code="request.refused")


def _on_surprise(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    _log.error("unexpected", path=request.url.path, exc_info=error)
    return _page(
        request, status=HTTP_500_INTERNAL_SERVER_ERROR, title="Something went wrong on our side",
        code="request.unexpected", detail="It was logged, and somebody will look at it.",
    )  # fmt: skip


def _page(
    request: Request[Any, Any, Any], *, status: int, title: str, code: str, detail: str = "", retry_after_s: int = 0
) -> Response[bytes]:
    visit = _visit(request) or Visit(peers=request.app.state.peers, session=None, client="", path="/")
    again = status == HTTP_503_SERVICE_UNAVAILABLE and request.method == "GET"
    answer = _pages(request).personal(
        visit, "error.html", status=status, title=title, detail=detail, code=code, trace=trace_id(),
        advice=ADVICE.get(code) or BY_STATUS.get(status, USUAL), retry_after_s=retry_after_s, again=again,
    )  # fmt: skip
    if retry_after_s:
        answer.headers["Retry-After"] = str(retry_after_s)
    if again:  # whoever only looks need not press anything; what was sent by a form is never sent twice by itself
        answer.headers["Refresh"] = str(max(retry_after_s, AGAIN_S) + randrange(AGAIN_S + 1))  # noqa: S311 - spreads visitors
    return answer


def _visit(request: Request[Any, Any, Any]) -> Visit | None:
    found: Visit | None = getattr(request.state, "visit", None)
    return found


def _pages(request: Request[Any, Any, Any]) -> Pages:
    front: Front = request.app.state.front
    return front.pages
