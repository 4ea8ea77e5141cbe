"""Log in: an address and its password open a login. Unknown address and wrong password look and last the same."""

import hashlib
from dataclasses import dataclass
from uuid import uuid4

from boxoffice.runtime.database import Database
from boxoffice.runtime.limits import Limiter, Rate
from boxoffice.services.identity.domain import password as passwords
from boxoffice.services.identity.domain.account import email_key
from boxoffice.services.identity.domain.login import ABSOLUTE_DAYS, BadCredentialsError, TooManyAttemptsError
from boxoffice.services.identity.providers import secrets
from boxoffice.services.identity.providers.hashing import Hasher
from boxoffice.services.identity.store import logins, users
from boxoffice.services.identity.store.users import Account
from boxoffice.services.identity.usecases.issue_tokens import Issuer, Tokens, issue_tokens

SECONDS_A_MINUTE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """Counts wrong passwords by account, whether it exists or not; 0 a minute means that nobody counts.

    Only failures count, so a right password never uses the budget up. The limit by a client's address is the
    gateway's: two buckets, never one of both together (OWASP Authentication Cheat Sheet).
    """

    limiter: Limiter
    per_minute: int

    @property
    def rate(self) -> Rate:
        """The failures that one account may have."""
        return Rate(per_second=self.per_minute / SECONDS_A_MINUTE, burst=self.per_minute)

    async def check(self, key: str) -> None:
        """Let an attempt on an account pass.

        :raises TooManyAttemptsError: when it had too many failures.
        """
        if self.per_minute > 0:
            verdict = await self.limiter.look(_bucket(key), self.rate)
            if not verdict.allowed:
                raise TooManyAttemptsError(
                    "Wait a moment, or have a new password mailed.", retryAfterSeconds=int(verdict.wait_s) + 1
                )

    async def failed(self, key: str) -> None:
        """Count a failure."""
        if self.per_minute > 0:
            await self.limiter.take(_bucket(key), self.rate)


async def log_in(
    database: Database, hasher: Hasher, attempts: Attempts, issuer: Issuer, *, email: str, password: str
) -> Tokens:
    """Open a login.

    :raises BadCredentialsError: when no account has that address and password.
    :raises TooManyAttemptsError: when the account had too many wrong passwords in the last minute.
    """
    key = email_key(email)
    await attempts.check(key)
    async with database.connection() as connection:
        account = await users.by_email(connection, key)
    plain = passwords.normal(password)
    # A password longer than any account's is not hashed: its length alone shows that it is wrong.
    usable = plain if len(plain) <= passwords.MAX_CHARACTERS else ""
    if not await hasher.matches(account.password_hash if account else None, usable) or account is None:
        await attempts.failed(key)
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
