"""The catalog's timers: messages past their retention are forgotten."""

from boxoffice.runtime.jobs import Job
from boxoffice.runtime.relay import Relay

FORGET_EVERY_S = 3_600.0


def jobs(relay: Relay) -> list[Job]:
    """List the timers."""
    return [Job(name="catalog.forget_old_messages", run=relay.forget_old, every_seconds=FORGET_EVERY_S)]
