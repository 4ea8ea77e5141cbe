"""Schema migrations: one Alembic history per service under ``migrations/<service>/``, plain SQL in them.

Several processes may start at once: a session lock lets one migrate while the others wait for it.
"""

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from boxoffice.runtime.revisions import root

LOCK = 0x0B0C_0001


class NewerSchemaError(Exception):
    """The database was migrated by a newer version of the program."""


def services() -> list[str]:
    """List the services that own a schema."""
    return sorted(path.parent.name for path in root().glob("*/env.py"))


def shared_sql(name: str) -> str:
    """Read a file of ``migrations/shared`` (never edited after release)."""
    return (root() / "shared" / name).read_text()


def migrate(service: str, url: str) -> str:
    """Bring one service's database to the newest schema; returns its revision.

    :raises NewerSchemaError: when the database knows a revision that this version does not.
    """
    config = Config()
    config.set_main_option("script_location", str(root() / service))
    config.set_main_option("path_separator", "os")
    engine = sqlalchemy.create_engine(_sqlalchemy_url(url), poolclass=sqlalchemy.NullPool)
    try:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
            connection.commit()
            scripts = ScriptDirectory.from_config(config)
            current = MigrationContext.configure(connection).get_current_revision()
            if current is not None and current not in {revision.revision for revision in scripts.walk_revisions()}:
                raise NewerSchemaError(
                    f"The {service} database is at revision {current}, which this version of Boxoffice does not know. "
                    "Run the newer version that wrote it, or restore a backup."
                )
            connection.rollback()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            return scripts.get_current_head() or ""
    finally:
        engine.dispose()


def run_env() -> None:
    """Do what every service's ``env.py`` does: run the migrations on the connection that was handed in."""
    from alembic import context

    connection = context.config.attributes["connection"]
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


def _sqlalchemy_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg2://", 1).replace("postgres://", "postgresql+psycopg2://", 1)
