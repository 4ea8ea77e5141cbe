"""What a message bus is to the services: publish with a mark, read again, run consumers.

Delivery is at least once and in order for each key; consumers note what they took in their inbox (I8).
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec

from boxoffice.contracts.envelope import Envelope
from boxoffice.kernel.errors import Category, DomainError

Take = Callable[[Envelope], Awaitable[None]]
TakeMany = Callable[[Sequence[Envelope]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """``take`` must be idempotent: it gets every message of the topics at least once.

    With ``take_many`` messages of one read (at most a hundred, in order) are taken in one effect; when it fails they
    are taken again one by one, so that one poison message does not stop its neighbours.
    """

    name: str
    topics: Sequence[str]
    take: Take
    take_many: TakeMany | None = None
    replaces: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By topic, consumers that are no more: what they never take would keep a stream from being trimmed."""


class BusFullError(DomainError):
    """A consumer is so far behind that no more is published; the outbox keeps what there is."""

    code: ClassVar[str] = "runtime.bus_full"
    category: ClassVar[Category] = Category.UNAVAILABLE
    title: ClassVar[str] = "A consumer is too far behind"


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that a consumer could not take: ``position`` names it on the bus; no envelope when it is none."""

    position: str
    envelope: Envelope | None
    size: int


class Bus(ABC):
    """Publishes envelopes and runs consumers."""

    @abstractmethod
    async def publish(self, envelopes: Sequence[Envelope], *, mark: tuple[str, str], after: str | None) -> bool:
        """Append messages and set ``mark`` (key, value), all of it or nothing.

        Nothing, and false, when the mark is not ``after`` any more: the bus was emptied or replaced meanwhile, or
        somebody else publishes under this key; what was forgotten has to be carried first.

        :raises BusFullError: when a consumer is too far behind.
        """

    @abstractmethod
    async def mark(self, key: str) -> str | None:
        """Read how far a relay has published; none on an empty bus."""

    @abstractmethod
    def retained(self, topic: str) -> AsyncIterator[Envelope]:
        """Read again what a topic still keeps, of each key oldest first, without acknowledging anything."""

    @abstractmethod
    def consuming(self, consumers: Sequence[Consumer]) -> AbstractAsyncContextManager[None]:
        """Run consumers while inside; a message is acknowledged after its effect only."""

    @abstractmethod
    async def behind(self, consumer: str, topic: str) -> int | None:
        """Count the messages of a topic that a consumer has yet to take; none when it never consumed it."""

    @abstractmethod
    async def stumbled(self) -> list[str]:
        """Name the consumers that have dead letters, or had some."""

    @abstractmethod
    def dead_letters(self, consumer: str) -> AsyncIterator[DeadLetter]:
        """Read what a consumer could not take and nobody has replayed since, oldest first."""

    @abstractmethod
    async def replay(self, consumer: str, letter: DeadLetter) -> None:
        """Publish a dead letter to its topic once more, under its own id, and drop it from the dead letters.

        Who took it before knows its id and does nothing.
        """


class Lines(msgspec.Struct, frozen=True, kw_only=True):
    """Messages as text, in order, each a line: its topic, its type, and its JSON from behind the topic, tabs between.

    ``topics`` counts them by topic, copies included; ``copies`` names for some types a second topic.
    """

    text: bytes
    topics: Mapping[str, int]
    copies: Mapping[str, str]


class LineBus(Bus):
    """A bus that takes apart text by itself: what is on its way to it need not be read by whoever carries it."""

    @abstractmethod
    async def publish_lines(self, lines: Lines, *, mark: tuple[str, str], after: str | None) -> bool:
        """Append messages and set ``mark``, all of it or nothing, as :meth:`publish` does."""


DEAD_LETTER = "dead-letter."


def dead_letter_topic(consumer: str) -> str:
    """Name the topic that keeps what a consumer could not take."""
    return DEAD_LETTER + consumer
