"""Composition root of search: settings to index, consumer, timer and routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from litestar import Litestar
from redis.asyncio import Redis
from redis.exceptions import RedisError

from boxoffice.contracts.http.catalog import get_events
from boxoffice.runtime import jobs, web
from boxoffice.runtime.authn import TokenVerifier
from boxoffice.runtime.bus import open_bus
from boxoffice.runtime.lease import Lease
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.search import api
from boxoffice.services.search.consumers import consumer, retained_sales, rows_consumer
from boxoffice.services.search.jobs import Keeper
from boxoffice.services.search.providers.alias_shelf import AliasShelf
from boxoffice.services.search.providers.engine import IndexInUseError, SearchUnavailableError
from boxoffice.services.search.providers.folder_shelf import FolderShelf
from boxoffice.services.search.providers.kept_answers import KeptAnswers
from boxoffice.services.search.providers.patience import Patience
from boxoffice.services.search.providers.shelf import Shelf
from boxoffice.services.search.usecases.answer import Answers
from boxoffice.services.search.usecases.rebuild import Progress, rebuild
from boxoffice.services.search.usecases.take_changes import Intake

LEASE = "search.index"
"""Of the processes that share a search server one looks after the index."""


def shelf_of(settings: Settings) -> Shelf:
    """Give the place of the index: a search server where one is set, else a folder. Nothing is opened yet."""
    if settings.search_engine_url:
        return AliasShelf(settings.search_engine_url)
    return FolderShelf(Path(settings.search_index_dir))


def keeps_answers(settings: Settings) -> bool:
    """Whether answers are kept: by itself only where the engine is a server, since the embedded one is cheap to ask."""
    return settings.search_cache == "on" or (settings.search_cache == "auto" and bool(settings.search_engine_url))


def build(settings: Settings, peers: Peers) -> Litestar:
    """Build the search service."""
    shelf = shelf_of(settings)
    answers = Answers(shelf)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            redis = Redis.from_url(settings.redis_url)
            stack.push_async_callback(redis.aclose)
            await stack.enter_async_context(_opened(shelf, redis))
            bus = await stack.enter_async_context(open_bus(settings.bus_url, redis))
            if keeps_answers(settings):
                answers.kept = await stack.enter_async_context(KeptAnswers.open(settings.redis_url))
            stack.push_async_callback(answers.close)
            intake = Intake(shelf, answers.drop)
            consumers = [consumer(intake)]
            if settings.outbox_carrier == "connect":
                consumers.append(rows_consumer(shelf, intake, peers))
            keeper = Keeper(
                shelf=shelf,
                intake=intake,
                peers=peers,
                consuming=lambda: bus.consuming(consumers),
                retained=lambda: retained_sales(bus),
                tasks=await stack.enter_async_context(AsyncExitStack()),
            )
            await keeper.consume()
            await stack.enter_async_context(jobs.running([keeper.job]))
            yield

    patience = Patience(shelf, settings.search_patience_ms / 1_000 if settings.search_engine_url else None)

    async def index_answers() -> None:
        """Be ready while anybody can be answered: a process that is taken out of the line answers nobody."""
        try:
            await patience.ask(lambda engine: engine.count())
        except SearchUnavailableError:
            if not patience.limited:
                raise
            await get_events(peers, page_no=0, page_size=1)

    return web.make_app(
        "search",
        routes=[api.search, api.get_all, api.suggest],
        verifier=TokenVerifier(peers.jwks, issuer=settings.token_issuer),
        ready={"index": index_answers},
        lifespan=[lifespan],
        state={"shelf": shelf, "answers": answers, "patience": patience, "peers": peers},
    )


async def rebuild_alone(settings: Settings, peers: Peers, *, progress: Progress) -> int:
    """Rebuild the index while no search process runs; returns how many events it lists.

    :raises IndexInUseError: when one runs: ask it with ``ask_for_rebuild`` instead.
    """
    shelf = shelf_of(settings)
    async with (
        Redis.from_url(settings.redis_url) as redis,
        KeptAnswers.open(settings.redis_url) as kept,
        _opened(shelf, redis),
    ):
        if not shelf.writing:
            raise IndexInUseError("a search process runs and looks after this index")
        async with open_bus(settings.bus_url, redis) as bus:
            intake = Intake(shelf, Answers(shelf, kept).drop)
            return await rebuild(shelf, intake, peers=peers, retained=retained_sales(bus), progress=progress)


@asynccontextmanager
async def _opened(shelf: Shelf, redis: Redis) -> AsyncIterator[None]:
    """Open the index while inside; on a server the first process to hold the lease looks after it."""
    async with AsyncExitStack() as stack:
        stack.callback(shelf.close)
        if isinstance(shelf, AliasShelf):
            lease = Lease(redis, LEASE)
            shelf.leads = lambda: lease.held
            with suppress(RedisError, OSError):  # away: the lease is tried again while we run
                await lease.keep()
            await stack.enter_async_context(lease.kept())
        await asyncio.to_thread(shelf.open)
        yield
