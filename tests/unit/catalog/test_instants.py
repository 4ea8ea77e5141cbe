"""Times read in a venue's zone, and shifts that keep the clock on the wall."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.services.catalog.domain import instants
from boxoffice.services.catalog.domain.refusals import BadTimeError, UnknownZoneError


class TestRead:
    @pytest.mark.parametrize(
        ("text", "zone", "instant"),
        [
            ("2030-05-01T19:30:00", "America/New_York", datetime(2030, 5, 1, 23, 30, tzinfo=UTC)),
            ("2030-05-01T19:30", "Asia/Hong_Kong", datetime(2030, 5, 1, 11, 30, tzinfo=UTC)),
            ("2030-05-01T19:30:00Z", "Asia/Hong_Kong", datetime(2030, 5, 1, 19, 30, tzinfo=UTC)),
            ("2030-05-01T19:30:00+02:00", "Asia/Hong_Kong", datetime(2030, 5, 1, 17, 30, tzinfo=UTC)),
            ("2030-11-03T01:30:00", "America/New_York", datetime(2030, 11, 3, 5, 30, tzinfo=UTC)),
        ],
    )
    def test_takes_the_zone_unless_an_offset_is_there(self, text: str, zone: str, instant: datetime) -> None:
        assert instants.read(text, zone) == instant

    @pytest.mark.parametrize(
        "text", ["", "soon", "2030-13-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"]
    )
    def test_refuses_what_is_no_time(self, text: str) -> None:
        with pytest.raises(BadTimeError):
            instants.read(text, "UTC")

    def test_refuses_the_hour_that_summer_time_takes(self) -> None:
        with pytest.raises(BadTimeError, match=r"skip 2030-03-10 02:30"):
            instants.read("2030-03-10T02:30:00", "America/New_York")

    @pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "America", "\x00"])
    def test_refuses_a_zone_that_is_not_there(self, name: str) -> None:
        with pytest.raises(UnknownZoneError):
            instants.zone(name)


class TestShift:
    @given(st.dates(date(1990, 1, 1), date(2020, 1, 1)), st.integers(0, 2000))
    def test_keeps_weekday_and_wall_clock(self, day: date, weeks: int) -> None:
        zone = instants.zone("America/New_York")
        before = instants.at_wall_clock(day, time(19, 30), "America/New_York").astimezone(zone)
        after = instants.at_wall_clock(day + timedelta(weeks=weeks), time(19, 30), "America/New_York").astimezone(zone)
        assert (before.time(), before.weekday()) == (after.time(), after.weekday())

    @given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.dates(date(2000, 1, 1), date(2100, 1, 1)))
    def test_is_the_smallest_that_reaches_the_day(self, first: date, earliest: date) -> None:
        weeks = instants.weeks_until(first, earliest)
        assert first + timedelta(weeks=weeks) >= earliest
        assert weeks == 0 or first + timedelta(weeks=weeks - 1) < earliest
