"""Ticket types: what each price level is sold as, and which types an order and a ticket are of."""

from pathlib import Path

from alembic import op

revision = "sales_0013"
down_revision = "sales_0012"
branch_labels = None
depends_on = None

SQL = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    """Create the table; events without types sell as before."""
    op.execute("SET LOCAL lock_timeout = '2s'")
    op.execute(SQL.read_text())
