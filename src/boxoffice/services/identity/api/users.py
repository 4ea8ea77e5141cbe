"""/users/me: read, change, erase and export one's own account; preferences."""

from litestar import Controller, delete, get, patch, put

from boxoffice.runtime import web
from boxoffice.runtime.authn import Caller
from boxoffice.services.identity.api.parts import NO_STORE, Parts, Word
from boxoffice.services.identity.api.views import (
    ExportView,
    LoginView,
    PreferencesView,
    UserView,
    organisation_view,
    preferences_view,
    user_view,
)
from boxoffice.services.identity.domain.account import AccountClosedError, BadAccountError, Preferences
from boxoffice.services.identity.domain.organisation import LastOwnerError
from boxoffice.services.identity.usecases.change_account import Change, change_account, change_preferences
from boxoffice.services.identity.usecases.erase_account import erase_account
from boxoffice.services.identity.usecases.read_account import list_logins, read_account


class ChangeBody(web.Model, frozen=True):
    """New values; what is left out stays. An empty phone number takes it away."""

    name: Word | None = None
    phone: Word | None = None


class PreferencesBody(web.Model, frozen=True):
    """Which ways somebody wants news on, and in which language."""

    receive_email: bool
    receive_sms: bool
    receive_push_notifications: bool
    preferred_language: Word


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
            preferences=preferences_view(own.account.preferences),
            organisations=[organisation_view(found) for found in own.organisations],
            logins=[LoginView(begun_at=begun, state=state, closed_at=closed) for begun, state, closed in logins],
        )

    @get("/preferences", opt=web.refuses(AccountClosedError))
    async def read_preferences(self, caller: Caller, parts: Parts) -> PreferencesView:
        """Read the preferences."""
        own = await read_account(parts.database, caller.user_id)
        return preferences_view(own.account.preferences)

    @put("/preferences", opt=web.refuses(AccountClosedError, BadAccountError))
    async def write_preferences(self, caller: Caller, parts: Parts, data: PreferencesBody) -> PreferencesView:
        """Replace the preferences."""
        wanted = Preferences(
            receive_email=data.receive_email,
            receive_sms=data.receive_sms,
            receive_push=data.receive_push_notifications,
            language=data.preferred_language,
        )
        return preferences_view(await change_preferences(parts.database, caller.user_id, wanted))
