"""Create, change and delete categories, which all organisations share."""

from boxoffice.runtime.database import Connection
from boxoffice.services.catalog.domain.event import Category
from boxoffice.services.catalog.domain.refusals import (
    CategoryInUseError,
    CategoryNotFoundError,
    ChangedMeanwhileError,
)
from boxoffice.services.catalog.store import categories, events
from boxoffice.services.catalog.usecases.tell_event import CHANGED, tell_events


async def create_category(tx: Connection, *, name: str, description: str) -> Category:
    """Create a category.

    :raises CategoryExistsError: when there is one of that name.
    """
    return await categories.insert(tx, name=name.strip(), description=description)


async def change_category(
    tx: Connection, category_id: int, *, name: str, description: str, expected_version: int | None
) -> Category:
    """Change a category, and tell of every event in it when its name changes.

    :raises CategoryNotFoundError: when there is none.
    :raises ChangedMeanwhileError: when it is not the version that the caller has seen.
    :raises CategoryExistsError: when another has that name.
    """
    before = await _locked(tx, category_id)
    if expected_version not in {None, before.version}:
        raise ChangedMeanwhileError(f"It is at version {before.version} now.", version=before.version)
    after = await categories.update(tx, category_id, name=name.strip(), description=description)
    if after.name != before.name:
        await tell_events(tx, await events.touch_of_category(tx, category_id), CHANGED)
    return after


async def delete_category(tx: Connection, category_id: int) -> None:
    """Delete a category without events.

    :raises CategoryNotFoundError: when there is none.
    :raises CategoryInUseError: when it has events.
    """
    await _locked(tx, category_id)
    if not await categories.delete(tx, category_id):
        raise CategoryInUseError("Put its events into another category first.", categoryId=category_id)


async def _locked(tx: Connection, category_id: int) -> Category:
    category = await categories.lock(tx, category_id)
    if category is None:
        raise CategoryNotFoundError("There is no such category.", categoryId=category_id)
    return category
