"""Alembic environment of catalog."""

from boxoffice.runtime.migrations import run_env

run_env()
