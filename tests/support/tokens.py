"""Access tokens as identity makes them, signed with a fresh key, for tests of the other services."""

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from joserfc import jwt
from joserfc.jwk import OKPKey

from boxoffice.runtime.authn import AUDIENCE, TokenVerifier

ISSUER = "boxoffice"
LIFE_S = 600


class TokenFactory:
    """Signs tokens with its own Ed25519 key; ``verifier()`` trusts that key only."""

    def __init__(self, *, issuer: str = ISSUER) -> None:
        self.issuer = issuer
        self.key = OKPKey.generate_key("Ed25519", parameters={"kid": uuid4().hex[:8], "use": "sig", "alg": "EdDSA"})

    async def jwks(self) -> dict[str, Any]:
        """The public keys, as identity publishes them."""
        return {"keys": [self.key.as_dict(private=False)]}

    def verifier(self) -> TokenVerifier:
        return TokenVerifier(self.jwks, issuer=self.issuer)

    def token(
        self,
        user_id: UUID,
        roles: tuple[str, ...] = ("customer",),
        orgs: Mapping[UUID, str] | None = None,
        **claims: Any,
    ) -> str:
        """Sign a token; further ``claims`` replace the usual ones, and None leaves one out."""
        now = int(time.time())
        usual = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "iat": now,
            "nbf": now,
            "exp": now + LIFE_S,
            "jti": uuid4().hex,
            "roles": list(roles),
            "orgs": [{"id": str(organisation), "role": role} for organisation, role in (orgs or {}).items()],
        }
        return self.signed({**usual, **claims})

    def signed(self, claims: Mapping[str, Any]) -> str:
        """Sign any claims; those that are None are left out."""
        header = {"alg": "EdDSA", "kid": self.key.kid, "typ": "at+jwt"}
        body = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(header, body, self.key, algorithms=["EdDSA"])

    def headers(
        self, user_id: UUID, roles: tuple[str, ...] = ("customer",), orgs: Mapping[UUID, str] | None = None
    ) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(user_id, roles, orgs)}"}
