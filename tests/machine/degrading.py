"""Each engine stopped (SIGSTOP) and killed in turn under an open load: does the table of degradations hold?

``measure`` brings the whole machine up, goes through the table row by row, and judges each figure by what the clients
saw, by the databases and by the provider's own books. A row holds when each of its figures does, in both ways of
breaking.
"""

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
from tests.machine.carrying import EFFECTS
from tests.machine.consumer import TOPIC
from tests.machine.crowd import RATE, Call, Checkout, Crowd, broke, p99_ms, share, statuses
from tests.machine.opening import log_in, open_accounts, put_on_sale
from tests.machine.works import Works

from boxoffice.runtime.bus.kafka import KafkaBus

KEYS: tuple[str, ...] = ("degradations_held", "degradations_total", "degradations", "degradations_quiet", "audit_clean")
TITLE = "Each engine stopped and killed under load"

How = Literal["stopped", "killed"]
BROKEN_S = 12.0
"""How long a part stays broken: longer than every wait of ours for it."""
CALM_S = 3.0
"""Before a part is broken."""
TOKENS_S = 240.0
"""People log in anew after so long, while nothing is broken."""
DRAINED = 10_000
DRAIN_WITHIN_S, RECOVER_WITHIN_S, ERRORS_WITHIN_S = 60.0, 30.0, 5.0
CHECKOUT, BROWSE_SHARE, ERRORS = 0.99, 0.99, 0.005
SEARCH_MS = 1_000
EXTENDED_S = 300.0
INSTANCE_S = 20.0
"""After an instance broke: its errors are counted among the calls of so long."""
MAILS_WITHIN_S = 60.0
TELL = """
INSERT INTO outbox (message_id, topic, key, type, version, body)
SELECT gen_random_uuid(), $1, 'key-' || (n % 50), 'fact', n, jsonb_build_object('number', n)
FROM generate_series($2::bigint, $3::bigint) n
"""
TAKEN = "SELECT count(DISTINCT message_id) AS n FROM effects"
LOST = """
SELECT count(*) AS n FROM unnest($1::uuid[]) b (id) LEFT JOIN orders o ON o.order_id = b.id
WHERE o.state IS DISTINCT FROM 'confirmed'
"""
LATE = "SELECT count(*) AS n FROM idempotency_keys WHERE key = ANY ($1) AND created_at >= $2"
CAPTURED = """
SELECT count(*) AS n FROM payments p JOIN orders o USING (order_id)
WHERE p.state = 'captured' AND p.refunded_minor = 0 AND o.state <> 'confirmed'
"""
LATER: Mapping[How, str] = {
    "killed": "refused holds that were there later after all",
    "stopped": "refused holds that the server had been sent already and carried out when it went on (said only: unknown is not no, and their key gets them)",
}
KEPT = """
SELECT coalesce(max(extract(epoch FROM o.hold_expires_at - o.created_at)), 0)::float8 AS s,
  (SELECT hold_seconds FROM event_terms WHERE event_id = max(o.event_id)) AS hold
FROM orders o WHERE o.order_id = ANY ($1::uuid[])
"""
MAILED = "SELECT count(*) AS n FROM mail_jobs WHERE booking_id = ANY ($1::uuid[]) AND state = 'sent'"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a row: what it is, what was seen, and whether that is what it should be (none: said only)."""

    what: str
    seen: str
    holds: bool | None


@dataclass(slots=True, kw_only=True)
class Spell:
    """A part that was broken for a while: when, how, and when it answered again (by the monotonic clock)."""

    parts: Sequence[str]
    how: How
    since: float
    mended: float = 0.0
    whole: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Scene:
    """The machine with people in it."""

    works: Works
    crowd: Crowd
    say: Callable[[str], None]
    broken_s: float = BROKEN_S
    drained: int = DRAINED
    told: int = 0

    async def broken(
        self, parts: Sequence[str], how: How, *, meanwhile: Callable[["Scene", Spell], Awaitable[None]] | None = None
    ) -> Spell:
        """Break parts for a while, mend them, and wait until they answer and everybody who met it is done."""
        await asyncio.sleep(CALM_S)
        works = self.works
        spell = Spell(parts=parts, how=how, since=time.monotonic())
        for part in parts:
            works.freeze(part) if how == "stopped" else works.kill(part)
        if meanwhile is not None:
            await meanwhile(self, spell)
        await asyncio.sleep(max(0.0, spell.since + self.broken_s - time.monotonic()))
        spell.mended, spell.notes["mended_at"] = time.monotonic(), datetime.now(UTC)
        for part in parts:
            works.thaw(part) if how == "stopped" else works.start_again(part)
        await asyncio.gather(*(works.until_ready(part) for part in parts))
        spell.whole = time.monotonic()
        await self.crowd.until_gone()
        return spell

    def during(self, spell: Spell, *kinds: str) -> list[Call]:
        """Give the calls that began while something was broken."""
        return self.crowd.during(spell.since, spell.mended, *kinds)

    def checkouts(self, spell: Spell) -> list[Checkout]:
        """Give the purchases that began while something was broken."""
        return self.crowd.bought(spell.since, spell.mended)


Judge = Callable[[Scene, Spell], Awaitable[list[Figure]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the table: the parts that break together, what must hold, and what is done while they are broken."""

    name: str
    parts: Sequence[Sequence[str]]
    promise: str
    judge: Judge
    meanwhile: Callable[[Scene, Spell], Awaitable[None]] | None = None


