"""Exchange tickets of a confirmed order for other seats of its event: all of it or nothing, in one transaction.

E of the protocol: order, payment (when money goes back), seats. The seats wanted are taken as a hold takes them, and
only then are the given ones voided and freed, so whoever loses the race keeps the tickets they had (I1). What is left
of their price goes back by the policy shown before paying (I2, I4). The number of places stays, and so does the
customer's count (I7).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from boxoffice.kernel.ids import OrderId, RefundId, SeatId, TicketId, UserId, event_of
from boxoffice.kernel.money import Money
from boxoffice.runtime.barcodes import KeyRing
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.exchange import Settled, TakenSeat, check_wish, settle_exchange
from boxoffice.services.sales.domain.order import Order, OrderState
from boxoffice.services.sales.domain.refusals import (
    BadSelectionError,
    NotOnSaleError,
    OrderNotFoundError,
    SaleDisagreesError,
    SaleHaltedError,
    SeatsTakenError,
    SeatsUnknownError,
    TooLateToExchangeError,
    WrongOrderStateError,
)
from boxoffice.services.sales.domain.seat import SeatState
from boxoffice.services.sales.domain.ticket import Ticket
from boxoffice.services.sales.domain.ticket_types import type_after_exchange
from boxoffice.services.sales.store import (
    areas,
    attendees,
    captures,
    exchanges,
    ledger,
    orders,
    seats,
    terms,
    ticket_types,
    tickets,
)
from boxoffice.services.sales.store.terms import EventTerms
from boxoffice.services.sales.usecases.cancel_order import AnyTicketId, choose_valid
from boxoffice.services.sales.usecases.tell_order import barcode_of, tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Tickets of an order (by id, or by event seat) for seats; ``give[i]`` is exchanged for ``take[i]``."""

    order_id: OrderId
    user_id: UserId
    give: tuple[AnyTicketId, ...]
    take: tuple[SeatId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What was exchanged, and the money that goes back."""

    given: list[Ticket]
    taken: list[Ticket]
    refund: Money


async def exchange_tickets(tx: Connection, wish: Wish, *, signer: KeyRing) -> Exchange:
    """Exchange a customer's own tickets; nothing is changed by one that is refused, once the transaction rolls back.

    :raises BadSelectionError: when the wish cannot be meant.
    :raises OrderNotFoundError: when the order is not theirs.
    :raises WrongOrderStateError: when it is not confirmed, or a ticket given is used or void.
    :raises TicketNotFoundError: when a ticket given is not one of the order.
    :raises TooLateToExchangeError: when the policy's time is over.
    :raises NotOnSaleError, SaleHaltedError: when the event does not sell now.
    :raises SeatsUnknownError: when what is wanted is no seat of the event.
    :raises SeatsTakenError: when somebody else has one of them, or one is given in the same call.
    :raises SingleSeatLeftError: when a single seat would be left beside one of them.
    :raises ExchangeNeedsPaymentError: when what is wanted costs more than what is given.
    """
    check_wish(wish.give, wish.take)
    order = await orders.lock_own(tx, wish.order_id, wish.user_id)
    event = None if order is None else await terms.of_event(tx, order.event_id)
    if order is None or event is None:
        raise OrderNotFoundError("There is no such booking.")
    _check_order(order)
    await _check_sale(tx, event)
    given = _in_order(choose_valid(await tickets.of_order(tx, order.order_id), wish.give), wish.give)
    if await areas.count_among(tx, [ticket.seat_id for ticket in given]):
        raise BadSelectionError("Places of general admission are all alike: there is nothing to exchange.")
    wanted = await _typed(tx, given, await _take(tx, order, wish.take), wish.take)
    settled = settle_exchange(
        [ticket.price for ticket in given], [seat.price for seat in wanted], order.refund_percent
    )  # fmt: skip
    taken = await _swap(tx, order, given, wanted, settled, signer)
    await _pay_back(tx, order, given, settled)
    await exchanges.check_singles(tx, order.event_id, wish.take, order.order_id)
    done = Exchange(given=given, taken=taken, refund=settled.refund)
    await _tell(tx, order, event, done, wanted, signer)
    return done


def _check_order(order: Order) -> None:
    if order.state is not OrderState.CONFIRMED:
        raise WrongOrderStateError(
            "Only tickets of a confirmed booking can be exchanged.", bookingStatus=order.shown_state()
        )
    if order.too_late:
        raise TooLateToExchangeError("The time to change seats is over.", exchangeUntil=order.cancel_until.isoformat())


async def _check_sale(tx: Connection, event: EventTerms) -> None:
    if event.halted_because is not None:
        raise SaleHaltedError("Your tickets stay as they are; try again later.", retryAfterSeconds=60)
    if not await terms.sells_now(tx, event.event_id):
        raise NotOnSaleError("Seats are exchanged while the event is on sale.", eventStatus=event.status)


async def _take(tx: Connection, order: Order, wanted: Sequence[SeatId]) -> dict[SeatId, Any]:
    """Take the seats wanted, all or nothing; gives their records."""
    foreign = sorted(seat for seat in wanted if event_of(seat) != order.event_id)
    if foreign:
        raise SeatsUnknownError("Choose seats of the same event.", ticketIds=foreign)
    took = await exchanges.take_seats(tx, event_id=order.event_id, seat_ids=wanted, order_id=order.order_id)
    if len(took) != len(wanted):
        await _refuse(tx, wanted, {record["seat_id"] for record in took})
    return {SeatId(record["seat_id"]): record for record in took}


async def _typed(
    tx: Connection, given: Sequence[Ticket], took: Mapping[SeatId, Any], wanted: Sequence[SeatId]
) -> list[TakenSeat]:
    """Price the seats taken by the tickets given for them: the same type within a price level, else the standard."""
    offered = await ticket_types.of_event(tx, given[0].event_id)
    typed = []
    for ticket, seat in zip(given, wanted, strict=True):
        kind, price = type_after_exchange(
            ticket.ticket_type, given_level=ticket.price_level, taken_level=took[seat]["price_level"],
            standard=Money(took[seat]["price_minor"], took[seat]["currency"]), offered=offered,
        )  # fmt: skip
        typed.append(TakenSeat(seat_id=seat, price=price, ticket_type=kind))
    return typed


async def _refuse(tx: Connection, wanted: Sequence[SeatId], took: set[int]) -> None:
    known = await seats.by_ids(tx, wanted)
    unknown = sorted(set(wanted) - {record["seat_id"] for record in known})
    if unknown:
        raise SeatsUnknownError("Choose seats of this event.", ticketIds=unknown)
    raise SeatsTakenError(
        "Your tickets are as they were. Choose other seats.",
        taken=[
            {
                "ticketId": record["seat_id"], "section": record["section"], "row": record["row_label"],
                "number": record["number"],
            }
            for record in known
            if record["seat_id"] not in took
        ],
    )  # fmt: skip


async def _swap(
    tx: Connection, order: Order, given: Sequence[Ticket], wanted: Sequence[TakenSeat], settled: Settled,
    signer: KeyRing,
) -> list[Ticket]:  # fmt: skip
    """Void and free what is given, issue what is taken, move the names along; gives the new tickets."""
    exchange_id = await exchanges.note(tx, order, settled)
    before = [ticket.ticket_id for ticket in given]
    voided = await exchanges.void_given(tx, order.order_id, before, exchange_id)
    after = await exchanges.issue_taken(tx, order, wanted, exchange_id, key_id=signer.signing_key_id.hex())
    await attendees.move(tx, list(zip(before, after, strict=True)))
    freed = await seats.free(
        tx, event_id=order.event_id, seat_ids=sorted(ticket.seat_id for ticket in given), order_id=order.order_id,
        state=SeatState.SOLD,
    )  # fmt: skip
    by_id = {ticket.ticket_id: ticket for ticket in await tickets.of_order(tx, order.order_id)}
    if voided != len(given) or freed != len(given) or not set(after) <= set(by_id):
        raise SaleDisagreesError("The booking changed while its seats were exchanged.")
    return [by_id[ticket_id] for ticket_id in after]


async def _pay_back(tx: Connection, order: Order, given: Sequence[Ticket], settled: Settled) -> None:
    owed: list[tuple[RefundId, TicketId, Money]] = [
        (RefundId(uuid4()), ticket.ticket_id, money)
        for ticket, money in zip(given, settled.refunds, strict=True)
        if money.minor > 0
    ]
    if not owed:
        return
    payment_id = await captures.captured_of(tx, order.order_id)
    if payment_id is None or not await captures.owe(tx, payment_id, owed):
        raise SaleDisagreesError("The booking has no captured payment to refund.")
    await ledger.post(
        tx, posting_id=uuid4(), order_id=order.order_id, currency=settled.refund.currency,
        entries={"revenue": settled.refund.minor, "refunds_due": -settled.refund.minor},
    )  # fmt: skip


async def _tell(
    tx: Connection, order: Order, event: EventTerms, done: Exchange, taken: Sequence[TakenSeat], signer: KeyRing
) -> None:
    version = await exchanges.reseat(tx, order, given=[ticket.seat_id for ticket in done.given], taken=taken)
    if version is None:
        raise SaleDisagreesError("The booking changed while its seats were exchanged.")
    await tell(
        tx, order, "sales.order.exchanged", state=OrderState.CONFIRMED, version=version, tickets=done.taken,
        barcodes={ticket.ticket_id: barcode_of(ticket, event, signer) for ticket in done.taken}, given=done.given,
        refund=done.refund if done.refund.minor else None,
    )  # fmt: skip


def _in_order(valid: Sequence[Ticket], names: Sequence[AnyTicketId]) -> list[Ticket]:
    """Bring the tickets into the order in which they were named."""
    place = {name: index for index, name in enumerate(names)}
    return sorted(valid, key=lambda ticket: place.get(ticket.ticket_id, place.get(ticket.seat_id, 0)))
