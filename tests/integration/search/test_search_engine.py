"""What every kind of engine must do: order, filters, facets, versions, deletions, injection; the folder of the embedded one."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.concert_facts import NOW, concert_facts
from tests.support.search_engines import Kind, SearchEngines

from boxoffice.services.search.domain.criteria import criteria
from boxoffice.services.search.domain.listing import Change, Entry, ListingChange, Sale, SaleChange, ToldState
from boxoffice.services.search.providers.engine import BrokenIndexError, Found, IndexInUseError, SearchEngine
from boxoffice.services.search.providers.tantivy_engine import TantivyEngine
from boxoffice.services.search.usecases.read_messages import listing_change
from boxoffice.services.search.usecases.take_changes import apply

INJECTIONS = [
    '"', "'", '"""', "*:*", "*", "?", "name:", "name:beethoven", "name:[a TO z]", "(", ")", "((((", ")))(", "AND", "OR",
    "NOT", "AND OR NOT", "beethoven AND", "OR mozart", "-mahler", "+mahler", "!mahler", "mahler~", "mahler~99", "^",
    "mahler^1000000", "\\", "\\\\", "/.*/", "/(a+)+$/", "{", "}", "{}", "[", "]", "[* TO *]", "{* TO *}", "<", ">",
    "&&", "||", ":", "::", "_exists_:name", "found:false", "entry:*", "event_id:1", "$where", "'; DROP TABLE event; --",
    "%", "%00", "\x00", "\x00bach", "\ud7a4", "\u202ebach", "\ufeffbach", "😀", "👩‍👩‍👧", "ﷺ", "İstanbul", "ß" * 100,
    "a\u0301" * 60, "ก็็็็็", "\u0301", "\x1f", "c mozart\x1f", "- - - -", "{{7*7}}", "${7*7}", "<script>alert(1)</script>",
    "../../etc/passwd", "\n", "\r\n", "\t", " ", "\uff0c\u3002", "..", "1e400", "-0", "NaN", "null", "true",
]  # fmt: skip


def search(engine: SearchEngine, text: str = "", *, now: datetime = NOW, **asked: Any) -> Found:
    texts = {name: asked.pop(name) for name in list(asked) if name in {"eventName", "venueName", "location",
             "description", "keywords", "category"}}  # fmt: skip
    return engine.search(criteria(texts={"q": text, **texts}, **asked), now=now)


def ids(found: Found) -> list[int]:
    return [entry.event_id for entry in found.hits]


def listing(event_id: int, version: int = 1, **fields: Any) -> ListingChange:
    fact = concert_facts()[0]
    change = listing_change(fact, version=version)
    assert change.listing
    venue = replace(change.listing.venue, **fields.pop("venue", {}))
    return ListingChange(event_id=event_id, version=version, listing=replace(change.listing, venue=venue, **fields))


def gone(event_id: int, version: int) -> ListingChange:
    return ListingChange(event_id=event_id, version=version, listing=None)


def sale(event_id: int, version: int, state: ToldState = "on_sale", price: int | None = 5_000) -> SaleChange:
    return SaleChange(
        event_id=event_id, version=version, sale=Sale(state=state, lowest_price_minor=price, currency="USD")
    )


