"""How a question is read, whichever engine answers: which words must stand where, what they are worth, which filters.

User text never reaches a query parser: only folded words get here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from boxoffice.services.search.domain.criteria import MAX_WORDS, Criteria
from boxoffice.services.search.domain.words import OPTIONAL, words
from boxoffice.services.search.providers.contents import MAX_KEY, TEXT_FIELDS, seconds
from boxoffice.services.search.providers.engine import Matching
from boxoffice.services.search.providers.nearby import PointsIn, nearby

WEIGHTS: dict[str, float] = {
    "name": 8.0, "composers": 6.0, "performers": 5.0, "works": 4.0, "category": 3.0, "venue": 3.0, "place": 2.0,
    "description": 1.0,
}  # fmt: skip
"""What a word is worth by where it stands: the name of the event above who wrote or plays it, above where it is."""
RARITY_WEIGHT = 0.1
"""How much of BM25 (rare words, short fields, repetition) counts on top; more of it would let a rare mention in a
long programme win over the composer of that name."""
PREFIX_WEIGHT = 0.4
"""A word that only begins as typed, against a whole word in the same place."""
ONE_ERROR_WEIGHT, TWO_ERRORS_WEIGHT = 0.5, 0.25
PHRASE_WEIGHT = 0.5
"""Words that stand side by side as typed, on top of what each of them is worth."""
PIECE_WEIGHT = 4.0
"""Words that belong to one piece: Beethoven's ninth, not Dvořák's beside Beethoven's first."""
CLOSE_SLOP, CLOSE_WEIGHT = 2, 2.0
"""Closer still: "beethoven 9" is the symphony no. 9 before a trio for violin, viola and cello, op. 9."""
OTHER_FIELDS = 0.1
"""How much a word's second-best field adds to its best."""
MIN_PREFIX = 2
"""Letters from which the last word may be a beginning."""
UPCOMING_WEIGHT = 0.5
"""Among equals what can still be attended comes first, even before the exact order within a page is made."""

ENOUGH = 3
"""With fewer hits as typed, typing errors are forgiven."""
WINDOW = 1_000
"""Hits that are brought into their exact order at once: closeness in steps, then date."""
STEPS = 10
"""Hits whose scores lie within one tenth of the best score are equally close; then the date decides."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """Words that an event must have in some of the fields. Only in a ``loose`` one may a word be missing."""

    words: tuple[str, ...]
    fields: tuple[str, ...]
    loose: bool = False

    @property
    def needed(self) -> tuple[str, ...]:
        """The words that count; all of them when none carries a meaning of its own."""
        return tuple(word for word in self.words if word not in OPTIONAL) or self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A span of a field in Unix seconds: from ``lower`` on, ``below`` exclusive; none: no end."""

    field: str
    lower: int | None = None
    below: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The texts of a question, and the filters that hold however the texts are read: days, names taken exactly, where.

    ``within``: the points that are near, each with its distance in kilometres; none: anywhere at all.
    """

    clauses: tuple[Clause, ...]
    exact: tuple[tuple[str, str], ...]
    days: tuple[Range, ...]
    within: Mapping[str, float] | None = None
    impossible: bool = False
    """A text was given that has no word in it ("???"), or no event is near: nothing can match."""

    @property
    def matchings(self) -> tuple[Matching, ...]:
        """How the texts may be read, strictest first."""
        if not self.clauses:
            return ("exact",)
        if any(clause.loose and len(clause.needed) > 1 for clause in self.clauses):
            return ("exact", "forgiving", "some_words")
        return ("exact", "forgiving")


def plan(criteria: Criteria, *, known: Callable[[str, str], bool], points_in: PointsIn) -> Plan:
    """Read the texts and filters of a question; ``known`` tells whether any event has exactly a name in a field.

    :raises BadSearchError: when too many points are near to be measured.
    """
    given = (
        (criteria.q, TEXT_FIELDS, True),
        (criteria.keywords, TEXT_FIELDS, True),
        (criteria.event_name, ("name",), False),
        (criteria.location, ("place",), False),
        (criteria.description, ("description",), False),
    )
    texts = [(words(text)[:MAX_WORDS], fields, loose) for text, fields, loose in given if text]
    names: list[tuple[str, str]] = []
    for text, field in ((criteria.venue_name, "venue"), (criteria.category, "category")):
        if text:
            exact = " ".join(words(text))[:MAX_KEY]
            if exact and known(f"{field}_exact", exact):
                names.append((f"{field}_exact", exact))
            else:
                texts.append((words(text)[:MAX_WORDS], (field,), False))
    within = nearby(criteria.near, points_in) if criteria.near else None
    return Plan(
        clauses=tuple(Clause(words=tuple(found), fields=fields, loose=loose) for found, fields, loose in texts),
        exact=tuple(names),
        days=_days(criteria),
        within=within,
        impossible=any(not found for found, _, _ in texts) or within == {},
    )


def enough(matching: Matching, total: int | None) -> bool:
    """Whether the hits so far (none: not asked yet) make it needless to read the texts in one more way."""
    return total is not None and (total >= ENOUGH or (matching == "some_words" and total > 0))


def nearest_first(hits: Sequence[tuple[float, int, T]], *, best: float, instant: int) -> list[T]:
    """Order hits (score, Unix seconds of the start, what it is) by closeness in steps, upcoming first, nearest date."""
    ranked = sorted(
        (-round(score / best * STEPS), starts_at < instant, abs(starts_at - instant), place)
        for place, (score, starts_at, _) in enumerate(hits)
    )
    return [hits[place][2] for *_, place in ranked]


def _days(criteria: Criteria) -> tuple[Range, ...]:
    found = []
    for bound, is_lower in ((criteria.since, True), (criteria.until, False)):
        if bound is not None:
            field, at = "local_at" if bound.is_local else "starts_at", seconds(bound.at)
            found.append(Range(field=field, lower=at if is_lower else None, below=None if is_lower else at))
    return tuple(found)
