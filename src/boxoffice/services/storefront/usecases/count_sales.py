"""Count what an organiser has sold: places by state, orders, and the money of confirmed bookings."""

import asyncio
from dataclasses import dataclass

from boxoffice.kernel.money import Money
from boxoffice.services.storefront.providers.answers import Availability, Booking, EventAnswer
from boxoffice.services.storefront.providers.shop import ApiRefusalError, Shop

PAGE = 100
MOST_PAGES = 20
"""Orders beyond 2,000 are not added up for a page; the page says so."""
AT_ONCE = 6
"""Calls at the same time for one page of events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sales:
    """How one event sells. ``revenue`` is the value of live tickets; not ``complete``: older orders were left out."""

    event: EventAnswer
    availability: Availability
    bookings: tuple[Booking, ...]
    orders: int
    complete: bool
    revenue: Money
    refused: bool = False


async def count_sales(shop: Shop, event: EventAnswer, *, pages: int = 1) -> Sales:
    """Count the sales of one event, over so many pages of its newest orders."""
    availability = Availability()
    found: list[Booking] = []
    orders, complete, refused = 0, True, False
    try:
        for page_no in range(min(pages, MOST_PAGES)):
            page = await shop.bookings({"eventId": event.id, "pageNo": page_no, "pageSize": PAGE})
            found.extend(page.bookings)
            orders, complete = page.total_element, page.is_last
            if page.is_last:
                break
        availability = await shop.availability(event.id)
    except ApiRefusalError as refusal:
        if refusal.is_unauthenticated:
            raise
        refused = True
    return Sales(
        event=event, availability=availability, bookings=tuple(found), orders=orders, complete=complete,
        revenue=revenue(found, event.currency), refused=refused,
    )  # fmt: skip


async def count_many(shop: Shop, events: tuple[EventAnswer, ...]) -> list[Sales]:
    """Count the sales of several events, a few at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(event: EventAnswer) -> Sales:
        async with gate:
            return await count_sales(shop, event)

    return await asyncio.gather(*map(one, events))


def revenue(bookings: list[Booking], currency: str) -> Money:
    """Add up the prices of live tickets."""
    total = Money(0, currency)
    for booking in bookings:
        for ticket in booking.tickets:
            if ticket.ticket_status in {"VALID", "USED"} and ticket.currency == currency:
                total += Money.parse(ticket.price, currency)
    return total
