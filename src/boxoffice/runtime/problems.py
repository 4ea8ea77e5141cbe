"""Errors on the wire: RFC 9457 ``application/problem+json`` with ``code``, ``traceId`` and the context.

The one place where a category becomes an HTTP status.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotAuthorizedException,
    NotFoundException,
    ValidationException,
)
from litestar.exceptions.http_exceptions import ClientException, RequestEntityTooLarge

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.runtime.telemetry import REFUSALS, log, redact, trace_id

STATUS: Mapping[Category, int] = {
    Category.INVALID: 422,
    Category.UNAUTHENTICATED: 401,
    Category.FORBIDDEN: 403,
    Category.NOT_FOUND: 404,
    Category.CONFLICT: 409,
    Category.GONE: 410,
    Category.PAYMENT_REQUIRED: 402,
    Category.PRECONDITION: 412,
    Category.TOO_LARGE: 413,
    Category.TOO_MANY: 429,
    Category.UNAVAILABLE: 503,
    Category.NOT_IMPLEMENTED: 501,
    Category.UPGRADE_NEEDED: 426,
}
MEDIA_TYPE = "application/problem+json"
SERVER_ERROR = 500
BAD_REQUEST = 400

_log = log(__name__)


def problem(
    *,
    status: int,
    code: str,
    title: str,
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    **context: object,
) -> Response[bytes]:
    """Render one problem."""
    body = render(status=status, code=code, title=title, detail=detail, **context)
    return Response(
        content=body, status_code=status, media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )  # fmt: skip


def render(*, status: int, code: str, title: str, detail: str = "", **context: object) -> bytes:
    """Write the body of a problem; for handlers below the framework too."""
    members: dict[str, object] = {
        "type": f"/problems/{code}", "title": title, "status": status, "code": code, "traceId": trace_id(),
    }  # fmt: skip
    if detail:
        members["detail"] = detail
    return msgspec.json.encode({**context, **members})


def refusal(error: DomainError, *, service: str) -> Response[bytes]:
    """Answer an expected refusal, and count it by its code."""
    REFUSALS.labels(service, error.code).inc()
    _log.info("refused", code=error.code, detail=error.detail)
    headers = {}
    if "retryAfterSeconds" in error.context:
        headers["Retry-After"] = str(error.context["retryAfterSeconds"])
    if error.category is Category.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.category is Category.UPGRADE_NEEDED:
        headers["Upgrade"] = "websocket"
    return problem(
        status=STATUS[error.category], code=error.code, title=error.title, detail=error.detail, headers=headers,
        **error.context,
    )  # fmt: skip


def surprise(path: str, error: BaseException) -> Response[bytes]:
    """Answer what nobody expected, and log it."""
    _log.error("unexpected", path=path, exc_info=error)
    return problem(
        status=SERVER_ERROR, code="request.unexpected", title="Something went wrong on our side",
        detail="It was logged. Give the trace id when you report it.",
    )  # fmt: skip


@contextmanager
def last_resort(path: str, *, begun: Callable[[], bool]) -> Iterator[list[Response[bytes]]]:
    """Catch and log what nobody expected, where no framework does; refusals pass. Gives the answer to send, if any.

    Where an answer has ``begun`` there is no other one: the error goes on, and the server cuts the connection.
    """
    answers: list[Response[bytes]] = []
    try:
        yield answers
    except DomainError:
        raise
    except Exception as error:
        answers.append(surprise(path, error))
        if begun():
            raise


def handlers(service: str) -> dict[Any, Any]:
    """Give a Litestar app its exception handlers."""

    def on_refusal(_request: Request[Any, Any, Any], error: DomainError) -> Response[bytes]:
        return refusal(error, service=service)

    def on_http(_request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
        return _framework_error(error)

    def on_surprise(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        return surprise(request.url.path, error)

    return {DomainError: on_refusal, HTTPException: on_http, Exception: on_surprise}


FRAMEWORK_ERRORS: tuple[tuple[type[HTTPException], int, str, str], ...] = (
    (ValidationException, 422, "request.invalid", "The request cannot be read as written"),
    (NotFoundException, 404, "request.not_found", "There is nothing at this address"),
    (MethodNotAllowedException, 405, "request.method_not_allowed", "This address does not take that method"),
    (NotAuthorizedException, 401, "request.unauthenticated", "Please log in"),
    (RequestEntityTooLarge, 413, "request.too_large", "The body is larger than this call takes"),
    (ClientException, 422, "request.invalid", "The request cannot be read as written"),
)
"""What the framework itself refuses: its class, our status, code and title; the first match counts."""


def _framework_error(error: HTTPException) -> Response[bytes]:
    status, code, title = error.status_code, "request.refused", "The request was refused"
    for kind, as_status, as_code, as_title in FRAMEWORK_ERRORS:
        if isinstance(error, kind) and not (kind is ClientException and error.status_code != BAD_REQUEST):
            status, code, title = as_status, as_code, as_title
            break
    headers = dict(error.headers or {})
    if status == STATUS[Category.UNAUTHENTICATED]:
        headers.setdefault("WWW-Authenticate", "Bearer")
    context: dict[str, object] = {"errors": fields} if (fields := _fields(error.extra)) else {}
    return problem(status=status, code=code, title=title, detail=_said(error), headers=headers, **context)


def _said(error: HTTPException) -> str:
    detail = str(error.detail or "")
    return "" if detail.lower() in {"not found", "method not allowed"} else redact(detail)


def _fields(extra: object) -> list[dict[str, str]]:
    if not isinstance(extra, list):
        return []
    return [
        {"field": str(entry.get("key", "")), "message": redact(str(entry.get("message", "")))}
        for entry in extra
        if isinstance(entry, dict)
    ]
