"""Alembic environment of sales."""

from boxoffice.runtime.migrations import run_env

run_env()
