"""Start a payment: seats and order become ``paying`` with the payment's record, then the provider is asked.

P of the protocol (reliability section 4.5). The record is committed before any call, so whatever is lost afterwards is
found again by its payment id. Invariants I3 (nobody else can take the seats), I13 (the price is ours).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from boxoffice.kernel.ids import OrderId, PaymentId, UserId
from boxoffice.kernel.money import Money
from boxoffice.runtime import idempotency, tracing
from boxoffice.runtime.database import Connection, Database
from boxoffice.runtime.idempotency import Answer, IdempotentCall
from boxoffice.runtime.uuids import uuid7
from boxoffice.services.sales.domain.bought import place_name, reference_of
from boxoffice.services.sales.domain.order import Order, OrderState
from boxoffice.services.sales.domain.payment import (
    NothingToPayError,
    Payment,
    PaymentEndingError,
    PaymentState,
    ProviderRefusedError,
    ProviderUnknownError,
    checked_return_url,
)
from boxoffice.services.sales.domain.refusals import (
    HoldExpiredError,
    NotOnSaleError,
    OrderNotFoundError,
    SaleHaltedError,
    WrongOrderStateError,
)
from boxoffice.services.sales.providers import Item, NewPayment, PaymentProvider, Providers
from boxoffice.services.sales.store import orders, payments, seats, terms
from boxoffice.services.sales.store.quick_payments import Beginning
from boxoffice.services.sales.usecases.abandon_payment import REFUSED, abandon, client_of
from boxoffice.services.sales.usecases.continue_purchase import continuing_purchase
from boxoffice.services.sales.usecases.gather_payments import BeginDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a buyer asks for. The addresses are pages of ours to send them back to."""

    order_id: OrderId
    user_id: UserId
    provider: str
    return_url: str
    cancel_url: str


async def start_payment(
    database: Database,
    providers: Providers,
    wish: Wish,
    *,
    public_url: str,
    window: timedelta,
    call: IdempotentCall | None,
    render: Callable[[Payment], Answer],
    desk: BeginDesk | None = None,
) -> Answer:
    """Start paying an order; an order that is being paid, or was, answers with the payment that it has.

    ``desk`` begins the usual payment together with others; what it leaves goes the whole way.

    :raises OrderNotFoundError: when the order is not the buyer's.
    :raises HoldExpiredError: when the hold is over.
    :raises NothingToPayError: when the order is free.
    :raises ProviderUnknownError: when the shop does not take that kind of payment.
    :raises ForeignUrlError: when an address is not ours.
    :raises ProviderSilentError: when the provider does not answer; asking again goes on with the same payment.
    :raises ProviderRefusedError: when the provider will not do it; the seats are held again.
    """
    if wish.provider not in providers:
        raise ProviderUnknownError(f"Choose one of: {', '.join(sorted(providers))}.", providers=sorted(providers))
    for url in (wish.return_url, wish.cancel_url):
        checked_return_url(url, public_url)
    start = partial(_start, database, providers, wish, window=window, call=call, render=render, desk=desk)
    if not tracing.on():
        return await start()
    async with continuing_purchase(database, wish.order_id, "start payment"):
        return await start()


async def _start(
    database: Database, providers: Providers, wish: Wish, *, window: timedelta, call: IdempotentCall | None,
    render: Callable[[Payment], Answer], desk: BeginDesk | None,
) -> Answer:  # fmt: skip
    provider = providers[wish.provider]
    if desk is not None and (started := await _start_quickly(desk, provider, wish, window, call, render)):
        return started
    async with database.transaction() as tx:
        earlier = await idempotency.begin(tx, call)
        if earlier is not None and earlier.status:
            return earlier
        payment = await _begin(tx, wish, window)
    if payment.state is PaymentState.CREATED and payment.approval_url is None:
        payment = await _ask(database, client_of(providers, payment), payment)
    answer = render(payment)
    async with database.transaction() as tx:
        return await idempotency.finish(tx, call, answer)


