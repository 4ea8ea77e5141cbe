"""pretix, the open ticket shop that most people would take instead, on the same PostgreSQL and Valkey.

It lives in a virtual environment of its own outside the checkout; nothing of it is imported or shipped. It is served
by gunicorn with 2 workers of 8 threads, its background tasks are only queued (nobody works on them), its mail texts
are empty: all of that is kind to it.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import asyncpg
import httpx

from bench.house import House
from boxoffice.runtime.embedded.binaries import programs

VERSION = "2026.8.0"
HOME = Path(os.environ.get("BOXOFFICE_CACHE_DIR", str(Path.home() / ".cache" / "boxoffice"))) / "peers" / "pretix"
DUMP = HOME / f"pretix-{VERSION}.dump"
"""The migrated database with its one event, since migrating takes a minute."""
PORT = 18_345
READY_S = 60.0
PACKAGES = (f"pretix=={VERSION}", "gunicorn==27.0.1")

CONFIGURATION = """
[pretix]
instance_name=bench
url=http://127.0.0.1:{port}
currency=EUR
datadir={folder}
registration=off
[database]
backend=postgresql
name=pretix
user={user}
password={password}
host=127.0.0.1
port={database_port}
[mail]
from=bench@example.org
host=127.0.0.1
port=25252
[redis]
location={redis}/1
sessions=true
[django]
debug=false
secret=bench-only-bench-only-bench-only-bench-only-0123456789
[celery]
broker={redis}/2
backend={redis}/3
"""
SET_UP = """
import json, os
from datetime import timedelta
from django.utils.timezone import now
from django_scopes import scopes_disabled
from pretix.base.models import *
def set_up():
    with scopes_disabled():
        o, _ = Organizer.objects.get_or_create(slug="bench", defaults=dict(name="Bench"))
        plugins = "pretix.plugins.manualpayment,pretix.plugins.banktransfer"
        if hasattr(o, "set_active_plugins"):
            o.set_active_plugins(plugins.split(","))
        e = Event.objects.create(organizer=o, slug="gig", name="Gig", date_from=now() + timedelta(days=90), live=True,
                                 currency="EUR", is_public=True, plugins=plugins)
        i = e.items.create(name="GA", default_price=50, admission=True)
        q = e.quotas.create(name="GA", size=500000)
        q.items.add(i)
        for name, value in dict(attendee_names_asked=False, mail_text_order_placed="", payment_manual__enabled=True,
                                payment_term_days=14, reservation_time=10, max_items_per_order=50).items():
            e.settings.set(name, value)
        t = o.teams.create(name="api", all_events=True)
        for f in t._meta.fields:
            if f.name.startswith("can_") or (f.name.startswith("all_") and f.name != "all_events"):
                setattr(t, f.name, True)
        t.save()
        token = t.tokens.create(name="bench")
        with open(os.environ["PRETIX_IDS"], "w") as to:
            json.dump(dict(token=token.token, item=i.pk), to)

set_up()

"""


@dataclass(frozen=True)
class Pretix:
    """A running pretix: its port, an API token, and the item that is sold."""

    port: int
    token: str
    item: int
    pid: int


def is_here() -> bool:
    return (HOME / "bin" / "gunicorn").exists()


def install(say: Callable[[str], None]) -> None:
    """Install it when it is missing.

    :raises RuntimeError: when it cannot be installed.
    """
    if is_here():
        return
    python = shutil.which("python3.11")
    if python is None:
        raise RuntimeError("pretix needs Python 3.11 (python3.11 on the PATH)")
    say(f"installing pretix {VERSION} into {HOME}: about two minutes, once")
    for command in (
        [python, "-m", "venv", str(HOME)],
        [str(HOME / "bin" / "pip"), "install", "--quiet", *PACKAGES],
    ):
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            shutil.rmtree(HOME, ignore_errors=True)
            raise RuntimeError(f"pretix cannot be installed: {run.stderr[-300:]}")


@asynccontextmanager
async def serving(house: House) -> AsyncIterator[Pretix]:
    """Keep pretix running while inside, on its own database of the same server."""
    folder = house.folder / "pretix"
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "PRETIX_CONFIG_FILE": str(configured(house, folder))}
    ids = await prepared(house, folder, environment)
    command = [
        str(HOME / "bin" / "gunicorn"), "pretix.wsgi", "-w", "2", "-k", "gthread", "--threads", "8",
        "-b", f"127.0.0.1:{PORT}", "--keep-alive", "60",
    ]  # fmt: skip
    with (folder / "gunicorn.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=log, stderr=log)
        try:
            await ready(ids["token"], folder / "gunicorn.log")
            yield Pretix(port=PORT, token=ids["token"], item=ids["item"], pid=process.pid)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()


def configured(house: House, folder: Path) -> Path:
    url, redis = urlsplit(house.admin_url), urlsplit(house.redis_url)
    assert url.port
    assert url.username
    password = quote(unquote(redis.password or ""), safe="")
    file = folder / "pretix.cfg"
    file.write_text(
        CONFIGURATION.format(
            port=PORT, folder=folder, user=url.username, password=unquote(url.password or ""), database_port=url.port,
            redis=f"redis://:{password}@{redis.hostname}:{redis.port}",
        )
    )  # fmt: skip
    return file


async def prepared(house: House, folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """Give pretix its database: from the dump of an earlier run, or migrated now."""
    ids = DUMP.with_suffix(".json")
    admin = await asyncpg.connect(house.admin_url)
    try:
        await admin.execute("CREATE DATABASE pretix TEMPLATE template0")
    finally:
        await admin.close()
    database = urlsplit(house.admin_url)._replace(path="/pretix").geturl()
    if DUMP.exists() and ids.exists():
        await run(programs().command("pg_restore", "--no-owner", f"--dbname={database}", DUMP), environment, folder)
    else:
        pretix = [str(HOME / "bin" / "python"), "-m", "pretix"]
        draft = folder / "ids.json"
        await run([*pretix, "migrate"], environment, folder)
        await run([*pretix, "shell"], {**environment, "PRETIX_IDS": str(draft)}, folder, said=SET_UP)
        dump = folder / "dump"
        await run(
            programs().command("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={database}"), environment,
            folder,
        )  # fmt: skip
        shutil.copy(dump, DUMP)
        shutil.copy(draft, ids)
    found: dict[str, str] = json.loads(ids.read_text())
    return found


async def run(command: list[str], environment: dict[str, str], folder: Path, *, said: str = "") -> None:
    with (folder / "preparing.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log
        )
        await process.communicate(said.encode())
    if process.returncode:
        raise RuntimeError(f"{command[-2:]} failed:\n{end_of(folder / 'preparing.log')}")


async def ready(token: str, log: Path) -> None:
    url = f"http://127.0.0.1:{PORT}/api/v1/organizers/bench/events/gig/"
    async with httpx.AsyncClient(headers={"Authorization": f"Token {token}"}, timeout=30.0) as client:
        for _ in range(int(READY_S / 0.5)):
            try:
                if (await client.get(url)).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.5)
    raise RuntimeError(f"pretix does not answer:\n{end_of(log)}")


def end_of(log: Path) -> str:
    return log.read_text()[-2000:]
