"""What ``boxoffice up`` says once the shop answers: where it is, who can log in, where the mail is."""

from ipaddress import ip_address
from pathlib import Path

from rich.panel import Panel
from rich.table import Table

from boxoffice.runtime.settings import Settings

DEMO_ACCOUNTS = ("organiser@example.org", "buyer@example.org", "administrator@example.org")
DEMO_PASSWORD = "boxoffice-demo"  # noqa: S105 - public on purpose, made in the demo profile only


def box(settings: Settings, folder: Path) -> Panel:
    """Draw the box with everything that people need to begin."""
    lines = Table.grid(padding=(0, 2))
    lines.add_row("[bold]Open[/bold]", f"[link={settings.public_url}]{settings.public_url}[/link]")
    lines.add_row("API", f"{settings.public_url}/docs")
    if settings.demo:
        for position, account in enumerate(DEMO_ACCOUNTS):
            lines.add_row("" if position else "Accounts", account)
        lines.add_row("", f"password of all three: [bold]{DEMO_PASSWORD}[/bold]")
        if not is_own_machine(settings.host):
            lines.add_row("[bold red]Beware[/bold red]", "whoever reaches this address can log in with them: --no-demo")
        lines.add_row("Mail", f"{settings.public_url}/mailbox")
        lines.add_row("Payment", f"simulated at {settings.paypal_api_url}")
    lines.add_row("Data", str(folder))
    lines.add_row("Stop", "Ctrl-C")
    return Panel(lines, title="Boxoffice is up", border_style="green", expand=False)


def is_own_machine(host: str) -> bool:
    """Tell whether only this machine reaches an address to listen on."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
