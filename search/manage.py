"""Rename and delete whole studies, while their workers run."""

from __future__ import annotations

import json

from sqlalchemy import Connection, text

from search.database.schema import ADVISORY_LOCK, require_schema
from search.database.storage import Storage
from search.database.view import refresh_view
from search.definition import require_name
from search.errors import StudyError
from search.study import (
    read_attribute,
    renamed_definition,
    require_free,
    study_names,
    write_attribute,
)

# Optuna deletes row by row, and knows nothing of our tables.
REFERRING = """
SELECT c.conrelid::regclass::text AS name, a.attname AS key
FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
WHERE c.contype = 'f' AND c.confrelid = CAST(:table AS regclass)
"""
HELD = """
SELECT count(*) FROM trials t JOIN ecgscale_leases e USING (trial_id)
WHERE t.study_id = :study AND t.state = 'RUNNING'
    AND e.heartbeat_at > clock_timestamp() - make_interval(secs => e.lease_seconds)
"""


def rename_study(name: str, new: str, storage: Storage) -> None:
    """Give a study another name; its workers go on, its folders keep their names."""
    require_schema(storage)
    require_name(new)
    with storage.begin() as connection:
        study_id = _locked(connection, name, storage)
        require_free(connection, new, storage)
        values = {"study": study_id, "name": new}
        rename = "UPDATE studies SET study_name = :name WHERE study_id = :study"
        connection.execute(text(rename), values)
        definition = read_attribute(connection, study_id, "definition")
        if definition is not None:
            changed = renamed_definition({"definition": definition}, new)
            write_attribute(connection, study_id, "definition", json.loads(changed["definition"]))
        if read_attribute(connection, study_id, "first_name") is None:
            write_attribute(connection, study_id, "first_name", name)


def delete_study(name: str, storage: Storage) -> int:
    """Delete a study with everything of its trials; return their number.

    Also one that cannot be read; its workers say that it is gone, and end.
    """
    require_schema(storage)
    with storage.begin() as connection:
        study_id = _locked(connection, name, storage)
        values = {"study": study_id}
        which = "SELECT trial_id FROM trials WHERE study_id = :study"
        for row in connection.execute(text(REFERRING), {"table": "trials"}).all():
            statement = f"DELETE FROM {row.name} WHERE {row.key} IN ({which})"
            connection.execute(text(statement), values)
        deleted = connection.execute(text("DELETE FROM trials WHERE study_id = :study"), values)
        for row in connection.execute(text(REFERRING), {"table": "studies"}).all():
            connection.execute(text(f"DELETE FROM {row.name} WHERE {row.key} = :study"), values)
        connection.execute(text("DELETE FROM studies WHERE study_id = :study"), values)
        refresh_view(connection)
        return int(deleted.rowcount)


def running_workers(name: str, storage: Storage) -> int:
    """Count the trials of a study that live workers hold."""
    require_schema(storage)
    with storage.begin() as connection:
        held = {"study": _locked(connection, name, storage)}
        return int(connection.scalar(text(HELD), held) or 0)


def _locked(connection: Connection, name: str, storage: Storage) -> int:
    """Find a study of ours, readable or not, and keep others from planning meanwhile."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    found = connection.scalar(
        text(
            "SELECT s.study_id FROM studies s JOIN study_user_attributes a USING (study_id) "
            "WHERE s.study_name = :name AND a.key = 'uid' FOR UPDATE OF s"
        ),
        {"name": name},
    )
    if found is None:
        names = study_names(storage)
        raise StudyError(
            f"expected a study of ecgscale called {name} in {storage.label}, got "
            f"{'only ' + ', '.join(names) if names else 'none at all'}: check the name"
        )
    return int(found)
