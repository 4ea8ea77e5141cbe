"""Confirm orders that were paid at the same moment in one transaction: C1 alone, C2 together with others.

The usual case of ``settle_payment.py`` in three statements, under the same guards: claimed before captured, and each
order all or nothing (I1, I2, I5). What is not usual is left to that path, which repeats nothing that was done: the
claim holds, the capture carries the payment's id.
"""

from collections.abc import AsyncIterator, Hashable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec

from boxoffice.kernel.ids import OrderId, PaymentId, TicketId, UserId
from boxoffice.kernel.money import Money
from boxoffice.runtime.database import DatabaseBusyError
from boxoffice.runtime.gathering import Gathering, Waiting
from boxoffice.runtime.telemetry import current_trace, log
from boxoffice.runtime.uuids import uuid7
from boxoffice.services.sales.domain.order import OrderState
from boxoffice.services.sales.domain.payment import Captured, Payment, PaymentState, ProviderOrderState
from boxoffice.services.sales.domain.ticket import Ticket, TicketState
from boxoffice.services.sales.providers import PaymentProvider
from boxoffice.services.sales.store import quick_payments
from boxoffice.services.sales.store.quick_payments import Claimed, Confirming
from boxoffice.services.sales.usecases.abandon_payment import client_of
from boxoffice.services.sales.usecases.read_orders import ShownOrder
from boxoffice.services.sales.usecases.settle_payment import Settling, may_go_on
from boxoffice.services.sales.usecases.tell_order import barcode_of, confirmed_fact

LANES = 2
"""Batches at the database at once, as for holds."""
MOST_TOGETHER = 32
"""Orders of one batch; each locks its seats, and some milliseconds are what the others may wait."""

_log = log(__name__)


class ConfirmDesk:
    """Confirms the orders of one process; ``confirm`` is what handlers call."""

    def __init__(self, till: Settling) -> None:
        self._till = till
        self._asked: Gathering[tuple[PaymentId, OrderId, UserId], Payment | None] = Gathering(
            self._read, apart=None, lanes=LANES, most_together=MOST_TOGETHER
        )
        self._claims: Gathering[PaymentId, Claimed | None] = Gathering(
            self._claim, apart=lambda payment_id: (payment_id,), lanes=LANES, most_together=MOST_TOGETHER
        )
        self._line: Gathering[Confirming, bool] = Gathering(
            self._decide, apart=_marks, lanes=LANES, most_together=MOST_TOGETHER
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, till: Settling) -> AsyncIterator["ConfirmDesk"]:
        """Keep a desk open while inside."""
        desk = cls(till)
        async with desk._asked.open(), desk._claims.open(), desk._line.open():
            yield desk

    async def confirm(self, order_id: OrderId, user_id: UserId, payment_id: PaymentId) -> ShownOrder | None:
        """Confirm a customer's own order whose payment the provider takes now; none: it is not that case.

        :raises ProviderSilentError: when the provider does not tell how the payment stands.
        """
        payment = await self._asked.ask((payment_id, order_id, user_id))
        if payment is None or payment.provider_ref is None:
            return None
        provider = client_of(self._till.providers, payment)
        claimed, captured = await self._captured(provider, payment, payment.provider_ref)
        if claimed is None or captured is None or captured.value != payment.total:
            return None
        issued = [_ticket(claimed, place) for place in claimed.places]
        barcodes = {ticket.ticket_id: barcode_of(ticket, claimed.event, self._till.signer) for ticket in issued}
        fact = confirmed_fact(claimed.order, claimed.event, issued, barcodes)
        confirming = Confirming(
            claimed=claimed, payment_id=payment_id, capture_ref=captured.capture_ref, tickets=issued,
            message_id=uuid7(), body=msgspec.json.encode(fact).decode(), trace=current_trace(),
        )  # fmt: skip
        if not await self._line.ask(confirming):
            return None
        _log.info("payment.captured", payment=str(payment_id), order=str(order_id))
        return _shown(confirming)

    async def _captured(
        self, provider: PaymentProvider, payment: Payment, provider_ref: str
    ) -> tuple[Claimed | None, Captured | None]:
        """Ask, claim, capture: no call that moves money goes out before the claim has committed."""
        order = await provider.get(provider_ref)
        if order.state is ProviderOrderState.ENDED or not may_go_on(payment, order, provider):
            return None, None
        claimed = await self._claims.ask(payment.payment_id)
        if claimed is None or order.capture is not None:
            return None, None
        outcome = await provider.capture(provider_ref, payment_id=payment.payment_id)
        return claimed, outcome if isinstance(outcome, Captured) else None

    async def _read(self, batch: list[Waiting[tuple[PaymentId, OrderId, UserId], Payment | None]]) -> None:
        async with self._till.database.connection() as connection:
            found = await quick_payments.to_confirm(connection, [waiting.ask for waiting in batch])
        for waiting in batch:
            payment_id, order_id, user_id = waiting.ask
            payment = found.get(payment_id)
            is_own = payment is not None and (payment.order_id, payment.user_id) == (order_id, user_id)
            waiting.answer(payment if is_own else None)

    async def _claim(self, batch: list[Waiting[PaymentId, Claimed | None]]) -> None:
        try:
            async with self._till.database.connection() as connection:
                claimed = await quick_payments.claim(connection, [waiting.ask for waiting in batch])
        except DatabaseBusyError:
            claimed = {}  # as in _decide
        for waiting in batch:
            waiting.answer(claimed.get(waiting.ask))

    async def _decide(self, batch: list[Waiting[Confirming, bool]]) -> None:
        asked = [waiting.ask for waiting in batch]
        try:
            async with self._till.database.connection() as connection:
                confirmed = await quick_payments.confirm(
                    connection, asked, key_id=self._till.signer.signing_key_id.hex()
                )
        except DatabaseBusyError:
            confirmed = frozenset()  # somebody has a record of one of them: each alone, so that only that one waits
        for waiting in batch:
            waiting.answer(waiting.ask.claimed.order.order_id in confirmed)


def _marks(asked: Confirming) -> Iterable[Hashable]:
    order = asked.claimed.order
    return (order.order_id, (order.event_id, order.user_id))


def _ticket(claimed: Claimed, place: dict[str, Any]) -> Ticket:
    order = claimed.order
    return Ticket(
        ticket_id=TicketId(uuid7()), event_id=order.event_id, seat_id=place["seat_id"], order_id=order.order_id,
        user_id=order.user_id, state=TicketState.VALID, price=Money(place["price_minor"], place["currency"]),
        issued_at=claimed.claimed_at, section=place["section"], row=place["row_label"], number=place["number"],
        price_level=place["price_level"], mark=place["mark"], notice=place["notice"],
        ticket_type=place["ticket_type"],
    )  # fmt: skip


def _shown(done: Confirming) -> ShownOrder:
    order = done.claimed.order
    places = {place["seat_id"]: place for place in done.claimed.places}
    return ShownOrder(
        order=replace(order, state=OrderState.CONFIRMED, version=order.version + 1), event=done.claimed.event,
        seats=[places[seat] for seat in order.seat_ids], tickets={ticket.seat_id: ticket for ticket in done.tickets},
        payment=(done.payment_id, PaymentState.CAPTURED.value), attendees={}, offered={},
    )  # fmt: skip
