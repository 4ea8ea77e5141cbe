"""Composition root of search: settings to index, consumer, timer and routes."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from litestar import Litestar
from redis.asyncio import Redis

from boxoffice.runtime import jobs, web
from boxoffice.runtime.authn import TokenVerifier
from boxoffice.runtime.bus import open_bus
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.search import api
from boxoffice.services.search.consumers import consumer, retained_sales
from boxoffice.services.search.jobs import Keeper
from boxoffice.services.search.providers.engine import IndexInUseError
from boxoffice.services.search.providers.shelf import Shelf
from boxoffice.services.search.usecases.rebuild import Progress, rebuild
from boxoffice.services.search.usecases.take_changes import Intake


def build(settings: Settings, peers: Peers) -> Litestar:
    """Build the search service."""
    shelf = Shelf(Path(settings.search_index_dir))

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            shelf.open()
            stack.callback(shelf.close)
            redis = Redis.from_url(settings.redis_url)
            stack.push_async_callback(redis.aclose)
            bus = await stack.enter_async_context(open_bus(settings.bus_url, redis))
            intake = Intake(shelf)
            keeper = Keeper(
                shelf=shelf,
                intake=intake,
                peers=peers,
                consuming=lambda: bus.consuming([consumer(intake)]),
                retained=lambda: retained_sales(bus),
                tasks=await stack.enter_async_context(AsyncExitStack()),
            )
            await keeper.consume()
            await stack.enter_async_context(jobs.running([keeper.job]))
            yield

    async def index_answers() -> None:
        await shelf.ask(lambda engine: engine.count())

    return web.make_app(
        "search",
        routes=[api.search, api.get_all, api.suggest],
        verifier=TokenVerifier(peers.jwks, issuer=settings.token_issuer),
        ready={"index": index_answers},
        lifespan=[lifespan],
        state={"shelf": shelf},
    )


async def rebuild_alone(settings: Settings, peers: Peers, *, progress: Progress) -> int:
    """Rebuild the index while no search process runs; returns how many events it lists.

    :raises IndexInUseError: when one runs: ask it with ``ask_for_rebuild`` instead.
    """
    shelf = Shelf(Path(settings.search_index_dir))
    shelf.open()
    try:
        if not shelf.writing:
            raise IndexInUseError("a search process runs and writes to this index")
        async with Redis.from_url(settings.redis_url) as redis, open_bus(settings.bus_url, redis) as bus:
            retained = retained_sales(bus)
            return await rebuild(shelf, Intake(shelf), peers=peers, retained=retained, progress=progress)
    finally:
        shelf.close()
