"""A mail remembers the trace in which it was asked for, so that sending it belongs to the same."""

from alembic import op

revision = "notification_0003"
down_revision = "notification_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; mails from before have none."""
    op.execute("SET LOCAL lock_timeout = '2s'")
    op.execute("ALTER TABLE mail_jobs ADD COLUMN trace text")
