"""Where a scenario takes place: real PostgreSQL, Valkey and payment simulator, opened as far as it asks for them."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from uuid import uuid4

from tests.mutants.surgery import swapped
from tests.support.engines import Engines
from tests.support.identity import Identity
from tests.support.payments import Simulated, Till, client_of
from tests.support.sales import EVENT, put_on_sale
from tests.support.sales_apps import Apps, running_apps
from tests.support.tasks import in_own_task
from tests.support.tokens import TokenFactory

from boxoffice.kernel.ids import UserId
from boxoffice.runtime import database as runtime_database
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.identity.app import build as build_identity
from boxoffice.services.sales.usecases.gather_holds import HoldDesk
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold

PLACES = 40
"""Seats of the event that is on sale; the last ones are for whoever makes a batch of two."""
LOCK_TIMEOUT_MS = 15_000
STATEMENT_TIMEOUT_MS = 20_000
"""Much longer than in production: scenarios wait on purpose, and a busy machine makes the wait longer."""

Path_ = Literal["plain", "gathered"]
"""The two ways to place a hold; each must be safe by itself."""


@dataclass
class Room:
    """One scenario's surroundings. ``met`` tells which guards the scenario ran into: none means that it was boring."""

    engines: Engines
    paypal: Simulated
    redis_url: str
    folder: Path
    stack: AsyncExitStack
    met: list[str] = field(default_factory=list)
    companions: int = 0
    _till: Till | None = None
    _apps: Apps | None = None
    _identity: Identity | None = None
    _sales_url: str = ""

    async def till(self) -> Till:
        """Sales with an event on sale, and the simulator to pay at."""
        if self._till is None:
            self._sales_url = self.stack.enter_context(self.engines.database("sales"))
            with swapped(runtime_database, "LOCK_TIMEOUT_MS", LOCK_TIMEOUT_MS):
                database = await self.stack.enter_async_context(
                    Database.open(self._sales_url, size=12, statement_timeout_ms=STATEMENT_TIMEOUT_MS)
                )
            provider = await self.stack.enter_async_context(client_of(self.paypal.simulator))
            seats = await put_on_sale(database, PLACES)
            self._till = Till(database=database, provider=provider, paypal=self.paypal, seats=seats)
        return self._till

    async def database(self) -> Database:
        """The database of sales."""
        return (await self.till()).database

    async def place(self, path: Path_, wish: Wish, call: IdempotentCall | None = None) -> bytes:
        """Place a hold by one of the two ways; a gathered one has a companion, as a lone one would go the plain way."""
        database = await self.database()
        if path == "plain":
            return await place_hold(database, wish, call)
        seats = (await self.till()).seats
        self.companions += 1
        companion = Wish(user_id=UserId(uuid4()), event_id=EVENT, seat_ids=(seats[-self.companions],))
        async with HoldDesk.open(database) as desk:
            mine, other = await asyncio.gather(desk.place(wish, call), desk.place(companion), return_exceptions=True)
        if isinstance(other, BaseException):
            raise other
        if isinstance(mine, BaseException):
            raise mine
        return mine

    async def sales_url(self) -> str:
        await self.till()
        return self._sales_url

    async def apps(self) -> Apps:
        """The processes of sales, over HTTP, on the same database."""
        if self._apps is None:
            self._apps = await self.stack.enter_async_context(
                running_apps(await self.sales_url(), self.redis_url, TokenFactory(), self.folder)
            )
        return self._apps

    async def identity(self) -> Identity:
        """Identity as its process runs it."""
        if self._identity is None:
            url = self.stack.enter_context(self.engines.database("identity"))
            peers, key_file = Peers({}), self.folder / "tokens.pem"
            self.stack.push_async_callback(peers.close)
            settings = Settings(
                identity_database_url=url, redis_url=self.redis_url, signing_key_file=str(key_file),
                public_url="https://tickets.example.org",
            )  # fmt: skip
            app = build_identity(settings, peers)
            peers.attach("identity", app)
            await self.stack.enter_async_context(in_own_task(app.lifespan()))
            database = await self.stack.enter_async_context(Database.open(url, size=3))
            self._identity = Identity(
                client=peers.client("identity"), database=database, peers=peers, key_file=key_file
            )
        return self._identity

    def meet(self, guard: str) -> None:
        """Note that a guard stood in the way."""
        self.met.append(guard)
