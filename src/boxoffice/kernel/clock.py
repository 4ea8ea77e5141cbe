"""Time as the domain sees it: aware instants in UTC. Only the database's clock decides expiry (invariant I6)."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """Write an aware instant as RFC 3339 in UTC with a Z.

    :raises ValueError: when the instant carries no zone.
    """
    if moment.tzinfo is None:
        raise ValueError("an instant needs a zone")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
