"""Restore a shop that was killed in the middle of selling, to its end and to random instants, and reconcile it (I22).

Several times over: sell, kill PostgreSQL and whoever follows its log, restore the end of the log. Then random instants of
the whole run. Each restored shop meets the provider as it was when the shop was lost, with all that moved since.
"""

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from tests.machine.doomed import (
    Acknowledged,
    Crowd,
    Shop,
    World,
    copy_ledger,
    lost_since,
    money_off,
    open_sale,
    sell_too_early,
    world,
)
from tests.support.sales import SIGNER

from boxoffice.kernel.ids import UserId
from boxoffice.runtime.database import Database
from boxoffice.runtime.embedded import backups, postgres
from boxoffice.runtime.embedded.restoring import Restored, restore
from boxoffice.runtime.embedded.secrets import ensure
from boxoffice.services.sales.usecases.audit import audit
from boxoffice.services.sales.usecases.recover_sales import Fate, Recovered, Recovery, recover
from boxoffice.services.sales.usecases.refund_payments import refund_payments
from boxoffice.services.sales.usecases.resolve_payments import resolve_payments
from boxoffice.services.sales.usecases.settle_payment import Settling

KEYS = ("restore_points", "rpo_seconds", "rto_seconds")
TITLE = "Backups: restored, and reconciled with the payment provider"
POINTS = 20
MOST_RPO_S = 5.0
MOST_RTO_S = 300.0
CRASHES = 4
ROUND_S = 12.0
PLACES = 12_000
"""Seats, and as many places without; more than the crowd takes."""
NOW = timedelta(0)
ROUNDS = 40
"""Rounds of timers after which a restored shop must be at rest."""
STOLEN = 3
"""Seats that somebody holds in a restored shop which is opened too early, at every second point."""
SECTION = """\
A shop sells as fast as it can ({restored_orders:,} orders were confirmed to their buyers, a quarter of them cancelled again in whole or in part) while `pg_receivewal`
follows its log. {restored_crashes} times PostgreSQL and the follower are killed with `kill -9` in the middle of it and the end of the log is restored from the backup;
then {restored_instants} random instants of the run. `recover_sales` brings each restored shop to the provider's books as they were when the shop was lost;
in every second one some seats were sold again before. The provider is the simulator.

| what | figure |
| --- | ---: |
| points restored | {restore_points} |
| acknowledged orders missing at the end of the log, before reconciling: most of any crash | {restored_missing} |
| RPO: how long before the kill the oldest of them was acknowledged | {rpo_seconds} s |
| RTO: from an empty folder to a reconciled shop, the longest | {rto_seconds} s |
| payments found at the provider and confirmed; orders made again; given back | {restored_confirmed}; {restored_made_again}; {restored_returned} |
| lost cancellations found by their refunds | {restored_cancelled} |
| left for a person | {restored_left} |
| rules of the sale broken afterwards | {restored_findings} |
| orders whose live tickets are not what the provider keeps | {restored_money_off} |

The database is small ({restored_backup_mb} MB), and the time to restore grows with it and with the log since the last backup. Exchanges, free orders and names on tickets
of the lost moments are not at the provider, and are lost; the provider here lists at once what PayPal lists up to three hours late.
"""


@dataclass
class Tally:
    """What was seen at all points."""

    points: int = 0
    fates: Counter[Fate] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    off: list[str] = field(default_factory=list)
    again: int = 0
    rto: list[float] = field(default_factory=list)
    rpo: list[float] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    sold_early: int = 0


