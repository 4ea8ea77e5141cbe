"""Suggest what somebody may be typing."""

from collections.abc import Sequence
from datetime import datetime

from boxoffice.contracts.http.catalog import Peers
from boxoffice.services.search.domain.criteria import MAX_TEXT, BadSearchError
from boxoffice.services.search.domain.words import folded
from boxoffice.services.search.providers.engine import SearchUnavailableError, Suggestion
from boxoffice.services.search.providers.patience import Patience
from boxoffice.services.search.usecases.find_without_index import AWAY, suggest_without_index

MAX_SUGGESTIONS = 10


async def suggest_names(
    patience: Patience, peers: Peers, text: str, *, limit: int, now: datetime
) -> Sequence[Suggestion]:
    """Complete what is being typed, the most frequent first; while a search server is away, by names of events only.

    :raises BadSearchError: when the text or the limit is out of bounds.
    :raises SearchUnavailableError: when the index cannot be read, and nobody else answers.
    """
    if len(text) > MAX_TEXT:
        raise BadSearchError(
            f"q has {len(text)} characters, {MAX_TEXT} are completed at most",
            errors=[{"field": "q", "message": "is too long"}],
        )
    if not 1 <= limit <= MAX_SUGGESTIONS:
        reason = f"must be 1 to {MAX_SUGGESTIONS}"
        raise BadSearchError(f"limit {reason}", errors=[{"field": "limit", "message": reason}])
    try:
        return await patience.ask(lambda engine: engine.suggest(text, limit=limit, now=now))
    except SearchUnavailableError as away:
        if not patience.limited:
            raise
        try:
            return await suggest_without_index(peers, text, limit=limit, now=now)
        except AWAY:
            raise away from None


def typed_as(text: str, *, limit: int) -> bytes | None:
    """Name what is typed: what is completed alike has one name; none for what is refused."""
    return f"suggest {limit} {folded(text)}".encode() if len(text) <= MAX_TEXT else None
