"""Log in: an address and its password open a login. Unknown address and wrong password look and last the same."""

import hashlib
from uuid import uuid4

from boxoffice.runtime.database import Database
from boxoffice.runtime.limits import Guesses, Limiter
from boxoffice.services.identity.domain import password as passwords
from boxoffice.services.identity.domain.account import email_key
from boxoffice.services.identity.domain.login import ABSOLUTE_DAYS, BadCredentialsError, TooManyAttemptsError
from boxoffice.services.identity.providers import secrets
from boxoffice.services.identity.providers.hashing import Hasher
from boxoffice.services.identity.store import logins, users
from boxoffice.services.identity.store.users import Account
from boxoffice.services.identity.usecases.issue_tokens import Issuer, Tokens, issue_tokens


def password_guesses(limiter: Limiter, *, per_minute: int) -> Guesses:
    """Count wrong passwords by account, whether it exists or not.

    The limit by a client's address is the gateway's: two buckets, never one of both together (OWASP Authentication
    Cheat Sheet).
    """
    return Guesses(
        limiter=limiter, per_minute=per_minute, wrong=BadCredentialsError, too_many=TooManyAttemptsError,
        said="Wait a moment, or have a new password mailed.",
    )  # fmt: skip


async def log_in(
    database: Database, hasher: Hasher, guesses: Guesses, issuer: Issuer, *, email: str, password: str
) -> Tokens:
    """Open a login.

    :raises BadCredentialsError: when no account has that address and password.
    :raises TooManyAttemptsError: when the account had too many wrong passwords in the last minute.
    """
    key = email_key(email)
    plain = passwords.normal(password)
    # A password longer than any account's is not hashed: its length alone shows that it is wrong.
    usable = plain if len(plain) <= passwords.MAX_CHARACTERS else ""
    async with guesses.guess(_bucket(key)):
        async with database.connection() as connection:
            account = await users.by_email(connection, key)
        if not await hasher.matches(account.password_hash if account else None, usable) or account is None:
            raise BadCredentialsError("Check both, or have a new password mailed.")
    await _renew_hash(database, hasher, account, plain)
    return await open_login(database, issuer, account)


async def open_login(database: Database, issuer: Issuer, account: Account) -> Tokens:
    """Write a new login and issue its first tokens."""
    login_id, refresh_token = uuid4(), secrets.new_secret()
    async with database.transaction() as tx:
        # The account again, locked: it may have been erased, or its password reset, while this one was compared.
        now = await users.lock(tx, account.user_id)
        if now is None or now.password_hash is None or now.email != account.email:
            raise BadCredentialsError("Check both, or have a new password mailed.")
        await logins.begin(tx, login_id, account.user_id, idle_days=issuer.idle_days, absolute_days=ABSOLUTE_DAYS)
        await logins.add_token(tx, login_id, secrets.digest(refresh_token))
        return await issue_tokens(tx, issuer, now, refresh_token)


async def _renew_hash(database: Database, hasher: Hasher, account: Account, password: str) -> None:
    old = account.password_hash
    if old is not None and hasher.is_old(old):
        renewed = await hasher.hash(password)
        async with database.connection() as connection:
            await users.renew_hash(connection, account.user_id, old=old, new=renewed)


def _bucket(key: str) -> str:
    """Name an account's bucket without its address: keys of the limiter are seen by operators."""
    return "login:" + hashlib.sha256(key.encode()).hexdigest()[:32]
