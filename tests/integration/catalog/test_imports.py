"""The importers on the real files, exact to the last concert."""

import gzip
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from boxoffice.contracts.hall import seats
from boxoffice.runtime.database import Database
from boxoffice.services.catalog.domain.refusals import (
    TotalsDifferError,
    UnknownZoneError,
    UnreadableConcertsError,
    UnreadableSeatMapError,
)
from boxoffice.services.catalog.providers import published_files
from boxoffice.services.catalog.usecases.import_concerts import Options, import_concerts
from boxoffice.services.catalog.usecases.import_hall import import_hall
from boxoffice.services.catalog.usecases.stage_demo import stage_demo, stage_of

ORGANISATION = UUID(int=1)
HONG_KONG, NEW_YORK = ZoneInfo("Asia/Hong_Kong"), ZoneInfo("America/New_York")


def hall_file(name: str) -> Path:
    return published_files.hall(name)


def history(
    folder: Path, *, time: str = "7:30PM", place: str = "Leipzig, GERMANY", name: str = "concerts.json"
) -> Path:
    """A file of one programme with one concert, as the archive publishes them."""
    concert = {
        "eventType": "Tour", "Location": place, "Venue": "Gewandhaus", "Date": "2010-03-01T05:00:00Z", "Time": time,
    }  # fmt: skip
    work = {"ID": "1*", "composerName": "Mahler,  Gustav", "workTitle": "SYMPHONY NO. 6", "soloists": []}
    programme = {
        "programID": "1", "orchestra": "New York Philharmonic", "season": "2009-10", "concerts": [concert], "works": [work],
    }  # fmt: skip
    file = folder / name
    file.write_text(json.dumps({"programs": [programme]}))
    return file


async def counted(database: Database) -> dict[str, int]:
    names = ("venues", "seat_maps", "categories", "events", "outbox", "staged_seasons")
    return {name: await database.fetchval(f"SELECT count(*) FROM {name}") for name in names}  # noqa: S608


class TestImportHall:
    @pytest.mark.parametrize(
        ("name", "total"), [("hk-cultural-centre-concert-hall", 1971), ("hk-city-hall-theatre", 463)]
    )
    async def test_reproduces_the_published_total_and_a_second_run_changes_nothing(
        self, database: Database, name: str, total: int
    ) -> None:
        first = await import_hall(database, hall_file(name), organisation=ORGANISATION)
        assert first.changed
        assert first.seat_map.sellable == first.venue.total_seats == total
        assert sum(seat.sellable for seat in seats(first.hall)) == total
        assert (first.venue.city, first.venue.country) == ("Hong Kong", "China")
        assert first.venue.time_zone == "Asia/Hong_Kong"
        before = await counted(database)
        again = await import_hall(database, hall_file(name), organisation=ORGANISATION)
        assert (again.changed, again.seat_map) == (False, first.seat_map)
        assert await counted(database) == before

    async def test_a_wrong_total_is_refused_naming_the_section_and_both_numbers(
        self, database: Database, tmp_path: Path
    ) -> None:
        document = json.loads(hall_file("hk-cultural-centre-concert-hall").read_text())
        document["sections"][0]["rows"][0]["blocks"] = ["1-11", "18-35", "46-57"]
        wrong = tmp_path / "hall.json"
        wrong.write_text(json.dumps(document))
        with pytest.raises(TotalsDifferError) as refused:
            await import_hall(database, wrong, organisation=ORGANISATION)
        assert refused.value.detail == ("Stalls: published 1044, found 1043; Total: published 1971, found 1970.")
        assert not any((await counted(database)).values())

    async def test_another_content_is_the_next_version(self, database: Database, tmp_path: Path) -> None:
        document = json.loads(hall_file("hk-city-hall-theatre").read_text())
        first = await import_hall(database, hall_file("hk-city-hall-theatre"), organisation=ORGANISATION)
        document["stage"] = "thrust"
        other = tmp_path / "hall.json"
        other.write_text(json.dumps(document))
        second = await import_hall(database, other, organisation=ORGANISATION)
        assert (second.venue.id, second.seat_map.version, second.changed) == (first.venue.id, 2, True)

    async def test_what_is_no_hall_is_refused(self, database: Database, tmp_path: Path) -> None:
        broken = tmp_path / "hall.json"
        for content in (b"", b"{", b"[]", b"\xff\xfe", b'{"format": "hall/2"}', b" " * 1_100_000):
            broken.write_bytes(content)
            with pytest.raises(UnreadableSeatMapError):
                await import_hall(database, broken, organisation=ORGANISATION)
        with pytest.raises(UnreadableSeatMapError):
            await import_hall(database, tmp_path / "missing.json", organisation=ORGANISATION)

    async def test_an_address_that_says_no_zone_needs_one(self, database: Database, tmp_path: Path) -> None:
        document = {**json.loads(hall_file("hk-city-hall-theatre").read_text()), "address": "Somewhere"}
        file = tmp_path / "hall.json"
        file.write_text(json.dumps(document))
        with pytest.raises(UnknownZoneError):
            await import_hall(database, file, organisation=ORGANISATION)
        made = await import_hall(database, file, organisation=ORGANISATION, time_zone="Europe/Vienna")
        assert made.venue.time_zone == "Europe/Vienna"


