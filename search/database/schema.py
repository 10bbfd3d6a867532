"""Tables of ours beside Optuna's, made and upgraded by numbered migrations.

Workers only open what is there.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, text

from search.errors import NotYet, StudyError


class Database(Protocol):
    """What the schema needs of a storage, which in turn makes the schema of an embedded one."""

    @property
    def label(self) -> str:
        """Name for messages."""

    def connect(self) -> AbstractContextManager[Connection]:
        """Open a connection."""

    def optuna(self, *, create_tables: bool = False) -> Any:
        """Open Optuna's view of the same database."""


VERSION = 3
# Optuna's last migration; its tables are ours as well, so another one is refused.
OPTUNA_VERSION = "v3.2.0.a"
MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATIONS_TABLE = "ecgscale_migrations"
# Any fixed number; it keeps two `init-db` or `create` apart.
ADVISORY_LOCK = 0x65636773


def init_db(storage: Database) -> None:
    """Create or upgrade Optuna's tables and ours; any number may call it at once.

    Tables of a newer version are refused and left as they are.
    """
    with storage.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        try:
            found = schema_version(connection), optuna_version(connection)
            _refuse_newer(*found, storage.label)
            _require_unicode(connection, storage.label)
            connection.commit()
            if found[1] != OPTUNA_VERSION:
                storage.optuna(create_tables=True)
            if found[0] != VERSION:
                _migrate(connection, found[0])
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
            connection.commit()


def _require_unicode(connection: Connection, label: str) -> None:
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise StudyError(
            f"expected a database in UTF8, got {encoding} in {label}: make another one with "
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


def require_schema(storage: Database) -> None:
    """Refuse a database without our tables, or with those of another version."""
    with storage.connect() as connection:
        found, optuna = schema_version(connection), optuna_version(connection)
    if found is None:
        raise NotYet(
            f"expected a database with ecgscale's tables, got none in {storage.label}: "
            "run 'ecgscale init-db' with the same --storage first"
        )
    _refuse_newer(found, optuna, storage.label)
    if found < VERSION or optuna != OPTUNA_VERSION:
        raise StudyError(
            f"expected tables of version {VERSION} (Optuna's {OPTUNA_VERSION}), got version "
            f"{found} (Optuna's {optuna}) in {storage.label}: run 'ecgscale init-db' with the "
            "same --storage to upgrade them"
        )


def schema_version(connection: Connection) -> int | None:
    """Read the version of our tables, None where there are none."""
    if connection.scalar(text("SELECT to_regclass('ecgscale_schema')")) is None:
        return None
    version = connection.scalar(text("SELECT version FROM ecgscale_schema"))
    return None if version is None else int(version)


def optuna_version(connection: Connection) -> str | None:
    """Read the version of Optuna's tables, None where there are none."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _refuse_newer(found: int | None, optuna: str | None, label: str) -> None:
    if found is not None and found > VERSION:
        raise StudyError(
            f"expected ecgscale's tables of version {VERSION} or older, got version {found} in "
            f"{label}: use the newer ecgscale that made them"
        )
    # Optuna names its migrations after its releases, in order.
    if optuna is not None and _numbers(optuna) > _numbers(OPTUNA_VERSION):
        raise StudyError(
            f"expected Optuna's tables of version {OPTUNA_VERSION} or older, got {optuna} in "
            f"{label}: use the newer ecgscale, with the Optuna that made them"
        )


def _numbers(version: str) -> tuple[tuple[int, str], ...]:
    parts = version.removeprefix("v").split(".")
    return tuple((int(part), "") if part.isdecimal() else (0, part) for part in parts)


def _migrate(connection: Connection, found: int | None) -> None:
    """Run the migrations after `found` within the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes |= {"connection": connection, "version_table": MIGRATIONS_TABLE}
    marked = connection.scalar(text("SELECT to_regclass(:name)"), {"name": MIGRATIONS_TABLE})
    if found is not None and marked is None:  # made before there were migrations
        command.stamp(config, str(found))
    command.upgrade(config, "head")
