"""Fences: a seat's number goes up with every change of owner, never down, and names one owner (I1).

Looks may be far apart (a seat changes hands between two of them) or complete (from :data:`WATCH`, a trigger that notes
every change); both are checked the same way, and a complete record must have no gap either.
"""

from collections.abc import Iterable
from dataclasses import dataclass

WATCH = """
CREATE TABLE IF NOT EXISTS seat_changes (
  change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  seat_id bigint NOT NULL, fence bigint NOT NULL, owner uuid, state text NOT NULL);
CREATE OR REPLACE FUNCTION note_seat_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO seat_changes (seat_id, fence, owner, state) VALUES (NEW.seat_id, NEW.fence, NEW.order_id, NEW.state);
  RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER watch_seats AFTER UPDATE ON event_seats FOR EACH ROW EXECUTE FUNCTION note_seat_change();
"""
WATCHED = "SELECT seat_id, fence, owner::text AS owner FROM seat_changes ORDER BY change_id"
LOOK = "SELECT seat_id, fence, order_id::text AS owner FROM event_seats WHERE event_id = $1 AND fence > 0"


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at one seat; looks at a seat come in the order of time."""

    seat: int
    fence: int
    owner: str | None


def violations(looks: Iterable[Seen], *, complete: bool = False) -> list[str]:
    """Find numbers that went down, owners that changed under one number, and (complete) numbers that were skipped."""
    found = []
    last: dict[int, Seen] = {}
    for look in looks:
        before = last.get(look.seat)
        last[look.seat] = look
        if before is None:
            continue
        if look.fence < before.fence:
            found.append(f"seat {look.seat}: the fence went from {before.fence} down to {look.fence}")
        elif look.fence == before.fence and look.owner != before.owner:
            found.append(f"seat {look.seat}: from {before.owner} to {look.owner} under the one fence {look.fence}")
        elif complete and look.fence > before.fence + 1:
            found.append(f"seat {look.seat}: the fence jumped from {before.fence} to {look.fence}")
    return found
