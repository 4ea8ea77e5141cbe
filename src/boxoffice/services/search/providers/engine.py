"""What a search engine must do for us; every implementation passes the same tests."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal, Protocol

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.services.search.domain.criteria import Criteria, FacetName
from boxoffice.services.search.domain.listing import Entry

Matching = Literal["exact", "forgiving", "some_words"]
"""How literally the texts were taken: as typed, with typing errors forgiven, or without one of the words."""

SuggestionKind = Literal["event", "composer", "performer", "work", "venue", "city", "category"]


class SearchUnavailableError(DomainError):
    """The index cannot be read now."""

    code: ClassVar[str] = "search.unavailable"
    category: ClassVar[Category] = Category.UNAVAILABLE
    title: ClassVar[str] = "Search does not answer"


class IndexInUseError(Exception):
    """Another process writes to this index; only one may."""


class BrokenIndexError(Exception):
    """The index is missing, damaged, or of another version: it must be built again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetValue:
    """How many of the hits have a value."""

    value: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One page of hits (each with a listing), how many there are in all, and the facets over all of them."""

    hits: Sequence[Entry]
    total: int
    matching: Matching = "exact"
    facets: Mapping[FacetName, Sequence[FacetValue]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What somebody may be about to type; ``count`` events have it."""

    text: str
    kind: SuggestionKind
    count: int


class SearchEngine(Protocol):
    """An index of entries by event id. Entries without a listing are kept (their versions count) but never found."""

    def search(self, criteria: Criteria, *, now: datetime) -> Found:
        """Find events.

        :raises SearchUnavailableError: when the index cannot be read.
        """

    def suggest(self, text: str, *, limit: int, now: datetime) -> Sequence[Suggestion]:
        """Complete what is being typed, best first.

        :raises SearchUnavailableError: when the index cannot be read.
        """

    def entries(self, event_ids: Sequence[int]) -> dict[int, Entry]:
        """Read what the index knows of some events, found or not."""

    def everything(self, batch: int) -> Iterator[Sequence[Entry]]:
        """Walk through all entries, found or not, by event id."""

    def put(self, entries: Sequence[Entry]) -> None:
        """Replace entries in one durable step; they are visible when this returns."""

    def count(self) -> int:
        """Count the entries, found or not."""

    def close(self) -> None:
        """Let go of the index; a writer's claim on it ends."""
