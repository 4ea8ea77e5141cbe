"""``boxoffice full``: everything up and named, one sale over Kafka by Debezium; its fixture sees that everything goes."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pymongo
import pytest
from tests.support.buying import Answer, mails, ok, pay, reserve, visitor, wait_until
from tests.support.commands import run
from tests.support.full import FullShop
from tests.support.kafka import missing_engine

from boxoffice.apps import PROCESSES
from boxoffice.cli.exits import Exit
from boxoffice.runtime.embedded.errors import EngineMissingError
from boxoffice.runtime.engines import connect
from boxoffice.runtime.engines.java import java

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(600)]


def needs_java() -> None:
    try:
        java(connect.JAVA)
    except EngineMissingError as missing:
        missing_engine(missing)


def free_seat(customer: httpx.Client, event: Answer) -> int:
    answers: list[httpx.Response] = []

    def told() -> bool:
        answers.append(customer.get(f"/tickets/event/{event['id']}"))
        return answers[-1].status_code != httpx.codes.SERVICE_UNAVAILABLE  # a busy machine asks us to come again

    wait_until("the seats are told", told)
    found: list[Any] = ok(answers[-1])
    return next(int(ticket["ticketId"]) for ticket in found if ticket["status"] == "AVAILABLE")


@contextmanager
def somebody_new(full: FullShop) -> Iterator[tuple[httpx.Client, Answer, str]]:
    """Register somebody and log them in; gives their client, who they are, and their address."""
    with visitor(full.where()) as customer:
        email, password = f"buyer-{secrets.token_hex(3)}@example.org", secrets.token_urlsafe(16)
        user = ok(customer.post("/auth/register", json={"name": "A buyer", "email": email, "password": password}), 201)
        login = ok(customer.post("/auth/login", json={"email": email, "password": password}))
        customer.headers["authorization"] = f"Bearer {login['accessToken']}"
        yield customer, user, email


def bought(full: FullShop) -> str:
    """Sell one seat of the demo to somebody new; returns their address."""
    with somebody_new(full) as (customer, user, email):

        def events() -> list[Answer]:
            found: list[Answer] = ok(customer.get("/search", params={"q": "symphony"}))["events"]
            return found

        wait_until("search has heard of the demo over the bus", events, seconds=60)
        event = events()[0]
        booking = reserve(customer, user, event, [free_seat(customer, event)])
        payment = pay(full.where(), customer, booking)
        ok(customer.put(f"/bookings/confirm/{booking['bookingId']}", json={"paymentId": payment}))
        assert ok(customer.get(f"/bookings/{booking['bookingId']}"))["status"] == "CONFIRMED"
    return email


class TestFull:
    def test_sells_over_kafka(self, full: FullShop) -> None:
        email = bought(full)
        wait_until("the mail with the ticket arrives", lambda: mails(full.where(), email), seconds=60)
        status = run("connectors", "status", "--data-dir", full.folder)
        assert status.returncode == Exit.OK, status.stdout + status.stderr
        assert status.stdout.count("RUNNING") == 4  # three outboxes, and the events table
        assert full.audit() == (Exit.OK, "")

    def test_keeps_preferences_and_log_records_as_documents(self, full: FullShop) -> None:
        with somebody_new(full) as (customer, user, _):
            wish = {**ok(customer.get("/users/me/preferences")), "preferredLanguage": "de"}
            assert ok(customer.put("/users/me/preferences", json=wish)) == wish
        with pymongo.MongoClient[dict[str, Any]](full.told["mongodb_url"], uuidRepresentation="standard") as client:
            documents = client.get_default_database()
            kept = documents["preferences"].find_one({"_id": UUID(user["id"])})
            assert kept is not None
            assert kept["chosen"]["language"] == "de"
        found = run("logs", "--since", "1d", "--json", "--data-dir", full.folder)
        assert found.returncode == Exit.OK, found.stderr
        assert len({json.loads(line)["service"] for line in found.stdout.splitlines()}) > 1  # of several processes

    def test_says_where_everything_is(self, full: FullShop) -> None:
        said, told = full.said(), full.told
        for name in PROCESSES:
            assert f"{full.where().url(name)}/metrics" in said
        assert told["bus_url"].startswith("kafka://")
        for address in (told["bus_url"], told["connect_url"], f"{told['zipkin_url']}/zipkin/", f"{full.url}/docs"):
            assert address in said
        for part in ("prometheus", "zipkin"):
            assert full.where().part(part) in said
        assert told["search_engine_url"].partition("+")[2] in said
        assert "absent" not in said
        assert "Memory" in said
        assert "Up in " in said

    def test_each_process_has_its_own_settings_and_nobody_elses_database(self, full: FullShop) -> None:
        if full.process is None:
            pytest.skip("somebody else started it")
        serving = {
            line[line.index("serve") + 1]: process
            for process in full.family()
            if "serve" in (line := process.cmdline())
        }  # fmt: skip
        assert set(serving) == set(PROCESSES)
        assert "BOXOFFICE_SALES_DATABASE_URL" not in serving["catalog"].environ()
        assert serving["catalog"].environ()["BOXOFFICE_OUTBOX_CARRIER"] == "connect"
        assert serving["search"].environ()["BOXOFFICE_SEARCH_ENGINE_URL"] == full.told["search_engine_url"]

    def test_listens_on_loopback_only(self, full: FullShop) -> None:
        if full.process is None:
            pytest.skip("somebody else started it")
        listening = {
            connection.laddr.ip
            for process in full.family()
            for connection in process.net_connections()
            if connection.status == "LISTEN"
        }
        assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}


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
