"""A mutant: a named defect, the scenario that it does not survive, and the oracle that must see it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tests.mutants import surgery
from tests.mutants.room import Room

Attack = Callable[[Room], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Defect:
    """One change of the product, made and taken back."""

    operate: Callable[[Room], Awaitable[AbstractAsyncContextManager[None] | AbstractContextManager[None]]]

    @asynccontextmanager
    async def in_force(self, room: Room) -> AsyncIterator[None]:
        """Break the product while inside."""
        async with AsyncExitStack() as stack:
            operation = await self.operate(room)
            if isinstance(operation, AbstractAsyncContextManager):
                await stack.enter_async_context(operation)
            else:
                stack.enter_context(operation)
            yield


def code(function: Callable[..., Any], before: str, after: str, **names: Any) -> Defect:
    """A passage of a function is another one."""

    async def operate(_room: Room) -> AbstractContextManager[None]:
        return surgery.edited(function, before, after, **names)

    return Defect(operate)


def statement(module: ModuleType, name: str, before: str, after: str) -> Defect:
    """A passage of a statement of a store is another one."""

    async def operate(_room: Room) -> AbstractContextManager[None]:
        return surgery.reworded(module, name, before, after)

    return Defect(operate)


def routine(name: str, before: str, after: str, *, every: bool = False) -> Defect:
    """A passage of a function in the sale's database is another one."""

    async def operate(room: Room) -> AbstractAsyncContextManager[None]:
        return surgery.rewritten(await room.database(), name, before, after, every=every)

    return Defect(operate)


def schema(sql: str) -> Defect:
    """The sale's database lacks something, or has something that it should not have."""

    @asynccontextmanager
    async def change(room: Room) -> AsyncIterator[None]:
        await (await room.database()).fetch(sql)
        yield

    async def operate(room: Room) -> AbstractAsyncContextManager[None]:
        return change(room)

    return Defect(operate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way to attack a mutant's guard.

    ``without`` are guards that would hide its loss: they are off in the control too, which shows that this guard alone
    is enough; ``breaks`` is the defect itself.
    """

    name: str
    attack: Attack
    breaks: Sequence[Defect]
    seen_by: str
    without: Sequence[Defect] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One entry of the list. It counts as caught when every one of its cases is."""

    number: int
    name: str
    breaks: str
    cases: Sequence[Case]

    @property
    def oracle(self) -> str:
        """Which oracles must see it."""
        return ", ".join(dict.fromkeys(case.seen_by for case in self.cases))


@asynccontextmanager
async def operated(room: Room, defects: Sequence[Defect]) -> AsyncIterator[None]:
    """Put defects in force, in order."""
    async with AsyncExitStack() as stack:
        for defect in defects:
            await stack.enter_async_context(defect.in_force(room))
        yield
