import io
from xml.etree import ElementTree as ET

import pytest
import zxingcpp
from PIL import Image

from boxoffice.runtime.documents import qr_png, qr_svg

BARCODE = "BX1:" + "A7Q2" * 44


def read(png: bytes) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(Image.open(io.BytesIO(png)).convert("L"))]


class TestQrPng:
    @pytest.mark.parametrize("text", [BARCODE, "https://example.org/ü", "a"])
    @pytest.mark.parametrize("scale", [2, 6])
    def test_reads_back(self, text: str, scale: int):
        assert read(qr_png(text, scale)) == [text]

    def test_has_a_quiet_zone_of_four_modules(self):
        image = Image.open(io.BytesIO(qr_png(BARCODE, 3))).convert("L")
        edge = 4 * 3
        assert image.size == ((49 + 8) * 3, (49 + 8) * 3)
        for box in ((0, 0, image.width, edge), (0, 0, edge, image.height)):
            assert image.crop(box).getextrema() == (255, 255)

    @pytest.mark.parametrize("scale", [0, -1, 41])
    def test_refuses_a_scale_out_of_bounds(self, scale: int):
        with pytest.raises(ValueError, match="module"):
            qr_png("a", scale)


class TestQrSvg:
    def test_is_one_element_that_scales(self):
        root = ET.fromstring(qr_svg(BARCODE))  # noqa: S314 - our own text
        assert root.tag.endswith("svg")
        assert root.get("viewBox") == "0 0 57 57"
        assert root.get("width") is None

    def test_does_not_let_the_text_into_the_markup(self):
        assert "script" not in qr_svg("<script>alert(1)</script>")
