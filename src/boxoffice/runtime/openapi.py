"""What an operation needs and how it may refuse, read from the handler itself, so that OpenAPI cannot differ from it.

A guard made by ``authn.require`` tells the roles, a ``caller`` parameter that a token is needed, ``opt=refuses(…)`` the
refusals of the use case. The rest (a body that cannot be read, too many calls) every operation shares.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.routes import HTTPRoute

from boxoffice.kernel.errors import DomainError
from boxoffice.runtime import authn, problems

REFUSES = "refuses"
BEARER = "bearer"
TRACE = "0af7651916cd43dd8448eb211c80319c"
"""The example of the W3C Trace Context recommendation."""

SHARED: Mapping[int, tuple[str, str]] = {
    413: ("request.too_large", "The body is larger than this call takes"),
    422: ("request.invalid", "The request cannot be read as written"),
    429: ("gateway.too_many_requests", "Too many requests"),
    503: ("runtime.database_unavailable", "The database does not answer"),
}
NOT_FOUND = (404, "request.not_found", "There is nothing at this address")


class Problem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An error (RFC 9457): a client goes by ``code``; further members hold what it can act on."""

    type: str
    title: str
    status: int
    code: str
    trace_id: str
    detail: str | None = None
    errors: list[dict[str, str]] | None = None


def refuses(*errors: type[DomainError]) -> dict[str, Any]:
    """Name the refusals of a handler: ``@post("/reserve", opt=refuses(SeatsTakenError, LimitReachedError))``."""
    return {REFUSES: errors}


def declare(app: Litestar) -> None:
    """Write security and error answers to every handler, before the document is first made."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if handler.resolve_include_in_schema():
                    _declare(handler, bool(route.path_parameters))


def _declare(handler: HTTPRouteHandler, has_path_parameters: bool) -> None:  # noqa: FBT001 - private, said by its name
    roles = _roles(handler)
    parameters = handler.parsed_fn_signature.parameters
    needs_token = bool(roles) or "caller" in parameters
    if needs_token:
        handler.security = [{BEARER: sorted(roles)}]
    elif "maybe_caller" in parameters:
        handler.security = [{BEARER: []}, {}]
    refusals: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for error in _refusals(handler, needs_token=needs_token, has_roles=bool(roles)):
        refusals[problems.STATUS[error.category]].append((error.code, error.title))
    for status, shared in SHARED.items():
        if status != 413 or "data" in parameters:  # noqa: PLR2004 - only a call with a body can have too large a one
            refusals[status].append(shared)
    if has_path_parameters and NOT_FOUND[0] not in refusals:
        refusals[NOT_FOUND[0]].append(NOT_FOUND[1:])
    handler.responses = {
        **{status: _answer(status, found) for status, found in sorted(refusals.items())},
        **(handler.responses or {}),
    }


def _roles(handler: HTTPRouteHandler) -> frozenset[str]:
    """Read the roles of the guards; several guards must all be passed, so the last word is the narrowest."""
    found = [roles for guard in handler.resolve_guards() if (roles := getattr(_plain(guard), "roles", None))]
    return frozenset.intersection(*found) if found else frozenset()


def _plain(guard: Any) -> Any:
    return getattr(guard, "func", guard)  # Litestar may wrap a guard


def _refusals(handler: HTTPRouteHandler, *, needs_token: bool, has_roles: bool) -> list[type[DomainError]]:
    errors: Sequence[type[DomainError]] = handler.opt.get(REFUSES, ())
    usual: list[type[DomainError]] = [authn.UnauthenticatedError] if needs_token else []
    return [*usual, *([authn.ForbiddenError] if has_roles else []), *errors]


def _answer(status: int, refusals: Sequence[tuple[str, str]]) -> ResponseSpec:
    return ResponseSpec(
        data_container=Problem,
        description="; ".join(f"`{code}`: {title}" for code, title in refusals),
        media_type=problems.MEDIA_TYPE,
        generate_examples=False,
        examples=[
            Example(
                summary=title,
                value={
                    "type": f"/problems/{code}", "title": title, "status": status, "code": code, "traceId": TRACE,
                },
            )
            for code, title in refusals
        ],
    )  # fmt: skip
