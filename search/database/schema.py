"""Tables of ours beside Optuna's, made once; workers only open what is there."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from sqlalchemy import Connection, text

from search.errors import StudyError


class Database(Protocol):
    """What the schema needs of a storage, which in turn makes the schema of an embedded one."""

    @property
    def label(self) -> str:
        """Name for messages."""

    def connect(self) -> AbstractContextManager[Connection]:
        """Open a connection."""

    def optuna(self, *, create_tables: bool = False) -> Any:
        """Open Optuna's view of the same database."""


VERSION = 2
# Any fixed number; it keeps two `init-db` or `create` apart.
ADVISORY_LOCK = 0x65636773

TABLES = """
CREATE TABLE IF NOT EXISTS ecgscale_schema (version integer NOT NULL);
CREATE TABLE IF NOT EXISTS ecgscale_leases (
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
);
CREATE TABLE IF NOT EXISTS ecgscale_class_scores (
    trial_id integer NOT NULL REFERENCES trials ON DELETE CASCADE,
    class text NOT NULL,
    positives integer,
    f1 double precision,
    auroc double precision,
    auprc double precision,
    threshold double precision,
    PRIMARY KEY (trial_id, class)
);
CREATE TABLE IF NOT EXISTS ecgscale_test_records (
    study_id integer PRIMARY KEY REFERENCES studies ON DELETE CASCADE,
    labels text NOT NULL,
    patients text NOT NULL,
    sources text NOT NULL
);
CREATE TABLE IF NOT EXISTS ecgscale_test_outputs (
    trial_id integer PRIMARY KEY REFERENCES trials ON DELETE CASCADE,
    outputs text NOT NULL
);
CREATE INDEX IF NOT EXISTS ecgscale_waiting ON trials (study_id, number) WHERE state = 'WAITING';
CREATE INDEX IF NOT EXISTS ecgscale_running ON trials (study_id, number) WHERE state = 'RUNNING';
CREATE INDEX IF NOT EXISTS ecgscale_erred ON ecgscale_leases (trial_id) WHERE errors > 0;
INSERT INTO ecgscale_schema SELECT {version} WHERE NOT EXISTS (SELECT 1 FROM ecgscale_schema);
UPDATE ecgscale_schema SET version = {version} WHERE version < {version};
"""


def init_db(storage: Database) -> None:
    """Create or upgrade Optuna's tables and ours; any number may call it at once."""
    with storage.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        try:
            found = schema_version(connection)
            if found is None:
                connection.commit()
                storage.optuna(create_tables=True)
            if found is None or found < VERSION:
                for statement in TABLES.format(version=VERSION).split(";\n"):
                    if statement.strip():
                        connection.execute(text(statement))
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
            connection.commit()


def require_schema(storage: Database) -> None:
    """Refuse a database without our tables, or with those of another version."""
    with storage.connect() as connection:
        found = schema_version(connection)
    if found is None:
        raise StudyError(
            f"expected a database with ecgscale's tables, got none in {storage.label}: "
            "run 'ecgscale init-db' with the same --storage first"
        )
    if found < VERSION:
        raise StudyError(
            f"expected ecgscale's tables of version {VERSION}, got version {found} in "
            f"{storage.label}: run 'ecgscale init-db' with the same --storage to upgrade them"
        )
    if found != VERSION:
        raise StudyError(
            f"expected ecgscale's tables of version {VERSION}, got version {found} in "
            f"{storage.label}: use the ecgscale that made them, or dump and load the studies"
        )


def schema_version(connection: Connection) -> int | None:
    """Read the version of our tables, None where there are none."""
    if connection.scalar(text("SELECT to_regclass('ecgscale_schema')")) is None:
        return None
    version = connection.scalar(text("SELECT version FROM ecgscale_schema"))
    return None if version is None else int(version)
