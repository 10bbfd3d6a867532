"""Version 2: what confirmed networks put out on the test records."""

from alembic import op

revision, down_revision = "2", "1"

STATEMENTS = (
    """CREATE TABLE ecgscale_test_records (
        study_id integer PRIMARY KEY REFERENCES studies ON DELETE CASCADE,
        labels text NOT NULL,
        patients text NOT NULL,
        sources text NOT NULL
    )""",
    """CREATE TABLE ecgscale_test_outputs (
        trial_id integer PRIMARY KEY REFERENCES trials ON DELETE CASCADE,
        outputs text NOT NULL
    )""",
    "UPDATE ecgscale_schema SET version = 2",
)


def upgrade() -> None:
    """Add the tables of confirmations."""
    for statement in STATEMENTS:
        op.execute(statement)