def bought(scene: Scene, spell: Spell) -> Figure:
    """How many purchases ended with tickets."""
    made = scene.checkouts(spell)
    done = [one for one in made if one.tickets]
    why = sorted({one.failed_at for one in made if not one.tickets})
    seen = f"{len(done)} of {len(made)}" + (f" ({'; '.join(why)[:160]})" if why else "")
    return Figure("purchases that ended with tickets", seen, bool(made) and share(len(done), len(made)) >= CHECKOUT)


def answered(scene: Scene, spell: Spell, what: str, *kinds: str, least: float = BROWSE_SHARE) -> Figure:
    """How many calls of some kinds were answered."""
    calls = scene.during(spell, *kinds)
    good = [one for one in calls if not broke(one)]
    return Figure(what, f"{len(good)} of {len(calls)}", bool(calls) and share(len(good), len(calls)) >= least)


async def judge_search(scene: Scene, spell: Spell) -> list[Figure]:
    searches = scene.during(spell, "search")
    slowest, failed = p99_ms(searches), sum(map(broke, searches))
    degraded = sum(one.degraded for one in searches)
    return [
        Figure("search p99", f"{slowest} ms of {len(searches)}", bool(searches) and slowest <= SEARCH_MS),
        Figure("5xx of search", str(failed), failed == 0),
        Figure("answers that say degraded", f"{degraded} of {len(searches)}", degraded > 0),
        answered(scene, spell, "browsing by id", "event", "availability", least=1.0),
        bought(scene, spell),
    ]


async def judge_cache(scene: Scene, spell: Spell) -> list[Figure]:
    return [bought(scene, spell), answered(scene, spell, "free seats and events", "event", "availability")]


async def tell_many(scene: Scene, spell: Spell) -> None:
    """Tell ten thousand facts while nobody carries them; of a row that breaks Connect alone, none."""
    if spell.parts != ["kafka"] or spell.how != "killed":
        return
    first = scene.told
    for number in range(first, first + scene.drained, 500):
        await scene.works.look(TELL, TOPIC, number, number + 499)
    scene.told = first + scene.drained
    spell.notes["told"] = scene.drained


