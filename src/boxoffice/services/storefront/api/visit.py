"""One request's visitor: their session from the sealed cookie, the API with their token, and the check of their forms.

Keeps that a form changes nothing unless it was sent by a page of this shop to this very visitor (CSRF), and that a
renewed login reaches the browser whatever the answer is.
"""

import base64
import binascii
import hmac
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.datastructures import Cookie, FormMultiDict, State

from boxoffice.runtime.peers import Peers, PeerUnavailableError
from boxoffice.services.storefront.api.errors import LoginNeededError, StaleFormError
from boxoffice.services.storefront.domain.session import Session
from boxoffice.services.storefront.providers.sealing import Sealer
from boxoffice.services.storefront.providers.shop import ApiRefusalError, Shop
from boxoffice.services.storefront.usecases.log_in import new_mark, renew

SAME_ORIGIN = frozenset({"same-origin"})
DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookies:
    """How the session's cookie is called and kept: ``__Host-`` and Secure wherever the shop is served over HTTPS."""

    sealer: Sealer
    secure: bool
    days: int

    @property
    def name(self) -> str:
        """The cookie's name; the prefix makes browsers refuse one that another host or path set."""
        return "__Host-session" if self.secure else "session"

    def write(self, session: Session | None) -> Cookie:
        """Write the session, or end it."""
        return Cookie(
            key=self.name, value=self.sealer.seal(session) if session else "", path="/", httponly=True,
            secure=self.secure, samesite="lax", max_age=self.days * DAY_S if session else 0,
        )  # fmt: skip


@dataclass(slots=True)
class Visit:
    """A visitor during one request. ``changed`` is set when the browser must be told of another session."""

    peers: Peers
    session: Session | None
    client: str
    path: str
    changed: bool = False
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    @property
    def logged_in(self) -> bool:
        """Whether there is somebody to act for."""
        return self.session is not None and self.session.logged_in

    @property
    def shop(self) -> Shop:
        """The API with this visitor's token."""
        return Shop(self.peers, token=self.session.access_token if self.session else "", client=self.client)

    def known(self) -> Session:
        """Give the session of somebody who is logged in.

        :raises LoginNeededError: when nobody is.
        """
        if self.session is None or not self.session.logged_in:
            raise LoginNeededError("This page is yours alone: log in to see it.")
        return self.session

    def become(self, session: Session | None) -> None:
        """Replace the session; the answer sets the cookie."""
        self.session, self.changed = session, True

    def form_token(self) -> str:
        """Make the token that a form carries: the session's mark under a mask that is new each time.

        The mask keeps a compressed page from telling the mark piece by piece (BREACH).
        """
        if self.session is None:
            self.become(Session(mark=new_mark()))
        assert self.session is not None
        mark = self.session.mark.encode()
        mask = secrets.token_bytes(len(mark))
        mixed = bytes(a ^ b for a, b in zip(mark, mask, strict=True))
        return base64.urlsafe_b64encode(mask + mixed).decode()

    def check_form(self, request: Request[Any, Any, Any], form: FormMultiDict) -> None:
        """Refuse a form that another site, or nobody, sent.

        :raises StaleFormError: when it does not come from a page that this visitor was shown.
        """
        if not _is_same_origin(request) or not self._fits(str(form.get("csrf", ""))):
            raise StaleFormError("Go back, load the page again and send it once more.")

    def _fits(self, token: str) -> bool:
        if self.session is None:
            return False
        try:
            decoded = base64.urlsafe_b64decode(token.encode("ascii", "replace"))
        except (ValueError, binascii.Error):
            return False
        half = len(decoded) // 2
        mark = bytes(a ^ b for a, b in zip(decoded[:half], decoded[half:], strict=False))
        return hmac.compare_digest(mark, self.session.mark.encode())


def _is_same_origin(request: Request[Any, Any, Any]) -> bool:
    """Ask the browser where the form comes from: Fetch Metadata, or the Origin of those that lack it."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in SAME_ORIGIN
    origin = request.headers.get("origin")
    if origin is None:
        return True  # an old browser: the token decides alone
    host = request.headers.get("x-forwarded-host") or request.headers.get("host", "")
    return urlsplit(origin).netloc == host


async def visit(request: Request[Any, Any, Any], state: State) -> Visit:
    """Litestar dependency: the visitor, their login renewed when it is about to end."""
    cookies: Cookies = state.cookies
    sealed = request.cookies.get(cookies.name)
    session = cookies.sealer.open(sealed) if sealed else None
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    found = Visit(
        peers=state.peers, session=session, client=request.headers.get("x-forwarded-for", ""), path=here,
        changed=bool(sealed) and session is None,
    )  # fmt: skip
    request.state.visit = found
    if session and session.is_stale(time.time()):
        await _renew(found, session)
    return found


async def _renew(found: Visit, session: Session) -> None:
    try:
        found.become(await renew(found.peers, session, client=found.client))
    except (PeerUnavailableError, ApiRefusalError):
        # Identity is away or busy: the old token may live for seconds yet, and a login is not thrown away for that.
        return
