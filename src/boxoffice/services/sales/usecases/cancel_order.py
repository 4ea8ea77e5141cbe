"""Cancel an order, or some of its tickets: tickets void, seats free, refunds requested, all in one transaction.

X of the protocol (reliability section 4.5). Invariants I2 (ledger), I4 (a ticket is refunded at most once), I7 (the
customer's limit counts down once).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from uuid import UUID, uuid4

from boxoffice.kernel.ids import OrderId, OrganisationId, RefundId, TicketId, UserId
from boxoffice.kernel.money import Money
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.order import Order, OrderState
from boxoffice.services.sales.domain.refund import WHOLE, refund_id_of, refund_of
from boxoffice.services.sales.domain.refusals import (
    OrderNotFoundError,
    SaleDisagreesError,
    TicketNotFoundError,
    TooLateToCancelError,
    WrongOrderStateError,
)
from boxoffice.services.sales.domain.seat import SeatState
from boxoffice.services.sales.domain.ticket import Ticket, TicketState
from boxoffice.services.sales.store import areas, attendees, captures, ledger, limits, orders, seats, terms, tickets
from boxoffice.services.sales.usecases.tell_order import tell

AnyTicketId: TypeAlias = int | UUID
"""A ticket as the API names it: by its event seat (integer) or by its own id."""

Reason = Literal["by_customer", "by_organiser", "event_cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceller:
    """Who cancels: a user, who may own the order or act for the event's organisation; or the platform."""

    user_id: UserId | None = None
    organisations: Sequence[OrganisationId] = field(default_factory=tuple)

    @property
    def is_platform(self) -> bool:
        """Whether nobody in particular cancels: the event itself was cancelled."""
        return self.user_id is None


PLATFORM = Canceller()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """What was cancelled, and the money that goes back."""

    order_id: OrderId
    tickets: list[Ticket]
    refund: Money


async def cancel_order(
    tx: Connection, *, order_id: OrderId, by: Canceller, chosen: Sequence[AnyTicketId] | None = None
) -> Cancellation:
    """Cancel a confirmed order, whole or in part; its owner by the policy, an organiser of its event regardless.

    :raises OrderNotFoundError: when the canceller may not see the order.
    :raises WrongOrderStateError: when it is not confirmed, or a chosen ticket is used or void.
    :raises TicketNotFoundError: when a chosen ticket is not one of the order.
    :raises TooLateToCancelError: when its owner comes after the policy's time.
    """
    order = await _order(tx, order_id, by)
    if order.state is not OrderState.CONFIRMED:
        raise WrongOrderStateError("Only a confirmed booking can be cancelled.", bookingStatus=order.shown_state())
    reason = await _reason(tx, order, by)
    if reason == "by_customer" and order.too_late:
        raise TooLateToCancelError("The time to cancel is over.", cancelUntil=order.cancel_until.isoformat())
    owned = await tickets.of_order(tx, order_id)
    given = choose_valid(owned, chosen)
    left = sum(ticket.state is not TicketState.VOID for ticket in owned) - len(given)
    voided = [ticket.ticket_id for ticket in given]
    if await tickets.void(tx, order_id, voided) != len(given):
        raise SaleDisagreesError("A ticket changed while the booking was cancelled.")
    await attendees.forget(tx, voided)
    percent = order.refund_percent if reason == "by_customer" else WHOLE
    refund = await _refund(tx, order, given, percent, owned)
    after = OrderState.CONFIRMED if left else OrderState.CANCELLED
    version = await orders.move(tx, order_id, OrderState.CONFIRMED, after)
    freed = await seats.free(
        tx, event_id=order.event_id, seat_ids=sorted(ticket.seat_id for ticket in given), order_id=order_id,
        state=SeatState.SOLD,
    )  # fmt: skip
    given_seats = [ticket.seat_id for ticket in given]
    places = 0 if freed == len(given) else await areas.count_among(tx, given_seats)
    if version is None or freed + places != len(given):
        raise SaleDisagreesError("The booking's seats are not its own any more.")
    await tell(
        tx, order, "sales.order.cancelled", state=after, version=version, tickets=given, refund=refund, reason=reason
    )
    await limits.give_back(tx, event_id=order.event_id, user_id=order.user_id, places=len(given))
    if places:
        await areas.give_back(tx, given_seats)
    return Cancellation(order_id=order_id, tickets=given, refund=refund)


async def _order(tx: Connection, order_id: OrderId, by: Canceller) -> Order:
    order = (
        await orders.lock(tx, order_id)
        if by.user_id is None
        else await orders.lock_visible(tx, order_id, by.user_id, by.organisations)
    )
    if order is None:
        raise OrderNotFoundError("There is no such booking.")
    return order


async def _reason(tx: Connection, order: Order, by: Canceller) -> Reason:
    if by.is_platform:
        return "event_cancelled"
    event = await terms.of_event(tx, order.event_id)
    return "by_organiser" if event is not None and event.organisation_id in by.organisations else "by_customer"


def choose_valid(owned: Sequence[Ticket], chosen: Sequence[AnyTicketId] | None) -> list[Ticket]:
    """Pick the valid tickets of an order that are named, or (``None``) all of them.

    :raises TicketNotFoundError: when a name is none of the order's tickets.
    :raises WrongOrderStateError: when one that is named is used or void, or there is none.
    """
    valid = [ticket for ticket in owned if ticket.state is TicketState.VALID]
    if chosen is None:
        given = valid
    else:
        names = set(chosen)
        known: set[AnyTicketId] = {name for ticket in owned for name in (ticket.ticket_id, ticket.seat_id)}
        if not names <= known:
            raise TicketNotFoundError(
                "These are no tickets of this booking.", ticketIds=sorted(str(name) for name in names - known)
            )
        given = [ticket for ticket in valid if names & {ticket.ticket_id, ticket.seat_id}]
        if not _covers(given, names):
            raise WrongOrderStateError("Some of these tickets were used or cancelled before.")
    if not given:
        raise WrongOrderStateError("There is no valid ticket left in this booking.")
    return given


def _covers(given: Sequence[Ticket], names: set[AnyTicketId]) -> bool:
    return names <= {name for ticket in given for name in (ticket.ticket_id, ticket.seat_id)}


async def _refund(
    tx: Connection, order: Order, given: Sequence[Ticket], percent: int, owned: Sequence[Ticket]
) -> Money:
    before = Counter(ticket.seat_id for ticket in owned if ticket.state is TicketState.VOID)
    owed: list[tuple[RefundId, TicketId, Money]] = [
        (refund_id_of(order.order_id, ticket.seat_id, before[ticket.seat_id]), ticket.ticket_id, money)
        for ticket in given
        if (money := refund_of(ticket.price, percent)).minor > 0
    ]
    total = Money(sum(money.minor for _, _, money in owed), order.total.currency)
    if not owed:
        return total
    payment_id = await captures.captured_of(tx, order.order_id)
    if payment_id is None or not await captures.owe(tx, payment_id, owed):
        raise SaleDisagreesError("The booking has no captured payment to refund.")
    await ledger.post(
        tx, posting_id=uuid4(), order_id=order.order_id, currency=total.currency,
        entries={"revenue": total.minor, "refunds_due": -total.minor},
    )  # fmt: skip
    return total