async def judge_bus(scene: Scene, spell: Spell) -> list[Figure]:
    figures = [bought(scene, spell), await refunds(scene, spell)]
    if "told" in spell.notes:
        deadline = spell.whole + 4 * DRAIN_WITHIN_S
        taken = 0
        while taken < scene.told and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
            taken = (await scene.works.look(TAKEN))[0]["n"]
        seconds = time.monotonic() - spell.whole
        what = f"{spell.notes['told']:,} messages carried and taken after the bus was back"
        figures.append(Figure(what, f"{seconds:.0f} s", taken == scene.told and seconds <= DRAIN_WITHIN_S))
        figures.append(Figure("messages lost", str(scene.told - taken), taken == scene.told))
    return figures


async def refunds(scene: Scene, spell: Spell) -> Figure:
    """Cancel what was bought meanwhile: money goes back whatever carries messages."""
    chosen = [one for one in scene.checkouts(spell) if one.tickets][:3]
    done = 0
    for one in chosen:
        status, _ = await scene.crowd.call("cancel", "POST", f"/bookings/{one.booking}/cancel", {}, one.customer)
        done += status == httpx.codes.OK
        one.tickets = 0 if status == httpx.codes.OK else one.tickets
        one.failed_at = "cancelled" if status == httpx.codes.OK else one.failed_at
    return Figure("orders cancelled with their refund", f"{done} of {len(chosen)}", done == len(chosen) > 0)


async def judge_provider(scene: Scene, spell: Spell) -> list[Figure]:
    pays = scene.during(spell, "pay")
    refused = [one for one in pays if one.status != httpx.codes.CREATED]
    proper = [one for one in refused if one.status == httpx.codes.SERVICE_UNAVAILABLE and one.retry_after]
    left = [one for one in scene.checkouts(spell) if one.booking and not one.tickets]
    kept = (await scene.works.look(KEPT, [one.booking for one in left]))[0] if left else {"s": 0.0, "hold": 0}
    for one in left:
        await scene.crowd.pay(one)
    done = [one for one in left if one.tickets]
    why = sorted({one.failed_at for one in left if not one.tickets})
    return [
        answered(scene, spell, "browsing", "event", "availability", "search"),
        answered(scene, spell, "holding", "hold", "hold to buy", "give back"),
        Figure("refusals to pay with 503 and Retry-After", f"{len(proper)} of {len(refused)}", len(proper) == len(refused) > 0),
        Figure(
            "of those, bought with the same hold afterwards", f"{len(done)} of {len(left)} {'; '.join(why)[:100]}".strip(),
            len(done) == len(left),
        ),
        Figure(
            "how much longer a hold lasted than its event says",
            f"{max(0.0, kept['s'] - (kept['hold'] or 0)):.0f} s", kept["s"] - (kept["hold"] or 0) <= EXTENDED_S,
        ),
        await captured_without_ticket(scene),
    ]  # fmt: skip


async def captured_without_ticket(scene: Scene) -> Figure:
    """By the provider's own books and by ours, once nobody is buying any more."""
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        books = (await client.get(f"{scene.works.url('paypal')}/simulator/books")).json()
    paid = [one["custom_id"] for one in books["captures"] if one["status"] not in {"DECLINED", "PENDING"}]
    back = {one["capture_custom_id"] for one in books["refunds"]}
    open_ = {one.booking for one in scene.crowd.checkouts if one.ended == float("inf")}
    there = (await scene.works.look(LOST, [one for one in paid if one not in back and one not in open_]))[0]["n"]
    return Figure("captured without a ticket", str(there), there == 0)


async def judge_mail(scene: Scene, spell: Spell) -> list[Figure]:
    made = [one for one in scene.checkouts(spell) if one.tickets]
    orders = [one.booking for one in made]
    deadline = spell.whole + MAILS_WITHIN_S
    while (sent := (await scene.works.look(MAILED, orders, service="notification"))[0]["n"]) < len(orders):
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.5)
    seconds = time.monotonic() - spell.whole
    return [
        bought(scene, spell),
        Figure("tickets in the account at once", f"{len(made)} of {len(made)}", bool(made)),
        Figure(
            "mails that went out afterwards", f"{sent} of {len(orders)} within {seconds:.0f} s", sent == len(orders)
        ),
    ]


