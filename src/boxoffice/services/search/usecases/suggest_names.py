"""Suggest what somebody may be typing."""

from collections.abc import Sequence
from datetime import datetime

from boxoffice.services.search.domain.criteria import MAX_TEXT, BadSearchError
from boxoffice.services.search.domain.words import folded
from boxoffice.services.search.providers.engine import Suggestion
from boxoffice.services.search.providers.shelf import Shelf

MAX_SUGGESTIONS = 10


async def suggest_names(shelf: Shelf, text: str, *, limit: int, now: datetime) -> Sequence[Suggestion]:
    """Complete what is being typed, the most frequent first.

    :raises BadSearchError: when the text or the limit is out of bounds.
    :raises SearchUnavailableError: when the index cannot be read.
    """
    if len(text) > MAX_TEXT:
        raise BadSearchError(
            f"q has {len(text)} characters, {MAX_TEXT} are completed at most",
            errors=[{"field": "q", "message": "is too long"}],
        )
    if not 1 <= limit <= MAX_SUGGESTIONS:
        reason = f"must be 1 to {MAX_SUGGESTIONS}"
        raise BadSearchError(f"limit {reason}", errors=[{"field": "limit", "message": reason}])
    return await shelf.ask(lambda engine: engine.suggest(text, limit=limit, now=now))


def typed_as(text: str, *, limit: int) -> bytes | None:
    """Name what is typed: what is completed alike has one name; none for what is refused."""
    return f"suggest {limit} {folded(text)}".encode() if len(text) <= MAX_TEXT else None
