"""Alembic environment of identity."""

from boxoffice.runtime.migrations import run_env

run_env()