async def watch_recovery(scene: Scene, spell: Spell) -> None:
    spell.notes["acked"] = [one.booking for one in scene.crowd.checkouts if one.tickets]


async def judge_database(scene: Scene, spell: Spell) -> list[Figure]:
    holds = [
        one for one in scene.crowd.during(spell.mended, time.monotonic(), "hold") if one.status == httpx.codes.CREATED
    ]
    deadline = spell.mended + 2 * RECOVER_WITHIN_S
    while not holds and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
        holds = [
            one
            for one in scene.crowd.during(spell.mended, time.monotonic(), "hold")
            if one.status == httpx.codes.CREATED
        ]
    recovered = min((one.began + one.seconds for one in holds), default=float("inf")) - spell.mended
    lost = (await scene.works.look(LOST, spell.notes["acked"]))[0]["n"]
    writes = scene.crowd.during(spell.since + 0.5, spell.mended - 5, "hold", "hold to buy", "pay", "confirm")
    other = [one for one in writes if one.status not in {200, 201, 503} and (broke(one) or one.status == 0)]
    refused = [one.key for one in writes if one.status == httpx.codes.SERVICE_UNAVAILABLE and one.kind == "hold"]
    late = await scene.works.look(LATE, refused, spell.notes["mended_at"])
    return [
        answered(scene, spell, "events and search, from what is kept and from the index", "event", "search"),
        answered(scene, spell, "free seats (said only: they are never shown from memory)", "availability", least=0.0),
        Figure(
            "writes refused otherwise than by 503", f"{len(other)} of {len(writes)} ({statuses(writes)})", not other
        ),
        Figure(LATER[spell.how], str(late[0]["n"]), late[0]["n"] == 0 if spell.how == "killed" else None),
        Figure("from its start to the first hold", f"{recovered:.1f} s", recovered <= RECOVER_WITHIN_S),
        Figure(f"of {len(spell.notes['acked'])} confirmed orders lost", str(lost), lost == 0),
    ]


async def judge_instance(scene: Scene, spell: Spell) -> list[Figure]:
    await asyncio.sleep(max(0.0, spell.since + INSTANCE_S - time.monotonic()))
    await scene.crowd.until_gone()
    calls = scene.crowd.during(spell.since - 1.0, spell.since + INSTANCE_S)
    errors = [one for one in calls if broke(one)]
    span = max((one.began + one.seconds for one in errors), default=spell.since) - spell.since if errors else 0.0
    return [
        Figure(
            "errors that clients saw", f"{len(errors)} of {len(calls)} ({share(len(errors), len(calls) or 1):.1%})",
            len(errors) <= ERRORS * len(calls),
        ),
        Figure("for how long", f"{span:.1f} s", span <= ERRORS_WITHIN_S),
        bought(scene, spell),
    ]  # fmt: skip


async def judge_together(scene: Scene, spell: Spell) -> list[Figure]:
    return [bought(scene, spell)]


