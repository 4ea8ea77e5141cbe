import io
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest
import zxingcpp
from PIL import Image
from pypdf import PdfReader

from boxoffice.runtime.documents import TicketDocument, order_number, render_tickets, ticket_pdf
from boxoffice.runtime.documents.ticket import local_time, page, typeset

BARCODE = "BX1:" + "A7Q2" * 44


def ticket(**changes: object) -> TicketDocument:
    fields: dict[str, object] = {
        "order_number": "8c1f42d0",
        "event_name": "Dvořák: From the New World",
        "starts_at": datetime(2026, 11, 28, 0, 30, tzinfo=UTC),
        "time_zone": "America/New_York",
        "venue_name": "David Geffen Hall",
        "venue_location": "10 Lincoln Center Plaza",
        "section": "Orchestra",
        "row": "AA",
        "seat": "114",
        "price": "149.50",
        "currency": "USD",
        "price_level": "Premium",
        "barcode": BARCODE,
        "refund_policy": "Cancel until 24 hours before.",
    }
    return TicketDocument(**{**fields, **changes})  # type: ignore[arg-type]


def squeezed(text: str) -> str:
    """Drop what line breaks and letter spacing add."""
    return "".join(text.replace("\u200b", "").split())


def pages(pdf: bytes) -> list[str]:
    return [squeezed(found.extract_text()) for found in PdfReader(io.BytesIO(pdf)).pages]


class TestTicketPdf:
    def test_says_everything_that_the_door_and_the_buyer_need(self):
        (text,) = pages(ticket_pdf([ticket()]))
        for part in (
            "Dvořák: From the New World", "Friday, 27 November 2026", "19:30 EST", "David Geffen Hall",
            "10 Lincoln Center Plaza", "Orchestra", "AA", "114", "149.50 USD", "Premium", "8c1f42d0",
            "Bring this on paper or on your phone.", "Cancel until 24 hours before.",
        ):  # fmt: skip
            assert squeezed(part) in text

    def test_has_one_page_a_ticket_in_order(self):
        found = pages(ticket_pdf([ticket(seat=str(number)) for number in (7, 8, 9)]))
        assert len(found) == 3
        for index, text in enumerate(found):
            assert f"TICKET{index + 1}OF3" in text
            assert str(7 + index) in text

    def test_shows_a_code_that_scans_on_every_page(self):
        codes = ["BX1:" + "A7Q2" * 44, "BX1:" + "B3ZZ" * 44]
        listed = [page(ticket(barcode=code), index + 1, 2) for index, code in enumerate(codes)]
        images = typeset(msgspec.json.encode(listed).decode(), "png")
        assert isinstance(images, list)
        read = [zxingcpp.read_barcodes(Image.open(io.BytesIO(image)).convert("L"))[0].text for image in images]
        assert read == codes

    @pytest.mark.parametrize(
        "text",
        [
            "#panic()", '#read("/etc/passwd")', "$x^2$", "*bold* _it_ `raw`", "\\ back \\u{41}", "{{7*7}} {% raw %}",
            "<b>label</b> @ref", "[#text(red)[x]]", '"quoted" \'single\'', "= Heading", "// comment", "https://a.example",
        ],
    )  # fmt: skip
    def test_keeps_markup_in_names_inert(self, text: str):
        (found,) = pages(ticket_pdf([ticket(event_name=text, venue_name=text, section=text)]))
        assert found.count(squeezed(text)) == 3

    @pytest.mark.parametrize("letter", ["x", "W", "香", "🎻", "\u202e", "word "])
    def test_keeps_to_one_page_whatever_the_length(self, letter: str):
        long = letter * 2_000
        texts = dict.fromkeys(
            ("event_name", "venue_name", "venue_location", "section", "row", "seat", "price_level", "order_number",
             "holder", "refund_policy", "price", "time_zone"),
            long,
        )  # fmt: skip
        assert len(pages(ticket_pdf([ticket(**texts)]))) == 1

    def test_leaves_row_and_seat_out_where_there_are_none(self):
        (text,) = pages(ticket_pdf([ticket(section="General admission", row="", seat="")]))
        assert "Generaladmission" in text
        assert "ROW" not in text
        assert "SEAT" not in text

    def test_gives_the_same_bytes_for_the_same_tickets(self):
        assert ticket_pdf([ticket()]) == ticket_pdf([ticket()])

    def test_survives_control_characters(self):
        assert len(pages(ticket_pdf([ticket(event_name="a\r\nb\x00c\x1b[31m\ud7ff")]))) == 1

    @pytest.mark.parametrize("count", [0, 201])
    def test_refuses_no_tickets_and_too_many(self, count: int):
        with pytest.raises(ValueError, match="1 to 200"):
            ticket_pdf([ticket()] * count)

    async def test_renders_in_a_thread(self):
        assert (await render_tickets([ticket()])).startswith(b"%PDF")


class TestLocalTime:
    def test_follows_the_venue_through_summer_time(self):
        assert local_time(datetime(2026, 7, 1, 23, 30, tzinfo=UTC), "America/New_York") == (
            "Wednesday, 1 July 2026", "19:30 EDT",
        )  # fmt: skip

    @pytest.mark.parametrize("zone", ["Nowhere/Town", "", "../../etc/passwd", "/etc/passwd", "America", "x" * 9_000])
    def test_falls_back_to_utc(self, zone: str):
        assert local_time(datetime(2026, 7, 1, 23, 30, tzinfo=UTC), zone)[1] == "23:30 UTC"


class TestOrderNumber:
    def test_is_short_enough_to_read_out(self):
        assert order_number(UUID("8c1f42d0-9a7e-4a52-8f2c-3f6f0a1b2c3d")) == "8C1F42D0"
