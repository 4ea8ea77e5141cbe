"""``boxoffice messages``: what consumers could not take, and taking it again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from boxoffice.cli import console
from boxoffice.cli.attach import reaching, required
from boxoffice.cli.exits import CommandError, Exit
from boxoffice.cli.options import DEFAULT_DATA_DIR, DataDir, SettingsFile
from boxoffice.runtime.settings import Settings

if TYPE_CHECKING:
    from boxoffice.runtime.bus import Bus

messages = typer.Typer(no_args_is_help=True, help="Messages that a consumer could not take (dead letters).")

Name = Annotated[str, typer.Argument(help="The consumer, as `messages dead` names it.")]
Only = Annotated[str | None, typer.Option(help="Only the message of this id.")]


@messages.command("dead")
def dead(data_dir: DataDir = DEFAULT_DATA_DIR, settings: SettingsFile = None) -> None:
    """List the dead letters of every consumer; ends with 1 when there are any."""
    with reaching(data_dir, needs=["redis_url"], settings_file=settings, migrated=False) as known:
        found = asyncio.run(_list(known))
    if found:
        raise typer.Exit(Exit.FINDINGS)
    console.done("No consumer has dead letters")


@messages.command("replay")
def replay(
    consumer: Name, only: Only = None, data_dir: DataDir = DEFAULT_DATA_DIR, settings: SettingsFile = None
) -> None:
    """Publish a consumer's dead letters to their topics once more. Who took them before does nothing.

    Mend what made them fail first: what fails again becomes a dead letter again.
    """
    with reaching(data_dir, needs=["redis_url"], settings_file=settings, migrated=False) as known:
        replayed, unreadable = asyncio.run(_replay(known, consumer, only))
    if only is not None and not replayed:
        raise CommandError(f"{consumer} has no dead letter {only}; `boxoffice messages dead` lists them.", Exit.REFUSED)
    console.done(f"{replayed} messages were published again")
    if unreadable:
        console.warn(f"{unreadable} are no messages at all and stay where they are")


async def _list(settings: Settings) -> int:
    found = 0
    table = Table("consumer", "message", "topic", "type", "key", "version", "bytes")
    async with _bus(settings) as bus:
        for consumer in await bus.stumbled():
            async for letter in bus.dead_letters(consumer):
                found += 1
                one = letter.envelope
                told = (str(one.message_id), one.topic, one.type_, one.key, str(one.version)) if one else ("?",) * 5
                table.add_row(consumer, *told, str(letter.size))
    if found:
        console.out.print(table)
    return found


async def _replay(settings: Settings, consumer: str, only: str | None) -> tuple[int, int]:
    replayed = unreadable = 0
    async with _bus(settings) as bus:
        if consumer not in (known := await bus.stumbled()):
            raise CommandError(
                f"{consumer} has no dead letters; {', '.join(known) or 'no consumer'} has.", Exit.REFUSED
            )  # fmt: skip
        for letter in [letter async for letter in bus.dead_letters(consumer)]:
            if letter.envelope is None:
                unreadable += 1
            elif only in {None, str(letter.envelope.message_id)}:
                await bus.replay(consumer, letter)
                replayed += 1
    return replayed, unreadable


@asynccontextmanager
async def _bus(settings: Settings) -> "AsyncIterator[Bus]":
    from redis.asyncio import Redis

    from boxoffice.runtime.bus import open_bus

    async with (
        Redis.from_url(required(settings, "redis_url")) as redis,
        open_bus(settings.bus_url, redis) as bus,
    ):  # fmt: skip
        yield bus