async def _start_quickly(
    desk: BeginDesk, provider: PaymentProvider, wish: Wish, window: timedelta, call: IdempotentCall | None,
    render: Callable[[Payment], Answer],
) -> Answer | None:  # fmt: skip
    """Start the first payment of a held order together with others; none: not that case."""
    beginning = Beginning(
        order_id=wish.order_id, user_id=wish.user_id, payment_id=PaymentId(uuid7()), provider=wish.provider,
        return_url=wish.return_url, cancel_url=wish.cancel_url, call=call,
    )  # fmt: skip
    begun = await desk.begin(beginning, window)
    if begun is None:
        return None
    try:
        there = await provider.create(_new_payment(begun.payment, begun.event_name, begun.places))
    except ProviderRefusedError:
        await abandon(desk.database, {provider.name: provider}, beginning.payment_id, because=REFUSED)
        raise
    return await desk.note(begun, beginning, there, render)


async def _begin(tx: Connection, wish: Wish, window: timedelta) -> Payment:
    order = await orders.lock_own(tx, wish.order_id, wish.user_id)
    if order is None:
        raise OrderNotFoundError("There is no such booking.")
    if order.is_free:
        raise NothingToPayError("Confirm the booking instead.", bookingId=str(order.order_id))
    live = await payments.live_of(tx, order.order_id)
    if live is not None:
        if live.state is PaymentState.ABANDONING:
            raise PaymentEndingError("Try again in a moment.", retryAfterSeconds=1)
        return live
    if order.state is OrderState.RELEASED or order.expired:
        raise HoldExpiredError("Choose your seats again.", bookingId=str(order.order_id))
    if order.state is not OrderState.HELD:
        raise WrongOrderStateError("The booking cannot be paid.", bookingStatus=order.shown_state())
    await _check_sale(tx, order)
    payment_id = PaymentId(uuid4())
    if not await payments.begin(
        tx, order, payment_id=payment_id, provider=wish.provider, return_url=wish.return_url,
        cancel_url=wish.cancel_url, window=window,
    ):  # fmt: skip
        raise HoldExpiredError("Choose your seats again.", bookingId=str(order.order_id))
    payment = await payments.by_id(tx, payment_id)
    assert payment is not None
    return payment


async def _check_sale(tx: Connection, order: Order) -> None:
    event = await terms.of_event(tx, order.event_id)
    if event is None or event.status != "published":
        raise NotOnSaleError("The event is not on sale any more.")
    if event.halted_because is not None:
        raise SaleHaltedError("Your seats stay held; try again later.", retryAfterSeconds=60)


async def _ask(database: Database, provider: PaymentProvider, payment: Payment) -> Payment:
    """Ask the provider under the payment id: however often this is done, there is one order at the provider."""
    try:
        begun = await provider.create(await _order_of(database, payment))
    except ProviderRefusedError:
        await abandon(database, {provider.name: provider}, payment.payment_id, because=REFUSED)
        raise
    async with database.transaction() as tx:
        await payments.begun(tx, payment.payment_id, provider_ref=begun.provider_ref, approval_url=begun.approval_url)
        noted = await payments.by_id(tx, payment.payment_id)
    assert noted is not None
    return noted


async def _order_of(database: Database, payment: Payment) -> NewPayment:
    event = await terms.of_event(database, payment.event_id)
    order = await orders.seen_by(database, payment.order_id, payment.user_id, [])
    assert event is not None
    assert order is not None
    found = await seats.by_ids(database, order.seat_ids)
    own = dict(zip(order.seat_ids, zip(order.prices, order.types, strict=True), strict=True))
    places = [
        {
            **record, "row": record["row_label"], "price_minor": own[record["seat_id"]][0].minor,
            "ticket_type": own[record["seat_id"]][1],
        }
        for record in found
    ]  # fmt: skip
    return _new_payment(payment, event.name, places)


def _new_payment(payment: Payment, event_name: str, places: Sequence[Mapping[str, Any]]) -> NewPayment:
    items = [
        Item(
            name=place_name(place["section"], place["row"], place["number"], place.get("ticket_type")),
            price=Money(place["price_minor"], payment.total.currency),
        )
        for place in places
        if place["price_minor"]
    ]
    if sum(item.price.minor for item in items) != payment.total.minor:
        items = [Item(name=event_name, price=payment.total)]
    return NewPayment(
        payment_id=payment.payment_id, order_id=payment.order_id, total=payment.total, description=event_name,
        items=items, reference=reference_of(payment.event_id, payment.user_id, len(places)),
    )  # fmt: skip
