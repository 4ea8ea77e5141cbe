"""The demo profile: accounts that everybody knows, and the newest season of concerts on sale."""

from boxoffice.runtime.database import Database
from boxoffice.runtime.settings import Settings
from boxoffice.services.identity.usecases.ensure_demo_accounts import ensure_demo_accounts


async def prepare(settings: Settings, *, concerts: int | None) -> None:
    """Make what the demo needs where it is missing; the services are running."""
    async with Database.open(settings.identity_database_url, size=1, name="demo") as database:
        await ensure_demo_accounts(database)
    _ = concerts
