"""Groups ``http`` and ``reading``: holds and availability through HTTP, one process on one core."""

from collections.abc import Callable

from bench import pgbench
from bench.holds import CROWD, LAST_SEATS, REFERENCES, reference
from bench.house import SEATS, House
from bench.over_http import Buyers, new_house, serving
from bench.rounds import Contender, Findings, Sample, against, interleaved, quicker, ratio

ROUNDS = 3
SECONDS = 2.5
CROWDS = (1, 16, 256)
OURS = "our holds through HTTP, one process"
SEEDS = "the seed's way through bare HTTP"
BARE = "a bare ASGI endpoint that does nothing"
HELD, ANSWERED = frozenset({"201"}), frozenset({"201", "409"})

Say = Callable[[str], None]
Left = Callable[[], float]


def through(house: House, buyers: Buyers, kind: str, clients: int, *, seconds: float = SECONDS) -> Contender:
    """Hold seat after seat through a server that was just started: with what it does beside (relay, timers) on."""

    async def measure() -> Sample:
        (event_id,) = await house.fresh()
        async with serving(kind, house, buyers, ready_at="/" if kind == "seed" else "/health/ready") as served:
            return await served.drive(
                "reserve", wanted=HELD, connections=clients, seconds=seconds, event_id=event_id, seats=SEATS
            )

    return Contender(SEEDS if kind == "seed" else OURS, "holds/s", measure, clients)


def raced(house: House, buyers: Buyers, kind: str, clients: int) -> Contender:
    """Everybody wants one of the last 500 seats, again and again."""

    async def measure() -> Sample:
        (event_id,) = await house.fresh(seats=LAST_SEATS)
        async with serving(kind, house, buyers, ready_at="/" if kind == "seed" else "/health/ready") as served:
            return await served.drive(
                "race", wanted=ANSWERED, connections=clients, event_id=event_id, seats=LAST_SEATS, from_the_gun=True
            )

    name = f"{SEEDS if kind == 'seed' else OURS}, the last {LAST_SEATS} seats"
    return Contender(name, "attempts/s", measure, clients)


def nothing(house: House, buyers: Buyers, clients: int) -> Contender:
    """The same requests to an endpoint that answers at once: the limit of the HTTP side."""

    async def measure() -> Sample:
        async with serving("bare", house, buyers, ready_at="/") as served:
            return await served.drive(
                "reserve", wanted=frozenset({"200"}), connections=clients, event_id=1, seats=10_000_000
            )

    return Contender(BARE, "answers/s", measure, clients)


async def http(house: House, say: Say, left: Left) -> Findings:
    """Holds through HTTP, with authentication, idempotency, limits, order and outbox records on."""
    await pgbench.prepare(house)
    buyers = Buyers()
    ours, seeds = through(house, buyers, "bookings", CROWD), through(house, buyers, "seed", CROWD)
    bare = nothing(house, buyers, CROWD)
    rivals = [reference(house, script, CROWD) for script in REFERENCES]
    crowd = [ours, *rivals, seeds, bare]
    await interleaved(crowd, rounds=ROUNDS, say=say, left=left)
    found = Findings(contenders=list(crowd), records=[against(ours, rival) for rival in crowd[1:]])
    found.keys["hold_http_p99_ms"] = ours.middle("p99_ms") or 0.0
    found.keys["hold_http_vs_bare_asgi"] = ratio(ours, bare)
    found.keys["hold_http_vs_seeds_way"] = ratio(ours, seeds)
    found.keys["hold_http_vs_same_records"] = ratio(ours, quicker(rivals[:2]))
    found.keys["hold_http_vs_bare_update"] = ratio(ours, rivals[2])
    race = [raced(house, buyers, "bookings", CROWD), raced(house, buyers, "seed", CROWD)]
    await interleaved(race, rounds=2, say=say, left=left)
    found.contenders += race
    found.records.append(against(race[0], race[1]))
    found.keys["race_http_refusal_p99_ms"] = race[0].middle("p99_ms_of_409") or 0.0
    found.keys["race_http_least_share"] = race[0].middle("least_share") or 0.0
    found.keys["race_http_most_share"] = race[0].middle("most_share") or 0.0
    for clients in CROWDS:
        mine = through(house, buyers, "bookings", clients, seconds=1.5)
        await interleaved([mine], rounds=1, say=say, left=left)
        found.contenders.append(mine)
    return found


async def reading(house: House, say: Say, left: Left) -> Findings:
    """Availability of a concert hall, against the same bytes from an endpoint that does nothing else."""
    buyers = Buyers()
    path = await new_house(house)
    async with serving("tickets", house, buyers) as ours:
        body = await body_of(ours.port, path)
        async with serving("bare", house, buyers, ready_at="/", body=body) as bare:
            wanted = frozenset({"200"})
            read = Contender(
                "availability through HTTP, one process", "reads/s",
                lambda: ours.drive("get", wanted=wanted, path=path), CROWD,
            )  # fmt: skip
            least = Contender(
                "a bare ASGI endpoint with the same bytes", "reads/s",
                lambda: bare.drive("get", wanted=wanted, path=path), CROWD,
            )  # fmt: skip
            await interleaved([read, least], rounds=ROUNDS, say=say, left=left)
    return Findings(
        contenders=[read, least], records=[against(read, least)],
        keys={"availability_vs_bare_asgi": ratio(read, least), "availability_bytes": float(len(body))},
    )  # fmt: skip


async def body_of(port: int, path: str) -> str:
    import httpx

    async with httpx.AsyncClient() as client:
        return (await client.get(f"http://127.0.0.1:{port}{path}")).text
