"""A study as one file: gzipped lines of JSON, the first for the study, one per trial after it."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from models.layers import is_custom
from search.database.schema import ADVISORY_LOCK, require_schema
from search.database.storage import Storage, first_line
from search.database.view import refresh_view
from search.definition import require_name
from search.errors import StudyError
from search.reading.dump_format import FORMAT, VERSION, Dump, digest_of
from search.study import (
    ADD_STUDY,
    MINIMIZE,
    Study,
    open_study,
    renamed_definition,
    require_free,
    study_in,
    study_names,
)
from search.trials.statements import ADD_TEST_RECORDS
from search.trials.stored import planned_trials

# A confirmed trial on the whole Challenge has 2 MB of outputs: rows are fetched by a few, and sent
# by their size. PostgreSQL takes no parameter of 1 GB.
FETCHED = 50
BATCH, BATCH_CHARACTERS = 500, 16_000_000
# optuna-dashboard keeps the notes of trials under their row's id; in the file it is the number.
NOTE = re.compile(r"^dashboard:(\d+):")

STUDY = """
SELECT
    (SELECT json_object_agg(key, value_json) FROM study_user_attributes WHERE study_id = :study)
        AS user,
    (SELECT json_object_agg(key, value_json) FROM study_system_attributes WHERE study_id = :study)
        AS system,
    (SELECT to_json(r) FROM ecgscale_test_records r WHERE study_id = :study) AS test_records
"""
# A running trial travels as a waiting one: its worker stays behind.
TRIALS = """
SELECT json_build_object(
    'number', t.number,
    'state', CASE t.state::text WHEN 'RUNNING' THEN 'WAITING' ELSE t.state::text END,
    'started', CASE t.state::text WHEN 'RUNNING' THEN NULL ELSE t.datetime_start END,
    'finished', t.datetime_complete,
    'params', (SELECT coalesce(json_agg(json_build_array(
        param_name, param_value, distribution_json) ORDER BY param_id), '[]')
        FROM trial_params x WHERE x.trial_id = t.trial_id),
    'user', (SELECT coalesce(json_agg(json_build_array(key, value_json)
        ORDER BY trial_user_attribute_id), '[]')
        FROM trial_user_attributes x WHERE x.trial_id = t.trial_id),
    'system', (SELECT coalesce(json_agg(json_build_array(key, value_json)
        ORDER BY trial_system_attribute_id), '[]')
        FROM trial_system_attributes x WHERE x.trial_id = t.trial_id),
    'values', (SELECT coalesce(json_agg(json_build_array(
        objective, value, value_type) ORDER BY objective), '[]')
        FROM trial_values x WHERE x.trial_id = t.trial_id),
    'curve', (SELECT coalesce(json_agg(json_build_array(
        step, intermediate_value, intermediate_value_type) ORDER BY step), '[]')
        FROM trial_intermediate_values x WHERE x.trial_id = t.trial_id),
    'classes', (SELECT coalesce(json_agg(json_build_array(
        class, positives, f1, auroc, auprc, threshold) ORDER BY class), '[]')
        FROM ecgscale_class_scores x WHERE x.trial_id = t.trial_id),
    'outputs', (SELECT coalesce(json_agg(json_build_array(outputs)), '[]')
        FROM ecgscale_test_outputs x WHERE x.trial_id = t.trial_id)
)::text FROM trials t WHERE t.study_id = :study ORDER BY t.number
"""

ADD_STUDY_ATTRIBUTES = """
INSERT INTO {table} (study_id, key, value_json)
SELECT :study, key, value FROM json_each_text(CAST(:values AS json))
"""
ADD_TRIALS = """
INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete)
SELECT number, :study, state::trialstate, started, finished
FROM json_to_recordset(CAST(:rows AS json))
    AS r(number int, state text, started timestamp, finished timestamp)
