"""General admission as a free list: one record an area says which of its places are free."""

from pathlib import Path

from alembic import op

revision = "sales_0008"
down_revision = "sales_0007"
branch_labels = None
depends_on = None

HERE = Path(__file__).parent


def upgrade() -> None:
    """Create the table and its functions; events whose places are seat records already keep selling them as such."""
    op.execute((HERE / "0008_ga_areas.sql").read_text())
    op.execute((HERE / "0008_ga_holds.sql").read_text())
