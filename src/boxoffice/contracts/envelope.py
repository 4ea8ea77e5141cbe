"""The envelope that every message travels in, and how it is written to bytes."""

from datetime import datetime
from typing import TypeVar
from uuid import UUID

import msgspec

T = TypeVar("T")


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One message: ``key`` is the aggregate's id and the unit of order, ``version`` grows with every fact of it."""

    message_id: UUID
    topic: str
    key: str
    type_: str = msgspec.field(name="type")
    version: int
    occurred_at: datetime
    trace: str | None = None
    body: msgspec.Raw = msgspec.Raw(b"null")

    def read(self, shape: type[T]) -> T:
        """Decode the body.

        :raises msgspec.ValidationError: when the body is not of that shape.
        """
        return msgspec.json.decode(self.body, type=shape)
