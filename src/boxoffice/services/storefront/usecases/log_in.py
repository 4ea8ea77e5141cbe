"""Log somebody in, and keep them logged in."""

import base64
import binascii
import hashlib
import secrets
import time
from dataclasses import replace
from typing import Any

import msgspec

from boxoffice.runtime.peers import Peers
from boxoffice.services.storefront.domain.session import Session
from boxoffice.services.storefront.providers.answers import Tokens
from boxoffice.services.storefront.providers.shop import ApiRefusalError, Shop

MARK_BYTES = 16
MOST_ORGANISATIONS = 20
"""Kept in the cookie for the organiser's pages; more would not fit."""


def new_mark() -> str:
    """Make the random mark of a session."""
    return secrets.token_urlsafe(MARK_BYTES)


async def log_in(peers: Peers, *, email: str, password: str, client: str) -> Session:
    """Exchange address and password for a session with a new mark.

    :raises ApiRefusalError: when they do not fit, or after too many attempts.
    """
    tokens = await Shop(peers, client=client).log_in(email, password)
    user = await Shop(peers, token=tokens.access_token, client=client).me()
    return _with(Session(mark=new_mark(), name=user.name, email=user.email), tokens)


async def renew(peers: Peers, session: Session, *, client: str) -> Session | None:
    """Renew a session's access token; none when the login is over.

    A page and its pictures may ask at once: the key is made of the refresh token, so all get the same answer.

    :raises PeerUnavailableError: when identity does not answer.
    """
    key = hashlib.sha256(session.refresh_token.encode()).hexdigest()[:40]
    try:
        tokens = await Shop(peers, client=client).refresh(session.refresh_token, key=key)
    except ApiRefusalError as refusal:
        if refusal.retry_after_s:
            raise
        return None
    return _with(session, tokens)


def _with(session: Session, tokens: Tokens) -> Session:
    claims = _claims(tokens.access_token)
    organisations = [str(entry.get("id")) for entry in claims.get("orgs", []) if isinstance(entry, dict)]
    return replace(
        session,
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_at=int(time.time()) + tokens.expires_in_seconds,
        roles=tuple(str(role) for role in claims.get("roles", [])),
        organisations=tuple(organisations[:MOST_ORGANISATIONS]),
    )


def _claims(token: str) -> dict[str, Any]:
    """Read what a token says, to know which links to show. Nothing is decided by it: the API checks every call."""
    try:
        payload = token.split(".")[1]
        decoded = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return msgspec.json.decode(decoded, type=dict[str, Any])
    except (IndexError, ValueError, binascii.Error, msgspec.DecodeError):
        return {}
