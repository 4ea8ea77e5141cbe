"""Published totals against counted places."""

from boxoffice.services.catalog.domain.totals import Difference, differences

COUNTED = {"Stalls 1": 600, "Stalls 2": 444, "Balcony": 913, "V.I.P. Boxes": 14}


class TestTotals:
    def test_agree_by_section_group_and_all(self) -> None:
        published = {"Stalls": 1044, "Stalls 1": 600, "Balcony": 913, "V.I.P. Boxes": 14, "Total": 1971}
        assert differences(COUNTED, published) == []

    def test_tell_section_found_and_published(self) -> None:
        found = differences(COUNTED, {"Stalls": 1045, "Total": 1971})
        assert found == [Difference(section="Stalls", published=1045, found=1044)]
        assert str(found[0]) == "Stalls: published 1045, found 1044"

    def test_tell_a_name_that_fits_no_section(self) -> None:
        found = differences(COUNTED, {"Stall": 1044, "Bal": 913})
        assert [one.found for one in found] == [None, None]
        assert str(found[0]) == "Stall: published 1044, but no section has that name"

    def test_a_section_called_total_is_itself(self) -> None:
        assert differences({"Total": 5, "Other": 3}, {"Total": 5}) == []
