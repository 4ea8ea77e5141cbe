"""Both engines of a data folder, started together, with one database and owner for each service."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from boxoffice.runtime.embedded import postgres, secrets, valkey
from boxoffice.runtime.embedded.backup_folder import BackupFolder
from boxoffice.runtime.embedded.errors import EngineError, EngineFailedError
from boxoffice.runtime.embedded.folder import DataFolder
from boxoffice.runtime.embedded.log_archive import LogArchive

SERVICES = ("identity", "catalog", "sales", "notification")
"""Services that own a database."""


class Engines:
    """The engines that a shop uses: its own, or those that the environment names.

    ``DATABASE_URL`` (a server where we may make databases and roles) or a URL for every service stand for PostgreSQL,
    ``BOXOFFICE_REDIS_URL`` for Valkey. ``BOXOFFICE_BACKUP_DIR`` names a folder into which PostgreSQL's log is followed,
    for backups up to any instant.
    """

    def __init__(self, folder: DataFolder, environment: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._environment = os.environ if environment is None else environment
        self._secrets: dict[str, str] = {}
        self.postgres: postgres.Postgres | None = None
        self.valkey: valkey.Valkey | None = None
        self._archive: LogArchive | None = None

    @property
    def brings_databases(self) -> bool:
        """Whether every service's database is given by the environment."""
        return all(f"BOXOFFICE_{service.upper()}_DATABASE_URL" in self._environment for service in SERVICES)

    def begin(self) -> None:
        """Start what is not given, without waiting. From the main thread only (see ``child.py``).

        :raises EngineError: when an engine cannot be started.
        """
        if self._environment.get("BOXOFFICE_BACKUP_DIR") and not self._is_own:
            raise EngineFailedError(
                "BOXOFFICE_BACKUP_DIR is for the PostgreSQL that comes with the package; backups of a server of yours "
                "are made with its own tools (docs/howto/back-up-and-restore.md). Leave one of the two out."
            )
        names = ["postgres", "valkey", "session", *SERVICES]
        self._secrets = secrets.ensure(self._folder.path, names)
        if self._is_own:
            self.postgres = postgres.start(
                self._folder.postgres, password=self._secrets["postgres"], log=self._folder.logs / "postgres.log"
            )
        if "BOXOFFICE_REDIS_URL" not in self._environment:
            self.valkey = valkey.start(
                self._folder.valkey, password=self._secrets["valkey"], log=self._folder.logs / "valkey.log"
            )

    def wait(self) -> dict[str, Any]:
        """Wait until they are ready and the databases are there; returns the settings that reach them.

        :raises EngineError: when one does not come up.
        """
        reached: dict[str, Any] = {"session_secret": self._secrets["session"]}
        if self.postgres is not None:
            self.postgres = postgres.ready(self.postgres, self._folder.postgres, log=self._folder.logs / "postgres.log")
            self._archive = self._follow_log(self.postgres)
        if not self.brings_databases:
            reached |= self._provision()
        if self.valkey is not None:
            self.valkey = valkey.ready(self.valkey, self._folder.valkey, log=self._folder.logs / "valkey.log")
            reached["redis_url"] = self.valkey.url
        return reached

    def stop(self) -> None:
        """Stop those that we started: both are asked at once, then awaited."""
        running = [engine for engine in (self.valkey, self.postgres) if engine is not None]
        for engine in running:
            engine.process.ask()
        for engine in running:
            engine.stop()
        if self._archive is not None:
            self._archive.stop()

    def kill(self) -> None:
        """End those that we started at once; nothing that was committed is lost."""
        for engine in (self.valkey, self.postgres):
            if engine is not None:
                with suppress(OSError):
                    engine.process.kill()
        if self._archive is not None:
            with suppress(OSError):
                self._archive.kill()

    def broken(self) -> EngineError | None:
        """Tell which engine of ours ended by itself, if one did. From the main thread only."""
        if self._archive is not None and self.postgres is not None and self.postgres.process.running():
            self._archive.keep_running()
        for engine in (self.postgres, self.valkey):
            if engine is not None and not engine.process.running():
                return engine.process.failure(f"{engine.process.name} ended by itself")
        return None

    @property
    def _is_own(self) -> bool:
        return not self.brings_databases and "DATABASE_URL" not in self._environment

    def _follow_log(self, server: postgres.Postgres) -> LogArchive | None:
        place = self._environment.get("BOXOFFICE_BACKUP_DIR")
        if not place:
            return None
        backups = BackupFolder(Path(place))
        backups.claim(self._folder.path)
        archive = LogArchive(backups, admin_url=server.admin_url, log_file=self._folder.logs / "pg_receivewal.log")
        archive.start()
        return archive

    def _provision(self) -> dict[str, str]:
        import psycopg2

        owners = {service: self._secrets[service] for service in SERVICES}
        own = self.postgres is not None
        admin_url = self.postgres.admin_url if self.postgres is not None else self._environment["DATABASE_URL"]
        try:
            urls = postgres.provision(admin_url, owners, prefix="" if own else "boxoffice_")
        except psycopg2.Error as error:
            raise EngineFailedError(f"The databases could not be made: {str(error).strip()}") from error
        return {f"{service}_database_url": url for service, url in urls.items()}
