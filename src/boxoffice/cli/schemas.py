"""Bring databases to this version before they are used; one that is current costs one query."""

from typing import Any

from boxoffice.runtime.embedded.engines import SERVICES


def migrate_all(settings: Any) -> None:
    """Bring every service's database to the newest schema.

    :raises NewerSchemaError: when a newer version wrote one of them.
    """
    from boxoffice.runtime import revisions

    for service in SERVICES:
        url = getattr(settings, f"{service}_database_url")
        if revisions.current(url) != revisions.newest(service):
            from boxoffice.runtime import migrations

            migrations.migrate(service, url)
