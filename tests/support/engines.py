"""The engines of one test worker, and quick copies of migrated databases."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import pytest
from psycopg2 import sql

from boxoffice.runtime import migrations, revisions
from boxoffice.runtime.embedded import postgres, valkey

PASSWORD = "of-a-throw-away-server"


@dataclass
class Engines:
    """One PostgreSQL and one Valkey; databases are copies of templates that were migrated once."""

    admin_url: str
    redis_url: str
    folder: Path
    _templates: dict[str, str] = field(default_factory=dict)
    _counter: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @contextmanager
    def database(self, service: str) -> Iterator[str]:
        """Lend a fresh, migrated database of one service."""
        name = f"{service}_{next(self._counter)}"
        self._admin(sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log"), name, self._template(service))
        try:
            yield _with_database(self.admin_url, name)
        finally:
            self._admin(sql.SQL("DROP DATABASE {} WITH (FORCE)"), name)

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        """Lend a database without any table, for tests of migrations themselves."""
        name = f"empty_{next(self._counter)}"
        self._admin(sql.SQL("CREATE DATABASE {}"), name)
        try:
            yield _with_database(self.admin_url, name)
        finally:
            self._admin(sql.SQL("DROP DATABASE {} WITH (FORCE)"), name)

    def _template(self, service: str) -> str:
        if service not in self._templates:
            if not list((revisions.root() / service / "versions").glob("*.py")):
                pytest.fail(f"the service {service} has no migrations yet")
            name = f"template_{service}_{next(self._counter)}"
            self._admin(sql.SQL("CREATE DATABASE {}"), name)
            migrations.migrate(service, _with_database(self.admin_url, name))
            self._templates[service] = name
        return self._templates[service]

    def _admin(self, statement: sql.SQL, *names: str) -> None:
        with closing(psycopg2.connect(self.admin_url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement.format(*(sql.Identifier(name) for name in names)))


@contextmanager
def running_engines() -> Iterator[Engines]:
    """Run throw-away engines: no fsync, their files in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="boxoffice-test-"))
    database = store = None
    try:
        database = postgres.start(folder / "pg", password=PASSWORD, log=folder / "postgres.log", durable=False)
        store = valkey.start(folder / "valkey", password=PASSWORD, log=folder / "valkey.log", durable=False)
        database = postgres.ready(database, folder / "pg", log=folder / "postgres.log", durable=False)
        store = valkey.ready(store, folder / "valkey", log=folder / "valkey.log", durable=False)
        yield Engines(admin_url=database.admin_url, redis_url=store.url, folder=folder)
    finally:
        for engine in (database, store):
            if engine is not None:
                engine.process.kill()
        if not os.environ.get("BOXOFFICE_KEEP_TEST_FILES"):
            shutil.rmtree(folder, ignore_errors=True)


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
