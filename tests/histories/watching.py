"""Count what was decided together, so that a run in which nothing met is known for what it is."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.mutants.surgery import swapped

from boxoffice.services.sales.store import holds


@contextmanager
def watching(seen: Counter[str]) -> Iterator[None]:
    """Count batches, and those with a collision, while inside."""
    gather_holds = holds.gather

    async def gather(connection: Any, asked: Sequence[holds.Asked], *, route: str) -> dict[int, holds.Verdict]:
        wanted = Counter(seat for one in asked for seat in one.seat_ids)
        verdicts = await gather_holds(connection, asked, route=route)
        seen["batches of holds"] += 1
        seen["batches with a collision"] += any(times > 1 for times in wanted.values())
        seen.update(f"verdict: {verdict.kind}" for verdict in verdicts.values())
        return verdicts

    with swapped(holds, "gather", gather):
        yield
