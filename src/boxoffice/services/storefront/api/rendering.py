"""Pages out of templates, with the headers that go with them.

Keeps that personal pages are stored nowhere, that public ones can be (ETag), and that no page runs a script that is not
a file of this shop.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request, Response
from litestar.status_codes import HTTP_200_OK, HTTP_303_SEE_OTHER, HTTP_304_NOT_MODIFIED

from boxoffice.services.storefront.api.files import Files
from boxoffice.services.storefront.api.visit import Cookies, Visit
from boxoffice.services.storefront.domain import words

HTML = "text/html"
PERSONAL = "private, no-store"
WHAT_IS_KEPT = '"cache", "storage"'
"""What a browser forgets at the end of a login (https://www.w3.org/TR/clear-site-data/). Our cookie ends by itself;
``cookies`` would end those of other sites below the same domain too.
"""
TEMPLATES = Path(__file__).parents[1] / "templates"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; script-src "
)
"""Scripts: those with the page's nonce; on pages that proxies keep, where a nonce would be no secret, our files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How long a public page is kept: by the browser that has it, and by a proxy for everybody.

    ``at_most_s`` is the oldest that a proxy shows it: what is older than ``shared_s`` while it asks for a new one.
    """

    browser_s: int
    shared_s: int
    at_most_s: int

    @property
    def header(self) -> str:
        """Say so (RFC 9111, RFC 5861)."""
        while_asking = self.at_most_s - self.shared_s
        return f"public, max-age={self.browser_s}, s-maxage={self.shared_s}, stale-while-revalidate={while_asking}"


class Pages:
    """Renders pages; one for the process."""

    def __init__(self, *, files: Files, cookies: Cookies, demo: bool, name: str = "Boxoffice") -> None:
        self._cookies = cookies
        self._env = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True, auto_reload=False,
        )  # fmt: skip
        for filter_ in (
            words.day, words.clock, words.when, words.calendar_leaf, words.zone_name, words.month, words.month_days,
            words.money,
            words.span, words.count,
        ):  # fmt: skip
            self._env.filters[filter_.__name__] = filter_
        self._env.globals.update(
            shop_name=name, demo=demo, file=files.address, SALE=words.SALE, BOOKING=words.BOOKING, TICKET=words.TICKET
        )

    def personal(self, visit: Visit, template: str, *, status: int = HTTP_200_OK, **values: Any) -> Response[bytes]:
        """Show a page that is for this visitor alone."""
        html = self._render(template, visit, nonce=visit.nonce, values=values)
        headers = {"Cache-Control": PERSONAL, "Content-Security-Policy": f"{POLICY}'nonce-{visit.nonce}'"}
        return self._answer(visit, html, status=status, headers=headers)

    def public(
        self, request: Request[Any, Any, Any], visit: Visit, template: str, *, keep: Keep, **values: Any
    ) -> Response[bytes]:
        """Show a page that is the same for everybody who is not logged in; browsers and proxies keep it for a while."""
        if visit.session is not None or visit.changed:
            return self.personal(visit, template, **values)
        html = self._render(template, visit, nonce=None, values=values)
        etag = f'W/"{hashlib.blake2b(html, digest_size=12).hexdigest()}"'
        headers = {
            "Cache-Control": keep.header,
            "Content-Security-Policy": f"{POLICY}'self'",
            "ETag": etag,
            "Vary": "Cookie",
        }
        if etag in request.headers.get("if-none-match", ""):
            return Response(content=b"", status_code=HTTP_304_NOT_MODIFIED, headers=headers)
        return Response(content=html, media_type=HTML, headers=headers)

    def go(self, visit: Visit, address: str) -> Response[bytes]:
        """Send the visitor to another page of this shop."""
        headers = {"Location": address, "Cache-Control": PERSONAL}
        return self._answer(visit, b"", status=HTTP_303_SEE_OTHER, headers=headers)

    def _answer(self, visit: Visit, body: bytes, *, status: int, headers: dict[str, str]) -> Response[bytes]:
        cookies = [self._cookies.write(visit.session)] if visit.changed else []
        return Response(content=body, status_code=status, media_type=HTML, headers=headers, cookies=cookies)

    def _render(self, template: str, visit: Visit, *, nonce: str | None, values: dict[str, Any]) -> bytes:
        page = self._env.get_template(template)
        return page.render(visit=visit, session=visit.session, nonce=nonce, **values).encode()
