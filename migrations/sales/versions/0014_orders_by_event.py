"""A hold writes no entry into the index of an event's orders; new events' seats are vacuumed at once."""

from pathlib import Path

from alembic import op

revision = "sales_0014"
down_revision = "sales_0013"
branch_labels = None
depends_on = None

SQL = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    """Change the indexes and how often seats are vacuumed."""
    op.execute("SET LOCAL lock_timeout = '2s'")
    op.execute(SQL.read_text())
