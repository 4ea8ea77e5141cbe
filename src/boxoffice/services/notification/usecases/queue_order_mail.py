"""Queue the mail that a change of an order asks for, once per change, beside the inbox record."""

from collections.abc import Sequence
from typing import Any

import msgspec

from boxoffice.contracts.envelope import Envelope
from boxoffice.contracts.messages.sales import OrderFact, OrderTicket
from boxoffice.kernel.ids import OrderId, UserId
from boxoffice.runtime import inbox
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.notification.domain import letter
from boxoffice.services.notification.domain.letter import Template
from boxoffice.services.notification.domain.mail_job import JobState, NewMail
from boxoffice.services.notification.store import mail_jobs
from boxoffice.services.notification.usecases.keep_contact import CONSUMER


async def queue_order_mail(database: Database, envelope: Envelope) -> None:
    """Take one message of ``sales.order.v1``."""
    fact = envelope.read(OrderFact)
    template = letter.letter_of_order(envelope.type_, fact.reason)
    if template is None:
        return
    order_id = OrderId(fact.order_id)
    async with database.transaction() as tx:
        if not await inbox.first_time(tx, consumer=CONSUMER, message_id=envelope.message_id):
            return
        if template is Template.ORDER_CANCELLED:
            await _take_out_of_waiting_mails(tx, fact, fact.tickets)
        elif template is Template.EXCHANGED:
            await _take_out_of_waiting_mails(tx, fact, fact.given)
        await mail_jobs.add(
            tx,
            NewMail(
                aggregate=letter.aggregate_of_order(template, str(order_id), envelope.version),
                template=template,
                user_id=UserId(fact.user_id),
                booking_id=order_id,
                title=letter.title(template, fact.event.name),
                facts=msgspec.to_builtins(fact),
            ),
        )


async def _take_out_of_waiting_mails(tx: Connection, fact: OrderFact, void: Sequence[OrderTicket]) -> None:
    """Let mails with tickets that have not left yet carry live ones only; one is dropped when none is left."""
    gone = {ticket.seat_id for ticket in void}
    waiting = await mail_jobs.waiting(tx, UserId(fact.user_id), OrderId(fact.order_id), letter.CARRY_TICKETS)
    for job_id, facts in waiting:
        live: list[Any] = [ticket for ticket in facts["tickets"] if ticket["seatId"] not in gone]
        if live and fact.state != "cancelled":
            await mail_jobs.replace_facts(tx, job_id, {**facts, "tickets": live})
        else:
            await mail_jobs.end(tx, job_id, JobState.DROPPED)
