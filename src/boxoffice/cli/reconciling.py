"""``boxoffice reconcile``: after a restore, bring back what was paid since, or give the money back (I2, I22)."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from boxoffice.cli import console
from boxoffice.cli.attach import reaching, required
from boxoffice.cli.exits import CommandError, Exit
from boxoffice.cli.options import DEFAULT_DATA_DIR, DataDir, SettingsFile

if TYPE_CHECKING:
    from boxoffice.kernel.ids import UserId
    from boxoffice.runtime.settings import Settings
    from boxoffice.services.sales.usecases.recover_sales import Recovered

BEFORE = timedelta(hours=1)
"""Looked at before the restored instant too: the provider's clock is another one, and a second look changes nothing."""
MOST = timedelta(days=30)
"""As much as PayPal lists in one call."""


def reconcile(
    *,
    since: Annotated[
        str | None, typer.Option(help="From this instant on; default: an hour before the restored one.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    settings: SettingsFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON, one a line.")] = False,
) -> None:
    """After a restore: ask the payment provider what moved since, and bring the shop's books to it.

    Paid orders that are lost are made again if their seats can be had, else the money goes back; tickets whose refunds
    are lost are void again. Ends with 1 when a person has to look at something. Run it before the shop opens, and again
    some hours later: PayPal lists what moved up to three hours late. Running it twice changes nothing more.
    """
    from boxoffice.cli.backups import instant

    begin = instant(since) or _restored(data_dir)
    with reaching(data_dir, "sales", "identity", settings_file=settings) as known:
        found = asyncio.run(_recover(known, begin))
    for one in found if as_json else []:
        typer.echo(
            json.dumps({"fate": one.fate.value, "ref": one.provider_ref, "order": str(one.order_id), "why": one.why})
        )
    if not as_json:
        _show(found)
    if any(one.fate.value == "left" for one in found):
        raise typer.Exit(int(Exit.FINDINGS))


def _restored(data_dir: Path) -> datetime:
    from boxoffice.runtime.embedded.restoring import read_note

    note = read_note(data_dir)
    if note is None:
        raise CommandError(f"{data_dir} was not restored; say with --since from when on to look.", Exit.USAGE)
    return note.lost_after - BEFORE


async def _recover(settings: "Settings", begin: datetime) -> "list[Recovered]":
    from boxoffice.runtime.barcodes import KeyRing
    from boxoffice.runtime.database import Database
    from boxoffice.services.identity.store import users
    from boxoffice.services.sales.providers.opened import open_providers
    from boxoffice.services.sales.usecases.recover_sales import Recovery, recover
    from boxoffice.services.sales.usecases.settle_payment import Settling

    now = datetime.now(UTC)
    if now - begin > MOST:
        raise CommandError(f"The provider lists {MOST.days} days at most; choose a later --since.", Exit.USAGE)
    signer = KeyRing.from_file(Path(required(settings, "ticket_key_file")))
    async with (
        Database.open(required(settings, "sales_database_url"), size=4, name="reconcile") as sales,
        Database.open(required(settings, "identity_database_url"), size=1, name="reconcile") as identity,
        open_providers(settings) as providers,
    ):
        if not providers:
            raise CommandError("No payment provider is set (BOXOFFICE_PAYPAL_API_URL and its like).", Exit.BAD_SETTINGS)

        async def has_account(user_id: "UserId") -> bool:
            async with identity.connection() as connection:
                account = await users.by_id(connection, user_id)
            return account is not None and account.state.value != "erased"

        till = Settling(database=sales, providers=providers, signer=signer)
        found: list[Recovered] = []
        for provider in providers.values():
            recovery = Recovery(till=till, provider=provider, has_account=has_account)
            found += await recover(recovery, begin, now + timedelta(minutes=1))
        return found


def _show(found: "list[Recovered]") -> None:
    if not found:
        console.done("The provider's books and ours agree")
        return
    table = Table("what became of it", "at the provider", "booking", "why")
    for one in found:
        table.add_row(one.fate.value.replace("_", " "), one.provider_ref, str(one.order_id or ""), one.why)
    console.out.print(table)
