"""Holds that wait are decided together: neighbours, allocations, customers' clock and budget, ``gather_holds``."""

from pathlib import Path

from alembic import op

revision = "sales_0003"
down_revision = "sales_0002"
branch_labels = None
depends_on = None

COLUMNS = Path(__file__).with_suffix(".sql")
FUNCTIONS = Path(__file__).with_name("0003_hold_functions.sql")


def upgrade() -> None:
    """Add the columns, then the functions that use them."""
    op.execute(COLUMNS.read_text())
    op.execute(FUNCTIONS.read_text())