TABLE: tuple[Row, ...] = (
    Row(
        name="OpenSearch", parts=[["opensearch"]], judge=judge_search,
        promise="buy, browse by id; search from PostgreSQL, degraded: p99 <= 1 s, no 5xx",
    ),
    Row(name="Redis", parts=[["valkey"]], judge=judge_cache, promise="buy, seat map: purchases >= 99 %"),
    Row(
        name="Kafka/Connect", parts=[["kafka"], ["connect"]], judge=judge_bus, meanwhile=tell_many,
        promise="buy, refund; 10,000 messages drained <= 60 s, none lost",
    ),
    Row(
        name="PSP", parts=[["paypal"]], judge=judge_provider,
        promise="browse, hold; pay 503 + Retry-After; holds longer once, <= 5 min; none captured without a ticket",
    ),
    Row(name="Mail/SMS", parts=[["mailbox"]], judge=judge_mail, promise="all; the ticket in the account at once"),
    Row(
        name="PG primary", parts=[["postgres"]], judge=judge_database, meanwhile=watch_recovery,
        promise="browse from what is kept and the index; writes 503, none kept for later; back <= 30 s, nothing acknowledged lost",
    ),
    Row(
        name="One service instance", parts=[["bookings-2"]], judge=judge_instance,
        promise="all: errors that clients see <= 0.5 % for <= 5 s",
    ),
    Row(
        name="Kafka + Redis + OpenSearch together", parts=[["kafka", "valkey", "opensearch"]], judge=judge_together,
        promise="buy: purchases >= 99 %",
    ),
)  # fmt: skip
WAYS: tuple[How, ...] = ("stopped", "killed")


async def go_through(
    scene: Scene, rows: Sequence[Row], ways: Sequence[How] = WAYS
) -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
    """Break what each row says, in each way, under the same load; gives what was seen, and how it was before."""
    over, found, logged_in = asyncio.Event(), [], time.monotonic()
    for event in scene.crowd.events:  # each was looked at by somebody before
        await scene.crowd.call("first look", "GET", f"/events/{event}")
    arriving = asyncio.create_task(scene.crowd.arrive(over))
    began = time.monotonic()
    await asyncio.sleep(scene.broken_s)
    quiet = quiet_figures(scene, began, time.monotonic())
    scene.say(f"nothing broken: {quiet}")
    for how, row, parts in ((way, one, parts) for way in ways for one in rows for parts in one.parts):
        if time.monotonic() - logged_in > TOKENS_S:
            await log_in(scene.works, scene.crowd.customers)
            logged_in = time.monotonic()
        found.append(await one_spell(scene, row, parts, how))
    over.set()
    await arriving
    await scene.crowd.until_gone()
    return found, quiet


async def one_spell(scene: Scene, row: Row, parts: Sequence[str], how: How) -> dict[str, Any]:
    """Break, mend, judge."""
    spell = await scene.broken(parts, how, meanwhile=row.meanwhile)
    figures = await row.judge(scene, spell)
    holds = all(one.holds is not False for one in figures)
    scene.say(f"{row.name}: {', '.join(parts)} {how}: {'held' if holds else 'NOT HELD'}")
    for one in figures:
        scene.say(f"    {'ok ' if one.holds else 'NOT' if one.holds is False else '   '} {one.what}: {one.seen}")
    return {
        "row": row.name, "promise": row.promise, "parts": list(parts), "how": how, "held": holds,
        "figures": [{"what": one.what, "seen": one.seen, "holds": one.holds} for one in figures],
    }  # fmt: skip


def quiet_figures(scene: Scene, since: float, until: float) -> dict[str, Any]:
    """How it is while nothing is broken, to compare with."""
    calls, made = scene.crowd.during(since, until), scene.crowd.bought(since, until - 3)
    return {
        "calls": len(calls), "errors": sum(map(broke, calls)), "search_p99_ms": p99_ms(scene.crowd.during(since, until, "search")),
        "hold_p99_ms": p99_ms(scene.crowd.during(since, until, "hold")),
        "purchases": len(made), "with_tickets": sum(bool(one.tickets) for one in made),
    }  # fmt: skip


