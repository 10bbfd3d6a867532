"""Studies in the database: Optuna's tables hold them, one transaction creates one."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from models import Architecture, Factor, load_space
from search.database.schema import ADVISORY_LOCK, require_schema
from search.database.storage import Storage
from search.database.view import refresh_view
from search.definition import StudyDefinition
from search.distributions import distributions
from search.errors import StudyError
from search.plan import Extension, PlannedTrial, extend, plan

if TYPE_CHECKING:
    import optuna

    from data_pipeline import Store

OBJECTIVE = "macro_f1"
# Optuna's own key behind `study.set_metric_names`.
METRIC_NAMES = "study:metric_names"

ADD_STUDY = """
WITH added AS (INSERT INTO studies (study_name) VALUES (:name) RETURNING study_id)
INSERT INTO study_directions (direction, study_id, objective)
SELECT 'MAXIMIZE', study_id, 0 FROM added RETURNING study_id
"""
ADD_STUDY_ATTRIBUTES = """
INSERT INTO {table} (study_id, key, value_json)
SELECT :study, key, value::text FROM json_each(CAST(:values AS json))
"""
ADD_TRIALS = """
INSERT INTO trials (number, study_id, state)
SELECT number, :study, 'WAITING' FROM generate_series(CAST(:first AS int), :last) AS number
"""
# In the order given: the dashboard shows parameters and attributes as they were inserted.
ADD_PARAMETERS = """
INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
SELECT t.trial_id, p.name, p.value, CAST(:distributions AS json) ->> p.name
FROM ROWS FROM (json_to_recordset(CAST(:rows AS json)) AS (number int, name text, value float8))
    WITH ORDINALITY AS p(number, name, value, position)
JOIN trials t ON t.study_id = :study AND t.number = p.number ORDER BY position
"""
ADD_ATTRIBUTES = """
INSERT INTO trial_user_attributes (trial_id, key, value_json)
SELECT t.trial_id, a.key, a.value
FROM ROWS FROM (json_to_recordset(CAST(:rows AS json)) AS (number int, key text, value text))
    WITH ORDINALITY AS a(number, key, value, position)
JOIN trials t ON t.study_id = :study AND t.number = a.number ORDER BY position
"""
PLANNED = """
SELECT t.number, max(a.value_json) FILTER (WHERE a.key = 'role') AS role,
    max(a.value_json) FILTER (WHERE a.key = 'seed') AS seed,
    max(a.value_json) FILTER (WHERE a.key = 'architecture') AS architecture
