"""Timers: what is due is found in the database, so a process that died loses none, and several may run them at once."""

from datetime import UTC, datetime, timedelta

from boxoffice.runtime.database import Database
from boxoffice.runtime.jobs import Job
from boxoffice.runtime.relay import Relay
from boxoffice.runtime.telemetry import log
from boxoffice.services.sales.domain.payment import ProviderSilentError
from boxoffice.services.sales.usecases.cancel_orders_of_cancelled_events import cancel_orders_of_cancelled_events
from boxoffice.services.sales.usecases.expire_holds import expire_holds
from boxoffice.services.sales.usecases.keep_houses import Houses
from boxoffice.services.sales.usecases.open_due_allocations import open_due_allocations
from boxoffice.services.sales.usecases.reconcile_payments import reconcile
from boxoffice.services.sales.usecases.refund_payments import refund_payments
from boxoffice.services.sales.usecases.resolve_payments import resolve_payments
from boxoffice.services.sales.usecases.settle_payment import Settling
from boxoffice.services.sales.usecases.summarise_sales import summarise_sales
from boxoffice.services.sales.usecases.watch_sale import Watch

EXPIRE_EVERY_S = 5.0
"""Holds end by the clock, not by this: it only tidies up."""
SUMMARISE_EVERY_S = 1.0
SUMMARISE_SHARE = 1 / 50
"""Of one core: an event of 60,000 seats takes 33 ms and is counted each 1.7 s; halls of 2,000 each second as ever."""
SUMMARISE_REST_S = 10.0
"""At most, until counting takes half a second: a search may say "few left" for so long after the last was sold."""
OPEN_EVERY_S = 1.0
"""Allocations open by the clock, not by this: it has their events summed up again, and their houses looked at."""
CANCEL_EVERY_S = 5.0
FORGET_EVERY_S = 3_600.0
RESOLVE_EVERY_S = 2.0
REFUND_EVERY_S = 1.0
RECONCILE_EVERY_S = 300.0
WATCH_EVERY_S = 5.0
"""A look of 100 ms, as of a hundred small events, rests no longer: a breach is met within seconds."""
WATCH_SHARE = 1 / 50
"""Of one core: a look of 300 ms, as at a hot event of 60,000 seats, comes each 15 s."""
WATCH_REST_S = 30.0
"""At most, until looks take 1.6 s: a breach in an event that sells is met within half a minute."""
WATCH_TIMEOUT_MS = 60_000
"""The auditor's own statements may take longer than the sale's, and not for ever."""
RECONCILED = timedelta(hours=24)
"""How far back each reconciliation looks: longer than any outage that nobody noticed."""
RECONCILE_LOCK = 0x0B0C_0002
"""Advisory lock: of several processes one reconciles."""

_log = log(__name__)


def sale_jobs(database: Database, relay: Relay, houses: Houses) -> list[Job]:
    """List the timers of the sale: holds that ran out, allocations due, summaries, cancelled events, old messages."""

    async def expire() -> int:
        return await expire_holds(database)

    async def open_due() -> int:
        count, events = await open_due_allocations(database)
        await houses.tell(events)
        return count

    async def summarise() -> int:
        return await summarise_sales(database)

    async def cancel() -> int:
        return await cancel_orders_of_cancelled_events(database)

    summaries = Job(
        name="summarise-sales", every_seconds=SUMMARISE_EVERY_S, run=summarise, share=SUMMARISE_SHARE,
        longest_rest_seconds=SUMMARISE_REST_S,
    )  # fmt: skip
    return [
        Job(name="expire-holds", every_seconds=EXPIRE_EVERY_S, run=expire),
        Job(name="open-allocations", every_seconds=OPEN_EVERY_S, run=open_due),
        summaries,
        Job(name="cancel-orders-of-cancelled-events", every_seconds=CANCEL_EVERY_S, run=cancel),
        Job(name="forget-old-messages", every_seconds=FORGET_EVERY_S, run=relay.forget_old),
    ]


def watch_jobs(auditor: Database) -> list[Job]:
    """List the auditor's timer; its database is its own, opened with ``WATCH_TIMEOUT_MS``."""
    look = Watch(auditor).look
    return [
        Job(
            name="watch-sale", every_seconds=WATCH_EVERY_S, run=look, share=WATCH_SHARE,
            longest_rest_seconds=WATCH_REST_S,
        )
    ]  # fmt: skip


def payment_jobs(till: Settling) -> list[Job]:
    """List the timers of payments: open ones, refunds, reconciliation."""

    async def resolve() -> int:
        return await resolve_payments(till)

    async def refund() -> int:
        return await refund_payments(till.database, till.providers)

    async def compare() -> int:
        return await reconcile_as_singleton(till)

    return [
        Job(name="resolve-payments", every_seconds=RESOLVE_EVERY_S, run=resolve),
        Job(name="refund-payments", every_seconds=REFUND_EVERY_S, run=refund),
        Job(name="reconcile-payments", every_seconds=RECONCILE_EVERY_S, run=compare),
    ]


async def reconcile_as_singleton(till: Settling) -> int:
    """Reconcile the last day unless another process does; returns 0, as there is never more to do at once."""
    async with till.database.session() as lock:
        if not await lock.fetchval("SELECT pg_try_advisory_lock($1)", RECONCILE_LOCK):
            return 0
        try:
            now = datetime.now(UTC)
            for provider in till.providers.values():
                try:
                    await reconcile(till, provider, now - RECONCILED, now + timedelta(minutes=1))
                except ProviderSilentError as silence:
                    _log.warning("reconcile.waits", provider=provider.name, why=silence.detail)
        finally:
            await lock.fetchval("SELECT pg_advisory_unlock($1)", RECONCILE_LOCK)
    return 0
