"""Register: make an account that can buy at once; the address is verified by a mailed link later.

A taken address is a 409. Hiding it would hide nothing: an account works before its address is verified, so whoever
registers and then logs in learns the same. What keeps lists of addresses from being tried is the limit on these calls.
"""

import uuid
from dataclasses import dataclass

import msgspec

from boxoffice.runtime import idempotency
from boxoffice.runtime.database import Connection, Database
from boxoffice.runtime.idempotency import Answer, IdempotentCall
from boxoffice.services.identity.domain import account as rules
from boxoffice.services.identity.domain import password as passwords
from boxoffice.services.identity.domain.account import EmailTakenError, Person, State
from boxoffice.services.identity.domain.link import Purpose
from boxoffice.services.identity.providers import secrets
from boxoffice.services.identity.providers.hashing import Hasher
from boxoffice.services.identity.store import users
from boxoffice.services.identity.store.users import Account
from boxoffice.services.identity.usecases.mail_link import mail_link
from boxoffice.services.identity.usecases.tell_user import tell_user

ROUTE = "register"
REGISTRATIONS = uuid.UUID("3d8a3f0c-5a43-4f0e-9d0e-0b8f6c1f6a10")
"""Names the idempotency records of people who have no account yet: by their address within this namespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What somebody registers with, unchecked; ``key`` is the Idempotency-Key, if they sent one."""

    name: str
    email: str
    phone: str | None
    password: str
    key: str | None = None


async def register(database: Database, hasher: Hasher, registration: Registration, *, public_url: str) -> Account:
    """Make an account.

    :raises BadAccountError: when name, address or phone number cannot be one.
    :raises WeakPasswordError: when the password would be guessed.
    :raises EmailTakenError: when the address has an account.
    """
    person = rules.person(name=registration.name, email=registration.email, phone=registration.phone)
    password = passwords.normal(registration.password)
    passwords.check(password, email=person.email, name=person.name)
    call = _call(registration, person)
    # Before looking whether the address is taken, so that both answers take as long; never inside a transaction.
    hashed = await hasher.hash(password)
    async with database.transaction() as tx:
        earlier = await idempotency.begin(tx, call)
        if earlier is None:
            return await _insert(tx, person, hashed, call, public_url=public_url)
        account = await users.by_id(tx, msgspec.json.decode(earlier.body, type=uuid.UUID))
    # The fingerprint leaves the password out (a quick hash of it must not lie in a table), so it is compared here.
    if account is None or not await hasher.matches(account.password_hash, password):
        raise idempotency.KeyReusedError("Use a new key for a new request.", idempotencyKey=registration.key)
    return account


async def _insert(
    tx: Connection, person: Person, hashed: str, call: IdempotentCall | None, *, public_url: str
) -> Account:
    account = await users.insert(tx, uuid.uuid4(), person, state=State.UNVERIFIED, password_hash=hashed)
    if account is None:
        raise EmailTakenError("Log in, or have a new password mailed.")
    await tell_user(tx, account, "identity.user.registered")
    await mail_link(tx, account, Purpose.VERIFY_EMAIL, public_url=public_url)
    await idempotency.finish(tx, call, Answer(status=0, body=msgspec.json.encode(account.user_id)))
    return account


def principal(email_key: str) -> uuid.UUID:
    """Name the idempotency records of an address without an account."""
    return uuid.uuid5(REGISTRATIONS, email_key)


def _call(registration: Registration, person: Person) -> IdempotentCall | None:
    call = IdempotentCall.of(principal=principal(person.email_key), key=registration.key, route=ROUTE, body=b"")
    if call is None:
        return None
    return IdempotentCall(
        principal=call.principal,
        key=call.key,
        route=call.route,
        fingerprint=secrets.fingerprint(person.name, person.email, person.phone),
    )
