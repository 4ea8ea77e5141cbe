"""Settings of every process: from the environment (``BOXOFFICE_…``) over an optional TOML file, all checked at start.

``docs/settings.md`` is generated from :class:`Settings`. A wrong value stops the process with all complaints at once.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PREFIX = "BOXOFFICE_"
FORBIDDEN_SECRETS = frozenset({"changeme", "secret", "password", "admin", "test"})
MIN_SECRET_LENGTH = 16
SEARCH_ENGINES = tuple(f"{kind}+{scheme}" for kind in ("opensearch", "elasticsearch") for scheme in ("http", "https"))
MONGODB = ("mongodb", "mongodb+srv")
POSTGRESQL = ("postgresql", "postgres")
PORTS = range(65_536)
ARCHIVE_DAYS = range(1, 3_651)
"""Ten years at most: longer than any law asks for, and what a TTL index can count."""


class BadSettingsError(Exception):
    """Settings that cannot be used; the text lists every complaint, one a line."""


def _setting(doc: str, default: Any, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"doc": doc, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. An empty URL means "not used by this process"."""

    public_url: str = _setting(
        "Address that people open; links, redirects and cookies are made for it.", "http://127.0.0.1:8000"
    )
    host: str = _setting("Address to listen on.", "127.0.0.1")
    port: int = _setting("Port to listen on.", 8000)
    log_level: str = _setting("debug, info, warning or error.", "info")
    log_human: bool = _setting("Log lines for people instead of JSON.", default=False)
    zipkin_url: str = _setting("Zipkin's address, such as http://zipkin:9411; spans are sent there. Empty: none.", "")
    trace_share: float = _setting(
        "Of the traces that begin here, the share whose spans are kept (0 to 1); a caller's own decision is kept.", 1.0
    )
    demo: bool = _setting("Demo profile: well-known demo accounts, simulators and the mailbox page.", default=False)

    identity_database_url: str = _setting("PostgreSQL URL of identity.", "", secret=True)
    catalog_database_url: str = _setting("PostgreSQL URL of catalog.", "", secret=True)
    sales_database_url: str = _setting("PostgreSQL URL of sales (tickets, bookings, payments).", "", secret=True)
    notification_database_url: str = _setting("PostgreSQL URL of notification.", "", secret=True)
    database_pool_size: int = _setting("Connections per service and process.", 10)
    redis_url: str = _setting("Redis or Valkey URL: bus, cache, limits.", "", secret=True)

    bus_url: str = _setting(
        "Message bus: kafka://host:port (several with commas between; /name after them where shops share a cluster); "
        "empty: streams on the Redis URL.",
        "",
    )
    outbox_carrier: str = _setting(
        "Who carries messages to the bus: relay, or connect (Debezium, see boxoffice connectors; the relay stands by).",
        "relay",
    )
    connect_url: str = _setting("Kafka Connect's REST address, for boxoffice connectors.", "")
    cdc_user: str = _setting("PostgreSQL role with REPLICATION that Debezium logs in as.", "")

    mongodb_url: str = _setting(
        "MongoDB that keeps preferences, such as mongodb://user:password@host:27017/boxoffice; empty: the database of "
        "notification. After a change: boxoffice preferences carry.",
        "",
        secret=True,
    )
    log_archive_url: str = _setting(
        "Where log records are kept to be looked for by boxoffice logs: mongodb://… or postgresql://…; empty: nowhere.",
        "",
        secret=True,
    )
    log_archive_days: int = _setting("How long the archive keeps a log record.", 14)

    identity_url: str = _setting(
        "Where identity is reached by the other processes. This and the next ones: several instances' addresses with "
        "commas between where nothing else balances; the gateway sends a call to the less busy of two that live.",
        "",
    )
    catalog_url: str = _setting("Where catalog is reached.", "")
    search_url: str = _setting("Where search is reached.", "")
    tickets_url: str = _setting("Where tickets is reached.", "")
    bookings_url: str = _setting("Where bookings is reached.", "")
    payments_url: str = _setting("Where payments is reached.", "")
    notification_url: str = _setting("Where notification is reached.", "")
    storefront_url: str = _setting("Where storefront is reached by the gateway.", "")
    gateway_url: str = _setting("Where the storefront reaches the gateway.", "")
    mailbox_url: str = _setting("Where the mailbox page is reached (demo only).", "")

    token_issuer: str = _setting("Issuer in access tokens.", "boxoffice")
    token_minutes: int = _setting("Life of an access token; at most 10.", 10)
    refresh_days: int = _setting("Life of a login without activity.", 14)
    signing_key_file: str = _setting(
        "File with identity's Ed25519 private key (PEM); made when missing.", "", secret=False
    )
    ticket_key_file: str = _setting(
        "File with the Ed25519 private key that signs tickets (PEM); made when missing.", ""
    )
    session_secret: str = _setting(
        "Secret that seals the storefront's session cookie; at least 16 characters.", "", secret=True
    )

    rate_limit_per_second: int = _setting("Calls a second that one client may make in the long run; 0: no limit.", 500)
    rate_limit_burst: int = _setting("Calls that one client may make at once.", 1_000)
    auth_rate_limit_per_second: int = _setting("The same for logging in and the like; 0: no limit.", 10)
    auth_rate_limit_burst: int = _setting("The same for logging in and the like.", 20)
    login_failures_per_minute: int = _setting("Wrong passwords a minute for one account; 0: no limit.", 5)
    access_code_failures_per_minute: int = _setting("Wrong access codes a minute of one customer; 0: no limit.", 10)
    trusted_networks: str = _setting(
        "Proxies whose X-Forwarded-For is believed, and the storefront where it runs alone: CIDR networks with commas "
        "between; else it is dropped.",
        "",
    )

    default_time_zone: str = _setting("Zone of a venue that names none (IANA).", "UTC")
    default_currency: str = _setting("Currency of an event that names none (ISO 4217).", "USD")
    hold_minutes: int = _setting("How long a hold lasts where the event says nothing.", 20)
    payment_minutes: int = _setting("How long a buyer may take at the provider.", 10)
    limit_per_customer: int = _setting("Tickets per customer and event where the event says nothing.", 8)

    paypal_api_url: str = _setting("PayPal REST API: https://api-m.paypal.com, the sandbox, or the simulator.", "")
    paypal_client_id: str = _setting("PayPal client id.", "")
    paypal_client_secret: str = _setting("PayPal client secret.", "", secret=True)
    paypal_webhook_id: str = _setting("Id of the webhook registered at PayPal.", "")
    paypal_webhook_ca_file: str = _setting("CA that signs the webhook certificate; empty: the system's.", "")
    paypal_merchant_id: str = _setting("Merchant id that every payment must go to; empty: not compared.", "")

    smtp_host: str = _setting("Mail server.", "127.0.0.1")
    smtp_port: int = _setting("Mail server's port.", 2525)
    smtp_user: str = _setting("Mail account; empty: none.", "")
    smtp_password: str = _setting("Mail password.", "", secret=True)
    smtp_tls: bool = _setting("STARTTLS with the mail server.", default=False)
    mail_from: str = _setting("Sender of mails.", "tickets@example.org")

    live_clients: int = _setting("Clients that may follow houses live at one process (about 40 kB each).", 10_000)
    live_clients_per_address: int = _setting("The same from one address: an office, or a phone network's exit.", 200)

    search_index_dir: str = _setting("Folder of the search index, where no search engine is set.", "")
    search_engine_url: str = _setting(
        "Search server: opensearch+http://host:9200 or elasticsearch+https://user:password@host:9200, with the name of "
        "the index as path where it is not boxoffice-events; empty: the embedded engine in the folder.",
        "",
        secret=True,
    )
    search_cache: str = _setting(
        "Whether answers to searches are kept on the Redis URL until the index changes, 30 s at most: on, off, or auto "
        "(where the engine is a search server).",
        "auto",
    )
    search_patience_ms: int = _setting(
        "How long a search waits for the search server before the catalog's own list answers it.", 600
    )

    def complaints(self) -> list[str]:
        """Say what is wrong with the values themselves."""
        found: list[str] = []
        found.extend(
            f"{env_name(name)}: {getattr(self, name)} is no port (0 to 65535)"
            for name in ("port", "smtp_port")
            if getattr(self, name) not in PORTS
        )
        found.extend(
            f"{env_name(entry.name)}: {getattr(self, entry.name)!r} is no URL"
            for entry in fields(self)
            if entry.name.endswith("_url")
            and getattr(self, entry.name)
            and not urlsplit(getattr(self, entry.name)).scheme
        )
        found.extend(self._complaints_of_engines())
        if not 1 <= self.token_minutes <= 10:  # noqa: PLR2004 - contract: at most 10 minutes
            found.append(f"{env_name('token_minutes')}: an access token lives 1 to 10 minutes")
        if not 0 <= self.trace_share <= 1:
            found.append(f"{env_name('trace_share')}: {self.trace_share} is no share from 0 to 1")
        if self.log_level.lower() not in {"debug", "info", "warning", "error"}:
            found.append(f"{env_name('log_level')}: {self.log_level!r} is none of debug, info, warning, error")
        found.extend(
            f"{env_name(name)}: must be at least 1"
            for name in (
                "database_pool_size",
                "hold_minutes",
                "payment_minutes",
                "limit_per_customer",
                "refresh_days",
                "rate_limit_burst",
                "auth_rate_limit_burst",
                "live_clients",
                "live_clients_per_address",
                "search_patience_ms",
            )
            if getattr(self, name) < 1
        )
        if self.log_archive_days not in ARCHIVE_DAYS:
            found.append(f"{env_name('log_archive_days')}: {self.log_archive_days} is not between 1 and 3650")
        for network in filter(None, (part.strip() for part in self.trusted_networks.split(","))):
            try:
                ip_network(network)
            except ValueError:
                found.append(f"{env_name('trusted_networks')}: {network!r} is no network such as 10.0.0.0/8")
        if self.session_secret and (
            len(self.session_secret) < MIN_SECRET_LENGTH or self.session_secret.lower() in FORBIDDEN_SECRETS
        ):
            found.append(f"{env_name('session_secret')}: use at least {MIN_SECRET_LENGTH} random characters")
        return found

    def _complaints_of_engines(self) -> list[str]:
        found: list[str] = []
        if self.outbox_carrier not in {"relay", "connect"}:
            found.append(f"{env_name('outbox_carrier')}: {self.outbox_carrier!r} is neither relay nor connect")
        elif self.outbox_carrier == "connect" and not self.bus_url:
            found.append(f"{env_name('outbox_carrier')}: connect writes to Kafka; name it in {env_name('bus_url')}")
        if self.bus_url and urlsplit(self.bus_url).scheme not in {"", "kafka"}:
            found.append(f"{env_name('bus_url')}: {self.bus_url!r} is no kafka:// address")
        if "@" in urlsplit(self.bus_url).netloc:  # not shown: it has a password in it
            found.append(f"{env_name('bus_url')}: accounts and passwords for Kafka cannot be used yet; leave them out")
        if self.search_cache not in {"on", "off", "auto"}:
            found.append(f"{env_name('search_cache')}: {self.search_cache!r} is none of on, off, auto")
        found.extend(
            f"{env_name(name)}: it must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}"
            for name, schemes in (
                ("mongodb_url", MONGODB),
                ("log_archive_url", (*MONGODB, *POSTGRESQL)),
            )  # the value itself is not shown: it may have a password in it
            if getattr(self, name) and urlsplit(getattr(self, name)).scheme not in {"", *schemes}
        )
        if self.search_engine_url:
            server = urlsplit(self.search_engine_url)
            if server.scheme not in SEARCH_ENGINES or not server.hostname:
                schemes = ", ".join(SEARCH_ENGINES)
                found.append(f"{env_name('search_engine_url')}: its scheme must be one of {schemes}, before a host")
        return found