async def play(
    works: Works,
    say: Callable[[str], None],
    rows: Sequence[Row],
    *,
    seed: int,
    ways: Sequence[How] = WAYS,
    rate: float = RATE,
    **more: Any,
) -> dict[str, object]:
    """Put concerts on sale, let people in, go through rows; then rest, and let the auditor look."""
    events, seats = await put_on_sale(works)
    customers = await open_accounts(works)
    crowd = Crowd(works.url("gateway"), random.Random(seed), events, seats, customers, rate)
    await works.look(EFFECTS)
    async with KafkaBus(works.kafka.servers) as bus:
        await bus.make({TOPIC})
    scene = Scene(works, crowd, say, **more)
    found, quiet = await go_through(scene, rows, ways)
    await crowd.client.aclose()
    names = [row.name for row in rows]
    held = [name for name in names if all(one["held"] for one in found if one["row"] == name)]
    return {
        "degradations_held": len(held), "degradations_total": len(names), "degradations": found,
        "degradations_quiet": quiet, "audit_clean": await asyncio.to_thread(works.audit) == "",
    }  # fmt: skip


def run(
    say: Callable[[str], None], rows: Sequence[Row], *, seed: int, ways: Sequence[How] = WAYS, **more: Any
) -> dict[str, object]:
    """Bring the machine up, go through rows, end everything."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="boxoffice-degrading-")))
        folder.chmod(0o755)
        began = time.monotonic()
        works = Works(folder)
        stack.callback(works.close)
        works.open()
        say(f"the machine is up after {time.monotonic() - began:.0f} s")
        with (folder / "consumer.log").open("wb") as log:
            command = [sys.executable, "-m", "tests.machine.consumer", works.kafka.servers, works.database_url("sales")]
            consumer = subprocess.Popen(command, stdout=log, stderr=log)
        stack.callback(consumer.wait)
        stack.callback(consumer.kill)
        return asyncio.run(play(works, say, rows, seed=seed, ways=ways, **more))


def measure(say: Callable[[str], None], *, seed: int) -> dict[str, object]:
    """Run the whole table."""
    return run(say, TABLE, seed=seed)


def wrong(found: Mapping[str, Any]) -> list[str]:
    """Say each row that did not hold, and by which figure."""
    said = [
        f"{one['row']} ({', '.join(one['parts'])} {one['how']}): {figure['what']}: {figure['seen']}"
        for one in found["degradations"]
        for figure in one["figures"]
        if figure["holds"] is False
    ]
    return said + ([] if found["audit_clean"] else ["the auditor found something"])


SECTION = """\
All processes of the shop (bookings twice) on PostgreSQL, Valkey, Kafka, Debezium and OpenSearch; ten people a second arrive, whatever is answered: 70 %
look at events, free seats or search, 20 % hold a seat and give it back, 10 % buy at the provider's stand-in. In turn each part is stopped (SIGSTOP: it keeps its
connections and says nothing) and killed (`kill -9`), each time for {broken_s:.0f} seconds. A step of a purchase that is refused for the moment is asked again, at
most twice, under its idempotency key.

**{held} of {total} rows held.** The auditor over the whole sale at the end: {audit}. While nothing was broken: {calls} calls, {errors} errors, search p99
{search_p99_ms} ms, hold p99 {hold_p99_ms} ms, {with_tickets} of {purchases} purchases with tickets.

| broken | how | figure | seen | held |
| --- | --- | --- | ---: | --- |
{rows}

What this does not show: more than ten people a second, a part that is away for hours (holds and payments lapse by their own clocks), SMS (there is no
transport yet), and a share of 99 % of so few purchases says only that at most one went wrong. Free seats are not shown while PostgreSQL is away: no
figure of them is kept (I12).
"""


def section(found: Mapping[str, Any]) -> str:
    """Write what was done and what came of it."""
    lines = [
        f"| {one['row'] if len(one['parts']) > 2 else ', '.join(one['parts'])} | {one['how']} | {figure['what']} | {figure['seen']} "
        f"| {'yes' if figure['holds'] else 'said only' if figure['holds'] is None else '**no**'} |"
        for one in found["degradations"]
        for figure in one["figures"]
    ]
    return SECTION.format(
        broken_s=BROKEN_S, held=found["degradations_held"], total=found["degradations_total"],
        audit="nothing found" if found["audit_clean"] else "**something found**", rows="\n".join(lines),
        **found["degradations_quiet"],
    )  # fmt: skip
