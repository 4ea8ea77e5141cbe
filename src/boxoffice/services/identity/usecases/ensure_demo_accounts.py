"""The accounts of the demo: an organiser with an organisation, a buyer, an administrator. Never made elsewhere."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import NAMESPACE_DNS, UUID, uuid5

from boxoffice.kernel.ids import OrganisationId, UserId
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.identity.domain import account as rules
from boxoffice.services.identity.domain import organisation
from boxoffice.services.identity.domain.account import ADMINISTRATOR, State
from boxoffice.services.identity.domain.organisation import Role
from boxoffice.services.identity.providers.hashing import Hasher
from boxoffice.services.identity.store import organisations, users
from boxoffice.services.identity.usecases.tell_user import tell_user

PASSWORD = "boxoffice-demo"  # noqa: S105 - shown on the screen by the demo on purpose
ORGANISER, BUYER, ADMINISTRATOR_EMAIL = "organiser@example.org", "buyer@example.org", "administrator@example.org"
EMAILS = (ORGANISER, BUYER, ADMINISTRATOR_EMAIL)
ORGANISATION = "Demo Concerts"
CLOSED = "$argon2id$v=19$m=19456,t=2,p=1$Y2xvc2VkY2xvc2VkY2xvcw$" + "A" * 43
"""The hash of an account that was closed: no password is known for it, and to compare it takes as long as any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoAccounts:
    """Whom the demo made, and their organisation."""

    organiser: UserId
    buyer: UserId
    administrator: UserId
    organisation: OrganisationId
    password: str = PASSWORD


async def ensure_demo_accounts(database: Database) -> DemoAccounts:
    """Make the demo's accounts where they are missing, open those that were closed; a second run changes nothing."""
    hashed = await Hasher().hash(PASSWORD)
    async with database.transaction() as tx:
        organiser = await _ensure(tx, ORGANISER, "Demo Organiser", hashed)
        buyer = await _ensure(tx, BUYER, "Demo Buyer", hashed)
        administrator = await _ensure(tx, ADMINISTRATOR_EMAIL, "Demo Administrator", hashed, [ADMINISTRATOR])
        organisation_id = OrganisationId(uuid5(NAMESPACE_DNS, ORGANISER))
        await organisations.insert(tx, organisation_id, ORGANISATION, organisation.slug(ORGANISATION))
        await organisations.join(tx, organisation_id, organiser, Role.OWNER)
    return DemoAccounts(organiser=organiser, buyer=buyer, administrator=administrator, organisation=organisation_id)


async def _ensure(tx: Connection, email: str, name: str, hashed: str, staff_roles: Iterable[str] = ()) -> UserId:
    person = rules.person(name=name, email=email, phone=None)
    account = await users.insert(
        tx, demo_id(email), person, state=State.VERIFIED, password_hash=hashed, staff_roles=staff_roles
    )
    if account is not None:
        await tell_user(tx, account, "identity.user.registered")
        return account.user_id
    known = await users.by_email(tx, person.email_key)
    if known is not None and known.password_hash == CLOSED:
        await users.set_password(tx, known.user_id, hashed)
    return known.user_id if known else UserId(demo_id(email))


def demo_id(email: str) -> UUID:
    """Give demo accounts the same id everywhere, so that a demo's data can be made twice."""
    return uuid5(NAMESPACE_DNS, email)
