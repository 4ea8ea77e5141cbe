"""Preferences are kept here, and no longer by identity; or in MongoDB, and here it is noted that they are."""

from pathlib import Path

from alembic import op

revision = "notification_0002"
down_revision = "notification_0001"
branch_labels = None
depends_on = None

SQL = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    """Make the tables, and take what identity told of preferences so far."""
    op.execute("SET LOCAL lock_timeout = '2s'")
    op.execute(SQL.read_text())
