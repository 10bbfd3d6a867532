"""Version 1, the first published: leases and scores per class."""

from alembic import op

revision, down_revision = "1", None

STATEMENTS = (
    "CREATE TABLE ecgscale_schema (version integer NOT NULL)",
    "INSERT INTO ecgscale_schema VALUES (1)",
    """CREATE TABLE ecgscale_leases (
        trial_id integer PRIMARY KEY REFERENCES trials ON DELETE CASCADE,
        token text NOT NULL,
        worker text NOT NULL,
        host text NOT NULL,
        device text NOT NULL,
        claimed_at timestamptz NOT NULL,
        heartbeat_at timestamptz NOT NULL,
        claims integer NOT NULL DEFAULT 1,
        hand_backs integer NOT NULL DEFAULT 0,
        losses integer NOT NULL DEFAULT 0,
        errors integer NOT NULL DEFAULT 0,
        last_error text
    )""",
    """CREATE TABLE ecgscale_class_scores (
        trial_id integer NOT NULL REFERENCES trials ON DELETE CASCADE,
        class text NOT NULL,
        positives integer,
        f1 double precision,
        auroc double precision,
        auprc double precision,
        threshold double precision,
        PRIMARY KEY (trial_id, class)
    )""",
    "CREATE INDEX ecgscale_waiting ON trials (study_id, number) WHERE state = 'WAITING'",
    "CREATE INDEX ecgscale_running ON trials (study_id, number) WHERE state = 'RUNNING'",
    "CREATE INDEX ecgscale_erred ON ecgscale_leases (trial_id) WHERE errors > 0",
)


def upgrade() -> None:
    """Make the first tables beside Optuna's."""
    for statement in STATEMENTS:
        op.execute(statement)
