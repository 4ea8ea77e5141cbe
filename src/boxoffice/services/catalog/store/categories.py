"""Categories in the database."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from boxoffice.runtime.database import Connection, Database
from boxoffice.services.catalog.domain.event import Category
from boxoffice.services.catalog.domain.refusals import CategoryExistsError

COLUMNS = "SELECT id, name, description, version FROM categories "
ONE = COLUMNS + "WHERE id = $1"
# KEY SHARE: a category that gets an event must not be deleted meanwhile.
FOR_EVENT = COLUMNS + "WHERE id = $1 FOR KEY SHARE"
LOCKED = COLUMNS + "WHERE id = $1 FOR UPDATE"
PAGE = COLUMNS + "ORDER BY id LIMIT $1 OFFSET $2"
COUNT = "SELECT count(*) FROM categories"
INSERT = "INSERT INTO categories (name, description) VALUES ($1, $2) RETURNING id, name, description, version"
UPDATE = """
UPDATE categories SET name = $2, description = $3, version = version + 1 WHERE id = $1
RETURNING id, name, description, version
"""
ENSURE = "INSERT INTO categories (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING"
NAMED = "SELECT lower(name) AS name, id FROM categories WHERE lower(name) = ANY ($1::text[])"
IN_USE = "SELECT EXISTS (SELECT FROM events WHERE category_id = $1 AND status <> 'deleted')"
LET_GO = "UPDATE events SET category_id = NULL WHERE category_id = $1 AND status = 'deleted'"
DELETE = "DELETE FROM categories WHERE id = $1"


def read(record: Any) -> Category:
    """Read a record of ``COLUMNS``."""
    return Category(**dict(record))


async def find(database: Database | Connection, category_id: int) -> Category | None:
    """Find a category."""
    record = await database.fetchrow(ONE, category_id)
    return read(record) if record else None


async def share_for_event(tx: Connection, category_id: int) -> Category | None:
    """Find a category for an event; it is not deleted before the transaction ends."""
    record = await tx.fetchrow(FOR_EVENT, category_id)
    return read(record) if record else None


async def lock(tx: Connection, category_id: int) -> Category | None:
    """Find a category and keep it until the end of the transaction."""
    record = await tx.fetchrow(LOCKED, category_id)
    return read(record) if record else None


async def page(database: Database, *, limit: int, offset: int) -> tuple[list[Category], int]:
    """List categories by id, and count them all."""
    records = await database.fetch(PAGE, limit, offset)
    return [read(record) for record in records], await database.fetchval(COUNT)


async def insert(tx: Connection, *, name: str, description: str) -> Category:
    """Make a category.

    :raises CategoryExistsError: when there is one of that name.
    """
    try:
        return read(await tx.fetchrow(INSERT, name, description))
    except asyncpg.UniqueViolationError as error:
        raise CategoryExistsError(f"There is a category {name!r}.", name=name) from error


async def update(tx: Connection, category_id: int, *, name: str, description: str) -> Category:
    """Change a locked category.

    :raises CategoryExistsError: when another has that name.
    """
    try:
        return read(await tx.fetchrow(UPDATE, category_id, name, description))
    except asyncpg.UniqueViolationError as error:
        raise CategoryExistsError(f"There is a category {name!r}.", name=name) from error


async def ensure(tx: Connection, names: Sequence[str]) -> dict[str, int]:
    """Make the categories that are missing; returns ids by name in lower case."""
    await tx.execute(ENSURE, sorted(names))
    records = await tx.fetch(NAMED, [name.lower() for name in names])
    return {record["name"]: record["id"] for record in records}


async def delete(tx: Connection, category_id: int) -> bool:
    """Delete a locked category unless it has events; says whether it did."""
    if await tx.fetchval(IN_USE, category_id):
        return False
    await tx.execute(LET_GO, category_id)
    await tx.execute(DELETE, category_id)
    return True