class TestOrder:
    def test_lists_what_lies_ahead_first_then_the_past_backwards(self, concerts: SearchEngine) -> None:
        total, page_no, starts = 1, 0, []
        while len(starts) < total:
            page = search(concerts, page_no=page_no, page_size=100)
            total, page_no = page.total, page_no + 1
            starts += [entry.listing.starts_at for entry in page.hits if entry.listing]
        assert total == 3_540
        ahead = [start for start in starts if start >= NOW]
        past = [start for start in starts if start < NOW]
        assert ahead
        assert past
        assert starts == sorted(ahead) + sorted(past, reverse=True)

    @pytest.mark.parametrize("text", ["", "mozart", "philharmonic", "bethoven"])
    @pytest.mark.parametrize("sort_by", ["relevance", "date", "name", "price"])
    def test_pages_through_every_hit_once(self, concerts: SearchEngine, text: str, sort_by: str) -> None:
        first = search(concerts, text, sort_by=sort_by, page_size=70)
        seen = ids(first)
        for page_no in range(1, -(-first.total // 70) + 1):
            seen += ids(search(concerts, text, sort_by=sort_by, page_size=70, page_no=page_no))
        assert len(seen) == len(set(seen)) == first.total

    def test_sorts_by_date_both_ways(self, concerts: SearchEngine) -> None:
        for direction, reverse in (("asc", False), ("desc", True)):
            found = search(concerts, "mahler", sort_by="startTime", sort_dir=direction, page_size=100)
            starts = [entry.listing.starts_at for entry in found.hits if entry.listing]
            assert starts == sorted(starts, reverse=reverse)

    def test_puts_what_lies_ahead_before_the_past_among_equals(self, engine: SearchEngine) -> None:
        day = timedelta(days=1)
        for number, offset in enumerate((-2, 3, -1, 1), start=1):
            start = NOW + offset * day
            apply(engine, [listing(number, name="Gala", starts_at=start, ends_at=start + day)])
        assert ids(search(engine, "gala")) == [4, 2, 3, 1]

    def test_sorts_by_price_with_the_unpriced_last(self, engine: SearchEngine) -> None:
        apply(engine, [*(listing(number) for number in (1, 2, 3)), sale(1, 1, price=9_000), sale(3, 1, price=1_000)])
        assert ids(search(engine, sort_by="price")) == [3, 1, 2]
        assert ids(search(engine, sort_by="price", sort_dir="desc")) == [1, 3, 2]

    def test_weighs_the_name_above_the_people_above_the_place_above_the_description(self, engine: SearchEngine) -> None:
        plain: dict[str, Any] = {"name": "Evening", "works": (), "performers": (), "description": ""}
        apply(engine, [
            listing(1, **{**plain, "description": "A toast to Britten in words"}),
            listing(2, **plain, venue={"name": "Britten Theatre"}),
            listing(3, **{**plain, "performers": ("Benjamin Britten",)}),
            listing(4, **{**plain, "name": "Britten"}),
        ])  # fmt: skip
        assert ids(search(engine, "britten")) == [4, 3, 2, 1]


class TestFilters:
    def test_combine(self, concerts: SearchEngine) -> None:
        found = search(
            concerts, "mozart", location="manhattan", venueName="Avery Fisher Hall", category="Subscription Season",
            date_from="2005-01-01", date_to="2005-12-31", page_size=100,
        )  # fmt: skip
        expected = {
            fact.event_id
            for fact in concert_facts()
            if any("Mozart" in (work.composer or "") or "MOZART" in (work.title or "") for work in fact.programme)
            and fact.venue.name == "Avery Fisher Hall"
            and fact.category == "Subscription Season"
            and fact.starts_at.year == 2005
        }
        assert set(ids(found)) == expected

    def test_include_both_days_on_the_venues_clock(self, engine: SearchEngine) -> None:
        # half past eight in the evening in New York is the next day in UTC
        start = datetime(2025, 1, 1, 1, 30, tzinfo=UTC)
        apply(engine, [listing(1, starts_at=start, ends_at=start)])
        assert ids(search(engine, date_from="2024-12-31", date_to="2024-12-31")) == [1]
        assert ids(search(engine, date_from="2025-01-01")) == []
        assert ids(search(engine, date_from="2024-12-31T20:30")) == [1]
        assert ids(search(engine, date_from="2024-12-31T20:31")) == []
        assert ids(search(engine, date_from="2025-01-01T01:30:00Z", date_to="2025-01-01T01:30:00Z")) == [1]
        assert ids(search(engine, date_from="2025-01-01T01:30:01Z")) == []

    def test_take_a_category_exactly_when_there_is_one_of_that_name(self, concerts: SearchEngine) -> None:
        tours = [fact for fact in concert_facts() if fact.category == "Tour"]
        assert search(concerts, category="tour").total == len(tours)
        assert search(concerts, category="young people").total > 70

    def test_forgive_typing_errors_too(self, concerts: SearchEngine) -> None:
        assert search(concerts, venueName="carnege").total == search(concerts, venueName="carnegie").total > 0

    def test_find_nothing_rather_than_everything_for_a_text_without_words(self, concerts: SearchEngine) -> None:
        assert search(concerts, "???").total == 0
        assert search(concerts, venueName="---").total == 0

    def test_leave_one_word_out_rather_than_find_nothing_and_say_so(self, concerts: SearchEngine) -> None:
        found = search(concerts, "mozart zzzzzz")
        assert found.total > 0
        assert found.matching == "some_words"


class TestFacets:
    def test_count_every_hit(self, concerts: SearchEngine) -> None:
        found = search(concerts, facets="all")
        by_category = {one.value: one.count for one in found.facets["category"]}
        assert by_category["Tour"] == sum(fact.category == "Tour" for fact in concert_facts())
        assert sum(by_category.values()) == 3_540
        years = [one.value for one in found.facets["year"]]
        assert years == sorted(years)
        assert {one.value for one in found.facets["composer"]} >= {"Ludwig van Beethoven", "Gustav Mahler"}

    @pytest.mark.parametrize(("facet", "filtered"), [("category", "category"), ("venue", "venueName")])
    def test_lead_to_as_many_hits_as_they_promise(self, concerts: SearchEngine, facet: Any, filtered: str) -> None:
        for one in search(concerts, "brahms", facets=facet).facets[facet][:8]:
            assert search(concerts, "brahms", **{filtered: one.value}).total == one.count


class TestSuggestions:
    @pytest.mark.parametrize(
        ("typed", "meant"),
        [("moz", "Wolfgang Amadeus Mozart"), ("masur k", "Kurt Masur"), ("kurt mas", "Kurt Masur"), ("yo-yo", "Yo-Yo Ma"),
         ("carneg", "Carnegie Hall"), ("tok", "Tokyo"), ("mahlr", "Gustav Mahler"), ("dvořá", "Antonín Dvorak"),
         ("summert", "Summertime Classics")],
    )  # fmt: skip
    def test_complete_what_is_typed(self, concerts: SearchEngine, typed: str, meant: str) -> None:
        assert meant in [one.text for one in concerts.suggest(typed, limit=10, now=NOW)]

    def test_are_few(self, concerts: SearchEngine) -> None:
        assert len(concerts.suggest("a", limit=7, now=NOW)) == 7
        assert not concerts.suggest("??", limit=7, now=NOW)

    def test_forget_a_deleted_event(self, engine: SearchEngine) -> None:
        apply(engine, [listing(1, name="Unrepeatable")])
        assert engine.suggest("unrep", limit=5, now=NOW)
        apply(engine, [gone(1, 2)])
        assert not engine.suggest("unrep", limit=5, now=NOW)


class TestVersions:
    def test_an_older_message_changes_nothing(self, engine: SearchEngine) -> None:
        apply(engine, [listing(1, 5, name="Newest")])
        assert apply(engine, [listing(1, 4, name="Older"), listing(1, 5, name="Repeat")]) == 0
        assert search(engine, "newest").total == 1

    def test_a_deletion_outlives_what_came_before_it(self, engine: SearchEngine) -> None:
        apply(engine, [listing(1, 1), gone(1, 3)])
        apply(engine, [listing(1, 2)])
        assert search(engine).total == 0
        apply(engine, [listing(1, 4)])
        assert search(engine).total == 1

    def test_a_sale_waits_for_its_event(self, engine: SearchEngine) -> None:
        apply(engine, [sale(1, 1, "few_left")])
        assert search(engine).total == 0
        apply(engine, [listing(1, 1)])
        (hit,) = search(engine).hits
        assert hit.sale
        assert hit.sale.state == "few_left"

    def test_one_event_is_one_hit_however_often_it_changed(self, engine: SearchEngine) -> None:
        for version in range(1, 8):
            apply(engine, [listing(1, version, name=f"Take {version}"), sale(1, version, price=version)])
        assert (search(engine).total, engine.count()) == (1, 1)

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9), st.sampled_from("lgs")), max_size=40))
    def test_ends_with_the_newest_of_everything(
        self, kind: Kind, search_engines: SearchEngines, told: list[tuple[int, int, str]]
    ) -> None:
        make: dict[str, Callable[[int, int], Change]] = {"l": listing, "g": gone, "s": sale}
        # one version of an event is one fact: what came first under that number counts
        facts = {(number, version, kind == "s"): kind for number, version, kind in reversed(told)}
        changes = [make[facts[number, version, kind == "s"]](number, version) for number, version, kind in told]
        expected: dict[int, Entry] = {}
        for number in {change.event_id for change in changes}:
            mine = sorted((one for one in changes if one.event_id == number), key=lambda one: one.version)
            listed = [one for one in mine if isinstance(one, ListingChange)]
            sold = [one for one in mine if isinstance(one, SaleChange)]
            expected[number] = Entry(
                event_id=number,
                listing=listed[-1].listing if listed else None, listing_version=listed[-1].version if listed else 0,
                sale=sold[-1].sale if sold else None, sale_version=sold[-1].version if sold else 0,
            )  # fmt: skip
        with search_engines.fresh(kind) as engine:
            for start in range(0, len(changes), 7):
                apply(engine, changes[start : start + 7])
            assert engine.entries(list(expected)) == expected
            assert search(engine).total == sum(entry.listing is not None for entry in expected.values())


