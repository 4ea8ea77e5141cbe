"""Copies of the databases and the log after them, on a real server: what is made can be restored, what cannot is said."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from tests.support.commands import run

from boxoffice.cli.exits import Exit
from boxoffice.runtime.embedded import backups, postgres
from boxoffice.runtime.embedded.backup_folder import Backup, BackupFolder, follows, needless, segment_of
from boxoffice.runtime.embedded.engines import Engines
from boxoffice.runtime.embedded.errors import BackupUnusableError, EngineError, FolderUnusableError
from boxoffice.runtime.embedded.folder import DataFolder
from boxoffice.runtime.embedded.restoring import read_note, restore
from boxoffice.runtime.embedded.secrets import ensure

SOON_S = 60.0


class Shop:
    """A data folder whose PostgreSQL is followed into a folder of backups, with one table to write to."""

    def __init__(self, folder: Path) -> None:
        self.folder = DataFolder(folder / "shop")
        self.backups = BackupFolder(folder / "backups")
        self.folder.open()
        environment = {"BOXOFFICE_BACKUP_DIR": str(self.backups.path), "BOXOFFICE_REDIS_URL": "redis://127.0.0.1:1"}
        self.engines = Engines(self.folder, environment)
        self.engines.begin()
        self.engines.wait()
        (self.folder.keys / "tickets.pem").write_text("a key")
        assert self.engines.postgres is not None
        self.url = self.engines.postgres.admin_url
        execute(self.url, "CREATE TABLE notes (note text, at timestamptz DEFAULT clock_timestamp())")

    def note(self, text: str) -> datetime:
        """Commit something; when that was over."""
        execute(self.url, "INSERT INTO notes VALUES (%s)", text)
        return datetime.now(UTC)

    def create(self) -> Backup:
        return backups.create(self.backups, self.folder, admin_url=self.url)

    def follow(self) -> None:
        """Wait until the log is followed up to now."""
        until = time.monotonic() + SOON_S
        caught_up = "SELECT coalesce(bool_and(flush_lsn >= pg_current_wal_flush_lsn()), false) FROM pg_stat_replication"
        while not execute(self.url, caught_up)[0][0]:
            assert time.monotonic() < until, "the log is not followed"
            time.sleep(0.05)


def execute(url: str, statement: str, *values: object) -> list[Any]:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def notes_in(folder: Path) -> list[str]:
    password = ensure(folder, ["postgres"])["postgres"]
    server = postgres.start_ready(folder / "postgres", password=password, log=folder / "logs" / "postgres.log")
    try:
        return [note for (note,) in execute(server.admin_url, "SELECT note FROM notes ORDER BY at")]
    finally:
        server.stop()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    started = Shop(tmp_path_factory.mktemp("followed"))
    yield started
    started.engines.stop()
    started.folder.close()


@pytest.mark.xdist_group("backups")
@pytest.mark.timeout(300)
class TestBackups:
    def test_come_back_to_an_instant_and_to_the_end_of_the_log(self, shop: Shop, tmp_path: Path) -> None:
        execute(shop.url, "TRUNCATE notes")  # of the tests before
        shop.note("before")
        made = shop.create()
        backups.verify(shop.backups, made)
        between = shop.note("then")
        time.sleep(0.01)  # the next commit is later than the instant, whatever the clock's grain
        shop.note("after")
        shop.follow()
        done = restore(shop.backups, tmp_path / "all")
        assert notes_in(tmp_path / "all") == ["before", "then", "after"]
        assert done.reached_at is not None
        assert done.reached_at > between
        earlier = restore(shop.backups, tmp_path / "then", until=between)
        assert notes_in(tmp_path / "then") == ["before", "then"]
        assert read_note(tmp_path / "then") == earlier
        assert (tmp_path / "then" / "keys" / "tickets.pem").read_text() == "a key"

    def test_a_command_on_a_restored_shop_leaves_the_backups_of_the_old_one_alone(
        self, shop: Shop, tmp_path: Path
    ) -> None:
        shop.create()
        restore(shop.backups, tmp_path / "restored")
        reached = run("audit", "--data-dir", tmp_path / "restored", BOXOFFICE_BACKUP_DIR=str(shop.backups.path))
        assert reached.returncode == Exit.OK, reached.stderr

    def test_say_what_cannot_be_restored_and_leave_nothing(self, shop: Shop, tmp_path: Path) -> None:
        made = shop.create()
        for until, said in (
            (made.begun_at - timedelta(days=1), "cannot be brought to an instant before"),
            (datetime.now(UTC) + timedelta(hours=1), "no commit after"),
        ):
            with pytest.raises(BackupUnusableError, match=said):
                restore(shop.backups, tmp_path / "shop", until=until)
        with pytest.raises(BackupUnusableError, match="no backup"):
            restore(BackupFolder(tmp_path / "empty"), tmp_path / "shop")
        used = tmp_path / "used"
        used.mkdir()
        (used / "something").touch()
        with pytest.raises(FolderUnusableError, match="never overwrites"):
            restore(shop.backups, used)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["used"]

    def test_a_damaged_file_is_found(self, shop: Shop) -> None:
        made = shop.create()
        file = shop.backups.base(made.name) / "postgres" / "global" / "pg_control"
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(BackupUnusableError, match="damaged"):
            backups.verify(shop.backups, made)
        file.write_bytes(whole)
        backups.verify(shop.backups, made)

    def test_a_missing_piece_of_the_log_is_found(self, shop: Shop) -> None:
        made = shop.create()
        for _ in range(3):
            execute(shop.url, "SELECT pg_switch_wal()")
            shop.note("so that there is something to switch")
        shop.follow()
        missing = sorted(shop.backups.log.glob("*[0-9A-F]"))[-2]
        aside = missing.rename(missing.with_name("aside"))
        with pytest.raises(BackupUnusableError, match="gap"):
            backups.verify(shop.backups, made)
        aside.rename(missing)
        backups.verify(shop.backups, made)

    def test_old_ones_are_removed_with_their_log(self, shop: Shop) -> None:
        shop.create()
        execute(shop.url, "SELECT pg_switch_wal()")
        newest = shop.create()
        shop.follow()
        assert shop.backups.forget(keep=1)
        assert shop.backups.backups() == [newest]
        assert shop.backups.read_log().segments[0] == newest.first_segment
        backups.verify(shop.backups, newest)

    def test_belong_to_one_shop(self, shop: Shop, tmp_path: Path) -> None:
        with pytest.raises(BackupUnusableError, match="another shop"):
            BackupFolder(shop.backups.path).claim(tmp_path)

    def test_following_goes_on_after_the_follower_died(self, shop: Shop) -> None:
        archive = shop.engines._archive
        assert archive is not None
        archive.kill()
        archive._tried_at = 0.0
        assert shop.engines.broken() is None
        shop.note("written while nobody followed")
        shop.follow()
        assert archive.running()


class TestRefusals:
    def test_a_server_of_ones_own_is_backed_up_by_its_own_tools(self, tmp_path: Path) -> None:
        folder = DataFolder(tmp_path / "shop")
        environment = {"BOXOFFICE_BACKUP_DIR": str(tmp_path), "DATABASE_URL": "postgresql://elsewhere.example.org/x"}
        with pytest.raises(EngineError, match="its own tools"):
            Engines(folder, environment).begin()
        ended = run("backup", "create", "--backup-dir", str(tmp_path / "b"), "--data-dir", str(tmp_path / "none"))
        assert ended.returncode == Exit.REFUSED
        assert "back-up-and-restore" in ended.stderr

    def test_commands_say_what_is_wrong(self, tmp_path: Path) -> None:
        place = str(tmp_path / "b")
        listed = run("backup", "list", "--backup-dir", place, "--json")
        assert (listed.returncode, json.loads(listed.stdout)["backups"]) == (Exit.FINDINGS, [])
        for instant, said in (("yesterday", "is no instant"), ("2026-11-27T18:45:00", "add an offset")):
            ended = run("restore", "--backup-dir", place, "--into", str(tmp_path / "new"), "--to-time", instant)
            assert ended.returncode == Exit.USAGE
            assert said in ended.stderr
        ended = run("reconcile", "--data-dir", str(tmp_path / "new"))
        assert ended.returncode == Exit.USAGE
        assert "was not restored" in ended.stderr


class TestLog:
    def test_segments_are_named_as_postgresql_does(self) -> None:
        assert segment_of(1, "0/2000028") == "000000010000000000000002"
        assert segment_of(3, "16/B374D848") == "0000000300000016000000B3"

    def test_one_follows_another_over_the_end_of_a_log_file_and_on_a_new_timeline(self) -> None:
        assert follows("0000000100000000000000FF", "000000010000000100000000")
        assert not follows("000000010000000000000001", "000000010000000000000003")
        assert follows("000000010000000000000005", "000000020000000000000005")
        assert not follows("000000010000000000000005", "000000020000000000000007")

    def test_nothing_that_a_backup_needs_is_needless(self) -> None:
        now = datetime.now(UTC)
        one = Backup(
            name="x", begun_at=now, done_at=now, first_segment=segment_of(1, "0/3000028"), size_bytes=1, postgres_major=18
        )  # fmt: skip
        kept = [segment_of(1, f"0/{number}000000") for number in range(1, 6)]
        assert needless(kept, [one]) == kept[:2]
        assert needless(kept, []) == []
