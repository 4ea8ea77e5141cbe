"""``boxoffice load``: halls and concerts from files."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias
from uuid import UUID

import typer

from boxoffice.cli import console
from boxoffice.cli.attach import reaching
from boxoffice.cli.exits import CommandError, Exit
from boxoffice.cli.options import DEFAULT_DATA_DIR, DataDir, SettingsFile
from boxoffice.runtime.settings import Settings

if TYPE_CHECKING:
    from boxoffice.runtime.database import Database
    from boxoffice.services.catalog.domain.prices import SuggestedLevel
    from boxoffice.services.catalog.usecases.import_concerts import ImportedConcerts, Options
    from boxoffice.services.catalog.usecases.import_hall import ImportedHall

load = typer.Typer(no_args_is_help=True, help="Load halls and concerts from files.")

Organisation: TypeAlias = Annotated[
    UUID | None,
    typer.Option(help="Organisation that it belongs to; default: the oldest one, made when there is none."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What ``load concerts`` was asked for."""

    files: Sequence[Path]
    halls: Sequence[Path]
    price_levels: Path | None
    organisation: UUID | None
    season: str | None
    shift_weeks: int
    starts_in_weeks: int | None
    at_most: int | None
    currency: str


@load.command("hall")
def hall(
    file: Annotated[Path, typer.Argument(help="Seat map in the format hall/1.", exists=True, dir_okay=False)],
    organisation: Organisation = None,
    time_zone: Annotated[
        str | None, typer.Option(help="Zone of the hall (IANA); default: told by its address.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    settings: SettingsFile = None,
) -> None:
    """Import a hall: its venue and its seat map, if it reproduces its published totals. Again: changes nothing."""
    from boxoffice.services.catalog.usecases.import_hall import import_hall

    async def run(known: Settings) -> "ImportedHall":
        from boxoffice.cli.demo import databases

        async with databases(known) as opened:
            owner = organisation or await _default_organisation(opened.identity)
            return await import_hall(opened.catalog, file, organisation=owner, time_zone=time_zone)

    with reaching(data_dir, "identity", "catalog", "sales", settings_file=settings) as known:
        imported = asyncio.run(run(known))
    _show_hall(imported)


@load.command("concerts")
def concerts(
    *,
    files: Annotated[
        list[Path], typer.Argument(help="Files of the performance history (.json.gz).", exists=True, dir_okay=False)
    ],
    season: Annotated[str | None, typer.Option(help='One season ("2025-26"), or "newest"; default: all.')] = None,
    shift_weeks: Annotated[int, typer.Option(help="Move everything by so many whole weeks.")] = 0,
    starts_in_weeks: Annotated[
        int | None,
        typer.Option(min=0, help="Move each season so that it starts so many weeks from now at the earliest."),
    ] = None,
    in_hall: Annotated[
        list[Path] | None,
        typer.Option(
            help="Stage the concerts in this hall and put them on sale; several are tried in order.", exists=True
        ),
    ] = None,
    price_levels: Annotated[
        Path | None,
        typer.Option(
            help='Price levels as JSON, [{"name", "price", "seats"?: [{"section", "rows"?}], '
            '"ticketTypes"?: [{"name", "price"}]}]; default: suggested.',
            exists=True,
        ),
    ] = None,
    currency: Annotated[str, typer.Option(help="Currency of the prices (ISO 4217).")] = "USD",
    at_most: Annotated[int | None, typer.Option(min=1, help="Import only the earliest so many.")] = None,
    organisation: Organisation = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    settings: SettingsFile = None,
) -> None:
    """Import concerts as published events; what cannot be read is listed with its reason. Again: changes nothing."""
    asked = Asked(
        files=files, halls=in_hall or [], price_levels=price_levels, organisation=organisation, season=season,
        shift_weeks=shift_weeks, starts_in_weeks=starts_in_weeks, at_most=at_most, currency=currency,
    )  # fmt: skip
    if price_levels is not None and len(asked.halls) != 1:
        raise CommandError("Price levels are for one hall: give --in-hall once.", Exit.USAGE)
    with reaching(data_dir, "identity", "catalog", "sales", settings_file=settings) as known:
        _show_concerts(asyncio.run(_import(known, asked)))


async def _import(settings: Settings, asked: Asked) -> "ImportedConcerts":
    from boxoffice.cli.demo import databases
    from boxoffice.cli.staging import levels, open_halls
    from boxoffice.services.catalog.usecases.import_concerts import import_concerts
    from boxoffice.services.catalog.usecases.import_hall import import_hall
    from boxoffice.services.catalog.usecases.stage_demo import staged

    suggested = _levels(asked.price_levels) if asked.price_levels else None
    levels(suggested or (), asked.currency)  # read the prices before anything is written
    async with databases(settings) as opened:
        owner = asked.organisation or await _default_organisation(opened.identity)
        halls = [await import_hall(opened.catalog, file, organisation=owner) for file in asked.halls]
        with console.counting("Import concerts") as progress:
            imported = await import_concerts(
                opened.catalog, asked.files, organisation=owner, options=_options(asked, halls), progress=progress
            )
        if halls:
            to_open = [staged(hall, imported, asked.currency) for hall in halls]
            if suggested is not None:
                to_open = [replace(one, levels=suggested) for one in to_open]
            with console.counting("Put concerts on sale") as progress:
                opened_now = await open_halls(opened.sales, to_open, progress=progress)
            console.done(f"{opened_now} concerts put on sale")
    return imported


def _options(asked: Asked, halls: "Sequence[ImportedHall]") -> "Options":
    from boxoffice.services.catalog.usecases.import_concerts import Options
    from boxoffice.services.catalog.usecases.stage_demo import stage_of

    return Options(
        season=asked.season, shift_weeks=asked.shift_weeks, starts_in_weeks=asked.starts_in_weeks,
        stages=tuple(stage_of(hall) for hall in halls), at_most=asked.at_most, currency=asked.currency,
    )  # fmt: skip


def _levels(file: Path) -> "tuple[SuggestedLevel, ...]":
    """Read price levels in the shape of the API.

    :raises CommandError: when the file is not of that shape.
    """
    import msgspec

    from boxoffice.services.catalog.domain.prices import SuggestedLevel

    class Match(msgspec.Struct, forbid_unknown_fields=True):
        section: str
        rows: tuple[str, ...] | None = None

    class Type(msgspec.Struct, forbid_unknown_fields=True):
        name: str
        price: str

    class Level(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
        name: str
        price: str
        seats: tuple[Match, ...] | None = None
        ticket_types: tuple[Type, ...] = ()

    try:
        read = msgspec.json.decode(file.read_bytes(), type=list[Level])
    except (msgspec.MsgspecError, OSError) as error:
        raise CommandError(f"{file} holds no price levels: {error}", Exit.REFUSED) from error
    return tuple(
        SuggestedLevel(
            name=level.name,
            price=level.price,
            seats=None if level.seats is None else tuple((match.section, match.rows) for match in level.seats),
            types=tuple((one.name, one.price) for one in level.ticket_types),
        )
        for level in read
    )


async def _default_organisation(identity: "Database") -> UUID:
    from boxoffice.services.identity.usecases.ensure_organisation import ensure_organisation

    return await ensure_organisation(identity)


def _show_hall(imported: "ImportedHall") -> None:
    from collections import Counter

    from boxoffice.contracts.hall import seats

    counted = Counter(seat.section for seat in seats(imported.hall) if seat.sellable)
    total = sum(counted.values())
    published = imported.hall.published_totals
    what = "imported" if imported.changed else "unchanged"
    console.done(f"{imported.hall.name}: {total:,} seats as published, venue {imported.venue.id}, {what}")
    for section, count in counted.items():
        said = f" (published: {published[section]:,})" if section in published else ""
        console.out.print(f"    {section}: {count:,}{said}")


def _show_concerts(imported: "ImportedConcerts") -> None:
    console.done(
        f"{imported.read:,} concerts read: {imported.created:,} new, {imported.changed:,} changed, "
        f"{imported.unchanged:,} unchanged, {imported.not_chosen:,} not chosen, {len(imported.left_out):,} left out"
    )
    for heading, entries in (("Left out", imported.left_out), ("In as published, but odd", imported.remarks)):
        if entries:
            console.out.print(f"{heading}:")
        for entry in entries:
            console.out.print(f"    {entry.concert}: {entry.reason}", markup=False, soft_wrap=True)
