"""Versions decide, and the sale state is honest."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from boxoffice.services.search.domain.listing import (
    Change,
    Entry,
    Listing,
    ListingChange,
    Sale,
    SaleChange,
    ToldState,
    Venue,
    changed,
    changes_at,
    sale_state,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
VENUE = Venue(
    id=1, name="Hall", location="", city=None, region=None, country=None, time_zone="UTC", latitude=None, longitude=None
)
LISTING = Listing(
    name="Mahler", description="", cancelled=False, starts_at=NOW + 48 * HOUR, ends_at=NOW + 50 * HOUR,
    on_sale_at=None, off_sale_at=None, venue=VENUE, category_id=None, category=None, currency="USD", works=(),
    performers=(),
)  # fmt: skip


def sale(state: ToldState) -> Sale:
    return Sale(state=state, lowest_price_minor=5_000, currency="USD")


class TestChanged:
    def test_takes_what_is_newer(self) -> None:
        entry = changed(Entry(event_id=1), ListingChange(event_id=1, version=3, listing=LISTING))
        assert (entry.listing, entry.listing_version) == (LISTING, 3)

    @pytest.mark.parametrize("version", [1, 2, 3])
    def test_ignores_what_is_older_or_known(self, version: int) -> None:
        entry = Entry(event_id=1, listing=LISTING, listing_version=3)
        assert changed(entry, ListingChange(event_id=1, version=version, listing=None)) is entry

    def test_does_not_let_an_old_listing_undo_a_deletion(self) -> None:
        gone = changed(Entry(event_id=1), ListingChange(event_id=1, version=5, listing=None))
        assert changed(gone, ListingChange(event_id=1, version=4, listing=LISTING)).listing is None

    def test_keeps_the_two_halves_apart(self) -> None:
        entry = changed(Entry(event_id=1), SaleChange(event_id=1, version=9, sale=sale("few_left")))
        entry = changed(entry, ListingChange(event_id=1, version=1, listing=LISTING))
        assert (entry.sale, entry.listing) == (sale("few_left"), LISTING)

    def test_ends_the_same_in_any_order_and_with_repeats(self) -> None:
        changes: list[Change] = [
            ListingChange(event_id=1, version=v, listing=replace(LISTING, name=f"v{v}") if v != 4 else None)
            for v in range(1, 6)
        ]
        changes += [SaleChange(event_id=1, version=v, sale=sale("on_sale" if v < 3 else "sold_out")) for v in (1, 2, 3)]
        dice = random.Random(7)
        for _ in range(50):
            order = changes * 2
            dice.shuffle(order)
            entry = Entry(event_id=1)
            for change in order:
                entry = changed(entry, change)
            assert entry.listing
            assert (entry.listing.name, entry.listing_version) == ("v5", 5)
            assert (entry.sale, entry.sale_version) == (sale("sold_out"), 3)


class TestSaleState:
    @pytest.mark.parametrize(
        ("listing", "told", "said"),
        [
            (LISTING, sale("on_sale"), "on_sale"),
            (LISTING, sale("few_left"), "few_left"),
            (LISTING, sale("sold_out"), "sold_out"),
            (LISTING, sale("not_on_sale"), "not_on_sale"),
            (LISTING, None, "not_on_sale"),
            (replace(LISTING, cancelled=True), sale("on_sale"), "cancelled"),
            (replace(LISTING, on_sale_at=NOW + HOUR), sale("on_sale"), "on_sale_soon"),
            (replace(LISTING, on_sale_at=NOW + HOUR), None, "on_sale_soon"),
            (replace(LISTING, on_sale_at=NOW), sale("on_sale"), "on_sale"),
            (replace(LISTING, off_sale_at=NOW), sale("on_sale"), "not_on_sale"),
            (replace(LISTING, starts_at=NOW - HOUR, ends_at=NOW + HOUR), sale("on_sale"), "not_on_sale"),
            (
                replace(LISTING, starts_at=NOW - HOUR, ends_at=NOW + HOUR, off_sale_at=NOW + HOUR),
                sale("on_sale"),
                "on_sale",
            ),
            (replace(LISTING, starts_at=NOW - 3 * HOUR, ends_at=NOW - HOUR), sale("on_sale"), "past"),
        ],
    )
    def test_says_what_a_buyer_would_meet(self, listing: Listing, told: Sale | None, said: str) -> None:
        assert sale_state(listing, told, now=NOW) == said


class TestChangesAt:
    @pytest.mark.parametrize(
        ("listing", "hours"),
        [
            (LISTING, 48),
            (replace(LISTING, on_sale_at=NOW + HOUR), 1),
            (replace(LISTING, on_sale_at=NOW, off_sale_at=NOW + 2 * HOUR), 2),
            (replace(LISTING, starts_at=NOW - HOUR, ends_at=NOW + HOUR), 1),
        ],
    )
    def test_is_when_the_clock_alone_changes_what_is_said(self, listing: Listing, hours: int) -> None:
        assert changes_at(listing, now=NOW) == NOW + hours * HOUR

    def test_is_never_for_what_is_past(self) -> None:
        assert changes_at(replace(LISTING, starts_at=NOW - 2 * HOUR, ends_at=NOW), now=NOW) is None
