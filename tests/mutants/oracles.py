"""What looks at the outcome of a scenario: the auditor, the provider's own books, effects, histories, HTTP answers."""

from collections.abc import Collection

from tests.mutants.room import Room

from boxoffice.kernel.ids import OrderId
from boxoffice.services.sales.usecases.audit import audit


class BreachError(Exception):
    """An oracle is red; ``seen`` names the oracles, each as ``kind`` or ``kind:rule``."""

    def __init__(self, seen: dict[str, str]) -> None:
        super().__init__("; ".join(f"{oracle} says: {what}" for oracle, what in seen.items()))
        self.seen = seen


async def judge(room: Room, *orders: OrderId, apart_from: Collection[str] = ()) -> None:
    """Ask the auditor, and compare orders with the provider's books.

    ``apart_from``: rules of the auditor that the scenario's own outsider broke.

    :raises BreachError: when something is wrong.
    """
    till = await room.till()
    seen: dict[str, str] = {}
    for found in await audit(till.database):
        if found.name not in apart_from:
            seen[f"auditor:{found.name}"] = f"{found.invariant} {found.says}: {found.records[:2]}"
    for order_id in orders:
        wrong = await till.difference(order_id)
        if wrong is not None:
            seen["bank"] = f"{order_id}: {wrong}"
    if seen:
        raise BreachError(seen)


def breach(oracle: str, what: str) -> BreachError:
    """Make what a single oracle raises."""
    return BreachError({oracle: what})