class TestEverything:
    def test_walks_through_everything_by_id(self, engine: SearchEngine) -> None:
        engine.put([Entry(event_id=number, sale_version=1) for number in range(1, 26)])
        batches = list(engine.everything(10))
        assert [len(batch) for batch in batches] == [10, 10, 5]
        assert [entry.event_id for batch in batches for entry in batch] == list(range(1, 26))


class TestHostileQuestions:
    @pytest.mark.parametrize("text", INJECTIONS)
    def test_are_only_words(self, concerts: SearchEngine, text: str) -> None:
        for name in ("q", "eventName", "venueName", "location", "description", "keywords", "category"):
            found = concerts.search(criteria(texts={name: text}, facets="all"), now=NOW)
            assert found.total <= 3_540
        concerts.suggest(text, limit=10, now=NOW)

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.text(max_size=60))
    def test_are_only_words_whatever_they_are(self, concerts: SearchEngine, text: str) -> None:
        search(concerts, text)
        concerts.suggest(text, limit=3, now=NOW)

    def test_cannot_reach_what_is_not_found(self, engine: SearchEngine) -> None:
        apply(engine, [listing(1, 1, name="Secret draft"), gone(1, 2)])
        for text in ("found:false", "secret", "draft OR secret", "*"):
            assert search(engine, text).total == 0


