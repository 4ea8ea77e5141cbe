"""``boxoffice doctor``: what is there, what is reachable, which versions, and what to do about what is not."""

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.table import Table

from boxoffice.cli import console
from boxoffice.cli.exits import Exit
from boxoffice.cli.options import DEFAULT_DATA_DIR, DataDir, SettingsFile
from boxoffice.runtime.embedded.engines import SERVICES
from boxoffice.runtime.embedded.errors import EngineError
from boxoffice.runtime.embedded.folder import MEGABYTE, NEEDED_MB, DataFolder
from boxoffice.runtime.settings import Settings

PROBE_S = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; ``advice`` is empty when it is well, ``well`` none when it does not matter now."""

    what: str
    found: str
    well: bool | None = True
    advice: str = ""


def doctor(data_dir: DataDir = DEFAULT_DATA_DIR, settings: SettingsFile = None) -> None:
    """Say what is reachable, in which version, and what to do about the rest. Changes nothing; 1 on a finding."""
    findings = list(examine(data_dir, settings))
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("", "what", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    signs = {True: "[green]✓[/green]", False: "[red]✗[/red]", None: "[dim]-[/dim]"}
    for finding in findings:
        table.add_row(signs[finding.well], finding.what, finding.found, finding.advice)
    console.out.print(table)
    if any(finding.well is False for finding in findings):
        raise typer.Exit(int(Exit.FINDINGS))


def examine(data_dir: Path, settings_file: Path | None) -> Iterator[Finding]:
    """Look at everything, from the machine up to the services."""
    from importlib.metadata import version

    from boxoffice.runtime.settings import BadSettingsError, load

    yield Finding(what="Boxoffice", found=f"{version('boxoffice')} on Python {platform.python_version()}")
    yield from _engines()
    folder = DataFolder(data_dir)
    yield from _folder(folder)
    running = folder.running()
    try:
        known = load(file=settings_file, defaults=running.settings if running else None)
    except BadSettingsError as error:
        yield Finding(what="settings", found=str(error), well=False, advice="see docs/settings.md")
        return
    yield from _reachable(known, running=running is not None)


def _engines() -> Iterator[Finding]:
    from boxoffice.runtime.embedded import binaries, valkey

    try:
        programs = binaries.programs()
        how = " (as another user, in a namespace)" if programs.prefix else ""
        yield Finding(what="PostgreSQL programs", found=f"{programs.major} in {programs.folder}{how}")
    except EngineError as error:
        yield Finding(what="PostgreSQL programs", found="none", well=False, advice=str(error))
    try:
        yield Finding(what="Valkey program", found=str(valkey.binary()))
    except EngineError as error:
        yield Finding(what="Valkey program", found="none", well=False, advice=str(error))


def _folder(folder: DataFolder) -> Iterator[Finding]:
    if not folder.exists():
        yield Finding(what="data folder", found=f"{folder.path}: none yet", well=None, advice="boxoffice up makes it")
        return
    free = shutil.disk_usage(folder.path).free // MEGABYTE
    yield Finding(
        what="data folder",
        found=f"{folder.path}, {free} MB free",
        well=free >= NEEDED_MB,
        advice="" if free >= NEEDED_MB else "free some space on this disk",
    )
    running = folder.running()
    if running is None:
        yield Finding(what="shop", found="not running", well=None, advice="boxoffice up starts it")
    else:
        yield Finding(what="shop", found=f"{running.address} (process {running.pid})")


def _reachable(settings: Settings, *, running: bool) -> Iterator[Finding]:
    for service in SERVICES:
        url = getattr(settings, f"{service}_database_url")
        if url:
            yield _database(service, url)
    if settings.redis_url:
        yield _redis(settings.redis_url)
    if settings.mongodb_url:
        yield _mongodb(
            "MongoDB", settings.mongodb_url,
            advice="preferences cannot be read or changed, and news wait; all other mails go on",
        )  # fmt: skip
    if settings.log_archive_url:
        yield _log_archive(settings.log_archive_url)
    if running or any(getattr(settings, f"{service}_database_url") for service in SERVICES):
        yield _ready(settings.public_url)
    if settings.paypal_api_url:
        yield _answers("payment provider", settings.paypal_api_url)


def _database(service: str, url: str) -> Finding:
    import psycopg2

    from boxoffice.runtime import revisions

    try:
        connection = psycopg2.connect(url, connect_timeout=PROBE_S)
    except psycopg2.OperationalError as error:
        return Finding(
            what=f"database {service}", found=str(error).strip(), well=False, advice="is PostgreSQL up, the URL right?"
        )
    try:
        said = str(connection.server_version // 10_000)
        current, newest = revisions.current(url), revisions.newest(service)
    finally:
        connection.close()
    if current == newest:
        return Finding(what=f"database {service}", found=f"PostgreSQL {said}, schema {current}")
    return Finding(
        what=f"database {service}",
        found=f"PostgreSQL {said}, schema {current or 'none'}, this version has {newest}",
        well=False,
        advice=f"boxoffice migrate {service}",
    )


def _redis(url: str) -> Finding:
    import redis

    try:
        with redis.Redis.from_url(url, socket_connect_timeout=PROBE_S, socket_timeout=PROBE_S) as client:
            said = client.info("server")
    except redis.RedisError as error:
        return Finding(what="Valkey", found=str(error), well=False, advice="is it up, and BOXOFFICE_REDIS_URL right?")
    name = said.get("server_name", "redis")
    return Finding(what="Valkey", found=f"{name} {said.get(f'{name}_version', said['redis_version'])}")


def _mongodb(what: str, url: str, *, advice: str) -> Finding:
    import pymongo
    from pymongo.errors import PyMongoError

    patience_ms = PROBE_S * 1_000
    try:
        with pymongo.MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=patience_ms) as client:
            said = client.admin.command("buildInfo")
    except PyMongoError as error:
        found = type(error).__name__  # its text may have the URL in it, and the URL a password
        return Finding(what=what, found=found, well=False, advice=f"is it up, the URL right? Meanwhile {advice}")
    return Finding(what=what, found=f"MongoDB {said['version']}")


def _log_archive(url: str) -> Finding:
    import psycopg2

    from boxoffice.runtime.settings import MONGODB

    what, advice = "log archive", "log records are in the processes' own output only"
    if url.partition("://")[0] in MONGODB:
        return _mongodb(what, url, advice=advice)
    try:
        connection = psycopg2.connect(url, connect_timeout=PROBE_S)
    except psycopg2.OperationalError as error:
        said = str(error).strip()
        return Finding(what=what, found=said, well=False, advice=f"is it up, the URL right? Meanwhile {advice}")
    connection.close()
    return Finding(what=what, found=f"PostgreSQL {connection.server_version // 10_000}")


def _ready(public_url: str) -> Finding:
    import httpx

    try:
        answer = httpx.get(f"{public_url}/health/ready", timeout=PROBE_S, trust_env=False)
    except httpx.HTTPError as error:
        return Finding(what="services", found=f"{public_url}: {error}", well=False, advice="start them")
    if answer.is_success:
        return Finding(what="services", found=f"ready at {public_url}")
    return Finding(what="services", found=answer.text[:300], well=False, advice="look at the part that is not ok")


def _answers(what: str, url: str) -> Finding:
    import httpx

    try:
        httpx.get(url, timeout=PROBE_S, trust_env=False)
    except httpx.HTTPError as error:
        return Finding(what=what, found=f"{url}: {error}", well=False, advice="orders can be held but not paid")
    return Finding(what=what, found=f"{url} answers")
