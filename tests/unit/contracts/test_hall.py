"""The seat map format: both real halls are read whole, and a map that cannot be read says where."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from boxoffice.contracts.hall import BadHallError, Hall, labels, seats

HALLS = Path(__file__).parents[3] / "data" / "halls"


def hall(rows: list[dict[str, object]]) -> Hall:
    return msgspec.convert({"format": "hall/1", "name": "H", "sections": [{"name": "S", "rows": rows}]}, Hall)


class TestSeats:
    @pytest.mark.parametrize(
        ("file", "sold", "all_places"),
        [("hk-cultural-centre-concert-hall.json", 1971, 1979), ("hk-city-hall-theatre.json", 463, 463)],
    )
    def test_walks_the_real_halls(self, file: str, sold: int, all_places: int) -> None:
        found = list(seats(msgspec.json.decode((HALLS / file).read_bytes(), type=Hall)))
        assert len(found) == all_places
        assert sum(seat.sellable for seat in found) == sold
        assert [seat.place for seat in found] == list(range(all_places))
        assert max(Counter((seat.section, seat.row, seat.number) for seat in found).values()) == 1

    def test_keeps_blocks_and_marks(self) -> None:
        found = list(seats(hall([{"row": "A", "blocks": ["1-2,X1", "5-6"], "marks": {"X1": "management"}}])))
        assert [(seat.number, seat.block, seat.position) for seat in found] == [
            ("1", 0, 0), ("2", 0, 1), ("X1", 0, 2), ("5", 1, 0), ("6", 1, 1),
        ]  # fmt: skip
        assert [seat.sellable for seat in found] == [True, True, False, True, True]

    @pytest.mark.parametrize(
        ("rows", "words"),
        [
            ([{"row": "A", "blocks": ["1-5", "5-6"]}], "seat 5 stands twice"),
            ([{"row": "A", "blocks": ["5-1"]}], "backwards"),
            ([{"row": "A", "blocks": ["1,,2"]}], "neither a seat label nor a range"),
            ([{"row": "A", "blocks": ["1-2"], "marks": {"9": "wheelchair"}}], "not there"),
            ([{"row": str(row), "blocks": ["1-99999"]} for row in range(3)], "more than"),
            ([{"row": "1", "blocks": [",".join(["1-99999"] * 100_000)]}], "a block has more than"),
        ],
    )
    def test_refuses_what_cannot_be_a_map(self, rows: list[dict[str, object]], words: str) -> None:
        with pytest.raises(BadHallError, match=words):
            list(seats(hall(rows)))

    def test_spells_out_a_block(self) -> None:
        assert labels("1-3, X1") == ["1", "2", "3", "X1"]
