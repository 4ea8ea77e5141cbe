"""Recover sales after a restore: what was paid or refunded after the restored point is found at the provider (I2, I22).

A capture that our records do not have: its order is made again under its own ids, by an ordinary hold, if its seats can
be had; else the money goes back. A refund that they do not have: its ticket is void and its seat free again. Every step
is an ordinary transaction of the sale or a call under an id that is always the same, so a run that died is run again,
and a second run finds nothing to do. What only a person can judge is left, and said.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import OrderId, PaymentId, RefundId, SeatId, UserId
from boxoffice.kernel.money import Money
from boxoffice.runtime.database import Connection
from boxoffice.runtime.telemetry import log
from boxoffice.services.sales.domain.bought import Bought, NamedSeat, find_area, find_seats
from boxoffice.services.sales.domain.order import Order, OrderState
from boxoffice.services.sales.domain.payment import (
    Payment,
    PaymentState,
    ProviderOrder,
    ProviderSilentError,
    Refunded,
)
from boxoffice.services.sales.domain.refund import refund_of, seat_of_refund
from boxoffice.services.sales.domain.refusals import (
    SaleDisagreesError,
    SaleHaltedError,
    SeatsUnknownError,
    WrongOrderStateError,
)
from boxoffice.services.sales.providers import Movement, PaymentProvider
from boxoffice.services.sales.store import holds, lost_sales, orders, payments, refunds, terms, ticket_types, tickets
from boxoffice.services.sales.usecases.abandon_payment import TURNED_BACK, abandon
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.choose_ticket_types import choose_ticket_types
from boxoffice.services.sales.usecases.refund_payments import note_outcomes
from boxoffice.services.sales.usecases.release_order import give_back_hold
from boxoffice.services.sales.usecases.return_late_money import late_refund_id
from boxoffice.services.sales.usecases.settle_payment import Settling, settle

WINDOW = timedelta(minutes=10)
"""How long the hold and payment of an order that is made again may last: its capture is there already."""

_log = log(__name__)


class Fate(StrEnum):
    """What became of money that moved after the restored point."""

    CONFIRMED = "confirmed"
    MADE_AGAIN = "made_again"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    NOTED = "noted"
    LEFT = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """One capture or refund that our records lacked. ``left``: a person has to look, ``why`` says at what."""

    fate: Fate
    provider_ref: str
    order_id: OrderId | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What recovering needs. ``has_account``: whether a buyer's account is still there, to find the tickets in."""

    till: Settling
    provider: PaymentProvider
    has_account: Callable[[UserId], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lost:
    """A capture whose payment we have no record of, with what the provider's order says of it."""

    movement: Movement
    order: ProviderOrder
    bought: Bought
    order_id: OrderId
    payment_id: PaymentId

    @property
    def kept(self) -> Money:
        """What of it was not refunded yet."""
        back = sum(refund.value.minor for refund in self.order.refunds)
        return Money(self.movement.value.minor - back, self.movement.value.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """What was paid for: seats, or places of an area, which are as good as one another, with the type of each."""

    seats: tuple[NamedSeat, ...] = ()
    area: str | None = None
    types: tuple[str | None, ...] = ()

    def types_of(self, order: Order) -> dict[SeatId, str]:
        """Give the ticket types that the buyer chose, by the order's places."""
        if self.area is None:
            return {one.seat_id: one.ticket_type for one in self.seats if one.ticket_type is not None}
        pairs = zip(order.seat_ids, self.types, strict=True)
        return {seat: kind for seat, kind in pairs if kind is not None}


async def recover(recovery: Recovery, begin: datetime, end: datetime) -> list[Recovered]:
    """Take what moved between two instants (at most 31 days apart) into our records, in the order in which it moved.

    What cannot be had at first is tried once more when all else is done: seats may have come free by a refund.

    :raises ProviderSilentError: when the provider does not answer; run it again then.
    """
    moved = [movement for movement in await recovery.provider.movements(begin, end) if movement.is_final]
    moved.sort(key=lambda movement: (movement.moved_at, movement.value.minor < 0))
    found: list[Recovered | None] = []
    later: list[Movement] = []
    blocked: set[str] = set()
    for movement in moved:
        if movement.value.minor < 0:
            if movement.of_ref in blocked:
                later.append(movement)
            else:
                found.append(await _take_refund(recovery, movement))
            continue
        try:
            found.append(await _take_capture(recovery, movement))
        except DomainError as refusal:
            _let_through(refusal)
            later.append(movement)
            blocked.add(movement.provider_ref)
    for movement in later:
        if movement.value.minor < 0:
            found.append(await _take_refund(recovery, movement))
            continue
        found.append(await _take_or_return(recovery, movement))
    recovered = [one for one in found if one is not None]
    for one in recovered:
        _log.warning(
            "recover.found", fate=one.fate.value, provider_ref=one.provider_ref, order=str(one.order_id), why=one.why
        )
    return recovered


async def _take_or_return(recovery: Recovery, movement: Movement) -> Recovered | None:
    try:
        return await _take_capture(recovery, movement)
    except SaleHaltedError as halted:
        return Recovered(fate=Fate.LEFT, provider_ref=movement.provider_ref, why=f"{halted.title}; run it again then")
    except DomainError as refusal:
        _let_through(refusal)
        lost = await _lost(recovery, movement)
        why = f"{refusal.title}: {refusal.detail}"
        if lost is None:
            return Recovered(fate=Fate.LEFT, provider_ref=movement.provider_ref, why=why)
        return await _return(recovery, lost, why)


def _let_through(refusal: DomainError) -> None:
    """Raise what is no answer of the sale's: nothing may be decided then."""
    if isinstance(refusal, ProviderSilentError):
        raise refusal


async def _take_capture(recovery: Recovery, movement: Movement) -> Recovered | None:
    """Confirm or make again what a capture paid for; none when our records have it, or all of it went back.

    :raises DomainError: when the sale refuses.
    """
    database = recovery.till.database
    payment_id = _uuid(movement.payment_reference)
    payment = None if payment_id is None else await payments.by_id(database, PaymentId(payment_id))
    if payment is not None:
        return await _confirm_known(recovery, movement, payment)
    lost = await _lost(recovery, movement)
    if lost is None:
        return Recovered(fate=Fate.LEFT, provider_ref=movement.provider_ref, why="not a payment of this shop")
    if lost.kept.minor == 0:
        return None
    if not await recovery.has_account(lost.bought.user_id):
        return await _return(recovery, lost, "the buyer's account is lost")
    await _make_again(recovery, lost)
    settled = await settle(recovery.till, lost.payment_id)
    if settled.state is not PaymentState.CAPTURED:
        raise WrongOrderStateError("The payment could not be confirmed.", paymentState=settled.state.value)
    return Recovered(fate=Fate.MADE_AGAIN, provider_ref=movement.provider_ref, order_id=lost.order_id)


async def _confirm_known(recovery: Recovery, movement: Movement, payment: Payment) -> Recovered | None:
    """Settle a payment that we knew as open. One that ended in vain, or differs, is for the reconciler."""
    if payment.state in {PaymentState.CAPTURED, PaymentState.FAILED, PaymentState.VOIDED}:
        return None
    database = recovery.till.database
    if payment.provider_ref is None:
        order = await recovery.provider.get(movement.of_ref)
        if order.payment_reference != str(payment.payment_id):
            return Recovered(fate=Fate.LEFT, provider_ref=movement.provider_ref, why="names another payment")
        async with database.transaction() as tx:
            await payments.begun(tx, payment.payment_id, provider_ref=movement.of_ref, approval_url="")
    settled = await settle(recovery.till, payment.payment_id)
    fate = Fate.CONFIRMED if settled.state is PaymentState.CAPTURED else Fate.LEFT
    return Recovered(
        fate=fate, provider_ref=movement.provider_ref, order_id=payment.order_id,
        why="" if fate is Fate.CONFIRMED else f"the payment is {settled.state.value}",
    )  # fmt: skip


async def _lost(recovery: Recovery, movement: Movement) -> _Lost | None:
    order = await recovery.provider.get(movement.of_ref)
    order_id, payment_id = _uuid(order.order_reference), _uuid(order.payment_reference)
    if order.bought is None or order_id is None or payment_id is None or order.capture is None:
        return None
    return _Lost(
        movement=movement, order=order, bought=order.bought, order_id=OrderId(order_id),
        payment_id=PaymentId(payment_id),
    )  # fmt: skip


async def _make_again(recovery: Recovery, lost: _Lost) -> None:
    """Bring the order to where it was before its capture: paying, with its payment and the provider's name for it."""
    database, user_id = recovery.till.database, lost.bought.user_id
    ours = await orders.seen_by(database, lost.order_id, user_id, [])
    named = await _named(recovery, lost)
    if ours is None:
        await _hold(recovery, lost, named)
    elif ours.state is OrderState.PAYING:
        await _end_other_attempt(recovery, ours)
    try:
        async with database.transaction() as tx:
            order = await orders.lock_own(tx, lost.order_id, user_id)
            if order is None or order.state is not OrderState.HELD:
                raise WrongOrderStateError("The booking has ended.", bookingId=str(lost.order_id))
            if order.expired:
                await lost_sales.hold_on(tx, order, datetime.now(UTC) + WINDOW)
            wished = named.types_of(order) if named is not None else {}
            if wished:
                await choose_ticket_types(tx, order_id=lost.order_id, user_id=user_id, wished=wished)
            await _begin(tx, recovery, lost)
    except DomainError:
        if ours is None:
            async with database.transaction() as tx:
                await give_back_hold(tx, order_id=lost.order_id, user_id=user_id)
        raise


async def _begin(tx: Connection, recovery: Recovery, lost: _Lost) -> None:
    order = await orders.lock(tx, lost.order_id)
    assert order is not None, "it was locked before"
    if order.total != lost.movement.value:
        raise SaleDisagreesError(f"The booking costs {order.total} now, and {lost.movement.value} were paid.")
    begun = await payments.begin(
        tx, order, payment_id=lost.payment_id, provider=recovery.provider.name, return_url="", cancel_url="",
        window=WINDOW,
    )  # fmt: skip
    if not begun:
        raise SaleDisagreesError("The booking's seats are not its own any more.")
    await payments.begun(tx, lost.payment_id, provider_ref=lost.movement.of_ref, approval_url="")


async def _named(recovery: Recovery, lost: _Lost) -> _Places | None:
    """Find what was paid for by the names of its lines; none when they name no places of the event, or not clearly."""
    database, event_id = recovery.till.database, lost.bought.event_id
    offered = await ticket_types.of_event(database, event_id)
    names = {one.name for level in offered.values() for one in level}
    seats = find_seats(lost.bought, await lost_sales.named_seats(database, event_id), names)
    if seats is not None:
        return _Places(seats=tuple(seats))
    area = find_area(lost.bought, await lost_sales.area_names(database, event_id), names)
    return None if area is None else _Places(area=area[0], types=area[1])


async def _hold(recovery: Recovery, lost: _Lost, places: _Places | None) -> None:
    if places is None:
        raise SeatsUnknownError("The provider's lines do not name places of this event.", ticketIds=[])
    database, bought = recovery.till.database, lost.bought
    chosen = sorted(one.seat_id for one in places.seats) or None
    async with database.connection() as connection:
        allocation = None if chosen is None else await lost_sales.closed_for(connection, bought.event_id, chosen)
        await holds.place(
            connection, user_id=bought.user_id, event_id=bought.event_id, seat_ids=chosen,
            quantity=None if chosen else bought.places, price_level=places.area, together=False,
            order_id=lost.order_id, call=None, trace=None, allocation_id=allocation,
        )  # fmt: skip


async def _end_other_attempt(recovery: Recovery, order: Order) -> None:
    """End the attempt that was open at the restored point: another one took the money after it."""
    database, till = recovery.till.database, recovery.till
    async with database.transaction() as tx:
        live = await payments.live_of(tx, order.order_id)
    if live is not None and live.state is PaymentState.CREATED:
        await abandon(database, till.providers, live.payment_id, because=TURNED_BACK)
    elif live is not None:
        await settle(till, live.payment_id)


async def _return(recovery: Recovery, lost: _Lost, why: str) -> Recovered | None:
    if lost.kept.minor == 0:
        return None
    ref = lost.movement.provider_ref
    outcome = await recovery.provider.refund(ref, refund_id=late_refund_id(lost.payment_id), value=lost.kept)
    if isinstance(outcome, Refunded):
        return Recovered(fate=Fate.RETURNED, provider_ref=ref, order_id=lost.order_id, why=why)
    return Recovered(
        fate=Fate.LEFT, provider_ref=ref, order_id=lost.order_id, why=f"{why}; not refunded: {outcome.reason}"
    )


async def _take_refund(recovery: Recovery, movement: Movement) -> Recovered | None:
    """Void the ticket that a refund was for; none when our records have the refund, or none of its capture."""
    database = recovery.till.database
    refund_id = _uuid(movement.reference)
    known = None if refund_id is None else await refunds.by_id(database, RefundId(refund_id))
    if known is not None:
        if known.state == "done":
            return None
        await note_outcomes(database, [(known, Refunded(refund_ref=movement.provider_ref))])
        return Recovered(fate=Fate.NOTED, provider_ref=movement.provider_ref, order_id=known.order_id)
    payment = await payments.by_capture(database, recovery.provider.name, movement.of_ref)
    if payment is None:
        return None  # what became of the capture says what this was
    try:
        if refund_id is None:
            raise SaleDisagreesError("It was made by hand.")
        await _cancel(recovery, movement, payment, RefundId(refund_id))
    except DomainError as refusal:
        _let_through(refusal)
        return Recovered(
            fate=Fate.LEFT, provider_ref=movement.provider_ref, order_id=payment.order_id,
            why=f"a refund of {-movement.value.minor} {movement.value.currency} (minor units): {refusal.detail}",
        )  # fmt: skip
    return Recovered(fate=Fate.CANCELLED, provider_ref=movement.provider_ref, order_id=payment.order_id)


async def _cancel(recovery: Recovery, movement: Movement, payment: Payment, refund_id: RefundId) -> None:
    database = recovery.till.database
    async with database.transaction() as tx:
        order = await orders.lock(tx, payment.order_id)
        event = await terms.of_event(tx, payment.event_id)
        assert order is not None
        assert event is not None
        owned = await tickets.of_order(tx, payment.order_id)
        seat = seat_of_refund(refund_id, payment.order_id, {ticket.seat_id for ticket in owned})
        if seat is None:
            raise SaleDisagreesError("It is for no cancelled ticket: an exchange, or made by hand.")
        price = next(ticket.price for ticket in reversed(owned) if ticket.seat_id == seat)
        back = Money(-movement.value.minor, movement.value.currency)
        by_policy = not order.too_late and back == refund_of(price, order.refund_percent)
        if not by_policy and back != price:
            raise SaleDisagreesError("It is neither the ticket's price nor what the policy gives back.")
        by = Canceller(user_id=order.user_id, organisations=[] if by_policy else [event.organisation_id])
        await cancel_order(tx, order_id=order.order_id, by=by, chosen=[seat])
        refund = await refunds.by_id(tx, refund_id)
        if refund is None:
            raise SaleDisagreesError("The ticket had another history: an exchange is lost.")
    await note_outcomes(database, [(refund, Refunded(refund_ref=movement.provider_ref))])


def _uuid(text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError:
        return None
