"""``boxoffice full`` as somebody at a terminal has it: everything up, one sale over Kafka by Debezium, everything gone."""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from tests.support.buying import Answer, mails, ok, pay, reserve, visitor, wait_until
from tests.support.commands import BOXOFFICE, Up, environment, run

from boxoffice.apps import PROCESSES
from boxoffice.cli.exits import Exit
from boxoffice.runtime.embedded.errors import EngineMissingError
from boxoffice.runtime.engines import connect
from boxoffice.runtime.engines.fetching import fetched
from boxoffice.runtime.engines.java import java
from boxoffice.runtime.engines.locks import lock

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(600)]

READY_S = 300.0
STOP_S = 60.0
CONCERTS = 3


@dataclass
class Full(Up):
    """A running ``boxoffice full``."""

    def url(self, name: str, /) -> str:
        """Where a process or simulator is reached, as the shop tells other commands."""
        told = self.told["settings"]
        return str(told["paypal_api_url" if name == "paypal" else f"{name}_url"])

    def wait_until_it_is_up(self) -> None:
        deadline = time.monotonic() + READY_S
        while "Stop " not in self.log.read_text():  # the last line of the table
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            assert time.monotonic() < deadline, self.log.read_text()[-4000:]
            time.sleep(0.2)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Full]:
    needs_java(fetching=True)
    folder = tmp_path_factory.mktemp("full") / "data"
    log = folder.with_name("log")
    command = [BOXOFFICE, "full", "--port", "0", "--data-dir", str(folder), "--demo-concerts", str(CONCERTS)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment(), start_new_session=True)
    shop = Full(process, folder, log)
    try:
        shop.wait_until_it_is_up()
        yield shop
    finally:
        if process.poll() is None:
            shop.kill_everything()


def needs_java(*, fetching: bool = False) -> None:
    """Skip where there is no Java, or no Kafka and no way to fetch it; in CI that fails."""
    try:
        java(connect.JAVA)
        for name in ("kafka", "connect") if fetching else ():
            fetched(lock(name))
    except EngineMissingError as missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(missing))


def free_seat(customer: httpx.Client, event: Answer) -> int:
    found: list[Any] = ok(customer.get(f"/tickets/event/{event['id']}"))
    return next(int(ticket["ticketId"]) for ticket in found if ticket["status"] == "AVAILABLE")


def bought(full: Full) -> str:
    """Sell one seat of the demo to somebody new; returns their address."""
    with visitor(full) as customer:
        email, password = f"buyer-{secrets.token_hex(3)}@example.org", secrets.token_urlsafe(16)
        user = ok(customer.post("/auth/register", json={"name": "A buyer", "email": email, "password": password}), 201)
        login = ok(customer.post("/auth/login", json={"email": email, "password": password}))
        customer.headers["authorization"] = f"Bearer {login['accessToken']}"

        def events() -> list[Answer]:
            found: list[Answer] = ok(customer.get("/search", params={"q": "symphony"}))["events"]
            return found

        wait_until("search has heard of the demo over the bus", events, seconds=60)
        event = events()[0]
        booking = reserve(customer, user, event, [free_seat(customer, event)])
        payment = pay(full, customer, booking)
        ok(customer.put(f"/bookings/confirm/{booking['bookingId']}", json={"paymentId": payment}))
        assert ok(customer.get(f"/bookings/{booking['bookingId']}"))["status"] == "CONFIRMED"
    return email


class TestFull:
    def test_sells_over_kafka_and_leaves_nothing_behind(self, full: Full) -> None:
        self.check_what_it_says(full)
        self.check_its_processes(full)
        email = bought(full)
        wait_until("the mail with the ticket arrives", lambda: mails(full, email), seconds=60)
        status = run("connectors", "status", "--data-dir", full.folder)
        assert status.returncode == Exit.OK, status.stdout + status.stderr
        assert status.stdout.count("RUNNING") == 3
        assert run("audit", "--data-dir", full.folder).returncode == Exit.OK
        self.check_the_end(full)

    def check_what_it_says(self, full: Full) -> None:
        said = full.log.read_text()
        for name in PROCESSES:
            assert f"{full.url(name)}/metrics" in said
        told = full.told["settings"]
        assert told["bus_url"].startswith("kafka://")
        assert told["bus_url"] in said
        assert told["connect_url"] in said

    def check_its_processes(self, full: Full) -> None:
        """Each is one of its own, with its own settings and nobody else's database."""
        serving = {
            line[line.index("serve") + 1]: process
            for process in full.family()
            if "serve" in (line := process.cmdline())
        }  # fmt: skip
        assert set(serving) == set(PROCESSES)
        assert "BOXOFFICE_SALES_DATABASE_URL" not in serving["catalog"].environ()
        assert serving["catalog"].environ()["BOXOFFICE_OUTBOX_CARRIER"] == "connect"

    def check_the_end(self, full: Full) -> None:
        family = full.family()
        assert len(family) > len(PROCESSES)
        full.process.send_signal(signal.SIGTERM)
        assert full.process.wait(STOP_S) == Exit.OK, full.log.read_text()[-3000:]
        assert not psutil.wait_procs(family, timeout=5)[1]


class TestRefusals:
    """What it says when it cannot start; nothing of a shop is started for it."""

    def test_without_its_engines_it_says_how_to_get_them(self, tmp_path: Path) -> None:
        unreachable = {"BOXOFFICE_ENGINES_CACHE": str(tmp_path / "none"), "MAVEN_REPOSITORY": "http://127.0.0.1:9"}
        for _ in range(2):  # what the first one left behind is no obstacle
            ended = run("full", "--port", "0", "--data-dir", tmp_path / "data", **unreachable)
            assert ended.returncode == Exit.NO_ENGINE
            assert "MAVEN_REPOSITORY" in ended.stderr or "No Java" in ended.stderr

    def test_a_folder_of_up_stays_as_it_is(self, tmp_path: Path) -> None:
        needs_java()
        (tmp_path / "VERSION").write_text("1\n")
        ended = run("full", "--port", "0", "--data-dir", tmp_path)
        assert ended.returncode == Exit.FOLDER_UNUSABLE
        assert "--data-dir" in ended.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["VERSION"]
