"""What a hold says is written once; and no statistics of which events seats belong to.

An event that is newer than statistics looks as if it had one seat. With few events on sale the planner knows each of
them and expects nothing of any other; then it looks seats up by half their key, and goes through a whole hall for each
seat of an order. Without statistics it expects many seats of every event, and uses the whole key.
"""

from pathlib import Path

from alembic import op

revision = "sales_0016"
down_revision = "sales_0015"
branch_labels = None
depends_on = None

HOLDS = Path(__file__).with_name("0016_gathered_holds.sql")
GATHER_NONE = """
ALTER TABLE event_seats ALTER COLUMN event_id SET STATISTICS 0;
ALTER TABLE event_seat_labels ALTER COLUMN event_id SET STATISTICS 0;
"""
FORGET = """
SELECT pg_clear_attribute_stats(current_schema()::text, name, 'event_id', false)
  FROM unnest('{event_seats,event_seat_labels}'::text[]) name
"""
FORGETS_SINCE = 180000
"""An older server keeps what it has already, and uses it."""


def upgrade() -> None:
    """Replace the functions; gather no more statistics of events, and forget those that there are."""
    op.execute("SET LOCAL lock_timeout = '2s'")
    op.execute(HOLDS.read_text())
    op.execute(GATHER_NONE)
    if int(op.get_bind().exec_driver_sql("SHOW server_version_num").scalar_one()) >= FORGETS_SINCE:
        op.execute(FORGET)