class TestImportConcerts:
    async def test_all_three_files_are_in_or_on_the_list_and_a_second_run_changes_nothing(
        self, database: Database
    ) -> None:
        steps: list[tuple[int, int]] = []
        first = await import_concerts(
            database, published_files.concerts(), organisation=ORGANISATION, progress=lambda *step: steps.append(step)
        )
        assert (first.read, first.created, len(first.left_out)) == (3540, 3512, 28)
        assert (first.changed, first.unchanged, first.not_chosen) == (0, 0, 0)
        assert len(first.left_out) <= first.read / 100
        assert Counter(one.reason for one in first.left_out) == {"no time was published": 28}
        assert len(first.remarks) == 6
        assert steps[-1] == (3512, 3512)
        before = await counted(database)
        assert before == {
            "venues": 263, "categories": 44, "events": 3512, "outbox": 3512, "seat_maps": 0, "staged_seasons": 0,
        }  # fmt: skip
        second = await import_concerts(database, published_files.concerts(), organisation=ORGANISATION)
        assert (second.created, second.changed, second.unchanged) == (0, 0, 3512)
        assert second.left_out == first.left_out
        assert await counted(database) == before
        await self._agrees_with_the_files(database)

    async def _agrees_with_the_files(self, database: Database) -> None:
        """Count programme parts and day and clock of every concert again, straight from the files."""
        expected: Counter[tuple[str, int, int]] = Counter()
        for file in published_files.concerts():
            for programme in json.loads(gzip.decompress(file.read_bytes()))["programs"]:
                breaks = sum("interval" in work for work in programme["works"])
                for concert in programme["concerts"]:
                    if concert["Time"] != "None":
                        expected[(concert["Date"][:10], len(programme["works"]), breaks)] += 1
        found: Counter[tuple[str, int, int]] = Counter()
        for event in await database.fetch(
            "SELECT e.starts_at, v.time_zone, e.programme FROM events e JOIN venues v ON v.id = e.venue_id"
        ):
            day = event["starts_at"].astimezone(ZoneInfo(event["time_zone"])).date().isoformat()
            works: list[dict[str, Any]] = event["programme"]
            found[(day, len(works), sum(work["intermission"] for work in works))] += 1
        assert found == expected

    async def test_keeps_who_played_what(self, database: Database) -> None:
        await import_concerts(database, published_files.concerts()[:1], organisation=ORGANISATION)
        event = await database.fetchrow(
            "SELECT e.*, v.city, v.region, v.country FROM events e JOIN venues v ON v.id = e.venue_id"
            " WHERE e.source = 'nyphil:7800:1995-09-20T20:00'"
        )
        assert event is not None
        assert event["starts_at"].astimezone(NEW_YORK).isoformat() == "1995-09-20T20:00:00-04:00"
        assert (event["city"], event["region"], event["country"]) == ("Manhattan", "New York", "United States")
        programme = event["programme"]
        assert len(programme) == 10
        assert programme[1]["composer"] == "Richard Strauss"
        assert programme[1]["conductor"] == "Kurt Masur"
        assert programme[1]["soloists"] == ["Jessye Norman (soprano)"]
        assert programme[1]["movement"] == '"Zueignung"'
        assert [work["intermission"] for work in programme].index(True) == 6
        assert programme[6]["title"] is None
        assert programme[7]["title"] == "Die Meistersinger, WWV 96"

    async def test_history_is_published_and_never_on_sale(self, database: Database, tmp_path: Path) -> None:
        await import_concerts(database, [history(tmp_path)], organisation=ORGANISATION)
        event = await database.fetchrow("SELECT * FROM events")
        assert event is not None
        assert event["status"] == "published"
        assert event["on_sale_at"] == event["off_sale_at"] == event["starts_at"]
        fact = await database.fetchrow("SELECT * FROM outbox")
        assert fact is not None
        assert (fact["type"], fact["version"], fact["key"]) == ("catalog.event.published", 1, str(event["id"]))
        assert fact["body"]["venue"]["timeZone"] == "Europe/Berlin"
        assert fact["body"]["startsAt"] == "2010-03-01T18:30:00Z"

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"time": "None"}, "no time was published"),
            ({"time": ""}, "no time was published"),
            ({"time": "25:00PM"}, "the time '25:00PM' cannot be read"),
            (
                {"place": "Atlantis"},
                "the place 'Atlantis' is not in the table of places, so its time zone is not known",
            ),
        ],
    )
    async def test_what_cannot_be_read_is_listed_with_its_reason(
        self, database: Database, tmp_path: Path, change: dict[str, str], reason: str
    ) -> None:
        result = await import_concerts(database, [history(tmp_path, **change)], organisation=ORGANISATION)
        assert (result.read, result.created) == (1, 0)
        assert [one.reason for one in result.left_out] == [reason]

    async def test_a_file_given_twice_is_said_so(self, database: Database, tmp_path: Path) -> None:
        file = history(tmp_path)
        result = await import_concerts(database, [file, file], organisation=ORGANISATION)
        assert (result.read, result.created) == (2, 1)
        assert [one.reason for one in result.left_out] == ["it stands in the files twice"]

    async def test_a_corrected_file_changes_the_event_unless_people_did(
        self, database: Database, tmp_path: Path
    ) -> None:
        file = history(tmp_path)
        await import_concerts(database, [file], organisation=ORGANISATION)
        file.write_text(file.read_text().replace("NO. 6", "NO. 7"))
        changed = await import_concerts(database, [file], organisation=ORGANISATION)
        assert (changed.created, changed.changed) == (0, 1)
        assert (await database.fetchval("SELECT name FROM events")).startswith("Mahler: Symphony No. 7")
        await database.fetch("UPDATE events SET name = 'By hand', version = version + 1")
        file.write_text(file.read_text().replace("NO. 7", "NO. 8"))
        left = await import_concerts(database, [file], organisation=ORGANISATION)
        assert [one.reason for one in left.left_out] == ["it was changed here since it was imported"]
        assert await database.fetchval("SELECT name FROM events") == "By hand"

    async def test_what_is_no_history_is_refused_and_nothing_is_half_done(
        self, database: Database, tmp_path: Path
    ) -> None:
        broken = tmp_path / "broken.json.gz"
        for content in (b"", b"{", b"[]", b"\x1f\x8b\x08\x00broken", gzip.compress(b"{}")):
            broken.write_bytes(content)
            with pytest.raises(UnreadableConcertsError):
                await import_concerts(database, [history(tmp_path), broken], organisation=ORGANISATION)
        with pytest.raises(UnreadableConcertsError):
            await import_concerts(database, [tmp_path / "missing.json"], organisation=ORGANISATION)
        assert not any((await counted(database)).values())

    async def test_a_shift_keeps_the_clock_on_the_wall(self, database: Database) -> None:
        files = published_files.concerts()[-1:]
        result = await import_concerts(
            database, files, organisation=ORGANISATION, options=Options(season="newest", shift_weeks=30)
        )
        assert (result.created, len(result.left_out)) == (63, 2)
        event = await database.fetchrow("SELECT * FROM events WHERE source = 'nyphil:15062:2025-09-11T19:30:+30w'")
        assert event is not None
        assert event["starts_at"].astimezone(NEW_YORK).isoformat() == "2026-04-09T19:30:00-04:00"
        winter = await database.fetchrow(
            "SELECT * FROM events WHERE source LIKE 'nyphil:%:2025-12-17T19:30:+30w' LIMIT 1"
        )
        assert winter is not None
        assert winter["starts_at"].astimezone(NEW_YORK).isoformat() == "2026-07-15T19:30:00-04:00"

    async def test_stages_in_a_hall_with_its_seat_map(self, database: Database, tmp_path: Path) -> None:
        hall = await import_hall(database, hall_file("hk-city-hall-theatre"), organisation=ORGANISATION)
        options = Options(shift_weeks=1200, stages=(stage_of(hall),))
        result = await import_concerts(database, [history(tmp_path)], organisation=ORGANISATION, options=options)
        [(fact, version)] = result.staged
        assert (fact.seat_map_id, fact.venue.venue_id, fact.capacity, version) == (
            hall.seat_map.id,
            hall.venue.id,
            463,
            1,
        )
        assert fact.starts_at.astimezone(HONG_KONG).isoformat() == "2033-02-28T19:30:00+08:00"
        assert (fact.on_sale_at, fact.off_sale_at) == (None, None)

    async def test_another_organisation_imports_its_own(self, database: Database, tmp_path: Path) -> None:
        file = history(tmp_path)
        for number in (1, 2):
            result = await import_concerts(database, [file], organisation=UUID(int=number))
            assert result.created == 1
        assert (await counted(database))["venues"] == 2


