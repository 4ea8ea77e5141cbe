"""Who is calling: access tokens (JWT, EdDSA, RFC 9068 ``at+jwt``) checked against identity's public keys.

A token is verified once per process and remembered until it expires; ``kid`` only looks up our own keys, every header
that points elsewhere (``jku``, ``x5u``, ``jwk``) is ignored.
"""

import asyncio
import time
import warnings
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import KeySet, OKPKey
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from boxoffice.contracts.tokens import AUDIENCE, KEYS_FRESH_S, TYPE
from boxoffice.kernel.errors import Category, DomainError
from boxoffice.kernel.ids import OrganisationId, UserId

ALGORITHMS = ["EdDSA", "Ed25519"]
# RFC 9864 renames EdDSA to Ed25519; clients and libraries still expect RFC 8037's name, so we sign with that one.
warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)
LEEWAY_S = 30
"""Clocks of our own machines differ by less."""
MAX_TOKEN_BYTES = 4_096
"""Our tokens are under 1 kB; a larger one is not ours."""
REMEMBERED_TOKENS = 20_000
"""About 10 MB; the least recently used are forgotten first."""
KEYS_RETRY_S = 5.0
"""An unknown kid asks identity again at most this often."""

CUSTOMER, ORGANISER, SUPPORT, ADMINISTRATOR, SERVICE = (
    "customer",
    "organiser",
    "support",
    "administrator",
    "service",
)
STAFF = frozenset({SUPPORT, ADMINISTRATOR})


class UnauthenticatedError(DomainError):
    """No token, or one that cannot be trusted."""

    code: ClassVar[str] = "identity.unauthenticated"
    category: ClassVar[Category] = Category.UNAUTHENTICATED
    title: ClassVar[str] = "Please log in"


class ForbiddenError(DomainError):
    """Logged in, but without the role."""

    code: ClassVar[str] = "identity.forbidden"
    category: ClassVar[Category] = Category.FORBIDDEN
    title: ClassVar[str] = "Your account may not do this"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A logged-in user: who, with which roles, in which organisations (organisation id -> role in it)."""

    user_id: UserId
    roles: frozenset[str]
    organisations: dict[OrganisationId, str] = field(default_factory=dict)
    token: str = ""

    @property
    def is_staff(self) -> bool:
        """Whether the caller works for the platform."""
        return bool(self.roles & STAFF)


MALFORMED = (JoseError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What reading a hostile token may raise: deep nesting ends in RecursionError, absurd numbers in OverflowError."""

FetchKeys = Callable[[], Awaitable[dict[str, Any]]]


class TokenVerifier:
    """Verifies access tokens; ``fetch_keys`` reads identity's JWKS."""

    def __init__(self, fetch_keys: FetchKeys, *, issuer: str) -> None:
        self._fetch_keys = fetch_keys
        self._keys: dict[str, OKPKey] = {}
        self._keys_read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._remembered: OrderedDict[str, tuple[float, Caller]] = OrderedDict()
        self._claims = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": AUDIENCE},
            exp={"essential": True},
            sub={"essential": True},
        )

    def known(self, token: str) -> Caller | None:
        """Tell who holds a token that was verified before and is good still."""
        known = self._remembered.get(token)
        return known[1] if known is not None and known[0] > time.time() else None

    async def caller(self, token: str) -> Caller:
        """Tell who holds a token.

        :raises UnauthenticatedError: when it is malformed, forged, expired or not meant for us.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise UnauthenticatedError("The token is not one of ours.")
        known = self._remembered.get(token)
        if known is not None and known[0] > time.time():
            self._remembered.move_to_end(token)
            return known[1]
        expires, caller = await self._verify(token)
        self._remembered[token] = (expires, caller)
        while len(self._remembered) > REMEMBERED_TOKENS:
            self._remembered.popitem(last=False)
        return caller

    async def _verify(self, token: str) -> tuple[float, Caller]:
        try:
            key = await self._key(token)
            decoded = jwt.decode(token, key, algorithms=ALGORITHMS)
            if decoded.header.get("typ") != TYPE:
                raise UnauthenticatedError("This is not an access token.")
            self._claims.validate(decoded.claims)
            if decoded.claims["aud"] != AUDIENCE:  # the library also takes a list that holds it; we never sign one
                raise UnauthenticatedError("This token is meant for somebody else.")
            return float(decoded.claims["exp"]), _caller(decoded.claims, token)
        except MALFORMED as error:
            raise UnauthenticatedError("The access token is not valid or has expired. Log in again.") from error

    async def _key(self, token: str) -> OKPKey:
        kid = _unverified_kid(token)
        if self._wants_keys(kid):
            async with self._reading:  # one request reads for all that wait
                if self._wants_keys(kid):
                    await self._read_keys(kid)
        if kid not in self._keys:
            raise UnauthenticatedError("The access token was not signed by this platform.")
        return self._keys[kid]

    def _wants_keys(self, kid: str) -> bool:
        age = time.monotonic() - self._keys_read_at
        return age > KEYS_FRESH_S or (kid not in self._keys and age > KEYS_RETRY_S)

    async def _read_keys(self, kid: str) -> None:
        """Read identity's keys; while it is away, keys that we know stay good (a dead part takes no other down)."""
        try:
            published = KeySet.import_key_set(await self._fetch_keys())  # type: ignore[arg-type] # JSON, untyped
        except DomainError:
            if kid not in self._keys:
                raise
            self._keys_read_at = time.monotonic() - KEYS_FRESH_S + KEYS_RETRY_S
            return
        self._keys = {key.kid: key for key in published.keys if isinstance(key, OKPKey) and key.kid}
        self._keys_read_at = time.monotonic()


def _unverified_kid(token: str) -> str:
    from joserfc.jws import extract_compact

    kid = extract_compact(token.encode()).headers().get("kid")
    if not isinstance(kid, str):
        raise UnauthenticatedError("The access token names no key.")
    return kid


def _caller(claims: dict[str, Any], token: str) -> Caller:
    return Caller(
        user_id=UserId(UUID(claims["sub"])),
        roles=frozenset(str(role) for role in claims.get("roles", [])),
        organisations={OrganisationId(UUID(entry["id"])): str(entry["role"]) for entry in claims.get("orgs", [])},
        token=token,
    )


def bearer(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """Read the bearer token of a request, if any."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


async def maybe_caller(request: Request[Any, Any, Any]) -> Caller | None:
    """Litestar dependency: the caller, or none when no token came. A bad token is a 401 all the same."""
    token = bearer(request)
    if token is None:
        return None
    verifier: TokenVerifier = request.app.state.verifier
    return await verifier.caller(token)


async def caller(request: Request[Any, Any, Any]) -> Caller:
    """Litestar dependency: the caller.

    :raises UnauthenticatedError: when no token came.
    """
    found = await maybe_caller(request)
    if found is None:
        raise UnauthenticatedError("Send an access token: Authorization: Bearer …")
    return found


def require(*roles: str) -> Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]:
    """Litestar guard: let only callers in who have one of the roles; the role also shows in OpenAPI."""
    wanted = frozenset(roles)

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        token = bearer(connection)
        if token is None:
            raise UnauthenticatedError("Send an access token: Authorization: Bearer …")
        verifier: TokenVerifier = connection.app.state.verifier
        if not (await verifier.caller(token)).roles & wanted:
            raise ForbiddenError(f"This needs the role {' or '.join(sorted(wanted))}.", roles=sorted(wanted))

    guard.roles = wanted  # type: ignore[attr-defined] # runtime/openapi.py reads it
    return guard
