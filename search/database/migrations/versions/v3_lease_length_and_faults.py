"""Version 3: every lease has its own length; faults of machines are counted apart from errors."""

from alembic import op

revision, down_revision = "3", "2"

STATEMENTS = (
    "ALTER TABLE ecgscale_leases ADD COLUMN faults integer NOT NULL DEFAULT 0",
    "ALTER TABLE ecgscale_leases ADD COLUMN lease_seconds double precision NOT NULL DEFAULT 180",
    "DROP INDEX ecgscale_erred",
    "CREATE INDEX ecgscale_erred ON ecgscale_leases (trial_id) WHERE errors + faults > 0",
    "UPDATE ecgscale_schema SET version = 3",
)


def upgrade() -> None:
    """Add the columns; leases of workers that still run keep the length they were made with."""
    for statement in STATEMENTS:
        op.execute(statement)
