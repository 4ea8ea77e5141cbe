"""Issue the pair of tokens that a login lives on: a signed access token and an opaque refresh token."""

from dataclasses import dataclass

from boxoffice.runtime.database import Connection
from boxoffice.services.identity.domain.account import roles
from boxoffice.services.identity.providers.signing import Issuing, SigningKeys
from boxoffice.services.identity.store import organisations
from boxoffice.services.identity.store.users import Account

TOKEN_TYPE = "Bearer"  # noqa: S105 - RFC 6750's word


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """What issues tokens: the keys, and how many days a login lives without activity."""

    keys: SigningKeys
    idle_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A pair of tokens; the seconds are those of the access token."""

    access_token: str
    refresh_token: str
    expires_in_seconds: int


async def issue_tokens(connection: Connection, issuer: Issuer, account: Account, refresh_token: str) -> Tokens:
    """Sign an access token with the roles and organisations of now, and put it beside a refresh token."""
    memberships = {
        found.organisation_id: found.role or "" for found in await organisations.of_user(connection, account.user_id)
    }
    issuing = Issuing(
        user_id=account.user_id,
        roles=roles(staff_roles=account.staff_roles, memberships=memberships),
        organisations=[{"id": str(organisation_id), "role": role} for organisation_id, role in memberships.items()],
    )
    return Tokens(
        access_token=issuer.keys.access_token(issuing),
        refresh_token=refresh_token,
        expires_in_seconds=issuer.keys.life_seconds,
    )