FROM trials t JOIN trial_user_attributes a USING (trial_id)
WHERE t.study_id = :study AND a.key IN ('role', 'seed', 'architecture')
GROUP BY t.number ORDER BY t.number
"""
SET_PLANNED = """
UPDATE study_user_attributes SET value_json = :planned
WHERE study_id = :study AND key = 'planned'
"""


@dataclass(frozen=True, slots=True)
class Study:
    """A study as it was defined; its trials are read with `search.records`."""

    name: str
    study_id: int
    storage: Storage
    definition: StudyDefinition
    data: dict[str, Any]
    factors: tuple[Factor, ...]
    planned: int
    uid: str

    @property
    def data_hash(self) -> str:
        """Hash of the store that every worker must have."""
        return str(self.data["hash"])

    def optuna(self) -> optuna.Study:
        """Open the same study with Optuna, for its plots and the dashboard."""
        import optuna

        sampler = optuna.samplers.RandomSampler()
        return optuna.load_study(
            study_name=self.name, storage=self.storage.optuna(), sampler=sampler
        )


def create_study(definition: StudyDefinition, store: Store, storage: Storage) -> Study:
    """Create a study with all its planned trials waiting, whole or not at all."""
    require_schema(storage)
    _require_absent(definition.name, storage)
    data = data_facts(store)
    space = load_space(definition.space)
    shape = {"samples": data["samples"], "leads": data["leads"], "outputs": data["outputs"]}
    planned = plan(definition, space, **shape)
    attributes = {
        "definition": definition.to_dict(),
        "data": data,
        "factors": [asdict(factor) for factor in space.factors],
        "sampling": planned.sampling,
        "planned": len(planned.trials),
        "uid": uuid.uuid4().hex,
    }
    with storage.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        taken = text("SELECT 1 FROM studies WHERE study_name = :name")
        if connection.scalar(taken, {"name": definition.name}):
            raise _exists(definition.name, storage)
        study_id = connection.scalar(text(ADD_STUDY), {"name": definition.name})
        for table, values in (
            ("study_user_attributes", attributes),
            ("study_system_attributes", {METRIC_NAMES: [OBJECTIVE]}),
        ):
            statement = text(ADD_STUDY_ATTRIBUTES.format(table=table))
            connection.execute(statement, {"study": study_id, "values": json.dumps(values)})
        add_trials(connection, study_id, planned.trials, space.factors, shape)
        refresh_view(connection)
    return open_study(definition.name, storage)


def extend_study(study: Study, extension: Extension) -> Study:
    """Plan further trials for a study, also while it runs; workers take them like the others."""
    data, storage = study.data, study.storage
    shape = {"samples": data["samples"], "leads": data["leads"], "outputs": data["outputs"]}
    with storage.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        rows = connection.execute(text(PLANNED), {"study": study.study_id}).all()
        known = tuple(
            PlannedTrial(
                row.number,
                Architecture.from_json(row.architecture),
                json.loads(row.seed),
                json.loads(row.role),
            )
            for row in rows
        )
        space = load_space(study.definition.space)
        trials = extend(study.definition, space, known, extension, **shape)
        if not trials:
            raise StudyError(
                f"expected further trials for {study.name}, got none: give a number of networks, "
                "replicates, controls or references"
            )
        add_trials(connection, study.study_id, trials, study.factors, shape)
        values = {"study": study.study_id, "planned": str(len(known) + len(trials))}
        connection.execute(text(SET_PLANNED), values)
    return open_study(study.name, storage)


def open_study(name: str, storage: Storage) -> Study:
    """Open a study by its name."""
    require_schema(storage)
    with storage.connect() as connection:
        found = connection.execute(
            text(
                "SELECT s.study_id, (SELECT json_object_agg(a.key, a.value_json::json) "
                "FROM study_user_attributes a WHERE a.study_id = s.study_id "
                "AND a.key IN ('definition', 'data', 'factors', 'planned', 'uid')) "
                "FROM studies s WHERE s.study_name = :name"
            ),
            {"name": name},
        ).one_or_none()
    if found is None:
        names = study_names(storage)
        there = f"there are {', '.join(names)}" if names else "there is none yet"
        raise StudyError(f"expected a study called {name} in {storage.label}: {there}")
    study_id, attributes = found
    if not attributes or "definition" not in attributes:
        raise StudyError(
            f"expected a study made by 'ecgscale create', got {name} in {storage.label}, "
            "which another program made: choose another name"
        )
    return Study(
        name=name,
        study_id=study_id,
        storage=storage,
        definition=StudyDefinition.from_dict(attributes["definition"]),
        data=attributes["data"],
        factors=tuple(
            Factor(**{**factor, "choices": tuple(factor["choices"])})
            for factor in attributes["factors"]
        ),
        planned=attributes["planned"],
        uid=attributes["uid"],
    )


def study_names(storage: Storage) -> list[str]:
    """List the studies of ours, oldest first."""
    with storage.connect() as connection:
        rows = connection.scalars(
            text(
                "SELECT s.study_name FROM studies s JOIN study_user_attributes a "
                "ON a.study_id = s.study_id AND a.key = 'uid' ORDER BY s.study_id"
            )
        )
        return list(rows)


def data_facts(store: Store) -> dict[str, Any]:
    """Describe the store that a study's trials are trained on."""
    labels = store.labels.sum(axis=0)
    splits = {split: len(store.rows(split)) for split in ("train", "validation", "test")}
    return {
        "hash": store.hash,
        "sample_rate_hz": store.sample_rate_hz,
        "samples": int(store.samples),
        "leads": int(store.signals.shape[1]),
        "outputs": len(store.classes),
        "synthetic": bool(store.synthetic),
        "records": sum(splits.values()),
        "splits": splits,
        "labels": {name: int(n) for name, n in zip(store.classes, labels, strict=True)},
    }


def add_trials(
    connection: Connection,
    study_id: int,
    trials: tuple[PlannedTrial, ...],
    factors: tuple[Factor, ...],
    shape: dict[str, int],
) -> None:
    """Insert planned trials as waiting Optuna trials, numbered by their index."""
    from optuna.distributions import distribution_to_json

    known = distributions(factors)
    parameters: list[dict[str, Any]] = []
    attributes: list[dict[str, Any]] = []
    for trial in trials:
        cost = trial.architecture.cost(**shape)
        for name, value in trial.architecture.factors.items():
            if name in known:
                inner = known[name].to_internal_repr(value)
                parameters.append({"number": trial.index, "name": name, "value": inner})
        described = {
            "role": json.dumps(trial.role),
            "index": json.dumps(trial.index),
            "seed": json.dumps(trial.seed),
            "architecture_hash": json.dumps(trial.architecture.hash),
            "flops": json.dumps(cost.flops),
            "params": json.dumps(cost.params),
            "activations": json.dumps(cost.activations),
            "architecture": trial.architecture.to_json(),
        }
        attributes += [
            {"number": trial.index, "key": key, "value": value} for key, value in described.items()
        ]
    span = {"study": study_id, "first": trials[0].index, "last": trials[-1].index}
    connection.execute(text(ADD_TRIALS), span)
    texts = json.dumps({name: distribution_to_json(known[name]) for name in known})
    rows = {"study": study_id, "rows": json.dumps(parameters), "distributions": texts}
    connection.execute(text(ADD_PARAMETERS), rows)
    rows = {"study": study_id, "rows": json.dumps(attributes)}
    connection.execute(text(ADD_ATTRIBUTES), rows)


def _require_absent(name: str, storage: Storage) -> None:
    with storage.connect() as connection:
        taken = text("SELECT 1 FROM studies WHERE study_name = :name")
        if connection.scalar(taken, {"name": name}):
            raise _exists(name, storage)


def _exists(name: str, storage: Storage) -> StudyError:
    return StudyError(
        f"the study {name} exists already in {storage.label}: choose another name, or run "
        f"'ecgscale status {name}' to see how far it is"
    )
