"""A row's change, as Debezium tells it, as an envelope: so that consumers of rows are consumers like the others.

The key is the row's id, the version its ``version`` column (0 where the row is gone), the body Debezium's change event.
A record without a value (a tombstone) has the body ``null``. The id is made from the record's place: Debezium may tell
a change twice, and versions make the second one a no-op.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from boxoffice.contracts.envelope import Envelope

GONE = "row.deleted"
TYPES = {"c": "row.inserted", "u": "row.updated", "d": GONE, "r": "row.read"}


class _Key(msgspec.Struct):
    id: int


class _Row(msgspec.Struct):
    version: int | None = None


class _Change(msgspec.Struct):
    op: str
    after: _Row | None = None


def row_of(envelope: Envelope) -> tuple[bytes, bytes | None]:
    """Write key and value as Debezium did."""
    body = bytes(envelope.body)
    return msgspec.json.encode(_Key(int(envelope.key))), None if body == b"null" else body


def envelope_of_row(record: Any, *, topic: str) -> Envelope:
    """Read a change of a row.

    :raises ValueError: when the record is none.
    """
    place = f"{record.topic}/{record.partition}/{record.offset}"
    try:
        key = msgspec.json.decode(record.key or b"", type=_Key)
        change = None if record.value is None else msgspec.json.decode(record.value, type=_Change | None)
        type_ = GONE if change is None else TYPES[change.op]
    except (KeyError, msgspec.DecodeError) as error:
        raise ValueError(f"{place} is no change of a row: {error!r}") from error
    return Envelope(
        message_id=uuid5(NAMESPACE_URL, place), topic=topic, key=str(key.id), type_=type_,
        version=(change.after.version or 0) if change is not None and change.after is not None else 0,
        occurred_at=datetime.fromtimestamp(record.timestamp / 1_000, UTC),
        body=msgspec.Raw(record.value if record.value is not None else b"null"),
    )  # fmt: skip