def env_name(name: str) -> str:
    """Name the environment variable of a setting."""
    return PREFIX + name.upper()


def load(
    environment: Mapping[str, str] | None = None,
    *,
    file: Path | None = None,
    defaults: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> Settings:
    """Read the settings: overrides over environment over file over ``defaults`` over the built-in defaults.

    :raises BadSettingsError: with every complaint: unknown names, values of the wrong type, values that cannot be.
    """
    environment = os.environ if environment is None else environment
    known = {entry.name: type(entry.default) for entry in fields(Settings)}
    complaints: list[str] = []
    values: dict[str, Any] = {}
    for source, given in (
        ("file", _from_file(file, complaints)),
        ("environment", _from_environment(environment)),
    ):
        for name, raw in given.items():
            if name not in known:
                complaints.append(f"{env_name(name)} (from the {source}) is no setting; see docs/settings.md")
                continue
            try:
                values[name] = _convert(raw, known[name])
            except ValueError:
                complaints.append(f"{env_name(name)}: {raw!r} is no {known[name].__name__}")
    settings = Settings(**{**(defaults or {}), **values, **overrides})
    complaints.extend(settings.complaints())
    if complaints:
        raise BadSettingsError("\n".join(complaints))
    return settings


NOT_SETTINGS = frozenset({"data_dir", "settings_file", "cache_dir", "engines_cache", "backup_dir"})
"""Variables of the command line that share the prefix."""


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and name.removeprefix(PREFIX).lower() not in NOT_SETTINGS
    }


def _from_file(file: Path | None, complaints: list[str]) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        complaints.append(f"settings file {file}: {error}")
        return {}


def _convert(raw: Any, kind: type) -> Any:
    if kind is bool:
        if isinstance(raw, bool):
            return raw
        if str(raw).lower() in {"1", "true", "yes", "on"}:
            return True
        if str(raw).lower() in {"0", "false", "no", "off", ""}:
            return False
        raise ValueError(raw)
    if kind is int and isinstance(raw, bool):
        raise ValueError(raw)
    return kind(raw)


def table() -> str:
    """Write docs/settings.md."""
    lines = [
        "# Settings", "",
        (
            "Generated from `runtime/settings.py` by `make docs`. Environment variables win over the TOML file "
            "(`--settings FILE`), where the names stand in lower case without the prefix."
        ),
        "",
        "| variable | default | what it sets |", "|---|---|---|",
    ]  # fmt: skip
    for entry in fields(Settings):
        default = "(secret)" if entry.metadata["secret"] else f"`{entry.default}`" if entry.default != "" else ""
        lines.append(f"| `{env_name(entry.name)}` | {default} | {entry.metadata['doc']} |")
    return "\n".join(lines) + "\n"