class TestFolder:
    def test_is_written_by_one_and_read_by_many(self, folder_engine: TantivyEngine) -> None:
        with pytest.raises(IndexInUseError):
            TantivyEngine(folder_engine.folder, writing=True)
        reader = TantivyEngine(folder_engine.folder, writing=False)
        apply(folder_engine, [listing(1)])
        reader._index.reload()
        assert search(reader).total == 1
        with pytest.raises(IndexInUseError):
            reader.put([Entry(event_id=2)])

    def test_keeps_what_was_committed_when_its_writer_is_killed(self, tmp_path: Path) -> None:
        folder = tmp_path / "index"
        program = (
            "import os, sys\nfrom pathlib import Path\n"
            "from boxoffice.services.search.domain.listing import Entry\n"
            "from boxoffice.services.search.providers.tantivy_engine import TantivyEngine\n"
            "engine = TantivyEngine.create(Path(sys.argv[1]))\n"
            "engine.put([Entry(event_id=7, sale_version=3)])\n"
            "os.kill(os.getpid(), 9)\n"
        )
        assert subprocess.run([sys.executable, "-c", program, str(folder)], check=False).returncode == -9
        engine = TantivyEngine(folder, writing=True)
        assert engine.entries([7]) == {7: Entry(event_id=7, sale_version=3)}
        engine.close()

    @pytest.mark.parametrize("damage", ["meta.json", "schema_version", "everything"])
    def test_says_when_it_is_damaged(self, folder_engine: TantivyEngine, damage: str) -> None:
        apply(folder_engine, [listing(1)])
        folder_engine.close()
        for path in folder_engine.folder.iterdir():
            if damage in {path.name, "everything"}:
                path.write_bytes(b"not what it was")
        with pytest.raises(BrokenIndexError):
            TantivyEngine(folder_engine.folder, writing=False)

    def test_says_when_it_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(BrokenIndexError):
            TantivyEngine(tmp_path / "nowhere", writing=False)
