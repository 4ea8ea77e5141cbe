"""Debezium's connectors: made from the templates in ``deploy/connect``, applied and looked at over Connect's REST.

One connector a service reads its outbox by a replication slot and routes each record to its topic, in the shape that
the relay writes (``runtime/bus/records.py``). One more reads the catalog's events table itself: every change of a row
is told as it is, whoever made it (``runtime/bus/rows.py``).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import msgspec

import boxoffice

PUBLICATION = "boxoffice_outbox"
MAKE_PUBLICATION = "CREATE PUBLICATION boxoffice_outbox FOR TABLE outbox WITH (publish = 'insert')"
EVENTS_PUBLICATION = "boxoffice_events"
MAKE_EVENTS_PUBLICATION = (
    "CREATE PUBLICATION boxoffice_events FOR TABLE events WITH (publish = 'insert, update, delete')"
)
MAY_CONNECT = (
    "SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), $1::text)",
    "SELECT format('GRANT USAGE ON SCHEMA public TO %I', $1::text)",
)
GRANTS = (*MAY_CONNECT, "SELECT format('GRANT SELECT ON outbox TO %I', $1::text)")
EVENTS_GRANTS = (*MAY_CONNECT, "SELECT format('GRANT SELECT ON events TO %I', $1::text)")
"""Each gives the statement that gives a role what reading the table takes."""
HAS_PUBLICATION = "SELECT EXISTS (SELECT FROM pg_publication WHERE pubname = $1)"
BEHIND = """
SELECT active, pg_current_wal_insert_lsn() - confirmed_flush_lsn AS behind
FROM pg_replication_slots WHERE slot_name = $1
"""
OUTBOX, EVENTS = "outbox.json", "events.json"
TIMEOUT_S = 30.0


class ConnectRefusedError(Exception):
    """Kafka Connect does not answer, or did not take a connector; the text says why."""


@dataclass(frozen=True, slots=True)
class State:
    """How a connector is: RUNNING, PAUSED, FAILED, UNASSIGNED or missing, and why when it failed."""

    name: str
    state: str
    trace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One table that Debezium follows: whose it is, by which slot and publication, and what makes that possible."""

    service: str
    slot: str
    publication: str
    make_publication: str
    grants: tuple[str, ...]
    template: str


def readings(services: Sequence[str], shop: str = "") -> list[Reading]:
    """List what is read: the outbox of every service, and the catalog's events table."""
    outboxes = [
        Reading(
            service=service, slot=outbox_slot(service, shop), publication=PUBLICATION,
            make_publication=MAKE_PUBLICATION, grants=GRANTS, template=OUTBOX,
        )
        for service in services
    ]  # fmt: skip
    events = Reading(
        service="catalog", slot=_slot("catalog", "events", shop), publication=EVENTS_PUBLICATION,
        make_publication=MAKE_EVENTS_PUBLICATION, grants=EVENTS_GRANTS, template=EVENTS,
    )  # fmt: skip
    return [*outboxes, events]


def templates() -> Path:
    """Find the templates: beside the sources in a checkout, beside the package when installed."""
    package = Path(boxoffice.__file__).parent
    installed = package.parent / "boxoffice_connect"
    return installed if installed.is_dir() else package.parents[1] / "deploy" / "connect"


def outbox_slot(service: str, shop: str = "") -> str:
    """Name the replication slot of a service's outbox. Slots are named per server, so the shop is in it."""
    return _slot(service, "outbox", shop)


def _slot(service: str, table: str, shop: str) -> str:
    return re.sub(r"[^a-z0-9_]", "_", f"{shop}_{service}_{table}".lstrip("_").lower())


def outbox_connector(service: str, database_url: str, *, user: str, shop: str = "") -> tuple[str, dict[str, str]]:
    """Write the connector of a service's outbox: its name and its configuration."""
    return connector(readings([service], shop)[0], database_url, user=user, shop=shop)


def connector(reading: Reading, database_url: str, *, user: str, shop: str = "") -> tuple[str, dict[str, str]]:
    """Write the connector that reads a table: its name and its configuration.

    The password stays in the worker's environment (``CDC_PASSWORD``).
    """
    at = urlsplit(database_url)
    values = {
        "shop": f"{shop}." if shop else "", "service": reading.service, "slot": reading.slot,
        "host": at.hostname or "", "port": str(at.port or 5432), "database": unquote(at.path.lstrip("/")), "user": user,
    }  # fmt: skip
    template: dict[str, Any] = msgspec.json.decode((templates() / reading.template).read_bytes())
    return _filled(template["name"], values), {name: _filled(text, values) for name, text in template["config"].items()}


def _filled(text: str, values: dict[str, str]) -> str:
    """Put values in for ``@names@``, and complain of one that nobody knows."""
    return re.sub(r"@([a-z]+)@", lambda found: values[found[1]], text)


class ConnectApi:
    """Kafka Connect's REST interface."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def apply(self, name: str, configuration: dict[str, str]) -> None:
        """Make a connector, or change it; the same again changes nothing.

        :raises ConnectRefusedError: when it is not taken.
        """
        self._ask("PUT", f"/connectors/{name}/config", json=configuration)

    def remove(self, name: str) -> None:
        """Remove a connector; its slot stays in the database."""
        self._ask("DELETE", f"/connectors/{name}")

    def state(self, name: str) -> State:
        """Look at a connector: the worst of it and its tasks.

        :raises ConnectRefusedError: when Connect does not answer.
        """
        try:
            answer = self._http.get(f"/connectors/{name}/status")
        except httpx.HTTPError as error:
            raise ConnectRefusedError(f"Kafka Connect at {self._http.base_url} does not answer: {error}") from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return State(name, "missing")
        told = answer.json()
        parts = [told["connector"], *told["tasks"]]
        if len(parts) == 1:
            return State(name, "UNASSIGNED")
        worst = next((part for part in parts if part["state"] != "RUNNING"), parts[0])
        return State(name, worst["state"], worst.get("trace", "").partition("\n")[0])

    def _ask(self, method: str, path: str, **more: Any) -> None:
        try:
            answer = self._http.request(method, path, **more)
            answer.raise_for_status()
        except httpx.HTTPStatusError as error:
            said = error.response.text[:2_000]
            raise ConnectRefusedError(f"Kafka Connect refused {method} {path}: {said}") from error
        except httpx.HTTPError as error:
            raise ConnectRefusedError(f"Kafka Connect at {self._http.base_url} does not answer: {error}") from error
