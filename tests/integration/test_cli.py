"""The command line without a running shop: help everywhere, clear sentences, distinct exit codes, the right engines."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import httpx
import pytest
import typer
from tests.support.commands import BOXOFFICE, environment, in_a_small_disk, run
from tests.support.engines import Engines

from boxoffice import cli
from boxoffice.apps import PROCESSES
from boxoffice.cli import commands, exits
from boxoffice.cli.exits import Exit
from boxoffice.runtime.embedded.folder import DataFolder

ROOT = Path(__file__).parents[2]


def every_command() -> Iterator[list[str]]:
    """The words of every command and group."""
    app = typer.Typer(name="boxoffice")
    commands.register(app)
    waiting: list[tuple[list[str], click.Command]] = [([], typer.main.get_command(app))]
    while waiting:
        words, command = waiting.pop()
        yield words
        waiting.extend(([*words, name], found) for name, found in getattr(command, "commands", {}).items())


class TestHelp:
    @pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
    def test_says_what_a_command_does_and_what_it_takes(self, words: list[str]) -> None:
        said = run(*words, "--help")
        assert said.returncode == Exit.OK, said.stderr
        assert "usage" in said.stdout.lower()
        assert len(said.stdout) > 200

    def test_of_up_lists_its_exit_codes(self) -> None:
        said = run("up", "--help").stdout
        for code in ("10", "11", "12", "13", "14", "15", "16", "17", "18", "130"):
            assert code in said

    def test_comes_without_loading_the_services(self) -> None:
        code = "import sys; from boxoffice import cli; from boxoffice.cli import commands; commands.register(cli.app); print(*sys.modules)"
        loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        assert not {"litestar", "asyncpg", "sqlalchemy", "uvicorn", "tantivy"} & set(loaded)

    def test_no_arguments_print_help(self) -> None:
        assert "Commands" in run().stdout


class TestExitCodes:
    def test_are_in_the_docs_as_generated(self) -> None:
        assert (ROOT / "docs" / "exit-codes.md").read_text() == exits.table(), "run `make docs`"

    def test_each_has_its_own_number_and_meaning(self) -> None:
        assert len({code.value for code in Exit}) == len(exits.MEANINGS) == len(Exit)

    def test_a_wrong_command_line(self) -> None:
        assert run("up", "--nonsense").returncode == Exit.USAGE

    def test_bad_settings_are_all_listed(self, tmp_path: Path) -> None:
        ended = run("migrate", "--data-dir", tmp_path / "d", BOXOFFICE_PROT="1", BOXOFFICE_SMTP_PORT="many")
        assert ended.returncode == Exit.BAD_SETTINGS
        assert "BOXOFFICE_PROT" in ended.stderr
        assert "BOXOFFICE_SMTP_PORT" in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_a_port_in_use(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            ended = run("up", "--port", str(port), "--data-dir", tmp_path / "d")
        assert (ended.returncode, ended.stderr.count("\n")) == (Exit.PORT_IN_USE, 1)
        assert f"Port {port} on 127.0.0.1 is not free" in ended.stderr

    def test_a_shop_that_runs_already(self, tmp_path: Path) -> None:
        folder = DataFolder(tmp_path / "d")
        folder.open()
        try:
            ended = run("up", "--port", "0", "--data-dir", tmp_path / "d")
        finally:
            folder.close()
        assert (ended.returncode, ended.stderr.count("\n")) == (Exit.ALREADY_RUNNING, 1)
        assert f"(process {os.getpid()})" in ended.stderr

    def test_a_folder_of_a_newer_version(self, tmp_path: Path) -> None:
        (tmp_path / "VERSION").write_text("99\n")
        ended = run("up", "--port", "0", "--data-dir", tmp_path)
        assert (ended.returncode, ended.stderr.count("\n")) == (Exit.NEWER_DATA, 1)

    def test_a_database_of_a_newer_version(self, engines: Engines) -> None:
        with engines.empty_database() as url:
            assert run("migrate", "sales", BOXOFFICE_SALES_DATABASE_URL=url).returncode == Exit.OK
            _sql(url, "UPDATE alembic_version SET version_num = 'sales_9999'")
            ended = run("migrate", "sales", BOXOFFICE_SALES_DATABASE_URL=url)
        assert ended.returncode == Exit.NEWER_DATA
        assert "sales_9999" in ended.stderr

    def test_a_database_that_cannot_be_reached(self) -> None:
        ended = run("audit", BOXOFFICE_SALES_DATABASE_URL="postgresql://x:y@127.0.0.1:1/x")
        assert ended.returncode == Exit.UNREACHABLE
        assert "Traceback" not in ended.stderr

    def test_a_full_disk(self) -> None:
        ended = in_a_small_disk(20, [BOXOFFICE, "up", "--port", "0", "--data-dir", "/mnt/d"])
        assert (ended.returncode, ended.stderr.count("\n")) == (Exit.DISK_FULL, 1)

    def test_a_disk_that_cannot_be_written(self) -> None:
        ended = in_a_small_disk(20, [BOXOFFICE, "up", "--port", "0", "--data-dir", "/mnt/d"], readonly=True)
        assert (ended.returncode, ended.stderr.count("\n")) == (Exit.FOLDER_UNUSABLE, 1)

    def test_no_engine_for_this_platform(self, tmp_path: Path) -> None:
        code = (
            "import sys; from boxoffice.runtime.embedded import binaries;"
            "binaries._of_the_wheel = binaries._of_the_system = lambda: None;"
            "from boxoffice.cli import main; sys.argv = ['boxoffice', *sys.argv[1:]]; main()"
        )
        command = [sys.executable, "-c", code, "up", "--port", "0", "--data-dir", str(tmp_path / "d")]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
        assert (ended.returncode, ended.stderr.count("\n")) == (Exit.NO_ENGINE, 1)
        assert "There is no PostgreSQL for this platform" in ended.stderr


class TestMigrate:
    def test_uses_the_environments_databases(self, engines: Engines) -> None:
        with engines.empty_database() as url:
            ended = run("migrate", "notification", BOXOFFICE_NOTIFICATION_DATABASE_URL=url)
            assert ended.returncode == Exit.OK, ended.stderr
            assert _sql(url, "SELECT count(*) FROM outbox") == 0

    def test_starts_engines_for_as_long_as_it_needs_them(self, tmp_path: Path) -> None:
        ended = run("migrate", "--data-dir", tmp_path / "d")
        assert ended.returncode == Exit.OK, ended.stderr
        assert all(f"{name}_" in ended.stdout for name in ("identity", "catalog", "sales", "notification"))
        assert DataFolder(tmp_path / "d").running() is None
        assert not (tmp_path / "d" / "postgres" / "postmaster.pid").exists()


class TestAudit:
    def test_is_silent_about_a_sale_in_order(self, sales_url: str) -> None:
        ended = run("audit", "--json", BOXOFFICE_SALES_DATABASE_URL=sales_url)
        assert (ended.returncode, ended.stdout) == (Exit.OK, ""), ended.stderr

    def test_prints_the_records_that_break_an_invariant(self, sales_url: str) -> None:
        _sql(sales_url, SOLD_WITHOUT_TICKET)
        ended = run("audit", "--json", BOXOFFICE_SALES_DATABASE_URL=sales_url)
        assert ended.returncode == Exit.FINDINGS, ended.stderr
        assert all(json.loads(line)["records"] for line in ended.stdout.splitlines())
        assert run("audit", BOXOFFICE_SALES_DATABASE_URL=sales_url).returncode == Exit.FINDINGS


SOLD_WITHOUT_TICKET = """
INSERT INTO event_seats (event_id, seat_id, price_minor, currency, state, order_id)
VALUES (1, 1 << 20, 100, 'USD', 'sold', gen_random_uuid())
"""


class TestAdmin:
    def test_is_made_with_a_password_from_standard_input(self, identity_url: str) -> None:
        ended = run(
            "admin", "create", "--email", "boss@example.org", "--password-stdin",
            stdin="a long password of the boss\n", BOXOFFICE_IDENTITY_DATABASE_URL=identity_url,
        )  # fmt: skip
        assert ended.returncode == Exit.OK, ended.stderr
        assert _sql(identity_url, "SELECT count(*) FROM users WHERE 'administrator' = ANY (staff_roles)") == 1

    def test_is_refused_with_a_password_that_anybody_would_guess(self, identity_url: str) -> None:
        ended = run(
            "admin", "create", "--email", "boss@example.org", "--password-stdin",
            stdin="password\n", BOXOFFICE_IDENTITY_DATABASE_URL=identity_url,
        )  # fmt: skip
        assert ended.returncode == Exit.REFUSED
        assert "Traceback" not in ended.stderr


class TestDoctor:
    def test_is_well_where_nothing_was_started(self, tmp_path: Path) -> None:
        ended = run("doctor", "--data-dir", tmp_path / "d")
        assert ended.returncode == Exit.OK, ended.stdout
        assert "PostgreSQL programs" in ended.stdout
        assert not (tmp_path / "d").exists()

    def test_says_what_to_do(self, engines: Engines, tmp_path: Path) -> None:
        with engines.empty_database() as url:
            ended = run(
                "doctor", "--data-dir", tmp_path / "d",
                BOXOFFICE_SALES_DATABASE_URL=url, BOXOFFICE_REDIS_URL="redis://127.0.0.1:1/0",
            )  # fmt: skip
        assert ended.returncode == Exit.FINDINGS
        assert "boxoffice migrate sales" in ended.stdout
        assert "BOXOFFICE_REDIS_URL" in ended.stdout


class TestSettings:
    def test_prints_the_tables_of_the_docs(self) -> None:
        assert run("settings", "table").stdout == (ROOT / "docs" / "settings.md").read_text()
        assert run("settings", "exit-codes").stdout == (ROOT / "docs" / "exit-codes.md").read_text()


class TestServe:
    @pytest.mark.parametrize("process", PROCESSES)
    def test_every_process_has_its_module(self, process: str) -> None:
        code = f"from boxoffice.apps.{process} import create; assert callable(create)"
        subprocess.run([sys.executable, "-c", code], check=True, env=environment())

    def test_runs_one_process_alone_until_it_is_asked_to_stop(
        self, identity_url: str, redis_url: str, tmp_path: Path
    ) -> None:
        settings = tmp_path / "settings.toml"
        settings.write_text(f'identity_database_url = "{identity_url}"\nredis_url = "{redis_url}"\n')
        command = [BOXOFFICE, "serve", "identity", "--port", "0", "--settings", str(settings)]
        key = {"BOXOFFICE_SIGNING_KEY_FILE": str(tmp_path / "tokens.pem")}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(**key)) as process:
            assert process.stdout
            said = process.stdout.readline()
            address = re.search(r"http://\S+", said)
            assert address, said
            assert httpx.get(f"{address[0]}/health/ready", trust_env=False).json()["service"] == "identity"
            assert httpx.get(f"{address[0]}/.well-known/jwks.json", trust_env=False).json()["keys"]
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == Exit.OK

    def test_says_which_settings_it_lacks(self) -> None:
        ended = run("serve", "tickets", "--port", "0", BOXOFFICE_IDENTITY_URL="http://127.0.0.1:1")
        assert ended.returncode == Exit.BAD_SETTINGS
        for name in ("SALES_DATABASE_URL", "CATALOG_URL", "TICKET_KEY_FILE"):
            assert f"BOXOFFICE_{name} is not set" in ended.stderr
        assert "IDENTITY_URL" not in ended.stderr

    def test_says_in_one_sentence_what_did_not_start(self, redis_url: str) -> None:
        away = {"BOXOFFICE_IDENTITY_DATABASE_URL": "postgresql://127.0.0.1:9/away", "BOXOFFICE_REDIS_URL": redis_url}
        ended = run("serve", "identity", "--port", "0", **away)
        assert ended.returncode == Exit.PART_FAILED
        assert "identity did not start: ConnectionRefusedError" in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_refuses_a_process_that_does_not_exist(self) -> None:
        assert run("serve", "nonsense").returncode == Exit.USAGE


class TestLoad:
    HALL = ROOT / "data" / "halls" / "hk-city-hall-theatre.json"

    def test_reproduces_the_published_totals_and_again_changes_nothing(
        self, identity_url: str, catalog_url: str, sales_url: str
    ) -> None:
        databases = _databases(identity_url, catalog_url, sales_url)
        first = run("load", "hall", self.HALL, **databases)
        assert first.returncode == Exit.OK, first.stderr
        assert "463 seats as published" in first.stdout
        assert "imported" in first.stdout
        assert "unchanged" in run("load", "hall", self.HALL, **databases).stdout

    def test_says_which_section_differs(
        self, identity_url: str, catalog_url: str, sales_url: str, tmp_path: Path
    ) -> None:
        hall = json.loads(self.HALL.read_text())
        hall["published_totals"]["Theatre"] = 464
        (tmp_path / "hall.json").write_text(json.dumps(hall))
        ended = run("load", "hall", tmp_path / "hall.json", **_databases(identity_url, catalog_url, sales_url))
        assert ended.returncode == Exit.REFUSED
        for words in ("Theatre", "463", "464"):
            assert words in ended.stderr

    def test_stages_concerts_with_price_levels_of_a_file(
        self, identity_url: str, catalog_url: str, sales_url: str, tmp_path: Path
    ) -> None:
        databases = _databases(identity_url, catalog_url, sales_url)
        types = '[{"name": "Adult", "price": "12.50"}, {"name": "Child", "price": "6"}]'
        (tmp_path / "levels.json").write_text('[{"name": "All", "price": "12.50", "ticketTypes": ' + types + "}]")
        [newest] = (ROOT / "data" / "concerts").glob("*NOW.json.gz")
        ended = run(
            "load", "concerts", newest, "--season", "newest", "--starts-in-weeks", "1", "--at-most", "2",
            "--in-hall", self.HALL, "--price-levels", tmp_path / "levels.json", **databases,
        )  # fmt: skip
        assert ended.returncode == Exit.OK, ended.stderr
        assert "2 concerts put on sale" in ended.stdout
        assert _sql(sales_url, "SELECT count(*) FROM event_seats WHERE price_minor = 1250") == 2 * 463
        assert _sql(sales_url, "SELECT count(*) FROM ticket_types WHERE price_minor IN (1250, 600)") == 2 * 2
        assert run("audit", **databases).returncode == Exit.OK

    @pytest.mark.parametrize("text", ["{}", '[{"name": "All"}]', '[{"name": "All", "price": "much"}]', "no"])
    def test_refuses_price_levels_that_cannot_be_read(
        self, identity_url: str, catalog_url: str, sales_url: str, tmp_path: Path, text: str
    ) -> None:
        (tmp_path / "levels.json").write_text(text)
        [newest] = (ROOT / "data" / "concerts").glob("*NOW.json.gz")
        ended = run(
            "load", "concerts", newest, "--season", "newest", "--starts-in-weeks", "1", "--at-most", "1",
            "--in-hall", self.HALL, "--price-levels", tmp_path / "levels.json",
            **_databases(identity_url, catalog_url, sales_url),
        )  # fmt: skip
        assert ended.returncode == Exit.REFUSED
        assert "Traceback" not in ended.stderr


class TestDemo:
    def test_is_made_once(self, identity_url: str, catalog_url: str, sales_url: str) -> None:
        databases = _databases(identity_url, catalog_url, sales_url)
        assert "2 concerts are on sale, 2 of them new" in run("demo", "--concerts", "2", **databases).stdout
        assert "2 concerts are on sale, 0 of them new" in run("demo", "--concerts", "2", **databases).stdout


def test_main_is_the_entry_point() -> None:
    assert cli.main.__module__ == "boxoffice.cli"


def _sql(url: str, statement: str) -> object:
    import psycopg2

    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0] if cursor.description else None
    finally:
        connection.close()


def _databases(identity_url: str, catalog_url: str, sales_url: str) -> dict[str, str]:
    return {
        "BOXOFFICE_IDENTITY_DATABASE_URL": identity_url,
        "BOXOFFICE_CATALOG_DATABASE_URL": catalog_url,
        "BOXOFFICE_SALES_DATABASE_URL": sales_url,
    }
