"""What a person looked at and accepted of the auditor's findings, so that it stops no sale again."""

from alembic import op

revision = "sales_0007"
down_revision = "sales_0006"
branch_labels = None
depends_on = None

SQL = """
CREATE TABLE accepted_findings (
  event_id bigint NOT NULL,
  rule text NOT NULL,
  record_key text NOT NULL,                          -- SHA-256 of the record as the auditor shows it
  because text NOT NULL,
  accepted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (event_id, rule, record_key)
)
"""


def upgrade() -> None:
    """Create the table."""
    op.execute("SET LOCAL lock_timeout = '2s'")
    op.execute(SQL)
