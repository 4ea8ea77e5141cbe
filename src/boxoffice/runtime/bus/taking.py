"""How a consumer takes what it is given: several in one effect, else one by one; poison is set aside."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import asyncpg
from redis.exceptions import RedisError

from boxoffice.contracts.envelope import Envelope
from boxoffice.kernel.errors import Category, DomainError
from boxoffice.runtime.bus.seam import Consumer
from boxoffice.runtime.telemetry import MESSAGES, log
from boxoffice.runtime.tracing import Delivery

READ_COUNT = 100
"""Messages of one read."""
TRIES = 5
"""After this many a message is poison: it goes to the dead letters and the topic goes on."""
RETRY_PAUSE_S = 0.5
AWAY_PAUSE_S = 5.0
"""Longest pause while something that a consumer needs is away; its message waits however long that takes."""

_log = log(__name__)

Raw = TypeVar("Raw")


class Taking(Generic[Raw]):
    """One consumer's way with what the bus gives it; ``read`` decodes, ``set_aside`` keeps what cannot be taken."""

    def __init__(
        self, consumer: Consumer, *, read: Callable[[Raw], Envelope], set_aside: Callable[[Raw], Awaitable[None]]
    ) -> None:
        self._consumer = consumer
        self._read = read
        self._set_aside = set_aside

    async def together(self, raws: Sequence[Raw]) -> bool:
        """Take messages in one effect; false when the consumer cannot, or failed: then each goes on its own."""
        consumer = self._consumer
        if consumer.take_many is None:
            return False
        try:
            envelopes = [self._read(raw) for raw in raws]
            with Delivery(consumer.name).trying(envelopes):
                await consumer.take_many(envelopes)
        except Exception as error:  # noqa: BLE001 - whatever it was, taking them one by one finds the poison
            _log.exception("messages.failed", consumer=consumer.name, count=len(raws), error=type(error).__name__)
            return False
        MESSAGES.labels(consumer.name, "ok").inc(len(raws))
        return True

    async def one(self, raw: Raw) -> None:
        """Take one message: again while something is away, a few times when it fails, then it is set aside."""
        consumer = self._consumer
        attempt, delivery = 0, Delivery(consumer.name)
        while attempt < TRIES:
            try:
                envelope = self._read(raw)
                with delivery.trying([envelope]):
                    await consumer.take(envelope)
            except Exception as error:  # noqa: BLE001 - a poison message must not stop the others; it is kept and counted
                away = is_away(error)
                attempt += 0 if away else 1
                MESSAGES.labels(consumer.name, "failed").inc()
                _log.warning(
                    "message.failed", consumer=consumer.name, attempt=attempt, away=away,
                    error=f"{type(error).__name__}: {error}", exc_info=not away,
                )  # fmt: skip
                await asyncio.sleep(AWAY_PAUSE_S if away else RETRY_PAUSE_S * attempt)
            else:
                MESSAGES.labels(consumer.name, "ok").inc()
                return
        MESSAGES.labels(consumer.name, "dead").inc()
        _log.error("message.dead", consumer=consumer.name)
        await self._set_aside(raw)


def is_away(error: Exception) -> bool:
    """Whether something that the effect needs is away or busy, so that the message itself may be well."""
    if isinstance(error, DomainError):
        return error.category is Category.UNAVAILABLE
    return isinstance(
        error, OSError | TimeoutError | RedisError | asyncpg.PostgresConnectionError | asyncpg.InterfaceError
    )
