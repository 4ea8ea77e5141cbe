"""A line of the log as the archive keeps it: nothing secret, nothing unbounded; and shipping that never fails who logs."""

import json
import logging
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer

from boxoffice.cli.logs import instant
from boxoffice.cli.logs import line as written
from boxoffice.runtime.archive import shipping
from boxoffice.runtime.archive.record import BLOTTED, CUT, MOST_ENTRIES, MOST_TEXT, UNREADABLE, LogRecord, read
from boxoffice.runtime.archive.seam import Wanted
from boxoffice.runtime.archive.shipping import MOST_WAITING, Shipper
from boxoffice.runtime.telemetry import LOG_RECORDS

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def kept(**said: Any) -> LogRecord:
    return read(json.dumps(said), service="bookings")


def counted(outcome: str) -> float:
    return float(LOG_RECORDS.labels(outcome)._value.get())


class TestRead:
    def test_takes_a_line_apart(self) -> None:
        one = kept(event="hold.placed", level="warning", service="sales", traceId="ab" * 16, event_id=7,
                   time="2026-11-28T12:00:00.123456Z")  # fmt: skip
        assert (one.event, one.level, one.service, one.trace_id) == ("hold.placed", "warning", "sales", "ab" * 16)
        assert one.time == datetime(2026, 11, 28, 12, 0, 0, 123_000, tzinfo=UTC)
        assert one.fields == {"event_id": 7}

    def test_fills_in_what_a_line_does_not_say(self) -> None:
        one = kept(level="loud")
        assert (one.event, one.level, one.service, one.trace_id, one.fields) == ("", "info", "bookings", "", {})
        assert datetime.now(UTC) - one.time < timedelta(minutes=5)

    @pytest.mark.parametrize("line", ["", "no json", "[]", '{"a": NaN}', '"text"', "{", '{"a": "\\ud800"}'])
    def test_keeps_of_what_it_cannot_read_only_the_length(self, line: str) -> None:
        one = read(line, service="bookings")
        assert (one.event, one.fields) == (UNREADABLE, {"characters": len(line)})

    def test_blots_out_at_every_depth(self) -> None:
        one = kept(
            event="to canary@example.org", note="4111 1111 1111 1111",
            outer={"inner": ["canary@example.org", {"password": "canary", "to": "x canary@example.org y"}]},
            tokens=["canary"], headers={"Authorization": {"scheme": "canary"}},
        )  # fmt: skip
        text = json.dumps([one.event, one.fields])
        assert "canary" not in text
        assert "4111" not in text
        assert one.fields["outer"]["inner"][1] == {"password": BLOTTED, "to": "x [email] y"}

    def test_cuts_what_is_long_deep_or_many(self) -> None:
        deep: Any = "end"
        for _ in range(50):
            deep = {"in": deep}
        one = kept(text="x" * 100_000, many=list(range(10_000)), deep=deep, **{f"f{n}": n for n in range(500)})
        assert len(one.fields["text"]) == MOST_TEXT
        assert len(one.fields["many"]) == MOST_ENTRIES
        assert len(one.fields) == MOST_ENTRIES
        assert CUT in json.dumps(one.fields["deep"], ensure_ascii=False)
        assert "end" not in json.dumps(one.fields["deep"])

    def test_a_cut_leaves_no_part_of_an_address_or_a_card(self) -> None:
        for secret in ("canary.person@example.org", "4111 1111 1111 1111"):
            for before in range(MOST_TEXT - 60, MOST_TEXT + 5, 3):
                text = str(kept(text=f"{'x ' * (before // 2)}{secret} {'y ' * 5_000}").fields["text"])
                assert "canary" not in text
                assert "4111" not in text

    def test_keeps_what_no_store_could_keep_as_text(self) -> None:
        assert kept(n=2**70, zero="a\x00b").fields == {"n": str(2**70), "zero": "ab"}


