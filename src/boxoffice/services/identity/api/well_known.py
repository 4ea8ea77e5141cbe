"""/.well-known at the root: the keys that verify access tokens, for every service and for third parties."""

from typing import Any

from litestar import Response, get
from litestar.datastructures import State

from boxoffice.contracts.tokens import ALGORITHM, AUDIENCE
from boxoffice.services.identity.api.parts import Parts

FRESH_S = 300
"""A new key is published longer than this before it signs."""


@get("/.well-known/jwks.json", tags=["identity"])
async def jwks(parts: Parts) -> Response[dict[str, Any]]:
    """Read the public keys as a JWK set (RFC 7517)."""
    return Response(parts.keys.public(), headers={"Cache-Control": f"public, max-age={FRESH_S}"})


@get("/.well-known/openid-configuration", tags=["identity"])
async def openid_configuration(parts: Parts, state: State) -> Response[dict[str, Any]]:
    """Read where the keys are (OpenID Connect Discovery 1.0; no other program is given tokens for a user)."""
    configuration = {
        "issuer": state.issuer,
        "jwks_uri": f"{parts.public_url}/.well-known/jwks.json",
        # Empty rather than left out: a reader takes the usual ones, the implicit grant among them, for granted.
        "response_types_supported": [],
        "response_modes_supported": [],
        "grant_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "claims_supported": ["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "roles", "orgs"],
        "audience": AUDIENCE,
    }
    return Response(configuration, headers={"Cache-Control": f"public, max-age={FRESH_S}"})
