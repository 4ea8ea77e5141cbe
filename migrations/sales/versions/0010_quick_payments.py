"""The usual payment in few round trips: starting it, and confirming several at once."""

from pathlib import Path

from alembic import op

revision = "sales_0010"
down_revision = "sales_0009"
branch_labels = None
depends_on = None

SQL = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    """Create the functions."""
    op.execute(SQL.read_text())
