"""Holds decided inside the database: one call places a hold, another ends those that ran out."""

from pathlib import Path

from alembic import op

revision = "sales_0002"
down_revision = "sales_0001"
branch_labels = None
depends_on = None

SQL = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    """Create the functions."""
    op.execute(SQL.read_text())
