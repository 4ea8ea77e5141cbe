"""Holds that are made longer once: until when a customer's clock was extended, and when an order's hold was."""

from alembic import op

revision = "sales_0005"
down_revision = "sales_0004"
branch_labels = None
depends_on = None

COLUMNS = """
-- A clock that equals this was extended; the next one, which begins with the next first seat, may be once more.
ALTER TABLE customer_limits ADD COLUMN extended_until timestamptz;
ALTER TABLE orders ADD COLUMN extended_at timestamptz;
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(COLUMNS)
