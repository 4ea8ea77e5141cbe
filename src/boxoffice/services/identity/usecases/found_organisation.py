"""Found an organisation: its founder becomes the owner, and an organiser from the next token on."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import msgspec

from boxoffice.kernel.ids import UserId
from boxoffice.runtime import idempotency
from boxoffice.runtime.database import Connection, Database
from boxoffice.runtime.idempotency import Answer, IdempotentCall
from boxoffice.services.identity.domain import organisation as rules
from boxoffice.services.identity.domain.account import AccountClosedError, State
from boxoffice.services.identity.domain.organisation import (
    MAX_PER_PERSON,
    Role,
    TooManyOrganisationsError,
    UnknownOrganisationError,
)
from boxoffice.services.identity.store import organisations, users
from boxoffice.services.identity.store.organisations import Organisation
from boxoffice.services.identity.usecases.read_account import CLOSED

ROUTE = "found_organisation"


async def found_organisation(
    database: Database, user_id: UserId, *, name: str, call: IdempotentCall | None = None
) -> Organisation:
    """Make an organisation owned by a user.

    :raises BadOrganisationError: when the name cannot be one.
    :raises TooManyOrganisationsError: when the user has as many as one may have.
    """
    checked = rules.read_name(name)
    async with database.transaction() as tx:
        earlier = await idempotency.begin(tx, call)
        if earlier is not None:
            return await _seen(tx, msgspec.json.decode(earlier.body, type=UUID), user_id)
        account = await users.lock(tx, user_id)  # also keeps two calls of one user from passing the limit together
        if account is None or account.state is State.ERASED:
            raise AccountClosedError(CLOSED)
        if len(await organisations.of_user(tx, user_id)) >= MAX_PER_PERSON:
            raise TooManyOrganisationsError(f"An account may have {MAX_PER_PERSON}.", limit=MAX_PER_PERSON)
        organisation_id = await _insert(tx, checked)
        await organisations.join(tx, organisation_id, user_id, Role.OWNER)
        await idempotency.finish(tx, call, Answer(status=0, body=msgspec.json.encode(organisation_id)))
        return await _seen(tx, organisation_id, user_id)


async def list_organisations(database: Database, user_id: UserId) -> Sequence[Organisation]:
    """List the organisations of a user."""
    async with database.connection() as connection:
        return await organisations.of_user(connection, user_id)


async def read_organisation(database: Database, organisation_id: UUID, user_id: UserId, *, staff: bool) -> Organisation:
    """Read an organisation as a member or as staff.

    :raises UnknownOrganisationError: for everybody else, whether it is there or not.
    """
    async with database.connection() as connection:
        return await _seen(connection, organisation_id, user_id, staff=staff)


async def _seen(connection: Connection, organisation_id: UUID, user_id: UserId, *, staff: bool = False) -> Organisation:
    found = await organisations.seen_by(connection, organisation_id, user_id, staff=staff)
    if found is None:
        raise UnknownOrganisationError("Check the id, or ask its owner to add you.")
    return found


async def _insert(tx: Connection, name: str) -> UUID:
    organisation_id = uuid4()
    slug = rules.slug(name)
    if await organisations.insert(tx, organisation_id, name, slug) is None:
        # The name is taken; eight digits of the id make the address unique for certain enough (the index decides).
        await organisations.insert(tx, organisation_id, name, f"{slug}-{organisation_id.hex[:8]}")
    return organisation_id