class Store:
    """An archive in memory, which refuses what it is told to."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.refused = ""
        self.forgets = 0
        self.gate = threading.Event()
        self.gate.set()

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator["Store"]:  # noqa: ARG002 - the seam's
        if not self.gate.is_set():
            raise ConnectionError("away")
        yield self

    async def prepare(self, *, days: int) -> None:
        assert days == 14

    async def add(self, records: Sequence[LogRecord]) -> None:
        if not self.gate.is_set():
            raise ConnectionError("away")
        if self.refused and any(one.event == self.refused for one in records):
            raise ValueError("poison")
        self.records += records

    async def find(self, wanted: Wanted) -> list[LogRecord]:
        return self.records[-wanted.limit :]

    async def forget(self, *, days: int) -> int:
        assert days == 14
        self.forgets += 1
        return 0


@pytest.fixture
def store() -> Store:
    return Store()


def shipper(store: Store) -> Shipper:
    made = Shipper("memory://", days=14, service="bookings", open_store=store.open)
    made.setFormatter(logging.Formatter('{"event": "%(message)s"}'))
    return made


def say(handler: Shipper, *events: str) -> None:
    for event in events:
        handler.emit(logging.LogRecord("test", logging.INFO, "", 0, event, None, None))


class TestShipping:
    def test_keeps_everything_in_order_until_the_end(self, store: Store) -> None:
        handler = shipper(store)
        events = [f"e{number}" for number in range(2_000)]
        handler.start()
        say(handler, *events)
        handler.stop()
        assert [one.event for one in store.records] == events
        assert len({one.record_id for one in store.records}) == 2_000

    def test_one_record_that_is_refused_costs_no_other(self, store: Store) -> None:
        store.refused = "e50"
        before = counted("refused")
        handler = shipper(store)
        say(handler, *(f"e{number}" for number in range(100)))
        handler.start()
        handler.stop()
        assert [one.event for one in store.records] == [f"e{number}" for number in range(100) if number != 50]
        assert counted("refused") == before + 1

    def test_keeps_the_newest_and_counts_the_rest_while_nobody_takes_them(self, store: Store) -> None:
        before = counted("dropped")
        handler = shipper(store)
        say(handler, *(f"e{number}" for number in range(MOST_WAITING + 250)))
        assert counted("dropped") == before + 250
        handler.start()
        handler.stop()
        assert [store.records[0].event, store.records[-1].event] == ["e250", f"e{MOST_WAITING + 249}"]

    def test_ends_while_the_store_is_away_and_counts_what_is_lost(self, store: Store) -> None:
        store.gate.clear()
        before = counted("dropped")
        handler = shipper(store)
        say(handler, "one", "two")
        handler.start()
        handler.stop()
        assert not handler._thread.is_alive()
        assert counted("dropped") == before + 2

    def test_comes_back_with_the_store(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shipping, "PAUSE_S", 0.05)
        store.gate.clear()
        handler = shipper(store)
        say(handler, "before")
        handler.start()
        say(handler, "meanwhile")
        store.gate.set()
        for _ in range(600):
            if len(store.records) == 2:
                break
            threading.Event().wait(0.05)
        handler.stop()
        assert [one.event for one in store.records] == ["before", "meanwhile"]

    def test_a_record_that_cannot_be_written_raises_nothing(
        self, store: Store, capsys: pytest.CaptureFixture[str]
    ) -> None:
        handler = shipper(store)
        handler.emit(logging.LogRecord("test", logging.INFO, "", 0, "%d", ("no number",), None))
        assert "Logging error" in capsys.readouterr().err

    def test_forgets_from_time_to_time(self, store: Store) -> None:
        handler = shipper(store)
        handler.start()
        for _ in range(600):
            if store.forgets:
                break
            threading.Event().wait(0.05)
        handler.stop()
        assert store.forgets == 1


class TestSince:
    @pytest.mark.parametrize(
        ("text", "ago"), [("90s", 90), ("15m", 900), ("2h", 7_200), ("3d", 259_200), ("2026-11-28T11:00:00Z", 3_600),
                          ("2026-11-28T11:00:00", 3_600), ("2026-11-28T12:00:00+01:00", 3_600)],
    )  # fmt: skip
    def test_is_a_time_ago_or_an_instant(self, text: str, ago: int) -> None:
        assert instant(text, now=NOW) == NOW - timedelta(seconds=ago)

    @pytest.mark.parametrize("text", ["yesterday", "2", "-2h", "2w", "2026-13-01", "9999999d"])
    def test_that_is_neither_is_refused(self, text: str) -> None:
        with pytest.raises(typer.BadParameter, match="neither a time ago"):
            instant(text, now=NOW)


class TestLine:
    def test_is_one_line_that_tells_a_terminal_nothing(self) -> None:
        one = kept(event="hold.placed", a="x\n\x1b[31m", b="two words", c=7, traceId="ab", time="2026-11-28T12:00:00Z")
        text = written(one)
        assert (
            text
            == "2026-11-28 12:00:00.000 info     bookings     hold.placed a='x\\n\\x1b[31m' b='two words' c=7 trace=ab"
        )

    def test_spells_out_what_is_not_printable_in_what_happened_and_in_names(self) -> None:
        said = written(kept(event="heard\n[info] forged \x1b[2J", **{"na\nme": 1}))
        assert said.isprintable()
        assert "heard\\n[info] forged \\x1b[2J na\\nme=1" in said
