from datetime import UTC, datetime

from boxoffice.runtime.documents import calendar_entry


def entry(**changes: str) -> str:
    texts = {"uid": "o1@example.org", "summary": "Gala", "location": "Hall", "url": "https://example.org/x", **changes}
    moment = datetime(2026, 11, 28, 0, 30, tzinfo=UTC)
    return calendar_entry(made_at=moment, starts_at=moment, ends_at=moment.replace(hour=2), **texts).decode()


class TestCalendarEntry:
    def test_says_when_and_where(self):
        lines = entry().split("\r\n")
        for line in ("DTSTART:20261128T003000Z", "DTEND:20261128T023000Z", "SUMMARY:Gala", "LOCATION:Hall"):
            assert line in lines

    def test_escapes_text_so_that_it_begins_no_line(self):
        text = entry(summary="a,b;c\\d\r\nATTENDEE:mailto:x@example.org")
        assert "SUMMARY:a\\,b\\;c\\\\d\\nATTENDEE:mailto:x@example.org" in text
        assert not any(line.startswith("ATTENDEE") for line in text.split("\r\n"))

    def test_folds_long_lines_between_letters(self):
        name = "香港 " * 60
        text = entry(summary=name)
        assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
        assert name in text.replace("\r\n ", "")

    def test_keeps_a_url_on_its_line(self):
        assert "URL:https://example.orgX:y" in entry(url="https://example.org\r\nX:y").split("\r\n")