RETURNING number, trial_id
"""
# {columns} and {values} of one table, from the lists under {key} of every trial.
ADD_ROWS = """
INSERT INTO {table} (trial_id, {columns})
SELECT t.trial_id, {values} FROM json_array_elements(CAST(:rows AS json)) WITH ORDINALITY r(v, i)
JOIN trials t ON t.study_id = :study AND t.number = (r.v ->> 'number')::int,
LATERAL json_array_elements(coalesce(r.v -> '{key}', '[]')) WITH ORDINALITY p(v, j)
ORDER BY r.i, p.j
"""
# Table, key of its rows in the file, columns and their types.
TABLES = (
    ("trial_params", "params", "param_name text, param_value float8, distribution_json text"),
    ("trial_user_attributes", "user", "key text, value_json text"),
    ("trial_system_attributes", "system", "key text, value_json text"),
    ("trial_values", "values", "objective int, value float8, value_type trialvaluetype"),
    (
        *("trial_intermediate_values", "curve"),
        "step int, intermediate_value float8, intermediate_value_type trialintermediatevaluetype",
    ),
    (
        *("ecgscale_class_scores", "classes"),
        "class text, positives int, f1 float8, auroc float8, auprc float8, threshold float8",
    ),
    ("ecgscale_test_outputs", "outputs", "outputs text"),
)


def dump_study(study_name: str, storage: Storage, path: Path) -> int:
    """Write a study with all its trials into one file; return the number of trials."""
    study = open_study(study_name, storage)
    # The first line tells the checksum of the others, so it is written last, to another file.
    body, partial = (path.with_name(f"{path.name}.{part}") for part in ("trials", "partial"))
    try:
        with storage.connect() as connection:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            row = connection.execute(text(STUDY), {"study": study.study_id}).one()
            numbers = _numbers(connection, study.study_id)
            header = {
                "format": FORMAT,
                "version": VERSION,
                "name": study.name,
                "trials": len(numbers),
                "user": row.user,
                "system": _renamed(row.system or {}, numbers, "#"),
                "test_records": row.test_records,
            }
            digest = digest_of(header)
            with gzip.open(body, "wb") as file:
                streaming = connection.execution_options(yield_per=FETCHED)
                for line in streaming.execute(text(TRIALS), {"study": study.study_id}).scalars():
                    digest.update(content := line.encode() + b"\n")
                    file.write(content)
        header["sha256"] = digest.hexdigest()
        with partial.open("wb") as whole, body.open("rb") as trials:
            whole.write(gzip.compress(json.dumps(header).encode() + b"\n"))
            shutil.copyfileobj(trials, whole)
        partial.replace(path)
    except OSError as error:
        raise StudyError(
            f"expected a file that can be written, got {path}: {error.strerror}; make room, or "
            "choose another place"
        ) from None
    finally:
        for left in (body, partial):
            left.unlink(missing_ok=True)
    return len(numbers)


def dump_all(storage: Storage, folder: Path) -> tuple[dict[str, int], dict[str, str]]:
    """Write every study into a file of its own; return trials by study, and why others are not."""
    folder.mkdir(parents=True, exist_ok=True)
    dumped: dict[str, int] = {}
    refused: dict[str, str] = {}
    for name in study_names(storage):
        try:
            dumped[name] = dump_study(name, storage, folder / f"{name}.jsonl.gz")
        except StudyError as error:
            refused[name] = str(error)
    return dumped, refused


def load_study(path: Path, storage: Storage, *, name: str | None = None) -> Study:
    """Add a dumped study to a database, whole or not at all, under its own or another name."""
    require_schema(storage)
    dump = Dump(path)
    name = name or dump.header.name
    require_name(name)
    try:
        with storage.begin() as connection:
            return _load(connection, storage, dump, name)
    except DBAPIError as error:  # a value that no column takes
        raise StudyError(
            f"expected a study of 'ecgscale dump' in {path}, got what the database does not take: "
            f"{first_line(error)}; nothing was loaded"
        ) from None


def _load(connection: Connection, storage: Storage, dump: Dump, name: str) -> Study:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    require_free(connection, name, storage)
    study_id = connection.scalar(text(ADD_STUDY), {"name": name})
    for batch in _batches(trial.model_dump(mode="json") for trial in dump.trials()):
        _add_trials(connection, study_id, batch)
    ids = {number: id_ for id_, number in _numbers(connection, study_id).items()}
    user = renamed_definition(dump.header.user, name)
    system = _renamed(dump.header.system or {}, ids, "")
    for table, values in (("study_user_attributes", user), ("study_system_attributes", system)):
        statement = text(ADD_STUDY_ATTRIBUTES.format(table=table))
        connection.execute(statement, {"study": study_id, "values": json.dumps(values)})
    if tested := dump.header.test_records:
        values = {**tested.model_dump(), "study": study_id}
        connection.execute(text(ADD_TEST_RECORDS), values)
    study = study_in(connection, storage, name)
    if not study.definition.maximize:
        connection.execute(text(MINIMIZE), {"study": study_id})
    _require_readable(connection, study, dump.path)
    refresh_view(connection)
    # One attribute of the wrong type would spoil the view for all studies.
    connection.execute(text("SELECT * FROM ecgscale_trials WHERE study = :name"), {"name": name})
    return study


def _require_readable(connection: Connection, study: Study, path: Path) -> None:
    """Refuse trials that workers could not train or that no table could show."""
    from optuna.distributions import json_to_distribution

    texts = text(
        "SELECT DISTINCT distribution_json FROM trial_params JOIN trials USING (trial_id) "
        "WHERE study_id = :study"
    )
    try:
        for trial in planned_trials(connection, study.study_id):
            if not is_custom(trial.architecture.layers):  # that of a plug-in may be counted later
                trial.architecture.cost(**study.shape)
        for described in connection.scalars(texts, {"study": study.study_id}):
            json_to_distribution(described)
    # Whatever an architecture, a role or a distribution of another's making makes them raise.
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise StudyError(
            f"expected trials that can be read in {path}, got: {type(error).__name__}: {error}; "
            "nothing was loaded"
        ) from None


def _add_trials(connection: Connection, study_id: int, batch: list[dict[str, Any]]) -> None:
    def rows(*keys: str) -> dict[str, Any]:
        named = ("number", *keys)
        kept = [{key: trial[key] for key in named if key in trial} for trial in batch]
        return {"study": study_id, "rows": json.dumps(kept)}

    connection.execute(text(ADD_TRIALS), rows("state", "started", "finished"))
    for table, key, described in TABLES:
        columns = [column.split() for column in described.split(", ")]
        statement = ADD_ROWS.format(
            table=table,
            key=key,
            columns=", ".join(column for column, _ in columns),
            values=", ".join(f"(p.v ->> {i})::{kind}" for i, (_, kind) in enumerate(columns)),
        )
        connection.execute(text(statement), rows(key))


def _batches(trials: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Cut trials into lists of at most BATCH, fewer where their outputs are large."""
    batch: list[dict[str, Any]] = []
    size = 0
    for trial in trials:
        batch.append(trial)
        size += sum(len(outputs) for (outputs,) in trial.get("outputs", ()))
        if len(batch) == BATCH or size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _numbers(connection: Connection, study_id: int) -> dict[int, int]:
    rows = connection.execute(
        text("SELECT trial_id, number FROM trials WHERE study_id = :study"), {"study": study_id}
    )
    return {row.trial_id: row.number for row in rows}


def _renamed(attributes: dict[str, str], numbers: dict[int, int], mark: str) -> dict[str, str]:
    """Let notes of trials follow them from one id to another."""
    renamed = {}
    for key, value in attributes.items():
        match = NOTE.match(key.replace("dashboard:#", "dashboard:", 1))
        if match and int(match[1]) in numbers:
            rest = key.split(":", 2)[2]
            key = f"dashboard:{mark}{numbers[int(match[1])]}:{rest}"
        renamed[key] = value
    return renamed
