"""``boxoffice connectors``: Debezium's connectors on Kafka Connect, one an outbox and one for the events table."""

import asyncio
import time
from contextlib import closing

import typer
from rich.table import Table

from boxoffice.cli import console
from boxoffice.cli.attach import reaching, required
from boxoffice.cli.exits import CommandError, Exit
from boxoffice.cli.options import DEFAULT_DATA_DIR, DataDir, SettingsFile
from boxoffice.runtime.settings import Settings

connectors = typer.Typer(
    no_args_is_help=True, help="Debezium's connectors, which read the outboxes and the events table."
)

SERVICES = ("identity", "catalog", "sales")
"""Those that tell something."""
READY_S = 600.0
NEEDS = ("connect_url", "bus_url")


@connectors.command("apply")
def apply(data_dir: DataDir = DEFAULT_DATA_DIR, settings: SettingsFile = None) -> None:
    """Make the connectors, or change them to what this version needs; a second time changes nothing.

    Also makes the publications, as the owners of the databases, and the topics. The role in BOXOFFICE_CDC_USER needs
    REPLICATION; its password is CDC_PASSWORD in the environment of the Connect worker.
    """
    with reaching(data_dir, *SERVICES, needs=NEEDS, settings_file=settings) as known:
        apply_all(known)


@connectors.command("status")
def status(data_dir: DataDir = DEFAULT_DATA_DIR, settings: SettingsFile = None) -> None:
    """Show how the connectors are, and how far their slots are behind; ends with 1 when one does not run."""
    with reaching(data_dir, *SERVICES, needs=NEEDS, settings_file=settings) as known:
        rows = asyncio.run(_look(known))
    table = Table("connector", "state", "slot read", "bytes behind", "why")
    for name, state, read, behind, why in rows:
        table.add_row(name, state, "yes" if read else "no", "?" if behind is None else f"{behind:,}", why)
    console.out.print(table)
    if not all(_runs(row) for row in rows):
        raise typer.Exit(Exit.FINDINGS)


def apply_all(known: Settings) -> None:
    """Make the connectors of the settings, and wait until they run.

    :raises CommandError: when one does not.
    :raises ConnectRefusedError: when Kafka Connect does not answer or does not take one.
    """
    from boxoffice.runtime.bus import shop_of
    from boxoffice.runtime.connectors import ConnectApi, connector, readings

    user, shop = required(known, "cdc_user"), shop_of(known.bus_url)
    asyncio.run(_prepare(known, user))
    with closing(ConnectApi(required(known, "connect_url"))) as api:
        for reading in readings(SERVICES, shop):
            url = required(known, f"{reading.service}_database_url")
            name, configuration = connector(reading, url, user=user, shop=shop)
            api.apply(name, configuration)
            console.done(f"{name}: applied")
    _wait(known)


Row = tuple[str, str, bool, int | None, str]


def _runs(row: Row) -> bool:
    _, state, read, _, _ = row
    return state == "RUNNING" and read


def _wait(settings: Settings) -> None:
    deadline = time.monotonic() + READY_S
    with console.step("Wait until they run"):
        while True:
            rows = asyncio.run(_look(settings))
            if all(_runs(row) for row in rows):
                return
            failed = [f"{name}: {why or state}" for name, state, *_, why in rows if state == "FAILED"]
            if failed or time.monotonic() > deadline:
                said = failed or [f"{row[0]}: {row[1]}" for row in rows if not _runs(row)]
                raise CommandError("Not every connector runs:\n" + "\n".join(said), Exit.PART_FAILED)
            time.sleep(0.5)


async def _prepare(settings: Settings, user: str) -> None:
    """Make publications, rights and topics."""
    import asyncpg

    from boxoffice.runtime import connectors as debezium
    from boxoffice.runtime.bus import shop_of
    from boxoffice.runtime.bus.kafka import KafkaBus, servers_of
    from boxoffice.runtime.bus.topics import TOPICS

    shop = shop_of(settings.bus_url)
    for reading in debezium.readings(SERVICES, shop):
        connection = await asyncpg.connect(required(settings, f"{reading.service}_database_url"))
        try:
            if not await connection.fetchval(debezium.HAS_PUBLICATION, reading.publication):
                await connection.execute(reading.make_publication)
            for grant in reading.grants:
                await connection.execute(await connection.fetchval(grant, user))
        finally:
            await connection.close()
    async with KafkaBus(servers_of(settings.bus_url), shop=shop) as bus:
        await bus.make(set(TOPICS))


async def _look(settings: Settings) -> list[Row]:
    import asyncpg

    from boxoffice.runtime.bus import shop_of
    from boxoffice.runtime.connectors import BEHIND, ConnectApi, connector, readings

    shop, rows = shop_of(settings.bus_url), list[Row]()
    with closing(ConnectApi(required(settings, "connect_url"))) as api:
        for reading in readings(SERVICES, shop):
            url = required(settings, f"{reading.service}_database_url")
            name, _ = connector(reading, url, user=settings.cdc_user, shop=shop)
            state = api.state(name)
            connection = await asyncpg.connect(url)
            try:
                slot = await connection.fetchrow(BEHIND, reading.slot)
            finally:
                await connection.close()
            read, behind = (slot["active"], slot["behind"]) if slot else (False, None)
            rows.append((name, state.state, read, None if behind is None else int(behind), state.trace))
    return rows
