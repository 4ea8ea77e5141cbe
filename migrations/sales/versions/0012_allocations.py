"""Allocations: seats set aside for somebody until an instant, and what opens them to whoever has the access code."""

from pathlib import Path

from alembic import op

revision = "sales_0012"
down_revision = "sales_0011"
branch_labels = None
depends_on = None

SQL = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    """Create the table, and judge seats that are set aside without a NULL."""
    op.execute("SET LOCAL lock_timeout = '2s'")
    op.execute(SQL.read_text())
