"""The words of events, venues and categories, for who must find events while the search index is away."""

from pathlib import Path

from alembic import op

revision = "catalog_0003"
down_revision = "catalog_0002"
branch_labels = None
depends_on = None

SQL = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    """Add the function and the indexes."""
    op.execute("SET LOCAL lock_timeout = '2s'")
    op.execute(SQL.read_text())
