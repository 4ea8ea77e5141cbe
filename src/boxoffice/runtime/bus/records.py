"""An envelope as a Kafka record, in the shape that Debezium's outbox event router writes too.

The value is the body (JSON), the key the aggregate's id; headers are id, type, version, occurredAt and trace.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from boxoffice.contracts.envelope import Envelope

Headers = Sequence[tuple[str, bytes]]


def headers_of(envelope: Envelope) -> list[tuple[str, bytes]]:
    """Write the headers of a message."""
    headers = [
        ("id", str(envelope.message_id).encode()),
        ("type", envelope.type_.encode()),
        ("version", str(envelope.version).encode()),
        ("occurredAt", envelope.occurred_at.isoformat().encode()),
    ]
    return headers if envelope.trace is None else [*headers, ("trace", envelope.trace.encode())]


def plain_of(envelope: Envelope) -> tuple[bytes, bytes | None]:
    """Write key and value of a message."""
    return envelope.key.encode(), bytes(envelope.body)


def envelope_of(record: Any, *, topic: str) -> Envelope:
    """Read a message from a record of a topic.

    :raises ValueError: when it is none: a header is missing or wrong, or the value is no JSON.
    """
    headers = {name: value.decode() for name, value in record.headers or () if value is not None}
    try:
        msgspec.json.decode(record.value)
        return Envelope(
            message_id=UUID(headers["id"]), topic=topic, key=record.key.decode(), type_=headers["type"],
            version=int(headers["version"]), occurred_at=datetime.fromisoformat(headers["occurredAt"]),
            trace=headers.get("trace"), body=msgspec.Raw(record.value),
        )  # fmt: skip
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{record.topic}/{record.partition} at {record.offset} is no message: {error!r}") from error
