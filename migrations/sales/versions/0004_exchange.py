"""Exchanges of tickets, and who is named on a ticket."""

from pathlib import Path

from alembic import op

revision = "sales_0004"
down_revision = "sales_0003"
branch_labels = None
depends_on = None

SQL = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    """Create the tables and columns."""
    op.execute(SQL.read_text())
