"""Price levels suggested for a hall that concerts are staged in: what an organiser would start from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DEAREST, CHEAPEST = 120, 30
"""For a hall that we know nothing of, in whole units of the currency, from the first section to the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedLevel:
    """A price level at a decimal ``price``; ``seats`` are sections with their rows (none: all), none takes the rest.

    ``types`` are what it is sold as, names and decimal prices, the first at ``price``; none: there is one price.
    """

    name: str
    price: str
    seats: tuple[tuple[str, tuple[str, ...] | None], ...] | None = None
    types: tuple[tuple[str, str], ...] = ()


KNOWN: Mapping[str, tuple[SuggestedLevel, ...]] = {
    "Hong Kong Cultural Centre Concert Hall": (
        SuggestedLevel(name="V.I.P. box", price="1280.00", seats=(("V.I.P. Boxes", None),)),
        SuggestedLevel(name="Front stalls", price="580.00", seats=(("Stalls 1", ("A", "B", "C", "D")),)),
        SuggestedLevel(name="Stalls", price="880.00", seats=(("Stalls 1", None),)),
        SuggestedLevel(name="Rear stalls", price="680.00", seats=(("Stalls 2", None),)),
        SuggestedLevel(name="Front balcony", price="480.00", seats=(("Balcony", ("A", "B", "C", "D", "E", "F")),)),
        SuggestedLevel(name="Balcony", price="280.00"),
    ),
    "Hong Kong City Hall Theatre": (
        SuggestedLevel(
            name="Front", price="380.00", seats=(("Theatre", tuple("ABCDEFGHJ")),),
            types=(("Adult", "380.00"), ("Child", "190.00"), ("Student", "190.00")),
        ),
        SuggestedLevel(
            name="Rear", price="220.00", types=(("Adult", "220.00"), ("Child", "110.00"), ("Student", "110.00"))
        ),
    ),
}  # fmt: skip
"""Prices in HKD for the halls that come with the project."""


def suggest(hall_name: str, sections: Sequence[str]) -> tuple[SuggestedLevel, ...]:
    """Suggest levels: the known ones of a known hall, else one level a section, the first the dearest."""
    if hall_name in KNOWN:
        return KNOWN[hall_name]
    step = (DEAREST - CHEAPEST) / max(1, len(sections) - 1)
    return tuple(
        SuggestedLevel(name=section, price=f"{DEAREST - round(step * at)}.00", seats=((section, None),))
        for at, section in enumerate(sections)
    )
