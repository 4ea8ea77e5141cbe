"""Log out: end the login that a refresh token belongs to. Saying so twice, or with a dead token, is no error."""

from uuid import UUID

from boxoffice.runtime.database import Database
from boxoffice.services.identity.domain.login import Action, State, after
from boxoffice.services.identity.providers import secrets
from boxoffice.services.identity.store import logins


async def log_out(database: Database, *, refresh_token: str) -> None:
    """End the login of a refresh token, current or spent."""
    async with database.transaction() as tx:
        presented = await logins.present(tx, secrets.digest(refresh_token))
        if presented is not None and presented.login is State.OPEN:
            await logins.close(tx, presented.login_id, after(presented.login, Action.LOG_OUT), because="log_out")


async def log_out_everywhere(database: Database, user_id: UUID) -> None:
    """End every login of a user."""
    async with database.transaction() as tx:
        await logins.close_all(tx, user_id, after(State.OPEN, Action.LOG_OUT), because="log_out_everywhere")
