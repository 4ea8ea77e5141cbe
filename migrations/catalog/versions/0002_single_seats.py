"""Whether an event keeps its buyers from leaving single free seats behind."""

from alembic import op

revision = "catalog_0002"
down_revision = "catalog_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the setting; what is on sale already goes on as it was, what is written from now on says it."""
    op.execute("ALTER TABLE events ADD COLUMN no_single_seats boolean NOT NULL DEFAULT false")
