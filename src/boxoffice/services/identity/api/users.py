"""/users/me: read, change, erase and export one's own account. Preferences below it are notification's."""

from litestar import Controller, delete, get, patch

from boxoffice.runtime import web
from boxoffice.runtime.authn import Caller
from boxoffice.services.identity.api.parts import NO_STORE, Parts, Word
from boxoffice.services.identity.api.views import (
    ExportView,
    LoginView,
    UserView,
    organisation_view,
    user_view,
)
from boxoffice.services.identity.domain.account import AccountClosedError, BadAccountError
from boxoffice.services.identity.domain.organisation import LastOwnerError
from boxoffice.services.identity.usecases.change_account import Change, change_account
from boxoffice.services.identity.usecases.erase_account import erase_account
from boxoffice.services.identity.usecases.read_account import list_logins, read_account


class ChangeBody(web.Model, frozen=True):
    """New values; what is left out stays. An empty phone number takes it away."""

    name: Word | None = None
    phone: Word | None = None


class UsersController(Controller):
    """One's own account; there is no way to anybody else's."""

    path = "/users/me"
    response_headers = NO_STORE

    @get("/", opt=web.refuses(AccountClosedError))
    async def read(self, caller: Caller, parts: Parts) -> UserView:
        """Read the account."""
        own = await read_account(parts.database, caller.user_id)
        return user_view(own.account, own.roles)

    @patch("/", opt=web.refuses(AccountClosedError, BadAccountError))
    async def change(self, caller: Caller, parts: Parts, data: ChangeBody) -> UserView:
        """Change name or phone number."""
        await change_account(parts.database, caller.user_id, Change(name=data.name, phone=data.phone))
        own = await read_account(parts.database, caller.user_id)
        return user_view(own.account, own.roles)

    @delete("/", opt=web.refuses(LastOwnerError))
    async def erase(self, caller: Caller, parts: Parts) -> None:
        """Erase the account. Orders keep its id; nothing else remains of it."""
        await erase_account(parts.database, caller.user_id)

    @get("/export", opt=web.refuses(AccountClosedError))
    async def export(self, caller: Caller, parts: Parts) -> ExportView:
        """Export everything that identity keeps of the caller."""
        own = await read_account(parts.database, caller.user_id)
        logins = await list_logins(parts.database, caller.user_id)
        return ExportView(
            user=user_view(own.account, own.roles),
            organisations=[organisation_view(found) for found in own.organisations],
            logins=[LoginView(begun_at=begun, state=state, closed_at=closed) for begun, state, closed in logins],
        )
