"""Each seeded defect is seen by the oracle that must see it, and the intact product survives the same scenario."""

from collections.abc import Callable

import pytest
from tests.mutants.case import operated
from tests.mutants.oracles import BreachError
from tests.mutants.registry import CASES, MUTANTS
from tests.mutants.room import Room

Note = Callable[[str, object], None]


class TestList:
    def test_has_every_mutant_once(self) -> None:
        assert [mutant.number for mutant in MUTANTS] == list(range(1, 23))


@pytest.mark.parametrize("name", CASES)
class TestMutants:
    async def test_the_intact_product_survives(self, name: str, room: Room, record_property: Note) -> None:
        _, case = CASES[name]
        async with operated(room, case.without):
            await case.attack(room)
        assert room.met, "no guard stood in the way: this scenario proves nothing"
        record_property("saw", "; ".join(dict.fromkeys(room.met)))

    async def test_the_mutant_is_caught(self, name: str, room: Room, record_property: Note) -> None:
        _, case = CASES[name]
        async with operated(room, [*case.without, *case.breaks]):
            with pytest.raises(BreachError) as caught:
                await case.attack(room)
        assert case.seen_by in caught.value.seen, caught.value
        record_property("saw", str(caught.value))
