"""Count what was decided together, so that a run in which nothing met is known for what it is."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.mutants.surgery import swapped

from boxoffice.services.sales.store import areas, holds, quick_payments


@contextmanager
def watching(seen: Counter[str]) -> Iterator[None]:
    """Count batches, those with a collision, and what the database said of them, while inside."""
    hold, place, confirm = holds.gather, areas.gather, quick_payments.confirm

    async def holding(connection: Any, asked: Sequence[holds.Asked], *, route: str) -> Any:
        wanted = Counter(seat for one in asked for seat in one.seat_ids)
        verdicts = await hold(connection, asked, route=route)
        seen["batches of holds"] += 1
        seen["batches of holds with a collision"] += any(times > 1 for times in wanted.values())
        seen.update(f"a batch said {verdict.kind}" for verdict in verdicts.values())
        return verdicts

    async def placing(connection: Any, asked: Sequence[areas.Asked], *, route: str) -> Any:
        verdicts = await place(connection, asked, route=route)
        kinds = {kind for kind, _ in verdicts.values()}
        seen["batches of places"] += 1
        seen["batches of places where some got none"] += {"placed", "none"} <= kinds
        return verdicts

    async def confirming(connection: Any, batch: Sequence[quick_payments.Confirming], *, key_id: str) -> Any:
        confirmed = await confirm(connection, batch, key_id=key_id)
        seen["batches of confirmations"] += len(confirmed) > 1
        return confirmed

    with ExitStack() as stack:
        for module, name, new in (
            (holds, "gather", holding), (areas, "gather", placing), (quick_payments, "confirm", confirming),
        ):  # fmt: skip
            stack.enter_context(swapped(module, name, new))
        yield
