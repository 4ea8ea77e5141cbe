"""One published concert read: its time, its venue, its headline; and concerts placed in halls."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from boxoffice.services.catalog.domain.concert import (
    MAX_NAME,
    NO_VENUE,
    Concert,
    PublishedConcert,
    PublishedSoloist,
    PublishedWork,
    UnreadableError,
    read,
)
from boxoffice.services.catalog.domain.staging import LeftOut, Placed, Stage, newest, place_all


def work(composer: str, title: str, *soloists: PublishedSoloist, conductor: str = "Masur, Kurt") -> PublishedWork:
    return PublishedWork(
        title=title, movement="", composer=composer, conductor=conductor, soloists=soloists, interval=""
    )


BREAK = PublishedWork(title="", movement="", composer="", conductor="", soloists=(), interval="Intermission")
NORMAN = PublishedSoloist(name="Norman, Jessye", instrument="Soprano", role="S")
PLAYER = PublishedSoloist(name="Smith, Philip", instrument="Trumpet", role="A")
GALA = PublishedConcert(
    programme_id="7800", orchestra="New York Philharmonic", season="1995-96", event_type="Subscription Season",
    location="Manhattan, NY", venue="Avery  Fisher Hall", date="1995-09-20T04:00:00Z", time="8:00PM",
    works=(
        work("Strauss,  Richard", "DON JUAN, OP. 20"), work("Strauss,  Richard", "SONGS", NORMAN, PLAYER), BREAK,
        work("Wagner,  Richard", "MEISTERSINGER, DIE"),
    ),
)  # fmt: skip


def one(**changes: object) -> Concert:
    return read(replace(GALA, **changes))


class TestRead:
    def test_gives_time_place_and_programme(self) -> None:
        concert = one()
        assert concert.source == "nyphil:7800:1995-09-20T20:00"
        assert concert.starts_at() == datetime(1995, 9, 21, 0, 0, tzinfo=UTC)
        assert (concert.venue, concert.category) == ("Avery Fisher Hall", "Subscription Season")
        assert [entry.intermission for entry in concert.programme] == [False, False, True, False]
        assert concert.programme[1].soloists == ("Jessye Norman (soprano)", "Philip Smith (trumpet)")
        assert concert.programme[3].title == "Die Meistersinger"

    @pytest.mark.parametrize(
        ("published", "clock"),
        [("7:30PM", "19:30"), ("12:00PM", "12:00"), ("12:30AM", "00:30"), (" 2:00 pm ", "14:00"), ("11:45AM", "11:45")],
    )
    def test_reads_the_clock(self, published: str, clock: str) -> None:
        assert one(time=published).clock.strftime("%H:%M") == clock

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"time": "None"}, "no time was published"),
            ({"time": ""}, "no time was published"),
            ({"time": "0:30PM"}, "the time '0:30PM' cannot be read"),
            ({"time": "8:60PM"}, "the time '8:60PM' cannot be read"),
            ({"time": "20:00"}, "the time '20:00' cannot be read"),
            ({"date": "soon"}, "the date 'soon' cannot be read"),
            ({"date": "1995-09-20T05:00:00Z"}, "is not midnight in New York"),
            ({"location": "Atlantis"}, "is not in the table of places"),
            ({"date": "2025-03-09T05:00:00Z", "time": "2:30AM"}, "skip 2025-03-09 02:30"),
        ],
    )
    def test_says_why_it_cannot(self, changes: dict[str, str], reason: str) -> None:
        with pytest.raises(UnreadableError, match=reason):
            one(**changes)

    @pytest.mark.parametrize("venue", ["None", "", "Unknown Venue"])
    def test_a_venue_that_was_not_recorded_is_called_so(self, venue: str) -> None:
        assert one(venue=venue).venue == NO_VENUE

    def test_an_early_evening_is_read_as_published_and_remarked_on(self) -> None:
        assert one(time="7:30AM").remark == "begins at 07:30, as published"
        assert one().remark is None

    def test_two_at_one_time_stay_apart(self) -> None:
        assert one(ordinal=2).source == "nyphil:7800:1995-09-20T20:00:2"

    def test_the_same_wall_clock_in_another_zone_and_season(self) -> None:
        concert = one()
        shifted = concert.starts_at(shift_weeks=10, zone="Asia/Hong_Kong")
        assert shifted == datetime(1995, 11, 29, 12, 0, tzinfo=UTC)


class TestHeadline:
    def test_names_composers_conductor_and_soloists(self) -> None:
        assert one().name == "Strauss and Wagner \N{EN DASH} Kurt Masur with Jessye Norman"

    def test_a_single_work_is_named(self) -> None:
        works = (work("Strauss,  Richard", "ELEKTRA, OP. 58"),)
        assert one(works=works).name == "Strauss: Elektra, Op. 58 \N{EN DASH} Kurt Masur"

    def test_players_stand_in_when_nobody_conducts(self) -> None:
        works = (
            work("Traditional,", "CAROL", conductor="Not conducted"),
            BREAK,
            work("Unspecified,", "SONG", conductor=""),
        )
        concert = one(works=works, orchestra="NY Philharmonic Ensembles", event_type="Chamber")
        assert concert.name == "Chamber \N{EN DASH} NY Philharmonic Ensembles"

    def test_is_never_longer_than_the_database_takes(self) -> None:
        works = (work("Strauss,  Richard", "X" * 300), work("Wagner,  Richard", "Y" * 300))
        assert len(one(works=works[:1]).name) == MAX_NAME
        assert one(works=()).name == "Subscription Season \N{EN DASH} New York Philharmonic"


class TestStaging:
    HALL = Stage(venue_id=1, seat_map_id=1, time_zone="Asia/Hong_Kong")

    def test_a_hall_has_one_concert_at_a_time(self) -> None:
        concerts = [one(), one(programme_id="2"), one(programme_id="3", time="10:00PM")]
        first, second, third = place_all(concerts, [self.HALL], {"1995-96": 2})
        assert isinstance(first, Placed)
        assert first.source == "nyphil:7800:1995-09-20T20:00:+2w@1"
        assert second == LeftOut(concert=concerts[1].source, reason="the hall has another concert at that time")
        assert isinstance(third, Placed)

    def test_what_no_tickets_are_sold_for_is_left_out(self) -> None:
        [left] = place_all([one(event_type="Chamber Concert (Private)")], [self.HALL], {})
        assert left.reason == "not for the public: Chamber Concert (Private)"

    def test_the_first_hall_that_takes_the_kind_gets_it(self) -> None:
        opera = replace(self.HALL, venue_id=2, categories=frozenset({"Opera"}))
        [placed] = place_all([one()], [opera, self.HALL], {})
        assert isinstance(placed, Placed)
        assert placed.stage == self.HALL
        [left] = place_all([one()], [opera], {})
        assert isinstance(left, LeftOut)

    def test_the_newest_season_is_the_last_by_name(self) -> None:
        assert newest([one(season="1999-00"), one(season="2025-26"), one()]) == "2025-26"
        assert newest([]) is None
