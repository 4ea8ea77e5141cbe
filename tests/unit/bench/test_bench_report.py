"""What the page says of the figures."""

import json
from pathlib import Path
from typing import Any

import pytest
from bench import report
from bench.flows import order, poster
from bench.load import length_of
from bench.picture import bars
from bench.rounds import Contender, Sample
from bench.sampling import LOOP, part_of


async def nothing() -> Sample:
    return Sample(rate=0.0)


def whole(**keys: float) -> dict[str, Any]:
    found = Contender("our holds, gathered", "holds/s", nothing, clients=64, samples=[Sample(10.0, 1.0, 2.0)])
    group = {
        "measured_at": "2026-01-01T00:00:00+00:00", "commit": "abc", "keys": keys, "notes": ["Read on."],
        "records": [], "contenders": [report.told(found)],
    }  # fmt: skip
    return {**keys, "machine": report.machine(), "groups": {"holds": group}}


class TestPage:
    def test_says_what_was_not_kept(self) -> None:
        page = report.page(whole(hold_direct_vs_pgbench=0.9))
        assert "| `hold_direct_vs_pgbench` | 0.9 | >= 1 | **not kept** |" in page

    def test_says_what_was_not_measured(self) -> None:
        assert "| `growth_10k_events` | not measured | >= 0.9 | missing |" in report.page(whole())

    def test_counts_a_bound_from_above(self) -> None:
        assert "| `hold_http_p99_ms` | 41 | <= 40 | **not kept** |" in report.page(whole(hold_http_p99_ms=41.0))

    def test_has_a_picture_with_every_contender(self) -> None:
        assert "our holds, gathered" in bars(whole())


@pytest.mark.usefixtures("elsewhere")
class TestPublish:
    @pytest.fixture
    def elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        report.PAGE.parent.mkdir(parents=True)
        report.PAGE.write_text("of every group")
        report.RESULT.parent.mkdir()

    def test_one_group_alone_leaves_the_page_of_all(self) -> None:
        report.RESULT.write_text(json.dumps(whole()))
        assert report.publish() == Path("artifacts/bench.md")
        assert report.PAGE.read_text() == "of every group"
        assert "## Holds, called directly" in Path("artifacts/bench.md").read_text()

    def test_every_group_makes_the_page(self) -> None:
        everything = whole()
        everything["groups"] = dict.fromkeys(report.TITLES, everything["groups"]["holds"])
        report.RESULT.write_text(json.dumps(everything))
        assert report.publish() == report.PAGE
        assert "## Search on 100,000 events" in report.PAGE.read_text()
        assert report.PAGE.with_name("bench.svg").exists()


class TestLoad:
    def test_reads_the_length_of_an_answer_whatever_its_case(self) -> None:
        assert length_of(b"HTTP/1.1 200 OK\r\nCONTENT-length: 42\r\nX: 1") == 42
        assert length_of(b"HTTP/1.1 204 No Content\r\nX: 1") == 0

    def test_sends_every_request_under_a_key_of_its_own(self) -> None:
        post = poster({"tokens": ["t"]})
        first, second = post(0, "/a", b"{}"), post(0, "/a", b"{}")
        assert first != second
        assert first.endswith(b"Content-Length: 2\r\n\r\n{}")

    def test_ends_an_order_at_the_first_answer_that_is_none(self) -> None:
        asked = {"tokens": ["t"], "event_id": 1, "seats": 2, "provider": "stub", "ports": [1, 2]}
        steps = order(asked, iter([0]))(0)
        line, request = next(steps)
        assert (line, b"/bookings/reserve" in request) == (0, True)
        with pytest.raises(StopIteration) as ended:
            steps.send((b"409", b"{}"))
        assert ended.value.value == "reserve 409"


class TestSampling:
    def test_names_the_innermost_part_that_it_knows(self) -> None:
        stack = ["/lib/json/encoder.py", "/x/asyncpg/connection.py", "/x/boxoffice/runtime/database.py"]
        assert part_of(iter(stack)) == "asyncpg"
        assert part_of(iter(["/usr/lib/python3/selectors.py"])) == LOOP
