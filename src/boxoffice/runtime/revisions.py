"""Which revision a database has and which one is the newest, without the migration machinery.

Alembic and SQLAlchemy take a second to import; a start whose databases are current does not need them.
"""

import ast
from contextlib import closing
from pathlib import Path

import boxoffice

CONNECT_S = 5


def root() -> Path:
    """Find the migrations: beside the sources in a checkout, beside the package when installed."""
    package = Path(boxoffice.__file__).parent
    installed = package.parent / "boxoffice_migrations"
    return installed if installed.is_dir() else package.parents[1] / "migrations"


def newest(service: str) -> str | None:
    """Tell the newest revision of a service: the one that no other comes after."""
    known = [_declared(file) for file in (root() / service / "versions").glob("*.py")]
    followed = {down for _, down in known}
    heads = [revision for revision, _ in known if revision not in followed]
    return heads[0] if len(heads) == 1 else None


def current(url: str) -> str | None:
    """Read a database's revision; none when it was never migrated.

    :raises psycopg2.OperationalError: when the database cannot be reached.
    """
    import psycopg2

    with closing(psycopg2.connect(url, connect_timeout=CONNECT_S)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('alembic_version') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return None
        cursor.execute("SELECT version_num FROM alembic_version")
        found = cursor.fetchone()
        return str(found[0]) if found else None


def _declared(file: Path) -> tuple[str, str | None]:
    said: dict[str, object] = {}
    for statement in ast.parse(file.read_text()).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            said |= {target.id: statement.value.value for target in statement.targets if isinstance(target, ast.Name)}
    down = said.get("down_revision")
    return str(said["revision"]), None if down is None else str(down)
