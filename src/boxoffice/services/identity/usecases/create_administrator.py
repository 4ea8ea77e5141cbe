"""Create the platform's administrator from the command line: whoever runs it has the database anyway."""

from uuid import uuid4

from boxoffice.kernel.ids import UserId
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.identity.domain import account as rules
from boxoffice.services.identity.domain import login
from boxoffice.services.identity.domain import password as passwords
from boxoffice.services.identity.domain.account import ADMINISTRATOR, Person, State
from boxoffice.services.identity.providers.hashing import Hasher
from boxoffice.services.identity.store import logins, users
from boxoffice.services.identity.usecases.tell_user import tell_user

NAME = "Administrator"


async def create_administrator(database: Database, email: str, password: str) -> UserId:
    """Make an administrator with a verified address; an account of that address becomes one and gets the password.

    :raises BadAccountError: when it is no address.
    :raises WeakPasswordError: when the password would be guessed.
    """
    person = rules.person(name=NAME, email=email, phone=None)
    plain = passwords.normal(password)
    passwords.check(plain, email=person.email)
    hashed = await Hasher().hash(plain)
    async with database.transaction() as tx:
        account = await users.insert(
            tx, uuid4(), person, state=State.VERIFIED, password_hash=hashed, staff_roles=[ADMINISTRATOR]
        )
        if account is None:
            return await _promote(tx, person, hashed)
        await tell_user(tx, account, "identity.user.registered")
        return account.user_id


async def _promote(tx: Connection, person: Person, hashed: str) -> UserId:
    known = await users.by_email(tx, person.email_key)
    account = await users.lock(tx, known.user_id) if known else None
    if account is None or account.state is State.ERASED:
        raise rules.AccountClosedError("The account was closed a moment ago. Try again.")
    await users.grant(tx, account.user_id, [ADMINISTRATOR])
    await users.set_password(tx, account.user_id, hashed)
    await logins.close_all(
        tx, account.user_id, login.after(login.State.OPEN, login.Action.REVOKE), because="administrator_created"
    )
    return account.user_id
