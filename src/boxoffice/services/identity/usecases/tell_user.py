"""Tell the other services how a user can be reached, in the transaction that changed it."""

from boxoffice.contracts.messages.identity import TOPIC, UserFact, UserType
from boxoffice.runtime import outbox
from boxoffice.runtime.database import Connection
from boxoffice.services.identity.domain.account import State
from boxoffice.services.identity.store.users import Account


async def tell_user(tx: Connection, account: Account, type_: UserType) -> None:
    """Write the fact of this version of an account to the outbox; of an erased one only its id."""
    erased = account.state is State.ERASED
    await outbox.append(
        tx,
        topic=TOPIC,
        key=str(account.user_id),
        type_=type_,
        version=account.version,
        body=UserFact(
            user_id=account.user_id,
            name=None if erased else account.name,
            email=None if erased else account.email,
            phone=account.phone,
        ),
    )
