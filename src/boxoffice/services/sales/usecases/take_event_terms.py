"""Keep what the catalog tells of an event, so that a sale never asks another service. The higher version wins."""

from uuid import UUID

from boxoffice.contracts.messages.catalog import EventFact
from boxoffice.kernel.ids import EventId, OrganisationId
from boxoffice.runtime import inbox
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.domain.refund import RefundPolicy
from boxoffice.services.sales.store import sale_summaries, terms
from boxoffice.services.sales.store.terms import EventTerms

CONSUMER = "sales"
SECONDS_PER_MINUTE = 60


def terms_of(fact: EventFact, version: int) -> EventTerms:
    """Take from the catalog's fact what a sale needs."""
    return EventTerms(
        event_id=EventId(fact.event_id), organisation_id=OrganisationId(fact.organisation_id), version=version,
        status=fact.status, name=fact.name, starts_at=fact.starts_at, ends_at=fact.ends_at,
        time_zone=fact.venue.time_zone, venue_name=fact.venue.name, venue_location=fact.venue.location,
        on_sale_at=fact.on_sale_at, off_sale_at=fact.off_sale_at, seat_map_id=fact.seat_map_id,
        currency=fact.currency, limit_per_customer=fact.limit_per_customer,
        hold_seconds=fact.hold_minutes * SECONDS_PER_MINUTE,
        refund_policy=RefundPolicy(
            cancel_until_hours=fact.refund_policy.cancel_until_hours, refund_percent=fact.refund_policy.refund_percent
        ),
        no_orphans=fact.no_single_seats,
    )  # fmt: skip


async def keep_terms(tx: Connection, kept: EventTerms) -> None:
    """Keep terms unless newer ones are known, and have the sale summed up again."""
    if await terms.keep(tx, kept):
        await sale_summaries.mark_changed(tx, kept.event_id)


async def take_event_terms(database: Database, *, message_id: UUID, fact: EventFact, version: int) -> None:
    """Take one message of ``catalog.event.v1``."""
    async with database.transaction() as tx:
        if await inbox.first_time(tx, consumer=CONSUMER, message_id=message_id):
            await keep_terms(tx, terms_of(fact, version))
