"""Starting and stopping the applications of one process, and what each must be told before it can work.

Who starts a process that cannot work hears it at once, in one sentence, and not from its first visitor.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Self

from boxoffice.apps import PROCESSES
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import BadSettingsError, Settings, env_name
from boxoffice.runtime.tracing import recording

NEEDS: Mapping[str, tuple[str, ...]] = {
    "identity": ("identity_database_url", "redis_url"),
    "catalog": ("catalog_database_url", "redis_url", "identity_url"),
    "tickets": ("sales_database_url", "identity_url", "catalog_url", "ticket_key_file"),
    "bookings": ("sales_database_url", "redis_url", "identity_url", "ticket_key_file"),
    "payments": ("sales_database_url", "identity_url", "ticket_key_file"),
    "search": ("search_index_dir", "redis_url", "identity_url", "catalog_url"),
    "notification": ("notification_database_url", "redis_url", "identity_url"),
    "storefront": ("gateway_url",),
    "gateway": (),  # a service without a URL is not served by it
}
"""Settings that a process cannot do without when it runs alone; the three of sales must share one ticket key."""

INSTEAD: Mapping[str, str] = {"search_index_dir": "search_engine_url"}
"""Settings that are not needed when another one is given."""


PAYPAL = ("paypal_api_url", "paypal_client_id", "paypal_client_secret", "paypal_webhook_id", "paypal_webhook_ca_file")
BUS = ("redis_url", "bus_url")
OUTBOX = (*BUS, "outbox_carrier")
MAY_HAVE: Mapping[str, tuple[str, ...]] = {
    "identity": ("signing_key_file", "database_pool_size", *OUTBOX),
    "catalog": ("database_pool_size", *OUTBOX),
    "tickets": ("database_pool_size",),
    "bookings": ("database_pool_size", *OUTBOX, *PAYPAL),
    "payments": ("database_pool_size", *PAYPAL),
    "search": (*BUS, "outbox_carrier", "search_cache", "search_engine_url", "search_patience_ms"),
    "notification": ("smtp_host", "smtp_port", "database_pool_size", "mongodb_url", *BUS),
    "storefront": ("session_secret", "demo"),
    "gateway": ("redis_url", "demo", "mailbox_url", *(f"{name}_url" for name in PROCESSES if name != "gateway")),
}
"""What a process can do without, and a shop of many processes gives it all the same."""
EACH = ("public_url", "log_level", "log_archive_url", "log_archive_days", "zipkin_url", "trace_share")
"""What every process may be told."""


def share_of(process: str, known: Mapping[str, Any]) -> dict[str, str]:
    """Write the environment of one process: of all settings of a shop only those that it needs or can use."""
    wanted = (*NEEDS[process], *MAY_HAVE[process], *EACH)
    return {env_name(name): str(value) for name, value in known.items() if name in wanted}


class PartFailedError(Exception):
    """A service did not start; the cause is chained."""


class naming:  # noqa: N801 - reads as a phrase where it is used
    """Keep, under the service's name, what was raised while it started."""

    def __init__(self, part: str) -> None:
        self._part = part
        self.failed: PartFailedError | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        """Keep an error; anything else (a cancellation) goes on."""
        if not isinstance(error, Exception):
            return False
        first = _innermost(error)
        said = f"The service {self._part} did not start: {type(first).__name__}: {first}"
        self.failed = PartFailedError(said)
        self.failed.__cause__ = error
        return True


def check_needs(process: str, settings: Settings) -> None:
    """Refuse to start a process that was not told what it cannot do without; ``all`` reaches its services by itself.

    :raises BadSettingsError: naming every setting that is missing.
    """
    if process == "all":
        within = {f"{name}_url" for name in PROCESSES}
        needed = dict.fromkeys(name for names in NEEDS.values() for name in names if name not in within)
    else:
        needed = dict.fromkeys(NEEDS[process])
    missing = [f"{env_name(name)} is not set; {process} needs it" for name in needed if not _given(settings, name)]
    if missing:
        raise BadSettingsError("\n".join(missing))


def _given(settings: Settings, name: str) -> bool:
    return bool(getattr(settings, name) or (name in INSTEAD and getattr(settings, INSTEAD[name])))


@contextmanager
def telling_zipkin(process: str, settings: Settings) -> Iterator[None]:
    """Send spans to Zipkin while inside, where the settings say so; else do nothing."""
    if not settings.zipkin_url:
        yield
        return
    from boxoffice.runtime.zipkin import sending  # OpenTelemetry is loaded where it is used

    here = "" if process == "all" else str(process)
    with sending(settings.zipkin_url, share=settings.trace_share) as recorder, recording(recorder, here):
        yield


@asynccontextmanager
async def running(parts: Mapping[str, Any], peers: Peers) -> AsyncIterator[None]:
    """Run the lifespans of applications by their names while inside, in order, and leave them in reverse.

    :raises PartFailedError: naming the service that did not start.
    """
    failed: PartFailedError | None = None
    async with AsyncExitStack() as stack:
        stack.push_async_callback(peers.close)
        for name, part in parts.items():
            with naming(name) as start:
                await stack.enter_async_context(part.lifespan())
            if failed := start.failed:
                break
        else:
            yield
    if failed is not None:  # outside of the lifespans, which would wrap it in groups of exceptions
        raise failed


def _innermost(error: Exception) -> Exception:
    """Look into groups of one: a lifespan's task group says only that something failed."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
