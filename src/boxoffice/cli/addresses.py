"""What ``boxoffice full`` says once everything is up: where each part is."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from rich.table import Table

from boxoffice.cli import welcome
from boxoffice.cli.beside import Beside
from boxoffice.runtime.embedded.folder import DataFolder
from boxoffice.runtime.settings import Settings


def table(
    settings: Settings, processes: Mapping[str, str], folder: DataFolder, beside: Beside, memory: Mapping[str, float]
) -> Table:
    """Write the table of addresses, and what each part takes of memory (MB); passwords stay in the data folder."""
    lines = Table("part", "where", title="Boxoffice is up, as many processes", title_justify="left")
    lines.add_row("Shop", settings.public_url)
    lines.add_row("API (Swagger)", f"{settings.public_url}/docs")
    lines.add_row("Accounts", ", ".join(welcome.DEMO_ACCOUNTS))
    lines.add_row("", f"password of all three: {welcome.DEMO_PASSWORD}")
    lines.add_row("Mailbox", f"{settings.public_url}/mailbox")
    lines.add_row("Payment, simulated", settings.paypal_api_url, end_section=True)
    lines.add_row("Kafka", settings.bus_url)
    lines.add_row("Kafka Connect", f"{settings.connect_url}/connectors")
    lines.add_row("PostgreSQL", _place(settings.sales_database_url))
    lines.add_row("Valkey", _place(settings.redis_url))
    for part in beside.parts.values():
        lines.add_row(part.title, part.address)
    for title, why in beside.absent.items():
        lines.add_row(title, f"absent: {why}")
    lines.add_section()
    for name, url in processes.items():
        lines.add_row(name, f"{url}/metrics")
    lines.add_section()
    if memory:
        parts = sorted(memory.items(), key=lambda one: -one[1])
        lines.add_row("Memory", f"{sum(memory.values()):,.0f} MB")
        lines.add_row("", ", ".join(f"{_short(name)} {megabytes:,.0f}" for name, megabytes in parts))
    lines.add_row("Data, keys, passwords", str(folder.path))
    lines.add_row("What each part says", str(folder.logs))
    lines.add_row("State of the connectors", f"boxoffice connectors status --data-dir {folder.path}")
    lines.add_row("Stop", "Ctrl-C")
    return lines


def _short(name: str) -> str:
    return name.removeprefix("The ").removeprefix("process ")


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}"
