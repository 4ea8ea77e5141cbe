"""Refund what was promised: ask the provider under the refund's id, look before asking again (invariant I4).

Three steps as everywhere: the refund was recorded in the cancellation's transaction; the provider is called with its
id; the outcome is recorded. PayPal remembers the id for 45 days, and might forget: a second try looks first.
"""

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from uuid import UUID, uuid5

from boxoffice.kernel.money import Money
from boxoffice.runtime.database import Database
from boxoffice.runtime.telemetry import log
from boxoffice.services.sales.domain.payment import ProviderSilentError, Refunded, RefundOutcome, RefundRefused, Unknown
from boxoffice.services.sales.providers import Providers
from boxoffice.services.sales.store import ledger, orders, refunds, tickets
from boxoffice.services.sales.store.refunds import Refund
from boxoffice.services.sales.usecases.tell_order import tell

PATIENCE = timedelta(seconds=15)
LONGEST_PATIENCE = timedelta(hours=1)
AT_ONCE = 20
POSTINGS = UUID("5b0d3a52-5f0c-4b9e-8f53-0f6a2b6f1c77")
"""Namespace of the ledger postings of refunds that are done: one a refund."""

_log = log(__name__)


async def refund_payments(
    database: Database, providers: Providers, *, patience: timedelta = PATIENCE, most: int = AT_ONCE
) -> int:
    """Ask the providers for the refunds that are requested; returns how many are done."""
    async with database.transaction() as tx:
        claimed = await refunds.due(tx, patience=patience, longest=LONGEST_PATIENCE, most=most)
    done = 0
    for _, group in groupby(claimed, key=lambda refund: refund.payment_id):
        asked = [(refund, await _ask(providers, refund)) for refund in group]
        done += await note_outcomes(database, asked)
    return done


async def _ask(providers: Providers, refund: Refund) -> RefundOutcome:
    provider = providers.get(refund.provider)
    if provider is None:
        return Unknown(reason=f"There is no client for {refund.provider}.")
    if refund.capture_ref is None or refund.provider_ref is None:
        return RefundRefused(reason="The payment names no capture.")
    if refund.tries > 1:
        try:
            order = await provider.get(refund.provider_ref)
        except ProviderSilentError as silence:
            return Unknown(reason=silence.detail)
        for known in order.refunds:
            if known.reference == str(refund.refund_id):
                return Refunded(refund_ref=known.refund_ref)
    return await provider.refund(refund.capture_ref, refund_id=refund.refund_id, value=refund.value)


async def note_outcomes(database: Database, asked: Sequence[tuple[Refund, RefundOutcome]]) -> int:
    """Note what became of one payment's refunds together, so that the buyer is told once; returns how many are done."""
    done: list[Refund] = []
    async with database.transaction() as tx:
        order = await orders.lock(tx, asked[0][0].order_id)
        assert order is not None
        for refund, outcome in asked:
            match outcome:
                case Refunded():
                    if await refunds.finish(tx, refund.refund_id, refund_ref=outcome.refund_ref):
                        done.append(refund)
                        await ledger.post(
                            tx, posting_id=uuid5(POSTINGS, str(refund.refund_id)), order_id=refund.order_id,
                            entries={"refunds_due": refund.value.minor, "provider": -refund.value.minor},
                            currency=refund.value.currency,
                        )  # fmt: skip
                case RefundRefused():
                    await refunds.give_to_people(tx, refund.refund_id, failure=outcome.reason)
                    _log.error("refund.manual", alarm=True, refund=str(refund.refund_id), why=outcome.reason)
                case Unknown():
                    await refunds.note_failure(tx, refund.refund_id, failure=outcome.reason)
                    _log.warning("refund.open", refund=str(refund.refund_id), why=outcome.reason)
        if done:
            given_back = {refund.ticket_id for refund in done}
            await tell(
                tx, order, "sales.order.refunded", state=order.state, version=await orders.touch(tx, order.order_id),
                tickets=[k for k in await tickets.of_order(tx, order.order_id) if k.ticket_id in given_back],
                refund=Money(sum(refund.value.minor for refund in done), done[0].value.currency),
            )  # fmt: skip
    return len(done)
