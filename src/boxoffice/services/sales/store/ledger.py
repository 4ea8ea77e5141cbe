"""Double entry: the entries of one posting sum to zero (invariant I2).

Accounts: ``provider`` (our money at the provider), ``revenue`` (negative when earned), ``refunds_due`` (negative while
we owe). A capture posts provider +, revenue -; a cancellation revenue +, refunds_due -; a refund that is done
refunds_due +, provider -.
"""

from collections.abc import Mapping
from typing import Literal
from uuid import UUID

from boxoffice.kernel.ids import OrderId
from boxoffice.runtime.database import Connection

Account = Literal["provider", "revenue", "refunds_due"]

POST = """
INSERT INTO ledger_entries (posting_id, order_id, account, value_minor, currency)
SELECT $1, $2, account, value_minor, $5 FROM unnest($3::text[], $4::bigint[]) e(account, value_minor)
"""


async def post(
    tx: Connection, *, posting_id: UUID, order_id: OrderId, entries: Mapping[Account, int], currency: str
) -> None:
    """Write one posting, values in minor units; a posting id is used once.

    :raises ValueError: when the entries do not sum to zero.
    :raises asyncpg.UniqueViolationError: when the posting was written before.
    """
    if sum(entries.values()) != 0:
        raise ValueError(f"a posting sums to zero, not to {sum(entries.values())}")
    await tx.execute(POST, posting_id, order_id, list(entries), list(entries.values()), currency)
