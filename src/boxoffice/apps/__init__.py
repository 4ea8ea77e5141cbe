"""One file per process that can be deployed; ``all`` is every service in one process, ``starting`` what they share.

Each has ``create(settings, peers)``, which builds the ASGI application of that process.
"""

PROCESSES = (
    "identity",
    "catalog",
    "tickets",
    "bookings",
    "payments",
    "search",
    "notification",
    "storefront",
    "gateway",
)
"""Processes in the order in which they start: each after those whose answers it needs first."""

SERVICE_OF = {"tickets": "sales", "bookings": "sales", "payments": "sales"}
"""Processes that are not named like their service."""
