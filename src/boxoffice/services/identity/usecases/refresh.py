"""Refresh a login: the token is spent, a successor takes its place; a second use of a spent one ends the login.

Of uses at the same time one is judged first, because each locks the login. The revocation commits before it is told.
"""

from boxoffice.runtime import telemetry
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.identity.domain import login as rules
from boxoffice.services.identity.domain.login import Action, LoginOverError, Use
from boxoffice.services.identity.providers import secrets
from boxoffice.services.identity.store import logins, users
from boxoffice.services.identity.store.logins import Presented
from boxoffice.services.identity.usecases.issue_tokens import Issuer, Tokens, issue_tokens

_log = telemetry.log(__name__)


async def refresh(database: Database, issuer: Issuer, *, refresh_token: str, key: str | None) -> Tokens:
    """Exchange a refresh token; ``key`` is the Idempotency-Key that makes a repeated call the same call.

    :raises LoginOverError: when the token is unknown, expired, of a closed login, or was used before.
    """
    token_hash = secrets.digest(refresh_token)
    tokens: Tokens | None = None
    async with database.transaction() as tx:
        presented = await logins.present(tx, token_hash)
        if presented is not None:
            match _judge(presented, key):
                case Use.ROTATE:
                    tokens = await _rotate(tx, issuer, presented, refresh_token, key)
                case Use.REPEAT:
                    tokens = await _repeat(tx, issuer, presented, refresh_token)
                case Use.REUSED:
                    state = rules.after(presented.login, Action.REVOKE)
                    await logins.close(tx, presented.login_id, state, because="reuse")
                    _log.warning("refresh_token.reused", login_id=str(presented.login_id))
                case Use.OVER:
                    pass
    if tokens is None:
        raise LoginOverError("The login has ended. Log in again.")
    return tokens


def _judge(presented: Presented, key: str | None) -> Use:
    return rules.judge(
        rules.Presented(
            login=presented.login,
            expired=presented.expired,
            rotated=presented.rotated,
            seconds_since_rotation=presented.seconds_since_rotation,
            rotated_by_key=presented.rotated_by_key,
            key=key[: rules.MAX_KEY] if key else None,
        )
    )


async def _rotate(
    tx: Connection, issuer: Issuer, presented: Presented, refresh_token: str, key: str | None
) -> Tokens | None:
    account = await users.by_id(tx, presented.user_id)
    if account is None or account.password_hash is None:
        return None
    successor = secrets.new_secret()
    spent = await logins.rotate(
        tx,
        secrets.digest(refresh_token),
        key=key[: rules.MAX_KEY] if key else None,
        sealed_successor=secrets.seal(successor, under=refresh_token),
    )
    if not spent:
        return None
    await logins.add_token(tx, presented.login_id, secrets.digest(successor))
    await logins.stay(tx, presented.login_id, idle_days=issuer.idle_days)
    return await issue_tokens(tx, issuer, account, successor)


async def _repeat(tx: Connection, issuer: Issuer, presented: Presented, refresh_token: str) -> Tokens | None:
    account = await users.by_id(tx, presented.user_id)
    if account is None or presented.sealed_successor is None:
        return None
    return await issue_tokens(tx, issuer, account, secrets.unseal(presented.sealed_successor, under=refresh_token))
