"""Published totals of a seat map: an importer must reproduce every one of them.

A total counts every place but those that the house keeps. Its name is a section's, or the part that the names of
several sections begin with ("Stalls" is "Stalls 1" and "Stalls 2" together), or "Total": everything.
"""

from collections.abc import Mapping
from dataclasses import dataclass

EVERYTHING = "Total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One total that is not reproduced; ``found`` is none when the name fits no section."""

    section: str
    published: int
    found: int | None

    def __str__(self) -> str:
        """Say it to the person who wrote the file."""
        if self.found is None:
            return f"{self.section}: published {self.published}, but no section has that name"
        return f"{self.section}: published {self.published}, found {self.found}"


def differences(counted: Mapping[str, int], published: Mapping[str, int]) -> list[Difference]:
    """Compare places counted per section with the published totals; an empty list means that all agree."""
    return [
        Difference(section=name, published=number, found=found)
        for name, number in published.items()
        if (found := _found(name, counted)) != number
    ]


def _found(name: str, counted: Mapping[str, int]) -> int | None:
    if name in counted:
        return counted[name]
    if name == EVERYTHING:
        return sum(counted.values())
    group = [number for section, number in counted.items() if section.startswith(f"{name} ")]
    return sum(group) if group else None
