"""``boxoffice search``: the search index."""

import asyncio
import time

import typer

from boxoffice.cli import console
from boxoffice.cli.attach import reaching, required
from boxoffice.cli.exits import CommandError, Exit
from boxoffice.cli.options import DEFAULT_DATA_DIR, DataDir, SettingsFile
from boxoffice.cli.processes import peer_urls
from boxoffice.runtime.settings import Settings

search = typer.Typer(no_args_is_help=True, help="The search index.")

ASKED_S = 600.0
"""Far longer than the largest index takes; the process that writes it may also be stuck."""
LOOK_S = 0.2


@search.callback()
def _group() -> None:
    """Keep `search` a group of commands while it has only one."""


@search.command("rebuild")
def rebuild(data_dir: DataDir = DEFAULT_DATA_DIR, settings: SettingsFile = None) -> None:
    """Build the index again from the catalog, without a moment in which nothing is found."""
    with reaching(data_dir, "catalog", settings_file=settings) as known:
        count = asyncio.run(_alone(known))
        if count is None:
            if not known.search_engine_url:
                required(known, "search_index_dir")
            _ask(known)
            console.done("The running shop rebuilt its index")
        else:
            console.done(f"The index lists {count} events")


async def _alone(settings: Settings) -> int | None:
    """Rebuild here; returns how many events are listed, none when another process writes the index.

    Catalog is asked at its address, or in this process when it has none.
    """
    from contextlib import AsyncExitStack, suppress

    from boxoffice.apps import catalog
    from boxoffice.runtime.peers import Peers
    from boxoffice.services.search.app import rebuild_alone
    from boxoffice.services.search.providers.engine import IndexInUseError

    peers = Peers(peer_urls(settings))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(peers.close)
        if not settings.catalog_url:
            app = catalog.create(settings, peers)
            peers.attach("catalog", app)
            await stack.enter_async_context(app.lifespan())
        with console.counting("Index events") as progress, suppress(IndexInUseError):
            return await rebuild_alone(settings, peers, progress=progress)
    return None


def _ask(settings: Settings) -> None:
    from boxoffice.services.search.app import shelf_of

    shelf = shelf_of(settings)
    try:
        shelf.ask_for_rebuild()
        deadline = time.monotonic() + ASKED_S
        with console.out.status("The running shop rebuilds its index …"):
            while shelf.wanted:
                if time.monotonic() > deadline:
                    raise CommandError("The running shop did not rebuild its index; look at its log.", Exit.PART_FAILED)
                time.sleep(LOOK_S)
                shelf.look()
    finally:
        shelf.close()
