"""Wheelchair places with their companions' seats, and what a buyer is told of a limited view."""

from pathlib import Path

from alembic import op

revision = "sales_0009"
down_revision = "sales_0008"
branch_labels = None
depends_on = None

SQL = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    """Add the columns, the functions and the guard."""
    op.execute(SQL.read_text())
