"""Payments that begin at the same moment are begun in one transaction; events are marked as changed without waiting."""

from pathlib import Path

from alembic import op

revision = "sales_0011"
down_revision = "sales_0010"
branch_labels = None
depends_on = None

SQL = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    """Create the function."""
    op.execute(SQL.read_text())
