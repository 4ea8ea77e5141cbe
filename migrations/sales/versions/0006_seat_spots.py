"""Where every seat is, seen from the focus of the map: what best available measures by."""

from alembic import op

revision = "sales_0006"
down_revision = "sales_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the spots; seats without one are taken to stand in straight rows."""
    op.execute("ALTER TABLE event_seat_labels ADD COLUMN x int, ADD COLUMN y int")
    op.execute(
        "COMMENT ON COLUMN event_seat_labels.x IS"
        " 'to the right of the focus of the map, in tenths of a drawing unit; y: away from it'"
    )
