"""Composition root of the storefront: settings -> seal, pages, caches, routes. It opens nothing of its own."""

import secrets
from typing import Any

from litestar import Litestar, Request, Router, get

from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings, env_name
from boxoffice.runtime.telemetry import log
from boxoffice.runtime.web import make_app
from boxoffice.services.storefront.api import account, bookings, browse, buy, organise, problems
from boxoffice.services.storefront.api.errors import NothingHereError
from boxoffice.services.storefront.api.files import Files, favicon, static_file
from boxoffice.services.storefront.api.front import Front
from boxoffice.services.storefront.api.front import front as read_front
from boxoffice.services.storefront.api.rendering import Pages
from boxoffice.services.storefront.api.visit import Cookies, visit
from boxoffice.services.storefront.providers.sealing import Sealer
from boxoffice.services.storefront.usecases.draw_house import Pictures
from boxoffice.services.storefront.usecases.show_event import Houses

_log = log(__name__)


def build(settings: Settings, peers: Peers) -> Litestar:
    """Build the storefront; it reaches everything through ``peers.client("gateway")``."""
    if not settings.session_secret:
        _log.warning("session_secret.made", detail=f"set {env_name('session_secret')}, or logins end with the process")
    cookies = Cookies(
        sealer=Sealer(settings.session_secret or secrets.token_urlsafe(32)),
        secure=settings.public_url.startswith("https://"),
        days=settings.refresh_days,
    )
    files = Files()
    front = Front(
        pages=Pages(files=files, cookies=cookies, demo=settings.demo),
        pictures=Pictures(),
        houses=Houses(),
        public_url=settings.public_url.rstrip("/"),
    )
    routes = [
        *browse.ROUTES, *buy.ROUTES, *bookings.ROUTES, *account.ROUTES, *organise.ROUTES, static_file, favicon, nowhere,
    ]  # fmt: skip
    return make_app(
        "storefront",
        routes=[],
        root_routes=[Router(path="/", route_handlers=routes, exception_handlers=problems.handlers())],
        verifier=None,
        state={"peers": peers, "cookies": cookies, "files": files, "front": front},
        dependencies={"visit": visit, "front": read_front},
    )  # fmt: skip


@get("/{path:path}", include_in_schema=False)
async def nowhere(request: Request[Any, Any, Any], path: str) -> None:  # noqa: ARG001 - the framework's shape
    """Say that there is no such page, with the shop's own page."""
    raise NothingHereError("The address may be old or mistyped.")