class TestStageDemo:
    async def test_puts_the_newest_season_into_two_halls_and_a_second_run_changes_nothing(
        self, database: Database
    ) -> None:
        first = await stage_demo(database, organisation=ORGANISATION)
        assert [len(hall.events) for hall in first.halls] == [55, 5]
        assert first.imported.created == 60
        assert first.imported.read == 60 + first.imported.not_chosen + len(first.imported.left_out)
        now = await database.fetchval("SELECT clock_timestamp()")
        starts = [fact.starts_at for hall in first.halls for fact, _ in hall.events]
        assert 14 <= (min(starts) - now).days <= 21
        assert {start.astimezone(HONG_KONG).strftime("%H:%M") for start in starts} <= {
            "10:30", "11:00", "14:00", "15:00", "19:00", "19:30", "20:00", "21:45",
        }  # fmt: skip
        before = await counted(database)
        second = await stage_demo(database, organisation=ORGANISATION)
        assert (second.imported.created, second.imported.changed, second.imported.unchanged) == (0, 0, 60)
        assert second.halls == first.halls
        assert await counted(database) == before

    async def test_a_hall_has_one_concert_at_a_time(self, database: Database) -> None:
        demo = await stage_demo(database, organisation=ORGANISATION)
        for hall in demo.halls:
            times = sorted((fact.starts_at, fact.ends_at) for fact, _ in hall.events)
            assert all(before[1] <= after[0] for before, after in itertools.pairwise(times))

    async def test_every_seat_has_a_price_level_and_every_level_seats(self, database: Database) -> None:
        demo = await stage_demo(database, organisation=ORGANISATION, at_most=1)
        for hall in demo.halls:
            used: Counter[str] = Counter()
            for seat in seats(hall.hall):
                level = next(
                    one
                    for one in hall.levels
                    if one.seats is None
                    or any(name == seat.section and (rows is None or seat.row in rows) for name, rows in one.seats)
                )
                used[level.name] += seat.sellable
            assert all(used[level.name] for level in hall.levels)

    async def test_may_be_small(self, database: Database) -> None:
        demo = await stage_demo(database, organisation=ORGANISATION, at_most=6)
        assert sum(len(hall.events) for hall in demo.halls) == 6
