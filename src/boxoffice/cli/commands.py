"""Which commands there are, in the order in which help lists them."""

import typer

from boxoffice.cli import (
    accounts,
    auditing,
    backups,
    connecting,
    databases,
    demo,
    full,
    loading,
    logs,
    messages,
    preferences,
    processes,
    reconciling,
    searching,
    up,
)
from boxoffice.cli.doctor import doctor


def register(app: typer.Typer) -> None:
    """Add every command."""
    app.command()(up.up)
    app.command()(full.full)
    app.command()(doctor)
    app.command()(processes.serve)
    app.command()(databases.migrate)
    app.command()(auditing.audit)
    app.add_typer(backups.backup, name="backup")
    app.command()(backups.restore)
    app.command()(reconciling.reconcile)
    app.add_typer(loading.load, name="load")
    app.command()(demo.demo)
    app.add_typer(accounts.admin, name="admin")
    app.add_typer(connecting.connectors, name="connectors")
    app.add_typer(messages.messages, name="messages")
    app.add_typer(preferences.preferences, name="preferences")
    app.command()(logs.logs)
    app.add_typer(searching.search, name="search")
    app.add_typer(processes.simulate, name="simulate")
    app.add_typer(databases.settings_app, name="settings")
