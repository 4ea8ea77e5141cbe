"""Give the organisation that the command line works for: the oldest one; where there is none, one is made."""

from uuid import NAMESPACE_DNS, uuid5

from boxoffice.kernel.ids import OrganisationId
from boxoffice.runtime.database import Database
from boxoffice.services.identity.domain import organisation
from boxoffice.services.identity.store import organisations

NAME = "House"


async def ensure_organisation(database: Database) -> OrganisationId:
    """Find the oldest organisation, or make one that nobody belongs to yet."""
    async with database.transaction() as tx:
        known = await organisations.oldest(tx)
        if known is not None:
            return known
        made = OrganisationId(uuid5(NAMESPACE_DNS, organisation.slug(NAME)))
        await organisations.insert(tx, made, NAME, organisation.slug(NAME))
        return made
