"""POST /auth/…: register, log in, refresh, log out, verify an address, forget and reset a password."""

from typing import Annotated

import msgspec
from litestar import Controller, post

from boxoffice.runtime import idempotency, web
from boxoffice.services.identity.api.parts import NO_STORE, Parts, Secret, Word
from boxoffice.services.identity.api.views import TokensView, UserView, tokens_view, user_view
from boxoffice.services.identity.domain.account import BadAccountError, EmailTakenError, roles
from boxoffice.services.identity.domain.link import LinkOverError
from boxoffice.services.identity.domain.login import BadCredentialsError, LoginOverError, TooManyAttemptsError
from boxoffice.services.identity.domain.password import WeakPasswordError
from boxoffice.services.identity.providers.hashing import BusyError
from boxoffice.services.identity.usecases.forgot_password import forgot_password
from boxoffice.services.identity.usecases.log_in import log_in
from boxoffice.services.identity.usecases.log_out import log_out
from boxoffice.services.identity.usecases.refresh import refresh
from boxoffice.services.identity.usecases.register import Registration, register
from boxoffice.services.identity.usecases.reset_password import reset_password
from boxoffice.services.identity.usecases.verify_email import verify_email

Password = Annotated[str, msgspec.Meta(max_length=4_096)]
"""A bound for the reader only; the domain refuses above 256 characters and says so."""


class RegisterBody(web.Model, frozen=True):
    """A new account."""

    name: Word
    email: Word
    password: Password
    phone: Word | None = None


class LoginBody(web.Model, frozen=True):
    """An address and its password."""

    email: Word
    password: Password


class RefreshBody(web.Model, frozen=True):
    """A refresh token, which works once."""

    refresh_token: Secret


class TokenBody(web.Model, frozen=True):
    """The token of a mailed link."""

    token: Secret


class ForgotBody(web.Model, frozen=True):
    """The address of whoever forgot the password."""

    email: Word


class ResetBody(web.Model, frozen=True):
    """The token of a mailed link and the new password."""

    token: Secret
    password: Password


class Accepted(web.View, frozen=True):
    """The wish was noted; the answer is the same whether the address is known or not."""

    status: str


class AuthController(Controller):
    """Everything that somebody without a token may do."""

    path = "/auth"
    response_headers = NO_STORE

    @post("/register", opt=web.refuses(EmailTakenError, WeakPasswordError, BadAccountError, idempotency.KeyReusedError))
    async def register(self, data: RegisterBody, parts: Parts, idempotency_key: web.IdempotencyKey = None) -> UserView:
        """Register. The account can buy at once; a mail asks to verify the address."""
        registration = Registration(
            name=data.name, email=data.email, phone=data.phone, password=data.password, key=idempotency_key
        )
        account = await register(parts.database, parts.hasher, registration, public_url=parts.public_url)
        return user_view(account, roles(staff_roles=account.staff_roles, memberships={}))

    @post("/login", status_code=200, opt=web.refuses(BadCredentialsError, TooManyAttemptsError, BusyError))
    async def login(self, data: LoginBody, parts: Parts) -> TokensView:
        """Log in: an access token for ten minutes and a refresh token."""
        return tokens_view(
            await log_in(
                parts.database, parts.hasher, parts.guesses, parts.issuer, email=data.email, password=data.password
            )
        )

    @post("/refresh", status_code=200, opt=web.refuses(LoginOverError))
    async def refresh(self, data: RefreshBody, parts: Parts, idempotency_key: web.IdempotencyKey = None) -> TokensView:
        """Exchange a refresh token for new tokens. It works once; a second use ends the login.

        A client whose answer was lost repeats the call with the same Idempotency-Key within ten seconds.
        """
        return tokens_view(
            await refresh(parts.database, parts.issuer, refresh_token=data.refresh_token, key=idempotency_key)
        )

    @post("/logout", status_code=204)
    async def logout(self, data: RefreshBody, parts: Parts) -> None:
        """Log out: the refresh token and all its successors work no more."""
        await log_out(parts.database, refresh_token=data.refresh_token)

    @post("/verify-email", status_code=204, opt=web.refuses(LinkOverError))
    async def verify_email(self, data: TokenBody, parts: Parts) -> None:
        """Verify an address with the token of the mailed link."""
        await verify_email(parts.database, token=data.token)

    @post("/forgot-password", status_code=202, opt=web.refuses(BadAccountError))
    async def forgot_password(self, data: ForgotBody, parts: Parts) -> Accepted:
        """Ask for a link to set a new password; it goes to the address, if it has an account."""
        await forgot_password(parts.database, email=data.email)
        return Accepted(status="accepted")

    @post("/reset-password", status_code=204, opt=web.refuses(LinkOverError, WeakPasswordError, BusyError))
    async def reset_password(self, data: ResetBody, parts: Parts) -> None:
        """Set a new password with the token of the mailed link; every login of the account ends."""
        await reset_password(parts.database, parts.hasher, token=data.token, password=data.password)