class Drill:
    """One run: its folder, its dice, what it has seen."""

    def __init__(self, folder: Path, rng: Random, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.rng = rng
        self.say = say
        self.seen = Tally()
        self.shop = Shop(folder)

    async def run(self, *, crashes: int, points: int, round_s: float, places: int) -> dict[str, object]:
        """Sell and crash, restore each time; then restore random instants."""
        url = self.shop.start()
        seats = await open_sale(url, places)
        made = backups.create(self.shop.backups, self.shop.folder, admin_url=self.shop.admin_url)
        self.say(f"backup {made.name}: {made.size_bytes // 2**20} MB")
        async with world(self.folder / "paypal") as outside:
            crowd = Crowd(outside, seats, self.rng)
            spans: list[tuple[datetime, datetime]] = []
            for number in range(crashes):
                began = datetime.now(UTC)
                crashed_at = await crowd.sell(
                    url, until=time.monotonic() + round_s * self.rng.uniform(0.7, 1.3), crash=self.shop
                )
                spans.append((began, crashed_at))
                self.say(f"crash {number + 1}: {len(crowd.told.confirmed)} orders confirmed")
                await self._point(outside, None, crowd.told, crashed_at)
                if number + 1 < crashes:
                    url = self.shop.start()
            for _ in range(points):
                begin, end = self.rng.choice(spans)
                await self._point(outside, begin + (end - begin) * self.rng.uniform(0.05, 0.95), crowd.told, None)
        return self._told(crowd.told, made.size_bytes, crashes=crashes, points=points)

    async def _point(
        self, outside: World, until: datetime | None, told: Acknowledged, crashed_at: datetime | None
    ) -> None:
        number = self.seen.points
        place, ledger = self.folder / f"restored-{number}", self.folder / f"paypal-{number}"
        copy_ledger(outside.folder, ledger)
        began = time.monotonic()
        done = restore(self.shop.backups, place, until=until)
        password = ensure(place, ["postgres"])["postgres"]
        server = postgres.start_ready(place / "postgres", password=password, log=place / "logs" / "postgres.log")
        try:
            async with (
                world(ledger) as then,
                Database.open(
                    server.url("sales", postgres.SUPERUSER, password), size=6, name="restored", statement_timeout_ms=0
                ) as database,
            ):
                if crashed_at is not None:
                    lost, age = await lost_since(database, told, crashed_at)
                    self.seen.lost.append(lost)
                    self.seen.rpo.append(age)
                if number % 2:
                    self.seen.sold_early += await sell_too_early(database, then, self.rng, most=STOLEN)
                await self._reconcile(database, then, done, began)
        finally:
            server.stop()
        shutil.rmtree(place)
        shutil.rmtree(ledger)
        self.seen.points += 1

    async def _reconcile(self, database: Database, then: World, done: Restored, began: float) -> None:
        till = Settling(database=database, providers={"paypal": then.provider}, signer=SIGNER)
        recovery = Recovery(till=till, provider=then.provider, has_account=_anybody)
        begin, end = done.lost_after - timedelta(minutes=5), datetime.now(UTC) + timedelta(minutes=1)
        found = await recover(recovery, begin, end)
        self.seen.rto.append(time.monotonic() - began)
        await _rest(till)
        findings = [finding.name for finding in await audit(database)]
        off = await money_off(database, then)
        again = [one for one in await recover(recovery, begin, end) if one.fate is not Fate.LEFT]
        self.seen.fates.update(one.fate for one in found)
        self.seen.findings += findings
        self.seen.off += off
        self.seen.again += len(again)
        self.say(_line(done, found, self.seen.rto[-1], findings, off, again))

    def _told(self, told: Acknowledged, backup_bytes: int, *, crashes: int, points: int) -> dict[str, object]:
        seen = self.seen
        return {
            "restore_points": seen.points, "rpo_seconds": round(max(seen.rpo), 3), "rto_seconds": round(max(seen.rto), 1),
            "restored_orders": len(told.confirmed), "restored_cancellations": len(told.cancelled),
            "restored_crashes": crashes, "restored_instants": points, "restored_backup_mb": backup_bytes // 2**20,
            "restored_missing": max(seen.lost), "restored_sold_too_early": seen.sold_early,
            **{f"restored_{fate.value}": seen.fates[fate] for fate in Fate},
            "restored_findings": len(seen.findings), "restored_money_off": len(seen.off),
            "restored_found_again": seen.again,
        }  # fmt: skip


async def _rest(till: Settling) -> None:
    """Let the shop's own timers run until nothing is open, every payment's time being over."""
    for _ in range(ROUNDS):
        await till.database.fetch(
            "UPDATE orders SET pay_deadline = clock_timestamp() - interval '1 s' WHERE state = 'paying'"
        )
        await resolve_payments(till, patience=NOW)
        await refund_payments(till.database, till.providers, patience=NOW, most=200)
        left = await till.database.fetchval(
            "SELECT (SELECT count(*) FROM payments WHERE state IN ('created', 'capturing', 'abandoning'))"
            " + (SELECT count(*) FROM refunds WHERE state = 'requested')"
        )
        if not left:
            return
    raise AssertionError(f"{left} payments and refunds are still open")


async def _anybody(_user: UserId) -> bool:
    return True


def _line(
    done: Restored, found: list[Recovered], seconds: float, findings: list[str], off: list[str], again: list[Recovered]
) -> str:
    fates = Counter(one.fate.value for one in found)
    whys = Counter(one.why for one in found if one.why)
    return (
        f"restored to {done.lost_after.isoformat(timespec='milliseconds')} in {seconds:.1f} s: {dict(fates)}"
        f" {dict(whys) or ''} broken: {findings or 'nothing'}, money: {off[:3] or 'right'}, again: {len(again)}"
    )


def run(
    say: Callable[[str], None], *, seed: int, crashes: int, points: int, round_s: float, places: int = PLACES
) -> dict[str, object]:
    """Run the drill in a folder of its own; returns its figures."""
    folder = Path(tempfile.mkdtemp(prefix="boxoffice-restoring-"))
    drill = Drill(folder, Random(seed), say)
    try:
        return asyncio.run(drill.run(crashes=crashes, points=points, round_s=round_s, places=places))
    finally:
        drill.shop.stop()
        shutil.rmtree(folder, ignore_errors=True)


def measure(say: Callable[[str], None], *, seed: int) -> dict[str, object]:
    """Crash four times and restore twenty random instants."""
    found = run(say, seed=seed, crashes=CRASHES, points=POINTS, round_s=ROUND_S)
    dull = [fate for fate in ("confirmed", "made_again", "cancelled", "returned") if not found[f"restored_{fate}"]]
    if dull:
        raise AssertionError(f"a run in which nothing was {' or '.join(dull)} proves nothing")
    return found


def wrong(found: Mapping[str, object]) -> list[str]:
    """Say what was not as before, and which aim was missed."""
    names = ("left", "findings", "money_off", "found_again")
    odd = [f"`restored_{name}` is {found[f'restored_{name}']}" for name in names if found[f"restored_{name}"]]
    aims = (("rpo_seconds", MOST_RPO_S), ("rto_seconds", MOST_RTO_S))
    odd += [f"`{key}` is {found[key]}, above {most}" for key, most in aims if float(str(found[key])) > most]
    if int(str(found["restore_points"])) < POINTS:
        odd.append(f"`restore_points` is {found['restore_points']} of {POINTS}")
    return odd


def section(found: Mapping[str, object]) -> str:
    """Write the page's section."""
    return SECTION.format(**found)
