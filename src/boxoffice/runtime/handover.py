"""Who carries an outbox where Debezium may: Debezium while its slot is read and moves, else the relay.

Each carries everything from a point at or before the first message that is not on the bus, in the order of commits;
so of two messages of a key the first comes first for the first time, whoever brings it, and what comes twice the inbox
knows. Two things see to that. Debezium begins where its slot began: the relay rests only when it has carried all that
was committed before it saw the slot in use. The relay begins at its mark: while it rests, the mark follows what the
slot has confirmed, and never runs ahead.
"""

import time
from collections import deque

from boxoffice.runtime.bus import shop_of
from boxoffice.runtime.connectors import outbox_slot
from boxoffice.runtime.database import Database
from boxoffice.runtime.settings import Settings
from boxoffice.runtime.telemetry import log

LOOK_EVERY_S = 1.0
GONE_AFTER_S = 3.0
"""A slot that nobody reads for so long: Connect is away."""
STUCK_AFTER_S = 15.0
"""A point that is not confirmed for so long although the slot is read: something behind Connect is away."""

SLOT = """
SELECT active, confirmed_flush_lsn - '0/0'::pg_lsn AS confirmed, pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS now,
  pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next_tx
FROM pg_replication_slots WHERE slot_name = $1
"""
"""Positions in the log as numbers. A commit that a statement sees lies before the position that it reads."""
OLDEST_OPEN = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"

_log = log(__name__)


def handover_of(settings: Settings, service: str, database: Database) -> "Handover | None":
    """Watch the slot of a service's outbox, where the settings say that Debezium carries; else none."""
    if settings.outbox_carrier != "connect":
        return None
    return Handover(database, outbox_slot(service, shop_of(settings.bus_url)))


class Handover:
    """Watches one slot. ``expect`` a mark after its records were seen; ``confirmed`` tells how far Debezium got."""

    def __init__(self, database: Database, slot: str) -> None:
        self._database = database
        self._slot = slot
        self._looked = float("-inf")
        self._active_at = float("-inf")
        self._carries = False
        self._points: deque[tuple[int, str, float]] = deque()
        self._confirmed: str | None = None
        self._catch_up_to = 0
        self._offered: int | None = None
        """What Debezium may not know of: transactions before this one. Set while it could carry and does not yet."""

    async def carries(self) -> bool:
        """Whether Debezium carries now; looked at once a second."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY_S:
            return self._carries
        self._looked = now
        record = await self._database.fetchrow(SLOT, self._slot)
        if record is not None and record["active"]:
            self._active_at = now
        confirmed = int(record["confirmed"] or 0) if record is not None else 0
        while self._points and self._points[0][0] <= confirmed:
            self._confirmed = self._points.popleft()[1]
        carried = self._carries
        if carried:
            is_gone = now - self._active_at > GONE_AFTER_S
            is_stuck = bool(self._points) and now - self._points[0][2] > STUCK_AFTER_S
            self._carries = not is_gone and not is_stuck
            if not self._carries:
                self._points.clear()
                self._catch_up_to = int(record["now"]) if record is not None else 0
                _log.warning("outbox.handover", slot=self._slot, to="relay", gone=is_gone)
        elif record is not None and record["active"] and confirmed >= self._catch_up_to:
            self._offered = int(record["next_tx"]) if self._offered is None else self._offered
        else:
            self._offered = None
        return self._carries

    async def horizon(self) -> int | None:
        """Read which transactions are over, before the outbox is read; none when nothing is to be handed over."""
        return None if self._offered is None else int(await self._database.fetchval(OLDEST_OPEN))

    def carried(self, horizon: int | None) -> None:
        """Hear that everything of transactions before ``horizon`` is on the bus: if that is enough, Debezium has it."""
        if horizon is not None and self._offered is not None and horizon >= self._offered:
            self._carries, self._offered = True, None
            _log.warning("outbox.handover", slot=self._slot, to="connect")

    async def expect(self, mark: str) -> None:
        """Remember that everything up to a mark is committed by now, so that Debezium has yet to confirm it."""
        record = await self._database.fetchrow(SLOT, self._slot)
        if record is not None:
            self._points.append((int(record["now"]), mark, time.monotonic()))

    def confirmed(self) -> str | None:
        """Take the newest mark that Debezium has confirmed since this was asked last."""
        mark, self._confirmed = self._confirmed, None
        return mark

    def waiting_s(self) -> float:
        """Tell for how long the oldest point has waited to be confirmed."""
        return time.monotonic() - self._points[0][2] if self._points else 0.0
