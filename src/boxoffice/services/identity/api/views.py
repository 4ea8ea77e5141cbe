"""The answers of identity."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from boxoffice.runtime import web
from boxoffice.services.identity.domain.account import State
from boxoffice.services.identity.store.organisations import Organisation
from boxoffice.services.identity.store.users import Account
from boxoffice.services.identity.usecases.issue_tokens import TOKEN_TYPE, Tokens


class TokensView(web.View, frozen=True):
    """A pair of tokens; the seconds are those of the access token."""

    access_token: str
    refresh_token: str
    expires_in_seconds: int
    token_type: str


class UserView(web.View, frozen=True):
    """An account as its owner sees it."""

    id: UUID
    name: str
    email: str
    phone: str | None
    roles: list[str]
    email_verified: bool
    created_at: datetime


class OrganisationView(web.View, frozen=True):
    """An organisation; ``role`` is the caller's in it."""

    id: UUID
    name: str
    slug: str
    role: str | None


class LoginView(web.View, frozen=True):
    """One login of the account."""

    begun_at: datetime
    state: str
    closed_at: datetime | None


class ExportView(web.View, frozen=True):
    """Everything that identity keeps of a person."""

    user: UserView
    organisations: list[OrganisationView]
    logins: list[LoginView]


def tokens_view(tokens: Tokens) -> TokensView:
    """Write a pair of tokens."""
    return TokensView(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_in_seconds=tokens.expires_in_seconds,
        token_type=TOKEN_TYPE,
    )


def user_view(account: Account, roles: Sequence[str]) -> UserView:
    """Write an account."""
    return UserView(
        id=account.user_id,
        name=account.name,
        email=account.email,
        phone=account.phone,
        roles=list(roles),
        email_verified=account.state is State.VERIFIED,
        created_at=account.created_at,
    )


def organisation_view(organisation: Organisation) -> OrganisationView:
    """Write an organisation."""
    return OrganisationView(
        id=organisation.organisation_id, name=organisation.name, slug=organisation.slug, role=organisation.role
    )
