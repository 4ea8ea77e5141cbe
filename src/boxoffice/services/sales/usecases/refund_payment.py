"""Refund a payment, whole or in part: by cancelling, so that tickets, seats and money go back together (I2)."""

from collections.abc import Callable, Sequence
from uuid import UUID

from boxoffice.kernel.ids import OrganisationId, PaymentId, UserId
from boxoffice.runtime import idempotency
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import Answer, IdempotentCall
from boxoffice.services.sales.domain.payment import Payment, PaymentNotFoundError, PaymentState
from boxoffice.services.sales.domain.refusals import WrongOrderStateError
from boxoffice.services.sales.store import payments, terms
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order


async def refund_payment(
    database: Database,
    payment_id: PaymentId,
    *,
    by: UserId,
    organisations: Sequence[OrganisationId],
    staff: bool,
    chosen: Sequence[int | UUID] | None,
    call: IdempotentCall | None,
    render: Callable[[Payment], Answer],
) -> Answer:
    """Refund what is left of a captured payment, or the chosen tickets of it, for an organiser or for staff.

    The whole price comes back, whatever the policy says: the house wants it so. The money follows later.

    :raises PaymentNotFoundError: when the payment is not for an event of these organisations.
    :raises WrongOrderStateError: when nothing was captured, or no valid ticket is left.
    :raises TicketNotFoundError: when a chosen ticket is not one of the order.
    """
    payment = await payments.visible_to(database, payment_id, user_id=None, organisations=organisations, staff=staff)
    if payment is None:
        raise PaymentNotFoundError("There is no such payment.")
    if payment.state is not PaymentState.CAPTURED:
        raise WrongOrderStateError("Nothing was paid that could go back.", paymentStatus=payment.state.value.upper())
    event = await terms.of_event(database, payment.event_id)
    assert event is not None, "an order exists only for an event whose terms are known"
    async with database.transaction() as tx:
        earlier = await idempotency.begin(tx, call)
        if earlier is not None:
            return earlier
        # Staff act for the house that sold the tickets.
        canceller = Canceller(user_id=by, organisations=[event.organisation_id])
        await cancel_order(tx, order_id=payment.order_id, by=canceller, chosen=chosen)
        changed = await payments.by_id(tx, payment_id)
        assert changed is not None
        return await idempotency.finish(tx, call, render(changed))
