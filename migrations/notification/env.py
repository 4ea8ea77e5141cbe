"""Alembic environment of notification."""

from boxoffice.runtime.migrations import run_env

run_env()
