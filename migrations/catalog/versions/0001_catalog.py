"""The catalog: venues, seat maps, categories, events."""

from pathlib import Path

from alembic import op

from boxoffice.runtime.migrations import shared_sql

revision = "catalog_0001"
down_revision = None
branch_labels = None
depends_on = None

SQL = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    """Create everything."""
    op.execute(shared_sql("messaging_v1.sql"))
    op.execute(SQL.read_text())
