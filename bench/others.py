"""Groups ``resting`` and ``finding``: memory of the whole shop at rest, and search."""

from collections.abc import Callable

from bench.finding import search_latency
from bench.house import House
from bench.resting import memory_at_rest
from bench.rounds import Findings, Record

Say = Callable[[str], None]
Left = Callable[[], float]


async def finding(house: House, say: Say, _left: Left) -> Findings:
    """Search on all the real concerts."""
    found = await search_latency(house)
    say(f"{found.concerts:,} concerts indexed in {found.index_seconds:.1f} s")
    pairs = (
        ("median", found.index.p50, found.trigrams.p50),
        ("99th percentile", found.index.p99, found.trigrams.p99),
    )
    records = [
        Record(
            name=f"search on {found.concerts} concerts, {which}, against pg_trgm", value=round(ours, 3), unit="ms",
            reference=round(theirs, 3), ratio=round(ours / theirs, 3),
        )
        for which, ours, theirs in pairs
    ]  # fmt: skip
    return Findings(records=records)


async def resting(house: House, say: Say, _left: Left) -> Findings:
    """Memory of all processes of the shop."""
    rest = await memory_at_rest(house.folder)
    say(f"{rest.processes} processes of the shop at rest: {rest.everything:.0f} MB")
    record = Record(
        name="memory of the whole shop at rest (PSS), against its engines alone", value=round(rest.everything, 1),
        unit="MB", reference=round(rest.engines, 1), ratio=round(rest.everything / rest.engines, 3),
    )  # fmt: skip
    return Findings(records=[record])
